"""How precise is a metric? 95 % confidence intervals over whole groups of images.

A group is a patient, or the copies of one radiograph; its images are not independent. A proportion (accuracy, recall,
precision, a cell of the confusion matrix) gets the exact binomial interval of as many images as the groups are worth:
the square of the number of images over the sum of the squared group sizes. What an image is worth must not hang on what
was answered, or one more right answer could lower a bound. Which images a class is called does; so an image in a
precision counts as much as one of the class, or one of the others, whichever is worth less.

F1 and AUC are no proportions: for them whole groups are resampled. Drawing groups with replacement is the same as
giving each group a whole-number weight, so 2,000 resamples are a few matrix products. Where every resample gives the
same value, nothing can be said, and there is no interval.

Source:
    Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404; Kish 1965, Survey Sampling, section 8.2 (effective size);
    Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13 (percentile intervals); Field & Welsh
    2007, doi:10.1111/j.1467-9868.2007.00593.x (resampling whole clusters).
"""

from dataclasses import dataclass
from typing import Literal, TypedDict

import numpy as np
import numpy.typing as npt
from scipy.stats import beta
from scipy.stats import t as student

from cxr_core.system.arrays import BoolArray, FloatArray, IntArray

RESAMPLES = 2_000
_PERCENTILES = (2.5, 97.5)
# The fewest groups of which a two-sided sign test can reach 5 %: 2 / 2**6 < 0.05.
_LEAST_DIFFERING = 6
# Stored with every set of scores, so that a report names the method that was used and no other.
INTERVAL_METHOD = (
    "exact binomial (Clopper-Pearson) of the effective number of patients or groups of copies; of F1 and AUC "
    f"percentiles of {RESAMPLES:,} bootstrap resamples of whole groups"
)
FigureName = Literal["precision", "recall", "f1", "auc"]
FIGURES: tuple[FigureName, ...] = ("precision", "recall", "f1", "auc")
# [low, high], as JSON stores it.
Interval = list[float]


class ClassIntervals(TypedDict):
    """95 % intervals of one class; None where the metric is undefined, or nothing can be said."""

    precision: Interval | None
    recall: Interval | None
    f1: Interval | None
    auc: Interval | None


class MetricIntervals(TypedDict):
    """95 % intervals of one set of predictions.

    Attributes:
        accuracy: of all images.
        per_class: one entry per class, in class order.
        confusion_shares: of the confusion matrix as proportions of each true class; rows true, columns predicted.
    """

    accuracy: Interval | None
    per_class: list[ClassIntervals]
    confusion_shares: list[list[Interval | None]]


class Band(TypedDict):
    """A 95 % band around a curve: `low` and `high` at each `x`, float (points,)."""

    x: FloatArray
    low: FloatArray
    high: FloatArray


class CurveBands(TypedDict):
    """The bands of one class: sensitivity over false-positive rate, and precision over recall."""

    roc: Band
    precision_recall: Band


@dataclass(frozen=True)
class Difference:
    """The difference between two classifiers on the same images.

    Attributes:
        value: the first one's metric minus the second one's.
        low: lower end of its 95 % interval; NaN where nothing can be said.
        high: upper end, likewise.
    """

    value: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """True where the interval excludes zero."""
        return bool(self.low > 0 or self.high < 0)


def resample_weights(groups: npt.ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0) -> FloatArray:
    """Draw groups with replacement and count how often each image is drawn.

    Args:
        groups: int (N,); images with the same number are drawn together.
        resamples: at least 1.
        seed: of the random draws.

    Returns:
        float32 (resamples, N), whole numbers.

    Raises:
        ValueError: no images.
    """
    groups = np.asarray(groups)
    if not len(groups):
        raise ValueError("Intervals need at least one image; received none.")
    _, codes = np.unique(groups, return_inverse=True)
    count = codes.max() + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    return drawn.astype(np.float32)[:, codes]


def metric_intervals(
    truth: IntArray,
    probabilities: FloatArray,
    groups: IntArray,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> MetricIntervals:
    """Compute 95 % intervals of the accuracy, of each class's metrics and of the confusion matrix.

    Args:
        truth: int (N,), the true classes.
        probabilities: float (N, C).
        groups: int (N,), as for `resample_weights`.
        resamples: as for `resample_weights`.
        seed: as for `resample_weights`.

    Returns:
        The intervals; None in place of one where the metric is undefined, where all resamples are equal, or where
        there is only one group.
    """
    truth, probabilities, groups = np.asarray(truth), np.asarray(probabilities), np.asarray(groups)
    n_classes = probabilities.shape[1]
    if len(np.unique(groups)) < 2:
        return _no_intervals(n_classes)
    weights = resample_weights(groups, resamples=resamples, seed=seed)
    predicted = probabilities.argmax(axis=1)
    everywhere = np.ones(len(truth), bool)
    per_class: list[ClassIntervals] = []
    shares: list[list[Interval | None]] = []
    for k in range(n_classes):
        is_class, is_called = truth == k, predicted == k
        per_class.append(
            {
                "precision": _share_ends(
                    is_class, is_called, groups, worth=min(_worth(groups[is_class]), _worth(groups[~is_class]))
                ),
                "recall": _share_ends(is_called, is_class, groups),
                "f1": _with_width(interval(_f1(weights, is_class, is_called))),
                "auc": _with_width(interval(weighted_auc(weights, is_class, probabilities[:, k]))),
            }
        )
        shares.append([_share_ends(predicted == j, is_class, groups) for j in range(n_classes)])
    accuracy = _share_ends(truth == predicted, everywhere, groups)
    return {"accuracy": accuracy, "per_class": per_class, "confusion_shares": shares}


def share_interval(flags: npt.ArrayLike, groups: npt.ArrayLike) -> Interval | None:
    """Return the 95 % interval of the proportion of `flags`, bool (N,); None where there is only one group."""
    flags, groups = np.asarray(flags, bool), np.asarray(groups)
    if len(np.unique(groups)) < 2:
        return None
    return _share_ends(flags, np.ones(len(flags), bool), groups)


def compare_accuracy(
    right: npt.ArrayLike,
    other_right: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Compare two classifiers on the same images by a paired bootstrap.

    Args:
        right: bool (N,), whether the first classifier was right.
        other_right: bool (N,), whether the second one was, in the same order.
        groups: int (N,), as for `resample_weights`.
        resamples: as for `resample_weights`.
        seed: as for `resample_weights`.

    Returns:
        The difference of their accuracies. It has no interval where fewer groups decide for one of the two than could
        ever tell them apart: of five, all in favour of one, an exact McNemar test says p = 0.06. A group on which both
        are right equally often decides nothing. Where all resamples are equal, the interval is the exact binomial one
        of the images that only one of them gets right.

    Raises:
        ValueError: the lengths differ, or there are no images.

    Source:
        McNemar 1947, doi:10.1007/BF02295996; exact, it is a sign test of the groups that decide.
    """
    right, other_right, groups = np.asarray(right, float), np.asarray(other_right, float), np.asarray(groups)
    if not len(right) == len(other_right) == len(groups):
        raise ValueError(
            "Two classifiers are compared on the same images; "
            f"received {len(right)}, {len(other_right)} and {len(groups)} groups."
        )
    gain = right - other_right
    _, codes = np.unique(groups, return_inverse=True)
    if np.count_nonzero(np.bincount(codes, gain)) < _LEAST_DIFFERING:
        return Difference(float(gain.mean()), np.nan, np.nan)
    weights = resample_weights(groups, resamples=resamples, seed=seed)
    low, high = np.percentile(weights @ gain / weights.sum(axis=1), _PERCENTILES)
    if low == high:
        low, high = _one_sided(gain, groups)
    return Difference(float(gain.mean()), float(low), float(high))


def _one_sided(gain: FloatArray, groups: IntArray) -> tuple[float, float]:
    """Return the interval of a difference whose resamples are all equal; NaN where both gain on some images."""
    sign = np.sign(gain.sum())
    ends = None if (gain * sign < 0).any() else share_interval(gain != 0, groups)
    if ends is None:
        return np.nan, np.nan
    low, high = sorted(sign * end for end in ends)
    return low, high


def curve_bands(
    is_class: npt.ArrayLike,
    scores: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    resamples: int = 500,
    seed: int = 0,
    points: int = 101,
) -> CurveBands | None:
    """Resample the ROC and precision-recall curves of one class.

    Args:
        is_class: bool (N,).
        scores: float (N,), the probability of the class.
        groups: int (N,), as for `resample_weights`.
        resamples: as for `resample_weights`.
        seed: as for `resample_weights`.
        points: places on the axis from 0 to 1.

    Returns:
        Bands of `points` values. None where all or none of the images are of the class, or there is only one group.
    """
    is_class, scores = np.asarray(is_class, bool), np.asarray(scores)
    if not 0 < is_class.sum() < len(is_class) or len(np.unique(groups)) < 2:
        return None
    weights = resample_weights(groups, resamples=resamples, seed=seed)
    positive, negative = _sums_from_the_top(weights, is_class, scores)
    defined = (positive[:, -1] > 0) & (negative[:, -1] > 0)
    positive, negative = positive[defined], negative[defined]
    grid = np.linspace(0, 1, points)
    found, alarms = positive / positive[:, -1:], negative / negative[:, -1:]
    precision = _precision(positive, negative)
    start = np.zeros((len(found), 1))
    roc = _on_grid(grid, np.hstack([start, alarms]), np.hstack([start, found]))
    recall = _on_grid(grid, np.hstack([start, found]), np.hstack([precision[:, :1], precision]))
    return {"roc": _band(grid, roc), "precision_recall": _band(grid, recall)}


def weighted_auc(weights: FloatArray, is_class: BoolArray, scores: FloatArray) -> FloatArray:
    """Return the area under the ROC curve for every row of weights.

    Args:
        weights: float (R, N).
        is_class: bool (N,).
        scores: float (N,); equal scores count half.

    Returns:
        float (R,), NaN where the class or the others have no weight.

    Source:
        Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747: the area is the proportion of pairs ranked right.
    """
    positive, negative = _sums_from_the_top(weights, is_class, scores)
    total = positive[:, -1] * negative[:, -1]
    steps = np.diff(negative, axis=1, prepend=0)
    area = (steps * (positive - np.diff(positive, axis=1, prepend=0) / 2)).sum(axis=1)
    return np.divide(area, total, out=np.full(len(area), np.nan), where=total > 0)


def mean_interval(values: npt.ArrayLike, test_to_train: float) -> Interval | None:
    """Compute a 95 % interval of the mean of a score over folds or repeated splits.

    Their training images overlap, so the scores are not independent and the ordinary t interval is too narrow: the
    variance of the mean is taken as (1/k + test/train) times that of the scores.

    Args:
        values: float (k,), one score in [0, 1] per fold or split.
        test_to_train: test images per training image, on average.

    Returns:
        An interval within [0, 1]; None for fewer than two scores, or where all are equal: an interval without width
        would pretend to certainty.

    Source:
        Nadeau & Bengio 2003, Machine Learning 52, doi:10.1023/A:1024068626366, the corrected resampled t; used
        for folds as in Bouckaert & Frank 2004, doi:10.1007/978-3-540-24775-3_3. No unbiased estimate from k folds
        exists (Bengio & Grandvalet 2004, JMLR 5).
    """
    values = np.asarray(values, float)
    k = len(values)
    if k < 2 or (values == values[0]).all():
        return None
    half = student.ppf(0.975, k - 1) * np.sqrt((1 / k + test_to_train) * values.var(ddof=1))
    return [float(v) for v in np.clip([values.mean() - half, values.mean() + half], 0, 1)]


def interval(values: FloatArray) -> Interval | None:
    """Return the 95 % percentile interval of resampled values (R,), NaN left out; None where all are NaN."""
    values = values[~np.isnan(values)]
    return [float(v) for v in np.percentile(values, _PERCENTILES)] if len(values) else None


def _no_intervals(n_classes: int) -> MetricIntervals:
    """Return the intervals of predictions that have only one group: None everywhere."""
    per_class = [ClassIntervals(precision=None, recall=None, f1=None, auc=None) for _ in range(n_classes)]
    return {
        "accuracy": None, "per_class": per_class, "confusion_shares": [[None] * n_classes for _ in range(n_classes)],
    }  # fmt: skip


def _worth(groups: IntArray) -> float:
    """Return how many independent images one image is worth, in (0, 1]: 1 where each is a group of its own."""
    sizes = np.unique(groups, return_counts=True)[1]
    return float(len(groups) / (sizes**2).sum()) if len(groups) else 1.0


def _share_ends(flags: BoolArray, among: BoolArray, groups: IntArray, *, worth: float | None = None) -> Interval | None:
    """Return the interval of the proportion of `flags` among the images of `among` (both bool (N,)), or None.

    Args:
        flags: of the proportion.
        among: of what it is a proportion.
        groups: int (N,).
        worth: of each image; by default what those of `among` are.
    """
    inside = flags[among]
    if not len(inside):
        return None
    n = len(inside) * (_worth(groups[among]) if worth is None else worth)
    k = n * inside.mean()
    # The exact binomial interval, by the quantiles of the beta distribution, which do not need whole numbers.
    low = 0.0 if k == 0 else float(beta.ppf(0.025, k, n - k + 1))
    high = 1.0 if inside.all() else float(beta.ppf(0.975, k + 1, n - k))
    return [low, high]


def _with_width(ends: Interval | None) -> Interval | None:
    """Return an interval, or None for one without width, which would pretend to certainty."""
    return None if ends is None or ends[0] == ends[1] else ends


def _precision(positive: FloatArray, negative: FloatArray) -> FloatArray:
    """Return float (R, S) of `_sums_from_the_top`; above the first score that was drawn, that score's own."""
    called = positive + negative
    at = np.maximum(np.arange(called.shape[1]), (called > 0).argmax(axis=1)[:, None])
    return np.take_along_axis(positive, at, axis=1) / np.take_along_axis(called, at, axis=1)


def _f1(weights: FloatArray, is_class: BoolArray, is_called: BoolArray) -> FloatArray:
    both = weights @ (is_class & is_called).astype(np.float32)
    # As in scikit-learn: undefined only where the class neither occurs nor is predicted.
    return _divide(2 * both, weights @ (is_class.astype(np.float32) + is_called))


def _divide(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.divide(a, b, out=np.full(a.shape, np.nan, np.float32), where=b > 0)


def _sums_from_the_top(weights: FloatArray, is_class: BoolArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return cumulative weights of positives and negatives, float64 (R, distinct scores), highest score first."""
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) != 0])
    ordered = weights[:, order].astype(np.float64)
    flags = is_class[order]
    positive, negative = (np.add.reduceat(ordered * side, starts, axis=1) for side in (flags, ~flags))
    return np.cumsum(positive, axis=1), np.cumsum(negative, axis=1)


def _on_grid(grid: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    return np.array([np.interp(grid, xs, ys) for xs, ys in zip(x, y, strict=True)])


def _band(grid: FloatArray, curves: FloatArray) -> Band:
    low, high = np.percentile(curves, _PERCENTILES, axis=0)
    return {"x": grid, "low": low, "high": high}
