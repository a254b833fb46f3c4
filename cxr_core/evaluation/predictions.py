"""What is in a table of predictions?

A predictions table has one row per image: `file`, `true` and `predicted` (classes), `right`, `confidence` (the highest
probability) and one column `p_<class>` per class. Where they are known it also has `digest` (SHA-256 of the file's
content, by which an image is known), `group` (images of one patient or radiograph share a number), `path`, `split`,
`view`, `age_group`, `sex` and `source`.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from cxr_core.data.patient_ids import patient_of
from cxr_core.evaluation.confidence_intervals import Difference, compare_accuracy
from cxr_core.inference.temperature_scaling import apply_temperature
from cxr_core.splits.split import image_groups
from cxr_core.system.arrays import BoolArray, FloatArray, IntArray


def describe_predictions(rows: pd.DataFrame, probabilities: FloatArray, classes: Sequence[str]) -> pd.DataFrame:
    """Make a predictions table of a data set table's images, with what the data set tells of each.

    Args:
        rows: the N images, as `dataset.scan_dataset` lists them.
        probabilities: float32 (N, C).
        classes: the C classes, in the order of the probabilities.

    Returns:
        A predictions table with `digest`, `group` and `path`, and with `view`, `age_group`, `sex` and `source` where
        the data set has them.
    """
    groups = rows["group"].to_numpy() if "group" in rows else image_groups(rows)
    predictions = predictions_table(rows["file"], rows["class_name"], probabilities, classes)
    told = {name: rows[name].to_numpy() for name in ("view", "age_group", "sex", "source") if name in rows}
    return predictions.assign(digest=rows["digest"].to_numpy(), group=groups, path=rows["path"].to_numpy(), **told)


def rescale_predictions(predictions: pd.DataFrame, classes: Sequence[str], temperature: float) -> pd.DataFrame:
    """Apply a temperature to predictions that were made at temperature 1."""
    probabilities = apply_temperature(table_probabilities(predictions, classes), temperature)
    columns = {f"p_{name}": probabilities[:, i] for i, name in enumerate(classes)}
    return predictions.assign(confidence=probabilities.max(axis=1), **columns)


def compare_predictions(predictions: pd.DataFrame, other: pd.DataFrame) -> tuple[Difference, int]:
    """Compare two classifiers by a paired bootstrap on the images that both have predicted.

    Images are known by their content; by their names where one of the tables knows no contents, see `known_by_name`.

    Args:
        predictions: the first classifier's predictions table.
        other: the second classifier's.

    Returns:
        The difference of their accuracies, and the number of images that both have.

    Raises:
        ValueError: they have no image in common.
    """
    keys = ["file" if known_by_name(predictions, other) else "digest", "true"]
    both = predictions.assign(group_number=prediction_groups(predictions)).merge(
        other[[*keys, "right"]].drop_duplicates(keys), on=keys, suffixes=("", "_other")
    )
    if both.empty:
        raise ValueError("The two classifiers have no test images in common, so they cannot be compared.")
    return compare_accuracy(both["right"], both["right_other"], both["group_number"]), len(both)


def known_by_name(*tables: pd.DataFrame) -> bool:
    """Return True where one of several predictions tables names its images by their files alone, as earlier ones do."""
    return not all("digest" in table and table["digest"].notna().all() for table in tables)


def predictions_table(
    files: Iterable[str], true_names: Iterable[str], probabilities: FloatArray, classes: Sequence[str]
) -> pd.DataFrame:
    """Make a predictions table from file names (N,), true classes (N,) and probabilities, float (N, C)."""
    predicted = np.asarray(classes, object)[np.argmax(probabilities, axis=1)]
    table = pd.DataFrame({"file": list(files), "true": list(true_names), "predicted": predicted})
    table["right"] = table["true"] == table["predicted"]
    table["confidence"] = probabilities.max(axis=1)
    for i, name in enumerate(classes):
        table[f"p_{name}"] = probabilities[:, i]
    return table


def sample_predictions(predictions: pd.DataFrame, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw `n` rows of a predictions table at random, or all in random order where there are fewer."""
    return predictions.iloc[rng.choice(len(predictions), min(n, len(predictions)), replace=False)]


def most_confident_mistakes(predictions: pd.DataFrame, n: int) -> pd.DataFrame:
    """Return the `n` wrong predictions with the highest confidence, most confident first."""
    return predictions[~predictions["right"]].nlargest(n, "confidence")


def confused_rows(predictions: pd.DataFrame, true: str, predicted: str) -> pd.DataFrame:
    """Return the rows of one cell of the confusion matrix."""
    return predictions[(predictions["true"] == true) & (predictions["predicted"] == predicted)]


def misjudged_rows(predictions: pd.DataFrame, class_name: str, threshold: float) -> pd.DataFrame:
    """Return the false negatives and false positives of a class whose alarm begins at a probability of `threshold`."""
    is_class, scores = one_against_rest(predictions, class_name)
    return predictions[is_class != (scores >= threshold)]


def one_against_rest(predictions: pd.DataFrame, class_name: str) -> tuple[BoolArray, FloatArray]:
    """Return bool (N,), which images are of a class, and float (N,), the probability of that class."""
    return (predictions["true"] == class_name).to_numpy(), predictions[f"p_{class_name}"].to_numpy()


def table_probabilities(predictions: pd.DataFrame, classes: Sequence[str]) -> FloatArray:
    """Return float (N, C): the probability columns of a predictions table in class order."""
    return predictions[[f"p_{name}" for name in classes]].to_numpy()


def prediction_groups(predictions: pd.DataFrame) -> IntArray:
    """Return int (N,): rows of a predictions table that are not independent share a number.

    From its column `group` where it has one; otherwise from the patient that a file's name tells.
    """
    if "group" in predictions:
        return predictions["group"].to_numpy()
    return pd.factorize(predictions["file"].map(patient_or_file))[0]


def patient_or_file(file: str) -> str:
    """Return the patient that a file's name tells, else the name: whose image nobody knows is a patient's own."""
    return patient_of(file.rsplit("/", 1)[-1]) or file
