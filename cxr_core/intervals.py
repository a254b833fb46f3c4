"""How sure a measured figure is: 95 % intervals from resampling whole groups of pictures.

A group (a patient, or copies of one radiograph) is drawn as a whole, because its pictures are no independent
witnesses. Drawing groups with replacement is the same as giving each group a whole-number weight, and every
figure here is a sum over weights, so 2,000 resamples are a few matrix products.

Source:
    Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13 (percentile intervals); Field & Welsh
    2007, doi:10.1111/j.1467-9868.2007.00593.x (resampling whole clusters).
"""

from dataclasses import dataclass

import numpy as np

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
    truth, probabilities = np.asarray(truth), np.asarray(probabilities)
    weights = resample_weights(groups, resamples=resamples, seed=seed)
    alone = len(np.unique(groups)) < 2
    predicted = probabilities.argmax(axis=1)
    per_class = []
    for k in range(probabilities.shape[1]):
        values = {**_found_and_called(weights, truth == k, predicted == k)}
        values["auc"] = weighted_auc(weights, truth == k, probabilities[:, k])
        per_class.append({name: None if alone else interval(values[name]) for name in FIGURES})
    accuracy = None if alone else interval(_weighted_mean(weights, truth == predicted))
    shares = [
        [None if alone else interval(values) for values in _row_shares(weights, truth == k, predicted, len(per_class))]
        for k in range(len(per_class))
    ]
    return {"accuracy": accuracy, "per_class": per_class, "confusion_shares": shares}


def share_interval(flags, groups, *, resamples=RESAMPLES, seed=0):
    """Return the 95 % interval [low, high] of the mean of `flags` (N,), or None where there is one group only."""
    if len(np.unique(groups)) < 2:
        return None
    return interval(_weighted_mean(resample_weights(groups, resamples=resamples, seed=seed), np.asarray(flags)))


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
    ends = share_interval(gain, groups, resamples=resamples, seed=seed) or (np.nan, np.nan)
    return Difference(float(gain.mean()), *ends)


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
    precision = positive / np.maximum(positive + negative, 1)
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


def interval(values):
    """Return [low, high] of resampled values (R,), NaN left out; None where all are NaN."""
    values = values[~np.isnan(values)]
    return [float(v) for v in np.percentile(values, _PERCENTILES)] if len(values) else None


def _found_and_called(weights, is_class, is_called):
    true, called = weights @ is_class.astype(np.float32), weights @ is_called.astype(np.float32)
    both = weights @ (is_class & is_called).astype(np.float32)
    return {
        "precision": _divide(both, called),
        "recall": _divide(both, true),
        # As in scikit-learn: undefined only where the class is neither there nor called.
        "f1": _divide(2 * both, true + called),
    }


def _row_shares(weights, is_class, predicted, n_classes):
    called = np.eye(n_classes, dtype=np.float32)[predicted] * is_class[:, None]
    total = weights @ is_class.astype(np.float32)
    return [_divide(column, total) for column in (weights @ called).T]


def _weighted_mean(weights, values):
    return weights @ values.astype(np.float32) / weights.sum(axis=1)


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
