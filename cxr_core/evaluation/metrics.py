"""How good a classifier is: the article's metrics, from labels and probabilities."""

import numpy as np
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
from cxr_core.evaluation.confidence_intervals import FIGURES, curve_bands, metric_intervals
from cxr_core.evaluation.predictions import prediction_groups

# float32 rows, and rows written with six digits, sum to one up to this.
_SUM_TOLERANCE = 1e-3


def evaluate_predictions(true_names, probabilities, classes, groups=None):
    """Score predictions.

    Args:
        true_names: sequence of str (N,), each one of `classes`.
        probabilities: float (N, C), rows summing to one.
        classes: sequence of str (C,).
        groups: int (N,), images that are no independent witnesses share a number; each image
            stands for itself by default.

    Returns:
        dict with `n`, `accuracy`, `per_class` {name: precision, recall, f1, support, auc},
        `confusion_matrix` (rows true, columns predicted), `ece` (expected calibration error), `brier` (the
        classes' squared errors summed, in [0, 2]), `ci95` (`accuracy`, `per_class` {name: precision, recall,
        f1, auc} and `confusion_shares`, each a [low, high] as `confidence_intervals.metric_intervals` gives it) and `classes`.
        What is undefined (a class without images, or never predicted) is None.

    Raises:
        ValueError: no images, a label outside `classes`, lengths that differ, or rows that are no
            probabilities.
    """
    truth = truth_indices(true_names, classes)
    probabilities = _checked_probabilities(probabilities, len(truth), classes)
    predicted = np.argmax(probabilities, axis=1)
    groups = np.arange(len(truth)) if groups is None else np.asarray(groups)
    labels = np.arange(len(classes))
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=labels, zero_division=np.nan
    )
    per_class = {
        name: {
            "precision": _number(precision[i]),
            "recall": _number(recall[i]),
            "f1": _number(f1[i]),
            "support": int(support[i]),
            "auc": _number(_class_auc(truth == i, probabilities[:, i])),
        }
        for i, name in enumerate(classes)
    }
    ends = metric_intervals(truth, probabilities, groups)
    return {
        "n": len(truth),
        "accuracy": float((truth == predicted).mean()),
        "per_class": per_class,
        "confusion_matrix": confusion_matrix(truth, predicted, labels=labels).tolist(),
        "ece": calibration_error(truth == predicted, probabilities.max(axis=1)),
        "brier": _brier(truth, probabilities),
        "ci95": ends | {"per_class": dict(zip(classes, ends["per_class"], strict=True))},
        "classes": list(classes),
    }


def roc_curves(true_names, probabilities, classes):
    """Compute one ROC curve per class, their micro and their macro average.

    Args: as `evaluate_predictions`.

    Returns:
        dict of name ("micro", "macro" or a class) to dict of `fpr`, `tpr` (float arrays), `auc` and, but for
        the macro average, `thresholds` (the score from which on each point calls the class). Classes
        without both positives and negatives are left out.

    Source:
        The macro average interpolates every class's curve at all false positive rates, as in
        scikit-learn's multi-class ROC example.
    """
    truth = truth_indices(true_names, classes)
    hot = np.eye(len(classes), dtype=bool)[truth]
    curves = {}
    for i, name in enumerate(classes):
        if 0 < hot[:, i].sum() < len(truth):
            curves[name] = _curve(hot[:, i], probabilities[:, i])
    if not curves:
        return {}
    grid = np.unique(np.concatenate([c["fpr"] for c in curves.values()]))
    mean_tpr = np.mean([np.interp(grid, c["fpr"], c["tpr"]) for c in curves.values()], axis=0)
    macro = {"fpr": np.r_[0, grid], "tpr": np.r_[0, mean_tpr], "auc": float(auc(np.r_[0, grid], np.r_[0, mean_tpr]))}
    return curves | {"micro": _curve(hot.ravel(), probabilities.ravel()), "macro": macro}


def class_curves(predictions, classes):
    """Return what one class against the rest looks like with its uncertainty, for every class that has both sides.

    Args:
        predictions: DataFrame as `predictions_table` makes it.
        classes: sequence of str.

    Returns:
        dict of class to dict of `bands` (as `confidence_intervals.curve_bands` gives them, or None), `recall` and `precision`
        (float arrays of the precision-recall curve) and `average_precision`.
    """
    groups, found = prediction_groups(predictions), {}
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


def report_table(metrics):
    """Return `evaluate_predictions`'s per-class figures as a DataFrame indexed by class."""
    return pd.DataFrame(metrics["per_class"]).T.astype({"support": int})


def report_with_intervals(metrics):
    """Return the per-class figures as texts with their 95 % intervals, a DataFrame indexed by class."""
    ends, rows = (metrics.get("ci95") or {"per_class": {}})["per_class"], {}
    for name, row in metrics["per_class"].items():
        cells = {key: figure_text(row[key], ends.get(name, {}).get(key)) for key in FIGURES}
        rows[name] = cells | {"support": row["support"]}
    return pd.DataFrame(rows).T


def figure_text(value, ends):
    """Write a figure with its interval [low, high], either of which may be None."""
    if value is None:
        return "–"
    return f"{value:.3f} ({ends[0]:.3f} to {ends[1]:.3f})" if ends else f"{value:.3f}"


def _checked_probabilities(probabilities, n, classes):
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


def _brier(truth, probabilities):
    n_classes = probabilities.shape[1]
    exact = probabilities / probabilities.sum(axis=1, keepdims=True, dtype=np.float64)
    return float(brier_score_loss(truth, exact, labels=np.arange(n_classes), scale_by_half=False))


def truth_indices(true_names, classes):
    if len(true_names) == 0:
        raise ValueError("There is no image to evaluate.")
    unknown = sorted(set(true_names) - set(classes))
    if unknown:
        raise ValueError(f"The classifier knows {', '.join(classes)}; the data set also has {', '.join(unknown)}.")
    index = {name: i for i, name in enumerate(classes)}
    return np.array([index[name] for name in true_names])


def _class_auc(is_class, scores):
    return _curve(is_class, scores)["auc"] if 0 < is_class.sum() < len(is_class) else np.nan


def _curve(is_class, scores):
    fpr, tpr, thresholds = roc_curve(is_class, scores)
    return {"fpr": fpr, "tpr": tpr, "auc": float(auc(fpr, tpr)), "thresholds": thresholds}


def _number(value):
    return None if np.isnan(value) else float(value)
