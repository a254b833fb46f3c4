"""Which images does a person read, and how well, beside a classifier or another person?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from cxr_core.evaluation.confidence_intervals import share_interval
from cxr_core.evaluation.metrics import Curve, roc_curves
from cxr_core.splits.split import image_groups
from cxr_core.system.arrays import FloatArray, IntArray

# The names of the two sides of a question about one class; an image has a score for the first of them.
_POSITIVE, _REST = "positive", "rest"


@dataclass(frozen=True)
class ReaderFigures:
    """How well a reader tells one class from the others.

    Attributes:
        sensitivity: share of the images of the class that were called so; None where there is none.
        sensitivity_ci95: its 95 % interval, or None.
        specificity: share of the others that were not called so; None where there is none.
        specificity_ci95: its 95 % interval, or None.
        correct: share of images whose class was named.
    """

    sensitivity: float | None
    sensitivity_ci95: tuple[float, float] | None
    specificity: float | None
    specificity_ci95: tuple[float, float] | None
    correct: float


def draw_cases(table: pd.DataFrame, count: int, *, seed: int = 0) -> IntArray:
    """Draw images to read: about as many of each class, each of another patient, in an order that tells nothing.

    Args:
        table: N rows of a data set's table.
        count: how many; at most, where there are fewer patients.
        seed: of draw and order.

    Returns:
        int64 (n,), row positions.

    Raises:
        ValueError: no image can be drawn.
    """
    if count < 1 or table.empty:
        raise ValueError("A reading needs at least one image.")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(table))
    one_each = order[~pd.Series(image_groups(table)[order]).duplicated().to_numpy()]
    names = table["class_name"].to_numpy()[one_each]
    turn = pd.Series(names).groupby(names).cumcount().to_numpy()
    # The first of each class, then the second of each; within a turn in the order drawn.
    drawn = one_each[np.argsort(turn, kind="stable")[:count]]
    return rng.permutation(drawn)


def reader_scores(answers: npt.ArrayLike, confidence: npt.ArrayLike, class_name: str) -> FloatArray:
    """Return how sure a reader was of one class: the confidence where it was answered, else what is left of 1.

    Args:
        answers: str (N,), the classes named.
        confidence: float (N,) in [0, 1], in the answer.
        class_name: the class in question.
    """
    sure = np.asarray(confidence, float)
    return np.where(np.asarray(answers, object) == class_name, sure, 1 - sure)


def reader_figures(truth: npt.ArrayLike, answers: npt.ArrayLike, class_name: str) -> ReaderFigures:
    """Count how well a reader tells one class from the others.

    Args:
        truth: str (N,), at least one.
        answers: str (N,), the classes named.
        class_name: the class in question.
    """
    true, called = np.asarray(truth, object), np.asarray(answers, object)
    is_class = true == class_name
    found, spared = (called == class_name)[is_class], (called != class_name)[~is_class]
    return ReaderFigures(
        *_share(found),
        *_share(spared),
        correct=float((true == called).mean()),
    )


def reader_curve(truth: npt.ArrayLike, scores: FloatArray, class_name: str) -> Curve | None:
    """Return the ROC curve of scores for one class; None where all images are of it, or none.

    Args:
        truth: str (N,).
        scores: float (N,) in [0, 1], such as `reader_scores` or a classifier's probability.
        class_name: the class in question.
    """
    sides = np.where(np.asarray(truth, object) == class_name, _POSITIVE, _REST)
    return roc_curves(sides, np.column_stack([scores, 1 - scores]), (_POSITIVE, _REST)).get(_POSITIVE)


def agreement(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Return Cohen's kappa of two readers' answers: 1 is full agreement, 0 what chance gives.

    Returns:
        None where both gave one and the same answer throughout: there is nothing that chance could explain.

    Source:
        Cohen 1960, doi:10.1177/001316446002000104.
    """
    if len({*first, *second}) < 2:
        return None
    return float(cohen_kappa_score(list(first), list(second)))


def _share(flags: npt.NDArray[np.bool_]) -> tuple[float | None, tuple[float, float] | None]:
    if not len(flags):
        return None, None
    ends = share_interval(flags, np.arange(len(flags)))
    return float(flags.mean()), (ends[0], ends[1]) if ends else None
