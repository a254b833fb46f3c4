"""What may be said of a run's scores? Only what the run itself tells: no sentence here holds for every run."""

from collections.abc import Collection, Mapping
from typing import Any

from cxr_core.evaluation.metrics import Metrics

# What each kind of split keeps apart; the sizes of its sides are counted elsewhere.
_DISJOINT = {
    "grouped": "Grouped: no known patient and no group of copies was put on two sides.",
    "source": "By source: one hospital or collection is the test side; it neither trained nor validated.",
    "stratified": "At random with the same share of every class on each side; one patient's images may be on several.",
    "random": "At random; one patient's images may be on several sides.",
    "article": "The article's way: at random, and the test images are also the validation images.",
    "given": "As the data set says.",
}
# Stored scores of earlier versions do not name their method.
_UNNAMED_METHOD = "a bootstrap of whole patients or groups of copies, by an earlier version"


def title_of_validation(training: Mapping[str, Any]) -> str:
    """Return the title of the scores on validation."""
    if training.get("split") == "article":
        return "Validation (the test images; chose the best epoch)"
    return "Validation (chose the best epoch)"


def title_of_test(training: Mapping[str, Any], looks: int | None) -> str:
    """Return the title of the scores on test.

    Args:
        training: settings of the run.
        looks: how often the test side was looked at; None or 0 where nobody counted.
    """
    said = ["chose the best epoch"] if training.get("split") == "article" else []
    if looks:
        said.append(f"looked at {looks_words(looks)}")
    return f"Test ({'; '.join(said)})" if said else "Test"


def looks_words(looks: int) -> str:
    """Write a number of looks."""
    return "once" if looks == 1 else f"{looks} times"


def selection_sentence(training: Mapping[str, Any]) -> str:
    """Say how the final model was selected, and on which images."""
    told = "The epoch of lowest validation loss."
    search = training.get("search")
    if search:
        tried = ", ".join(name.replace("_", " ") for name in search["tune"])
        told += f" Of {search['trials']} trials of a search over {tried}, the one of lowest validation loss."
    elif training.get("export") is False:
        told += " It is a trial of a hyperparameter search."
    if training.get("split") == "article":
        told += " In this split the test images were also the validation images, so the test chose the epoch."
    return told


def disjoint_sentence(training: Mapping[str, Any]) -> str:
    """Say at which level the sides are disjoint; "" where the split is not known."""
    told = _DISJOINT.get(training.get("split", ""), "")
    if training.get("folds"):
        told += f" Fold {training['fold']} of {training['folds']} is the test side."
    return told


def interval_words(metrics: Metrics) -> str:
    """Say what the intervals of a set of scores are, such as "95 % intervals (percentiles …)"; "" without any."""
    if not metrics.get("ci95") or metrics["ci95"]["accuracy"] is None:
        return ""
    return f"95 % intervals ({metrics.get('interval_method', _UNNAMED_METHOD)})"


def temperature_sentence(training: Mapping[str, Any], temperature: float) -> str:
    """Say what the temperature is and on which images it was fitted."""
    if temperature == 1:
        return "Temperature 1: the probabilities are as the network gave them."
    images = "the test images, which are the validation images" if training.get("split") == "article" else "validation"
    return f"Temperature {temperature:.2f}, fitted on {images} and applied to every probability."


def factors_sentence(told: Collection[str]) -> str:
    """Say which properties of patients and images a run's data set told.

    Args:
        told: columns of its predictions, of which "view", "age_group", "sex" and "source" count.
    """
    names = {"age_group": "age group", "sex": "sex", "view": "view", "source": "source"}
    known = [words for column, words in names.items() if column in told]
    missing = [words for column, words in names.items() if column not in told]
    sentences = [f"Told by the data set: {', '.join(known)}."] if known else []
    sentences += [f"Not available: {', '.join([*missing, 'device'])}."]
    return " ".join(sentences)
