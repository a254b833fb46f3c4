"""How a data set is classified and scored."""

from cxr_core.data.dataset import scan_dataset
from cxr_core.data.prepared_images import prepare_images
from cxr_core.evaluation.metrics import evaluate_predictions, truth_indices
from cxr_core.evaluation.predictions import describe_predictions, prediction_groups, table_probabilities
from cxr_core.evaluation.selective_classification import answer_shares


def score_folders(classifier, *folders, progress=None):
    """Classify and score every image of a data set.

    Args:
        classifier: classifier.Classifier.
        *folders: str or Path, as for `dataset.scan_dataset`.
        progress: callable(phase) that returns a callable(done, total), or None.

    Returns:
        (metrics, predictions): as `evaluate_predictions`, with the card's `temperature` and, where it may
        abstain, `answers` (see `answers_of`); and `predictions_table` with the columns `group` (images of
        one patient or content) and `path`.

    Raises:
        FileNotFoundError, ValueError: no folder, no images, or a class the classifier does not know.
    """
    report = progress or (lambda phase: None)
    dataset = scan_dataset(*folders, progress=report("Looking through the images"))
    return score_table(classifier, dataset.table, progress=progress)


def score_table(classifier, table, *, progress=None):
    """Classify and score the images of a data set table; see `score_folders`."""
    predictions = classify_table(classifier, table, progress=progress)
    return score_predictions(predictions, classifier.card), predictions


def classify_table(classifier, table, *, progress=None):
    """Classify the images of a data set table; returns the predictions as `score_folders` does."""
    report = progress or (lambda phase: None)
    prepared = prepare_images(table, classifier.card.preprocessing, progress=report("Preparing the images"))
    truth_indices(prepared.table["class_name"], classifier.classes)
    probabilities = classifier.predict(prepared.images_u8, progress=report("Classifying"))
    return describe_predictions(prepared.table, probabilities, classifier.classes)


def score_predictions(predictions, card):
    """Score predictions of a classifier with this card; returns the metrics as `score_folders` does."""
    probabilities = table_probabilities(predictions, card.classes)
    metrics = evaluate_predictions(predictions["true"], probabilities, card.classes, predictions["group"].to_numpy())
    metrics["temperature"] = card.temperature
    if card.abstain_below:
        metrics["answers"] = answers_of(predictions, card)
    return metrics


def answers_of(predictions, card):
    """Say what a classifier that may abstain answers; see `selective_classification.answer_shares`.

    Args:
        predictions: DataFrame as `predictions_table` makes it.
        card: model_card.Card; its `abstain_below` counts.
    """
    probabilities = table_probabilities(predictions, card.classes)
    groups = prediction_groups(predictions)
    return answer_shares(predictions["true"], probabilities, card.classes, groups, abstain_below=card.abstain_below)
