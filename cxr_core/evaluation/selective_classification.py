"""How accurate is a classifier when it answers, and how often does it answer?"""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxr_core.evaluation.confidence_intervals import Interval, share_interval
from cxr_core.system.arrays import BoolArray, FloatArray, IntArray, ObjectArray

NOT_SURE = "not sure"


class AnswerShare(TypedDict):
    """The proportion of a class's images that get one answer, with its 95 % interval."""

    share: float
    ci95: Interval | None


class AnswerShares(TypedDict):
    """What a classifier that may abstain answers.

    Attributes:
        abstain_below: an image whose highest probability is lower gets no answer.
        coverage: proportion of images answered.
        accuracy: of the answers; None where there is none.
        found: proportion of all images answered right: an abstention counts as a miss.
        per_class: {true class: {answer: proportion}} of the classes that have images; the answers are the classes
            and "not sure".
    """

    abstain_below: float
    coverage: float
    accuracy: float | None
    found: float
    per_class: dict[str, dict[str, AnswerShare]]


def coverage_curve(right: npt.ArrayLike, confidence: npt.ArrayLike) -> pd.DataFrame:
    """Compute the accuracy when only the most confident predictions are given as answers.

    Args:
        right: bool (N,), whether each prediction was right.
        confidence: float (N,), the highest probability.

    Returns:
        One row per distinct confidence, highest first: `abstain_below` (the least confidence that is answered),
        `coverage` (proportion of images answered) and `accuracy` (of those answers).

    Raises:
        ValueError: there are no images, or the lengths differ.
    """
    right = checked(right, confidence)
    confidence = np.asarray(confidence, float)
    order = np.argsort(-confidence, kind="stable")
    ordered, hits = confidence[order], np.cumsum(right[order])
    ends = np.flatnonzero(np.r_[np.diff(ordered) != 0, True])
    return pd.DataFrame(
        {"abstain_below": ordered[ends], "coverage": (ends + 1) / len(right), "accuracy": hits[ends] / (ends + 1)}
    )


def coverage_and_accuracy(
    right: npt.ArrayLike, confidence: npt.ArrayLike, abstain_below: float
) -> tuple[float, float | None]:
    """Return the proportion of images answered, and the accuracy of the answers; None where there is none.

    Args:
        right: bool (N,), whether each prediction was right.
        confidence: float (N,), the highest probability.
        abstain_below: in [0, 1]; an image of lower confidence gets no answer.
    """
    right, answered = checked(right, confidence), np.asarray(confidence, float) >= abstain_below
    return float(answered.mean()), float(right[answered].mean()) if answered.any() else None


def abstention_for_accuracy(right: npt.ArrayLike, confidence: npt.ArrayLike, accuracy: float) -> float | None:
    """Return the lowest confidence at which the answers reach an accuracy, or None where they never do."""
    curve = coverage_curve(right, confidence)
    enough = curve[curve["accuracy"] >= accuracy]
    return float(enough["abstain_below"].iloc[-1]) if len(enough) else None


def answer_shares(
    true_names: npt.ArrayLike,
    probabilities: FloatArray,
    classes: Sequence[str],
    groups: npt.ArrayLike,
    *,
    abstain_below: float,
) -> AnswerShares:
    """Count what a classifier that may be "not sure" answers to the images of each class.

    Args:
        true_names: str (N,), the true classes.
        probabilities: float (N, C).
        classes: the C classes, in the order of the probabilities.
        groups: int (N,), as for `metrics.evaluate_predictions`.
        abstain_below: in [0, 1]; an image whose highest probability is lower gets no answer.

    Returns:
        The proportions, overall and per true class.
    """
    true_names, groups = np.asarray(true_names, object), np.asarray(groups)
    answers = np.asarray(classes, object)[np.argmax(probabilities, axis=1)]
    answers = np.where(np.max(probabilities, axis=1) < abstain_below, NOT_SURE, answers)
    answered, right = answers != NOT_SURE, answers == true_names
    per_class = {
        name: _shares_of(answers[true_names == name], groups[true_names == name], (*classes, NOT_SURE))
        for name in classes
        if (true_names == name).any()
    }
    return {
        "abstain_below": float(abstain_below),
        "coverage": float(answered.mean()),
        "accuracy": float(right[answered].mean()) if answered.any() else None,
        "found": float(right.mean()),
        "per_class": per_class,
    }


def _shares_of(answers: ObjectArray, groups: IntArray, possible: Sequence[str]) -> dict[str, AnswerShare]:
    return {
        answer: {"share": float((answers == answer).mean()), "ci95": share_interval(answers == answer, groups)}
        for answer in possible
    }


def checked(flags: npt.ArrayLike, values: npt.ArrayLike) -> BoolArray:
    """Return flags as bool (N,); ValueError where there are none, or not as many as values."""
    flags, n_values = np.asarray(flags, bool), np.size(values)
    if not len(flags) or len(flags) != n_values:
        raise ValueError(
            f"Each image needs one value, and there must be an image; received {n_values} values for {len(flags)}."
        )
    return flags
