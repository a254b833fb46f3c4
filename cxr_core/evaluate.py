"""How good a classifier is: the article's metrics, from labels and probabilities."""

import numpy as np
import pandas as pd
from sklearn.metrics import auc, confusion_matrix, precision_recall_fscore_support, roc_curve

from cxr_core.dataset import scan_dataset
from cxr_core.prepared import prepare_images


def evaluate_predictions(true_names, probabilities, classes):
    """Score predictions.

    Args:
        true_names: sequence of str (N,), each one of `classes`.
        probabilities: float (N, C).
        classes: sequence of str (C,).

    Returns:
        dict with `n`, `accuracy`, `per_class` {name: precision, recall, f1, support, auc},
        `confusion_matrix` (rows true, columns predicted) and `classes`. What is undefined
        (a class without images, or never predicted) is None.

    Raises:
        ValueError: no images, a label outside `classes`, or lengths that differ.
    """
    truth = _truth_indices(true_names, classes)
    if len(truth) != len(probabilities):
        raise ValueError(
            f"One row of probabilities per label is needed; received {len(probabilities)} for {len(truth)}."
        )
    predicted = np.argmax(probabilities, axis=1)
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
    return {
        "n": len(truth),
        "accuracy": float((truth == predicted).mean()),
        "per_class": per_class,
        "confusion_matrix": confusion_matrix(truth, predicted, labels=labels).tolist(),
        "classes": list(classes),
    }


def score_folders(classifier, *folders, progress=None):
    """Classify and score every picture of a data set.

    Args:
        classifier: classifier.Classifier.
        *folders: str or Path, as for `dataset.scan_dataset`.
        progress: callable(phase) that returns a callable(done, total), or None.

    Returns:
        (metrics, predictions): as `evaluate_predictions` and `predictions_table`, the latter with
        a column `path`.

    Raises:
        FileNotFoundError, ValueError: no folder, no pictures, or a class the classifier does not know.
    """
    report = progress or (lambda phase: None)
    dataset = scan_dataset(*folders, progress=report("Looking through the images"))
    return score_table(classifier, dataset.table, progress=progress)


def score_table(classifier, table, *, progress=None):
    """Classify and score the pictures of a data set table; see `score_folders`."""
    report = progress or (lambda phase: None)
    preprocessing = classifier.card.preprocessing
    prepared = prepare_images(table, preprocessing, progress=report("Preparing the images"))
    rows = prepared.table
    _truth_indices(rows["class_name"], classifier.classes)
    probabilities = classifier.predict(prepared.images_u8, progress=report("Classifying"))
    metrics = evaluate_predictions(rows["class_name"], probabilities, classifier.classes)
    predictions = predictions_table(rows["file"], rows["class_name"], probabilities, classifier.classes)
    return metrics, predictions.assign(path=rows["path"].to_numpy())


def roc_curves(true_names, probabilities, classes):
    """Compute one ROC curve per class, their micro and their macro average.

    Args: as `evaluate_predictions`.

    Returns:
        dict of name ("micro", "macro" or a class) to dict of `fpr`, `tpr` (float arrays) and
        `auc`. Classes without both positives and negatives are left out.

    Source:
        The macro average interpolates every class's curve at all false positive rates, as in
        scikit-learn's multi-class ROC example.
    """
    truth = _truth_indices(true_names, classes)
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


def predictions_table(files, true_names, probabilities, classes):
    """Return a DataFrame, one row per image: file, truth, prediction, whether right, probabilities.

    Probability columns are named `p_<class>`; `confidence` is the highest of them.
    """
    predicted = np.asarray(classes, object)[np.argmax(probabilities, axis=1)]
    table = pd.DataFrame({"file": list(files), "true": list(true_names), "predicted": predicted})
    table["right"] = table["true"] == table["predicted"]
    table["confidence"] = probabilities.max(axis=1)
    for i, name in enumerate(classes):
        table[f"p_{name}"] = probabilities[:, i]
    return table


def sample_predictions(predictions, n, rng):
    """Return `n` rows of a predictions table drawn with a numpy.random.Generator, or all if fewer."""
    return predictions.iloc[rng.choice(len(predictions), min(n, len(predictions)), replace=False)]


def most_confident_mistakes(predictions, n):
    """Return the `n` wrong rows of a predictions table with the highest confidence, surest first."""
    return predictions[~predictions["right"]].nlargest(n, "confidence")


def report_table(metrics):
    """Return `evaluate_predictions`'s per-class figures as a DataFrame indexed by class."""
    return pd.DataFrame(metrics["per_class"]).T.astype({"support": int})


def table_probabilities(predictions, classes):
    """Return float (N, C): the probability columns of a predictions table in class order."""
    return predictions[[f"p_{name}" for name in classes]].to_numpy()


def _truth_indices(true_names, classes):
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
    fpr, tpr, _ = roc_curve(is_class, scores)
    return {"fpr": fpr, "tpr": tpr, "auc": float(auc(fpr, tpr))}


def _number(value):
    return None if np.isnan(value) else float(value)
