"""Which answers did people mark as wrong, and what is right?

An image is known by its content alone: neither a file's name nor anything of a DICOM header is kept. The image itself
is kept only where the owner allows it, as pixels without any header.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from cxr_core.classes import OTHER_FINDING, class_key
from cxr_core.config import MARKED_DIR
from cxr_core.imaging.display import display_rgb, png_bytes
from cxr_core.inference.selective_prediction import Answer
from cxr_core.system.files import atomic_path, read_json, write_json
from cxr_core.system.text import csv_text
from cxr_core.system.validation import check_kinds, settings_from_dict

# What somebody says is right who knows only that the answer is not.
UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class MarkedAnswer:
    """An answer that somebody called wrong.

    Attributes:
        digest: SHA-256 of the file, 64 hexadecimal digits.
        classifier: name of the folder of the classifier that answered.
        answer: the class that it gave; "" where it gave none.
        confidence: its highest probability, in [0, 1].
        truth: the class that is right, `OTHER_FINDING` or `UNKNOWN`.
        date: of the mark, as YYYY-MM-DD.

    Raises:
        ValueError: a value is of the wrong kind.
    """

    digest: str
    classifier: str
    answer: str
    confidence: float
    truth: str
    date: str

    def __post_init__(self) -> None:
        check_kinds(self)


def truth_choices(classes: Sequence[str]) -> tuple[str, ...]:
    """Return what somebody may say is right: the classifier's classes, another finding, or that they do not know."""
    others = () if OTHER_FINDING in map(class_key, classes) else (OTHER_FINDING,)
    return (*classes, *others, UNKNOWN)


def mark_answer(
    answer: Answer,
    data: bytes,
    *,
    truth: str,
    classifier: str,
    keep_image: bool,
    folder: str | Path = MARKED_DIR,
) -> MarkedAnswer:
    """Put an answer on the list, in place of an earlier mark of the same image and classifier.

    Args:
        answer: of the classifier.
        data: the file that it answered.
        truth: one of `truth_choices`.
        classifier: name of the folder of the classifier.
        keep_image: keep the image's pixels, too.
        folder: of the list.

    Raises:
        ValueError: `truth` is none of the choices, or is what the classifier answered.
        OSError: the list cannot be written.
    """
    choices = truth_choices(answer.prediction.classes)
    if truth not in choices:
        raise ValueError(f"What is right must be one of {', '.join(choices)}.")
    if truth == answer.label:
        raise ValueError(f"The classifier answered {truth}: choose what is right in its place.")
    marked = MarkedAnswer(
        digest=sha256(data).hexdigest(),
        classifier=classifier,
        answer=answer.label or "",
        confidence=round(float(answer.prediction.probabilities.max()), 4),
        truth=truth,
        date=datetime.now(UTC).date().isoformat(),
    )
    if keep_image:
        with atomic_path(image_path(marked, folder)) as path:
            path.write_bytes(png_bytes(display_rgb(answer.prediction.image)))
    try:
        write_json(_path(marked.digest, classifier, folder), asdict(marked))
    except OSError:
        _remove_unmarked_image(marked, folder)
        raise
    return marked


def marked_answer(data: bytes, classifier: str, folder: str | Path = MARKED_DIR) -> MarkedAnswer | None:
    """Return the mark of a file's answer; None where there is none that can be read."""
    try:
        return settings_from_dict(MarkedAnswer, read_json(_path(sha256(data).hexdigest(), classifier, folder)))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def load_marked(folder: str | Path = MARKED_DIR) -> list[MarkedAnswer]:
    """Return the list, the newest first.

    Raises:
        ValueError: a file of the list holds something else; it is named.
    """
    marked = []
    for path in Path(folder).glob("*.json"):
        try:
            marked.append(settings_from_dict(MarkedAnswer, read_json(path)))
        except FileNotFoundError:
            # Taken back at this moment.
            continue
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path.name} holds no marked answer; move it out of {path.parent}.") from error
    return sorted(marked, key=lambda one: (one.date, one.digest, one.classifier), reverse=True)


def take_back(marked: MarkedAnswer, folder: str | Path = MARKED_DIR) -> None:
    """Take an answer off the list; its image goes with the last mark of it."""
    _path(marked.digest, marked.classifier, folder).unlink(missing_ok=True)
    _remove_unmarked_image(marked, folder)


def _remove_unmarked_image(marked: MarkedAnswer, folder: str | Path) -> None:
    if all(other.digest != marked.digest for other in load_marked(folder)):
        image_path(marked, folder).unlink(missing_ok=True)


def image_path(marked: MarkedAnswer, folder: str | Path = MARKED_DIR) -> Path:
    """Return where the image lies, if it was kept."""
    return Path(folder) / f"{marked.digest}.png"


def marked_csv(marked: Sequence[MarkedAnswer]) -> str:
    """Return the list as the text of a CSV file."""
    names = [field.name for field in fields(MarkedAnswer)]
    return csv_text(names, [[getattr(one, name) for name in names] for one in marked])


def _path(digest: str, classifier: str, folder: str | Path) -> Path:
    return Path(folder) / f"{digest}-{sha256(classifier.encode()).hexdigest()[:8]}.json"
