"""How does an answer look as a row of JSON or CSV?"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

from cxr_core.classes import class_label
from cxr_core.system.text import csv_text

if TYPE_CHECKING:
    from cxr_core.inference.selective_prediction import Answer

# "class" is a keyword of Python's, so that this one cannot be written as a class.
NearestRow = TypedDict("NearestRow", {"class": str, "similarity": float})


class PredictionRow(TypedDict):
    """What the command line and the API answer for one file.

    Attributes:
        file: name of the file.
        status: "error" means that the file could not be read.
        label: predicted class; None for an abstention and an error.
        probabilities: {class: probability in [0, 1]}; empty for an error.
        reasons: sentences why the classifier abstains.
        notes: sentences that a reader should mind in any case.
        nearest: class and similarity of the nearest training images, nearest first.
        error: sentence why the file could not be read, else None.
        set: the classes that cannot be left out, where prediction sets were asked for.
    """

    file: str
    status: Literal["ok", "abstain", "error"]
    label: str | None
    probabilities: dict[str, float]
    reasons: list[str]
    notes: list[str]
    nearest: list[NearestRow]
    error: str | None
    set: NotRequired[list[str]]


def answer_row(name: str, answer: "Answer") -> PredictionRow:
    """Return the row of an answered file.

    Args:
        name: name of the file.
        answer: the classifier's answer, or its abstention.
    """
    probabilities = zip(answer.prediction.classes, answer.prediction.probabilities, strict=True)
    return {
        "file": name,
        "status": answer.status,
        "label": answer.label,
        "probabilities": {class_name: float(p) for class_name, p in probabilities},
        "reasons": list(answer.reasons),
        "notes": list(answer.notes),
        "nearest": [{"class": n.class_name, "similarity": round(n.similarity, 4)} for n in answer.neighbours],
        "error": None,
    }


def error_row(name: str, sentence: str) -> PredictionRow:
    """Return the row of a file that could not be read, with a sentence that says why."""
    return {
        "file": name,
        "status": "error",
        "label": None,
        "probabilities": {},
        "reasons": [],
        "notes": [],
        "nearest": [],
        "error": sentence,
    }


def prediction_set(probabilities: Mapping[str, float], limits: Mapping[str, float]) -> tuple[str, ...]:
    """Return the classes whose probability reaches their limit, in the order of the limits; may be empty.

    Source:
        `evaluation.hospitals.conformal_sets.fit_sets` chooses the limits.
    """
    return tuple(name for name, limit in limits.items() if probabilities[name] >= limit)


def set_words(names: Sequence[str]) -> str:
    """Return a set in words: "COVID-19 or Other finding"; of an empty one that no class fits."""
    return " or ".join(class_label(name) for name in names) or "no class fits"


def with_set(row: PredictionRow, limits: Mapping[str, float]) -> PredictionRow:
    """Return a row with the classes that cannot be left out; one of a file that could not be read has none."""
    return {**row, "set": list(prediction_set(row["probabilities"], limits))} if row["probabilities"] else row


def flat_row(
    row: PredictionRow, classes: Sequence[str], *, only_answered: bool = False
) -> dict[str, str | float | None]:
    """Return a row as one line of a table.

    Args:
        row: from `answer_row` or `error_row`.
        classes: the classifier's classes.
        only_answered: leave out the numbers of an abstention, which nobody should rely on.

    Returns:
        `file`, `status`, `label`, `p_<class>` for every class, `confidence` (the highest probability), `margin`,
        `reasons`, `notes` and `error`;
        None for a missing value.
    """
    probabilities = {} if only_answered and row["status"] == "abstain" else row["probabilities"]
    return {
        "file": row["file"],
        "status": row["status"],
        "label": row["label"],
        **{f"p_{name}": probabilities.get(name) for name in classes},
        "confidence": max(probabilities.values(), default=None),
        "margin": margin(probabilities) if probabilities else None,
        "reasons": " ".join(row["reasons"]),
        "notes": " ".join(row["notes"]),
        "error": row["error"],
    }


def margin(probabilities: Mapping[str, float]) -> float:
    """Return the highest probability less the second highest: small where the classifier is in doubt."""
    second, first = sorted(probabilities.values())[-2:]
    return first - second


def rows_csv(rows: Iterable[PredictionRow], classes: Sequence[str]) -> str:
    """Return rows as the text of a CSV file; what a spreadsheet would evaluate gets an apostrophe.

    Args:
        rows: from `answer_row` and `error_row`.
        classes: the classifier's classes.
    """
    header = flat_row(error_row("", ""), classes)
    return csv_text(header, (flat_row(row, classes).values() for row in rows))
