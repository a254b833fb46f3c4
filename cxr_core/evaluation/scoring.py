"""How is a data set classified and scored?"""

from pathlib import Path

import pandas as pd

from cxr_core.classes import matched_classes
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.prepared_images import prepare_images
from cxr_core.evaluation.metrics import Metrics, evaluate_predictions, truth_indices
from cxr_core.evaluation.predictions import describe_predictions, prediction_groups, table_probabilities
from cxr_core.evaluation.selective_classification import AnswerShares, answer_shares
from cxr_core.inference.classifier import Classifier
from cxr_core.inference.model_card import Card
from cxr_core.system.progress import Phase


def score_folders(
    classifier: Classifier, *folders: str | Path, progress: Phase | None = None
) -> tuple[Metrics, pd.DataFrame]:
    """Classify and score every image of a data set.

    Args:
        classifier: the classifier to score.
        *folders: as for `dataset.scan_dataset`.
        progress: called with the name of each phase.

    Returns:
        The metrics, with the classifier's `temperature` and, where it may abstain, `answers`; and the predictions
        table with `group` (images of one patient or of equal content) and `path`.

    Raises:
        FileNotFoundError: a folder is not there.
        ValueError: there are no images, or a class is unknown to the classifier.
    """
    phase = progress or (lambda _: None)
    dataset = scan_dataset(*folders, progress=phase("Listing the images"))
    return score_table(classifier, dataset.table, progress=progress)


def score_table(
    classifier: Classifier, table: pd.DataFrame, *, progress: Phase | None = None
) -> tuple[Metrics, pd.DataFrame]:
    """Classify and score the images of a data set table; see `score_folders`."""
    predictions = classify_table(classifier, table, progress=progress)
    return score_predictions(predictions, classifier.card), predictions


def classify_table(classifier: Classifier, table: pd.DataFrame, *, progress: Phase | None = None) -> pd.DataFrame:
    """Classify the images of a data set table; returns the predictions table of `score_folders`."""
    phase = progress or (lambda _: None)
    names = table["class_name"]
    table = table.assign(class_name=names.replace(matched_classes(names, classifier.classes)))
    prepared = prepare_images(table, classifier.card.preprocessing, progress=phase("Preparing the images"))
    truth_indices(prepared.table["class_name"], classifier.classes)
    probabilities = classifier.predict(prepared.images_u8, progress=phase("Classifying"))
    return describe_predictions(prepared.table, probabilities, classifier.classes)


def score_predictions(predictions: pd.DataFrame, card: Card) -> Metrics:
    """Score a predictions table of the classifier with this card; returns the metrics of `score_folders`."""
    probabilities = table_probabilities(predictions, card.classes)
    metrics = evaluate_predictions(predictions["true"], probabilities, card.classes, predictions["group"].to_numpy())
    metrics["temperature"] = card.temperature
    if card.abstain_below:
        metrics["answers"] = answers_of(predictions, card)
    return metrics


def answers_of(predictions: pd.DataFrame, card: Card) -> AnswerShares:
    """Count what a classifier answers that abstains below the confidence of its card.

    Args:
        predictions: its predictions table.
        card: of the classifier.
    """
    probabilities = table_probabilities(predictions, card.classes)
    groups = prediction_groups(predictions)
    return answer_shares(predictions["true"], probabilities, card.classes, groups, abstain_below=card.abstain_below)
