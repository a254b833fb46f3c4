"""How sure a measured figure is: 95 % intervals from resampling whole groups of pictures.

A group (a patient, or copies of one radiograph) is drawn as a whole, because its pictures are no independent
witnesses. Drawing groups with replacement is the same as giving each group a whole-number weight, and every
figure here is a sum over weights, so 2,000 resamples are a few matrix products.

Where all or none of the pictures are right every resample says the same, and an interval without width would
pretend to certainty: there the exact binomial one over the groups stands in its place.

Source:
    Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13 (percentile intervals); Field & Welsh
    2007, doi:10.1111/j.1467-9868.2007.00593.x (resampling whole clusters).
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest
from scipy.stats import t as student

RESAMPLES = 2_000
_PERCENTILES = (2.5, 97.5)
FIGURES = ("precision", "recall", "f1", "auc")


@dataclass(frozen=True)
class Difference:
    """How two classifiers differ on the same pictures.

    Attributes:
        value: float, the first's figure minus the second's.
        low, high: float, its 95 % interval; NaN where it is undefined.
    """

    value: float
    low: float
    high: float

    @property
    def is_clear(self):
        """True where the interval does not hold zero."""
        return bool(self.low > 0 or self.high < 0)


def resample_weights(groups, *, resamples=RESAMPLES, seed=0):
    """Draw groups with replacement and say how often each picture comes up.

    Args:
        groups: int (N,), pictures of one number are drawn together.
        resamples: int >= 1.
        seed: int.

    Returns:
        float32 (resamples, N), whole numbers.

    Raises:
        ValueError: no pictures.
    """
    groups = np.asarray(groups)
    if not len(groups):
        raise ValueError("Intervals need at least one picture; received none.")
    _, codes = np.unique(groups, return_inverse=True)
    count = codes.max() + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    return drawn.astype(np.float32)[:, codes]


def metric_intervals(truth, probabilities, groups, *, resamples=RESAMPLES, seed=0):
    """Put 95 % intervals around accuracy and each class's figures.

    Args:
        truth: int (N,), true classes.
        probabilities: float (N, C).
        groups: int (N,).
        resamples, seed: as `resample_weights`.

    Returns:
        dict of `accuracy`, a [low, high]; `per_class`, a list of C dicts of `FIGURES` to [low, high]; and
        `confusion_shares`, C rows of C [low, high]: shares of each true class that are called each class.
        None in place of an interval where the figure is undefined in every resample, or where
        there is one group only.
    """
    truth, probabilities, groups = np.asarray(truth), np.asarray(probabilities), np.asarray(groups)
    n_classes = probabilities.shape[1]
    if len(np.unique(groups)) < 2:
        nothing = [dict.fromkeys(FIGURES) for _ in range(n_classes)]
        return {
            "accuracy": None, "per_class": nothing, "confusion_shares": [[None] * n_classes for _ in range(n_classes)],
        }  # fmt: skip
    weights = resample_weights(groups, resamples=resamples, seed=seed)
    predicted = probabilities.argmax(axis=1)
    everywhere = np.ones(len(truth), bool)
    per_class, shares = [], []
    for k in range(n_classes):
        is_class, is_called = truth == k, predicted == k
        per_class.append(
            {
                "precision": _share_ends(weights, is_class, is_called, groups),
                "recall": _share_ends(weights, is_called, is_class, groups),
                "f1": interval(_f1(weights, is_class, is_called)),
                "auc": interval(weighted_auc(weights, is_class, probabilities[:, k])),
            }
        )
        shares.append([_share_ends(weights, predicted == j, is_class, groups) for j in range(n_classes)])
    accuracy = _share_ends(weights, truth == predicted, everywhere, groups)
    return {"accuracy": accuracy, "per_class": per_class, "confusion_shares": shares}


def share_interval(flags, groups, *, resamples=RESAMPLES, seed=0):
    """Return the 95 % interval [low, high] of the share of `flags` bool (N,), or None where there is one group only."""
    flags, groups = np.asarray(flags, bool), np.asarray(groups)
    if len(np.unique(groups)) < 2:
        return None
    weights = resample_weights(groups, resamples=resamples, seed=seed)
    return _share_ends(weights, flags, np.ones(len(flags), bool), groups)


def compare_accuracy(right, other_right, groups, *, resamples=RESAMPLES, seed=0):
    """Compare two classifiers on the same pictures by a paired bootstrap.

    Args:
        right, other_right: bool (N,), whether each classifier was right, in the same order.
        groups: int (N,).
        resamples, seed: as `resample_weights`.

    Returns:
        Difference of accuracies.

    Raises:
        ValueError: lengths differ, or no pictures.
    """
    right, other_right = np.asarray(right, float), np.asarray(other_right, float)
    if not len(right) == len(other_right) == len(groups):
        raise ValueError(
            "Two classifiers are compared on the same pictures; "
            f"received {len(right)}, {len(other_right)} and {len(groups)} groups."
        )
    gain = right - other_right
    if len(np.unique(groups)) < 2:
        return Difference(float(gain.mean()), np.nan, np.nan)
    weights = resample_weights(groups, resamples=resamples, seed=seed)
    return Difference(float(gain.mean()), *interval(weights @ gain / weights.sum(axis=1)))


def curve_bands(is_class, scores, groups, *, resamples=500, seed=0, points=101):
    """Resample one class's ROC and precision-recall curves.

    Args:
        is_class: bool (N,).
        scores: float (N,).
        groups: int (N,).
        resamples, seed: as `resample_weights`.
        points: int, places on the axis from 0 to 1.

    Returns:
        dict of "roc" and "precision_recall" to a dict of `x`, `low`, `high` (float (points,)): sensitivity over
        false positive rate, precision over recall. None where one side has no picture.
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


def weighted_auc(weights, is_class, scores):
    """Return the area under the ROC curve for every row of weights.

    Args:
        weights: float (R, N).
        is_class: bool (N,).
        scores: float (N,); equal scores count half.

    Returns:
        float (R,), NaN where a side has no weight.

    Source:
        Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747: the area is the share of pairs in order.
    """
    positive, negative = _sums_from_the_top(weights, is_class, scores)
    total = positive[:, -1] * negative[:, -1]
    steps = np.diff(negative, axis=1, prepend=0)
    area = (steps * (positive - np.diff(positive, axis=1, prepend=0) / 2)).sum(axis=1)
    return np.divide(area, total, out=np.full(len(area), np.nan), where=total > 0)


def mean_interval(values, test_to_train):
    """Put a 95 % interval around the mean of a score over folds or repeated splits.

    Their training images overlap, so the scores are no independent draws and the ordinary t interval is too narrow:
    the variance of the mean is taken as (1/k + test/train) times that of the scores.

    Args:
        values: float (k,), one score in [0, 1] per fold or split.
        test_to_train: float, test images per training image, on average.

    Returns:
        [low, high] within [0, 1]; None for fewer than two scores, or where all are equal: an interval without width
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


def interval(values):
    """Return [low, high] of resampled values (R,), NaN left out; None where all are NaN."""
    values = values[~np.isnan(values)]
    return [float(v) for v in np.percentile(values, _PERCENTILES)] if len(values) else None


def _share_ends(weights, flags, among, groups):
    """Return [low, high] of the share of `flags` among the pictures of `among` (both bool (N,)), or None."""
    inside = flags[among]
    if not len(inside):
        return None
    if inside.all() or not inside.any():
        count = len(np.unique(groups[among]))
        exact = binomtest(count if inside.all() else 0, count).proportion_ci(method="exact")
        return [float(exact.low), float(exact.high)]
    return interval(_divide(weights @ (flags & among).astype(np.float32), weights @ among.astype(np.float32)))


def _precision(positive, negative):
    """Return float (R, S) of `_sums_from_the_top`; above the first score that was drawn, that score's own."""
    called = positive + negative
    at = np.maximum(np.arange(called.shape[1]), (called > 0).argmax(axis=1)[:, None])
    return np.take_along_axis(positive, at, axis=1) / np.take_along_axis(called, at, axis=1)


def _f1(weights, is_class, is_called):
    both = weights @ (is_class & is_called).astype(np.float32)
    # As in scikit-learn: undefined only where the class is neither there nor called.
    return _divide(2 * both, weights @ (is_class.astype(np.float32) + is_called))


def _divide(a, b):
    return np.divide(a, b, out=np.full(a.shape, np.nan, np.float32), where=b > 0)


def _sums_from_the_top(weights, is_class, scores):
    """Return cumulated weights of positives and negatives, float64 (R, distinct scores), highest score first."""
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) != 0])
    ordered = weights[:, order].astype(np.float64)
    flags = is_class[order]
    sums = [np.add.reduceat(ordered * side, starts, axis=1) for side in (flags, ~flags)]
    return tuple(np.cumsum(side, axis=1) for side in sums)


def _on_grid(grid, x, y):
    return np.array([np.interp(grid, xs, ys) for xs, ys in zip(x, y, strict=True)])


def _band(grid, curves):
    low, high = np.percentile(curves, _PERCENTILES, axis=0)
    return {"x": grid, "low": low, "high": high}
