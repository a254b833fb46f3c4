"""Which radiographs travel with the app, from whom are they, and are they all there?"""

import hashlib
import shutil
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cxr_core.config import CACHE_DIR, PROJECT_DIR, TEACHING_DIR
from cxr_core.system.disk_cache import is_cached, new_entry
from cxr_core.system.files import write_text

INDEX_FILE = "index.csv"
# What was computed of the images, laid out like the cache.
ANALYSIS_DIR = "analysis"
# In that folder, as sha256sum writes them: so that what is damaged is not taken for a result.
CHECKSUMS_FILE = "sha256.txt"
# What the built-in classifier answers, and the image that it answers so.
EXAMPLES = {
    "Clear answer": "hannover/f8335316.jpg",
    "Not sure": "hannover/1052b0fe.jpg",
    "Another finding": "hannover/c0f74558.jpg",
    "Refused: not a whole chest": "nih/00002482_001.jpg",
    "Wrong answer": "nih/00001684_003.jpg",
}


@dataclass(frozen=True)
class TeachingImage:
    """One image of the teaching set.

    Attributes:
        path: absolute.
        truth: its class, whatever label it carries.
        credit: from whom it is, and under which licence.
    """

    path: Path
    truth: str
    credit: str


def load_teaching_index(folder: str | Path = TEACHING_DIR) -> pd.DataFrame:
    """Read what is known of each image of the teaching set.

    Args:
        folder: of the teaching set.

    Returns:
        One row per image, all str, "" where nothing tells: `path` (relative to the folder), `label`, `patient`, `view`,
        `age`, `sex`, `source`, `licence`, `attribution`, `planted` (what was planted, for images that are copies or
        carry a wrong label), `sha256` of the file and `original`, the SHA-256 of the file that it was made from.

    Raises:
        ValueError: the index is missing or broken; the sentence says what to do.

    Example:
        >>> from cxr_core.data.teaching_set import load_teaching_index
        >>> sorted(load_teaching_index()["label"].unique())
        ['covid', 'normal', 'virus']
    """
    try:
        index = pd.read_csv(Path(folder) / INDEX_FILE, dtype=str, keep_default_na=False)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(_incomplete("its index cannot be read")) from error
    if not {"path", "label", "source", "licence", "attribution", "planted", "sha256", "original"} <= set(index):
        raise ValueError(_incomplete("its index lacks columns"))
    return index


def teaching_images(folder: str | Path = TEACHING_DIR) -> dict[str, TeachingImage]:
    """Return every image of the teaching set by the SHA-256 of its file, and of the file that it was made from.

    Planted copies are known by their own hash only.

    Raises:
        ValueError: as for `load_teaching_index`.
    """
    images: dict[str, TeachingImage] = {}
    for row in load_teaching_index(folder).to_dict("records"):
        kind, _, truth = row["planted"].partition("wrong label: ")
        credit = f"{row['source']}. {row['attribution']} ({row['licence']})"
        image = TeachingImage((Path(folder) / row["path"]).resolve(), truth or row["label"], credit)
        images[row["sha256"]] = image
        if not kind:
            images[row["original"]] = image
    return images


def example_images(images: Iterable[TeachingImage]) -> dict[str, TeachingImage]:
    """Return {what the built-in classifier answers: an image}, of some of `teaching_images` whose files are there."""
    by_path = {image.path: image for image in images}
    paths = {title: (TEACHING_DIR / path).resolve() for title, path in EXAMPLES.items()}
    return {title: by_path[path] for title, path in paths.items() if path in by_path and path.is_file()}


def keep_shipped_analysis(folder: str | Path = TEACHING_DIR, *, cache_dir: str | Path = CACHE_DIR) -> None:
    """Put what travels with the teaching set into the cache, as far as it is not there: duplicates, embeddings, map and
    more.

    Entries of the cache are named after content and method, so one that is out of date is never found, and what it
    stood for is computed. So is what one stood for whose file is damaged or missing. Where the cache cannot be written,
    everything is.
    """
    analysis = Path(folder) / ANALYSIS_DIR
    for name, told in _checksums(analysis).items():
        path, kept = analysis / name, Path(cache_dir) / name
        if not is_cached(kept) and path.is_file() and _digest(path) == told:
            with suppress(OSError), new_entry(kept) as temporary:
                shutil.copyfile(path, temporary)


def write_checksums(folder: str | Path) -> None:
    """Write the SHA-256 of every file of a teaching set's analysis beside them."""
    analysis = Path(folder) / ANALYSIS_DIR
    lines = [f"{_digest(path)}  {path.relative_to(analysis).as_posix()}\n" for path in sorted(analysis.glob("*/*"))]
    write_text(analysis / CHECKSUMS_FILE, "".join(lines))


def _checksums(analysis: Path) -> dict[str, str]:
    """Return {file: SHA-256} of an analysis; empty where its list cannot be read."""
    try:
        lines = (analysis / CHECKSUMS_FILE).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = (line.split("  ", 1) for line in lines if "  " in line)
    return {name: digest for digest, name in pairs}


def check_teaching_set(folder: str | Path = TEACHING_DIR) -> None:
    """Compare every image of the teaching set with the hash that its index tells, and the index with the folder.

    Raises:
        ValueError: an image is missing, changed, or not in the index; the sentence counts them and says what to do.
    """
    folder = Path(folder)
    index = load_teaching_index(folder)
    told = dict(zip(index["path"], index["sha256"], strict=True))
    there = {path.relative_to(folder).as_posix(): path for path in folder.glob("*/*.jpg")}
    missing = sum(name not in there for name in told)
    unlisted = sum(name not in told for name in there)
    changed = sum(_digest(path) != told[name] for name, path in there.items() if name in told)
    wrong = [
        f"{count} {what}"
        for count, what in ((missing, "missing"), (changed, "changed"), (unlisted, "not in its index"))
        if count
    ]
    if wrong:
        raise ValueError(_incomplete(f"of its images, {', '.join(wrong)}"))


def can_restore() -> bool:
    """Return True in a checkout, whose history holds the teaching set."""
    return (PROJECT_DIR / ".git").exists() and shutil.which("git") is not None


def restore_teaching_set(folder: str | Path = TEACHING_DIR) -> None:
    """Bring what is missing or changed in the teaching set back from the history of the checkout.

    Raises:
        ValueError: that cannot be done, or does not make it complete.
    """
    try:
        subprocess.run(["git", "-C", str(folder), "checkout", "--", "."], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ValueError(_incomplete("git could not restore it")) from error
    check_teaching_set(folder)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _incomplete(what: str) -> str:
    """Say what is wrong, and what restores it: a checkout has the images in its history, a wheel brings them again."""
    if can_restore():
        how = "In the project's folder, git checkout -- teaching_set restores what is missing or changed."
    else:
        # Without the option, pip leaves what is installed as it is.
        how = "Install CXR Lab again with pip's option --force-reinstall, or unpack its download again, to restore it."
    return f"The teaching set is not complete: {what}. {how}"
