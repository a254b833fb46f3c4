"""Which threshold does a hospital use in place of the classifier's own?

A profile lies in the app's home, never in the folder of a classifier, and belongs to the weights it was chosen for.
"""

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from cxr_core.config import SITES_DIR
from cxr_core.inference.classifier import Classifier
from cxr_core.system.files import read_json, write_json

_LONGEST_NAME = 60


@dataclass(frozen=True)
class SiteProfile:
    """The threshold of one site.

    Attributes:
        name: of the site, as people call it.
        class_name: whose alarm it is.
        threshold: in [0, 1]; a probability of at least this is an alarm.
        miss_rate: at most this proportion of the class is missed, on average over images like those that chose it.
        images: number of labelled images of the class that chose it.
    """

    name: str
    class_name: str
    threshold: float
    miss_rate: float
    images: int


def save_profile(classifier: Classifier, profile: SiteProfile, folder: Path = SITES_DIR) -> Path:
    """Save a site's profile for a classifier's weights, in place of one of the same name; returns the file.

    Raises:
        ValueError: the name is empty or too long, or the class or the threshold is not one of the classifier's.
    """
    if not 0 < len(profile.name.strip()) <= _LONGEST_NAME or not profile.name.isprintable():
        raise ValueError(f"The name of a site must have 1 to {_LONGEST_NAME} printable letters.")
    _check(classifier, profile)
    path = _folder_of(classifier, folder) / f"{hashlib.sha256(profile.name.encode()).hexdigest()[:16]}.json"
    write_json(path, asdict(profile))
    return path


def site_profiles(classifier: Classifier, folder: Path = SITES_DIR) -> dict[str, SiteProfile]:
    """Return {name: profile} of the sites that were saved for a classifier's weights, by name.

    Raises:
        ValueError: one of the files cannot be understood.
    """
    if not folder.is_dir():
        return {}
    profiles = [_read(classifier, path) for path in sorted(_folder_of(classifier, folder).glob("*.json"))]
    return {profile.name: profile for profile in sorted(profiles, key=lambda profile: profile.name)}


def use_profile(classifier: Classifier, name: str, folder: Path = SITES_DIR) -> Classifier:
    """Return a classifier that tells, with each image that it does not refuse, whether a site's threshold is reached.

    Raises:
        ValueError: there is no such profile for these weights.
    """
    known = site_profiles(classifier, folder)
    if name not in known:
        names = ", ".join(known) or "none yet"
        raise ValueError(f"There is no site {name!r} for this classifier; saved: {names}. `site --save` makes one.")
    point = asdict(known[name])
    point["site"] = point.pop("name")
    return replace(classifier, card=replace(classifier.card, operating_point=point))


def _folder_of(classifier: Classifier, folder: Path) -> Path:
    return folder / classifier.digest()


def _read(classifier: Classifier, path: Path) -> SiteProfile:
    try:
        profile = SiteProfile(**read_json(path))
        _check(classifier, profile)
    except (TypeError, ValueError) as error:
        raise ValueError(f"The site profile {path.name} cannot be read; delete it and save it again.") from error
    return profile


def _check(classifier: Classifier, profile: SiteProfile) -> None:
    if profile.class_name not in classifier.classes:
        raise ValueError(f"The class must be one of {', '.join(classifier.classes)}; received {profile.class_name!r}.")
    if not 0 <= profile.threshold <= 1:
        raise ValueError(f"The threshold must lie in [0, 1]; received {profile.threshold}.")
