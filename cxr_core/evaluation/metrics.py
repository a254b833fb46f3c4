"""Which metrics follow from labels and probabilities?"""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import (
    auc,
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_curve,
)

from cxr_core.evaluation.calibration import calibration_error
from cxr_core.evaluation.confidence_intervals import (
    FIGURES,
    INTERVAL_METHOD,
    ClassIntervals,
    CurveBands,
    FigureName,
    Interval,
    curve_bands,
    metric_intervals,
)
from cxr_core.evaluation.hospitals.source_scores import SourceScore
from cxr_core.evaluation.predictions import prediction_groups
from cxr_core.evaluation.selective_classification import AnswerShares
from cxr_core.system.arrays import BoolArray, FloatArray, IntArray

# float32 rows, and rows written with six digits, sum to one up to this.
_SUM_TOLERANCE = 1e-3


class ClassMetrics(TypedDict):
    """Metrics of one class against the rest; None where one is undefined."""

    precision: float | None
    recall: float | None
    f1: float | None
    support: int
    auc: float | None


class Intervals(TypedDict):
    """95 % intervals, each [low, high] or None, as `confidence_intervals.metric_intervals` computes them."""

    accuracy: Interval | None
    per_class: dict[str, ClassIntervals]
    confusion_shares: list[list[Interval | None]]


class CalibrationErrors(TypedDict):
    """Expected calibration error and Brier score, as before the temperature was applied."""

    ece: float
    brier: float


class ConfusionCounts(TypedDict):
    """The counts of a confusion matrix, rows true, columns predicted, and its classes in order."""

    classes: list[str]
    confusion_matrix: list[list[int]]


class Metrics(TypedDict):
    """How good a classifier is on one set of images; stored as JSON in run folders and cards.

    Keys that may be missing are those of a temperature and of an abstention, and those that files of earlier versions
    do not have.

    Attributes:
        n: number of images.
        accuracy: in [0, 1].
        per_class: {class: metrics}, in class order.
        confusion_matrix: counts; rows true, columns predicted.
        ece: expected calibration error, in [0, 1].
        brier: Brier score, the squared errors summed over the classes, in [0, 2].
        ci95: 95 % intervals.
        interval_method: how they were computed, in words.
        classes: in the order of the confusion matrix.
        temperature: of the classifier.
        answers: what it answers where it may abstain.
        uncalibrated: calibration before the temperature was applied.
        sources: how good it is at each source, where several are known.
    """

    n: int
    accuracy: float
    per_class: dict[str, ClassMetrics]
    confusion_matrix: list[list[int]]
    classes: list[str]
    ece: NotRequired[float]
    brier: NotRequired[float]
    ci95: NotRequired[Intervals]
    interval_method: NotRequired[str]
    temperature: NotRequired[float]
    answers: NotRequired[AnswerShares]
    uncalibrated: NotRequired[CalibrationErrors]
    sources: NotRequired[list[SourceScore]]


class Curve(TypedDict):
    """An ROC curve.

    Attributes:
        fpr: float (points,), false-positive rates, rising.
        tpr: float (points,), the true-positive rate at each.
        auc: area under the curve.
        thresholds: float (points,), the least score that counts as positive at each point; a macro average has none.
    """

    fpr: FloatArray
    tpr: FloatArray
    auc: float
    thresholds: NotRequired[FloatArray]


class ClassCurves(TypedDict):
    """Curves of one class against the rest.

    Attributes:
        bands: 95 % bands of its ROC and precision-recall curves; None where there is only one group of images.
        recall: float (points,), of the precision-recall curve.
        precision: float (points,), likewise.
        average_precision: in [0, 1].
    """

    bands: CurveBands | None
    recall: FloatArray
    precision: FloatArray
    average_precision: float


def evaluate_predictions(
    true_names: npt.ArrayLike,
    probabilities: FloatArray,
    classes: Sequence[str],
    groups: npt.ArrayLike | None = None,
) -> Metrics:
    """Score predictions.

    Args:
        true_names: str (N,), the true classes, each one of `classes`.
        probabilities: float (N, C), rows summing to one.
        classes: the C classes.
        groups: int (N,); images that are not independent (of one patient, or copies) share a number. By default each
            image is a group of its own.

    Returns:
        The metrics; None in place of one that is undefined (a class without images, or never predicted).

    Raises:
        ValueError: there are no images, a label is not in `classes`, the lengths differ, or a row is not a set of
            probabilities.
    """
    truth = truth_indices(true_names, classes)
    probabilities = _checked_probabilities(probabilities, len(truth), classes)
    predicted = np.argmax(probabilities, axis=1)
    groups = np.arange(len(truth)) if groups is None else np.asarray(groups)
    ends = metric_intervals(truth, probabilities, groups)
    return {
        "n": len(truth),
        "accuracy": float((truth == predicted).mean()),
        "per_class": _class_metrics(truth, predicted, probabilities, classes),
        "confusion_matrix": confusion_matrix(truth, predicted, labels=np.arange(len(classes))).tolist(),
        "ece": calibration_error(truth == predicted, probabilities.max(axis=1)),
        "brier": _brier(truth, probabilities),
        "ci95": {
            "accuracy": ends["accuracy"],
            "per_class": dict(zip(classes, ends["per_class"], strict=True)),
            "confusion_shares": ends["confusion_shares"],
        },
        "interval_method": INTERVAL_METHOD,
        "classes": list(classes),
    }


def roc_curves(true_names: npt.ArrayLike, probabilities: FloatArray, classes: Sequence[str]) -> dict[str, Curve]:
    """Compute the ROC curve of each class, and their micro and macro average.

    Args:
        true_names: str (N,), the true classes, each one of `classes`.
        probabilities: float (N, C).
        classes: the C classes.

    Returns:
        {name: curve}, where the name is a class, "micro" or "macro". Classes without both positives and negatives are
        left out; empty where that leaves none.

    Source:
        The macro average interpolates every class's curve at all false-positive rates, as in
        scikit-learn's multi-class ROC example; the area below that curve is larger than any class has earned. Its `auc`
        is the mean of the classes' own (scikit-learn's `roc_auc_score` with `average="macro"`).
    """
    truth = truth_indices(true_names, classes)
    hot = np.eye(len(classes), dtype=bool)[truth]
    curves: dict[str, Curve] = {}
    for i, name in enumerate(classes):
        if 0 < hot[:, i].sum() < len(truth):
            curves[name] = _curve(hot[:, i], probabilities[:, i])
    if not curves:
        return {}
    grid = np.unique(np.concatenate([c["fpr"] for c in curves.values()]))
    mean_tpr = np.mean([np.interp(grid, c["fpr"], c["tpr"]) for c in curves.values()], axis=0)
    fpr, tpr = np.r_[0, grid], np.r_[0, mean_tpr]
    macro = Curve(fpr=fpr, tpr=tpr, auc=float(np.mean([curve["auc"] for curve in curves.values()])))
    return curves | {"micro": _curve(hot.ravel(), probabilities.ravel()), "macro": macro}


def class_curves(predictions: pd.DataFrame, classes: Sequence[str]) -> dict[str, ClassCurves]:
    """Compute each class's precision-recall curve, and the bands around it and around the ROC curve.

    Args:
        predictions: a predictions table.
        classes: the classes.

    Returns:
        {class: curves}; classes without both positives and negatives are left out.
    """
    groups = prediction_groups(predictions)
    found: dict[str, ClassCurves] = {}
    for name in classes:
        is_class, scores = (predictions["true"] == name).to_numpy(), predictions[f"p_{name}"].to_numpy()
        if 0 < is_class.sum() < len(is_class):
            precision, recall, _ = precision_recall_curve(is_class, scores)
            found[name] = {
                "bands": curve_bands(is_class, scores, groups),
                "recall": recall,
                "precision": precision,
                "average_precision": float(average_precision_score(is_class, scores)),
            }
    return found


def lowest_recall(metrics: Metrics) -> tuple[str, float]:
    """Return the class that is missed most often, and its recall; classes without images have none."""
    recalls = [(row["recall"], name) for name, row in metrics["per_class"].items()]
    recall, name = min((recall, name) for recall, name in recalls if recall is not None)
    return name, recall


def report_table(metrics: Metrics) -> pd.DataFrame:
    """Return the classification report: the metrics of each class, indexed by class."""
    return pd.DataFrame(metrics["per_class"]).T.astype({"support": int})


def report_with_intervals(metrics: Metrics) -> pd.DataFrame:
    """Return the classification report as texts with 95 % intervals, indexed by class."""
    rows = {
        name: class_texts(metrics, name) | {"support": row["support"]} for name, row in metrics["per_class"].items()
    }
    return pd.DataFrame(rows).T


def class_interval(metrics: Metrics, class_name: str, figure: FigureName) -> Interval | None:
    """Return the 95 % interval of one metric of a class; None where it is undefined or was not computed."""
    ends = metrics["ci95"]["per_class"].get(class_name) if "ci95" in metrics else None
    return ends.get(figure) if ends else None


def class_texts(metrics: Metrics, class_name: str) -> dict[str, str]:
    """Return {metric: text with its 95 % interval} of one class."""
    row = metrics["per_class"][class_name]
    return {key: figure_text(row[key], class_interval(metrics, class_name, key)) for key in FIGURES}


def figure_text(value: float | None, ends: Interval | None) -> str:
    """Write a metric with its interval; a dash where it is undefined."""
    if value is None:
        return "–"
    return f"{value:.3f} ({ends[0]:.3f} to {ends[1]:.3f})" if ends else f"{value:.3f}"


def _checked_probabilities(probabilities: npt.ArrayLike, n: int, classes: Sequence[str]) -> FloatArray:
    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 2 or len(probabilities) != n or probabilities.shape[1] != len(classes):
        raise ValueError(
            f"One row of probabilities per label is needed, with one column per class; received {len(probabilities)} "
            f"for {n} labels, shape {probabilities.shape}."
        )
    off = np.abs(probabilities.sum(axis=1) - 1) > _SUM_TOLERANCE
    wrong = off | ~np.isfinite(probabilities).all(axis=1) | (probabilities < 0).any(axis=1)
    if wrong.any():
        first = probabilities[np.flatnonzero(wrong)[0]]
        raise ValueError(f"Probabilities must lie in [0, 1] and sum to one; received {np.round(first, 4).tolist()}.")
    return probabilities


def _class_metrics(
    truth: IntArray, predicted: IntArray, probabilities: FloatArray, classes: Sequence[str]
) -> dict[str, ClassMetrics]:
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=np.arange(len(classes)), zero_division=np.nan
    )
    return {
        name: {
            "precision": _number(precision[i]),
            "recall": _number(recall[i]),
            "f1": _number(f1[i]),
            "support": int(support[i]),
            "auc": _number(_class_auc(truth == i, probabilities[:, i])),
        }
        for i, name in enumerate(classes)
    }


def _brier(truth: IntArray, probabilities: FloatArray) -> float:
    n_classes = probabilities.shape[1]
    exact = probabilities / probabilities.sum(axis=1, keepdims=True, dtype=np.float64)
    return float(brier_score_loss(truth, exact, labels=np.arange(n_classes), scale_by_half=False))


def truth_indices(true_names: npt.ArrayLike, classes: Sequence[str]) -> IntArray:
    """Return int (N,), the position of each true class in `classes`.

    Raises:
        ValueError: there are no images, or a label is not in `classes`.
    """
    names = np.asarray(true_names, object)
    if not len(names):
        raise ValueError("There is no image to evaluate.")
    unknown = sorted(set(names) - set(classes))
    if unknown:
        raise ValueError(f"The classifier knows {', '.join(classes)}; the data set also has {', '.join(unknown)}.")
    index = {name: i for i, name in enumerate(classes)}
    return np.array([index[name] for name in names])


def _class_auc(is_class: BoolArray, scores: FloatArray) -> float:
    return _curve(is_class, scores)["auc"] if 0 < is_class.sum() < len(is_class) else np.nan


def _curve(is_class: BoolArray, scores: FloatArray) -> Curve:
    fpr, tpr, thresholds = roc_curve(is_class, scores)
    return {"fpr": fpr, "tpr": tpr, "auc": float(auc(fpr, tpr)), "thresholds": thresholds}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
