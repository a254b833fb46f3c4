"""What is in a table of predictions."""

import numpy as np
import pandas as pd

from cxr_core.data.patient_ids import patient_of
from cxr_core.evaluation.confidence_intervals import compare_accuracy
from cxr_core.inference.temperature_scaling import apply_temperature
from cxr_core.splits.split import image_groups


def describe_predictions(rows, probabilities, classes):
    """Put the probabilities of a data set table's images, float32 (N, C), beside what is known of each.

    Returns:
        DataFrame of predictions as `score_folders` makes it.
    """
    groups = rows["group"].to_numpy() if "group" in rows else image_groups(rows)
    predictions = predictions_table(rows["file"], rows["class_name"], probabilities, classes)
    told = {name: rows[name].to_numpy() for name in ("view", "age_group") if name in rows}
    return predictions.assign(group=groups, path=rows["path"].to_numpy(), **told)


def rescale_predictions(predictions, classes, temperature):
    """Return predictions made at temperature 1 as a classifier with this temperature makes them."""
    probabilities = apply_temperature(table_probabilities(predictions, classes), temperature)
    columns = {f"p_{name}": probabilities[:, i] for i, name in enumerate(classes)}
    return predictions.assign(confidence=probabilities.max(axis=1), **columns)


def compare_predictions(predictions, other):
    """Compare two classifiers by paired bootstrap on the images that both were asked.

    Args:
        predictions, other: DataFrames as `predictions_table` makes them.

    Returns:
        (confidence_intervals.Difference of accuracies, int, how many images both have).

    Raises:
        ValueError: they share no image.
    """
    keys = ["file", "true"]
    both = predictions.assign(group_number=prediction_groups(predictions)).merge(
        other[[*keys, "right"]].drop_duplicates(keys), on=keys, suffixes=("", "_other")
    )
    if both.empty:
        raise ValueError("The two classifiers were asked no image in common, so they cannot be compared.")
    return compare_accuracy(both["right"], both["right_other"], both["group_number"]), len(both)


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


def table_probabilities(predictions, classes):
    """Return float (N, C): the probability columns of a predictions table in class order."""
    return predictions[[f"p_{name}" for name in classes]].to_numpy()


def prediction_groups(predictions):
    """Return int (N,), which rows of a predictions table are no independent witnesses.

    From its column `group` where it has one; otherwise by the patient that a file's name tells.
    """
    if "group" in predictions:
        return predictions["group"].to_numpy()
    patients = predictions["file"].map(lambda file: patient_of(file.rsplit("/", 1)[-1]) or file)
    return pd.factorize(patients)[0]
