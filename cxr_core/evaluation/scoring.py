"""How is a data set classified and scored?"""

from pathlib import Path
from typing import TypedDict

import pandas as pd

from cxr_core.classes import matched_classes
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.prepared_images import prepare_images
from cxr_core.evaluation.hospitals.source_scores import score_sources
from cxr_core.evaluation.metrics import Metrics, evaluate_predictions, truth_indices
from cxr_core.evaluation.predictions import describe_predictions, prediction_groups, table_probabilities
from cxr_core.evaluation.selective_classification import AnswerShares, answer_shares
from cxr_core.inference.classifier import Classifier
from cxr_core.inference.model_card import Card
from cxr_core.runs.training_images import are_seen, seen_digests
from cxr_core.splits.curation import dataset_decisions
from cxr_core.splits.label_decisions import with_decided_labels
from cxr_core.system.progress import Phase
from cxr_core.system.text import percent


class TrainedOn(TypedDict):
    """How many of the scored images the classifier was trained on, its starting weights included.

    Attributes:
        images: number of them.
        without: the metrics of the other images; None where all or none were trained on.
    """

    images: int
    without: Metrics | None


class DataScore(Metrics):
    """The metrics of a data set, and whether it is new to the classifier; None where nobody knows."""

    trained_on: TrainedOn | None


def score_folders(
    classifier: Classifier, *folders: str | Path, progress: Phase | None = None
) -> tuple[DataScore, pd.DataFrame]:
    """Classify and score every image of a data set.

    Args:
        classifier: the classifier to score.
        *folders: as for `dataset.scan_dataset`; labels that were corrected count as corrected.
        progress: called with the name of each phase.

    Returns:
        The metrics, with the classifier's `temperature`, `answers` where it may abstain, `sources` where there are
        several, and on how many of the images it was `trained_on`; and the predictions table with `group` (images of
        one patient or of equal content) and `path`.

    Raises:
        FileNotFoundError: a folder is not there.
        ValueError: there are no images, or a class is unknown to the classifier.
    """
    phase = progress or (lambda _: None)
    dataset = scan_dataset(*folders, progress=phase("Listing the images"))
    decided = with_decided_labels(dataset, dataset_decisions(dataset.table, dataset.roots))
    return score_table(classifier, decided.table, progress=progress)


def score_table(
    classifier: Classifier, table: pd.DataFrame, *, progress: Phase | None = None
) -> tuple[DataScore, pd.DataFrame]:
    """Classify and score the images of a data set table; see `score_folders`."""
    predictions = classify_table(classifier, table, progress=progress)
    seen = seen_digests(classifier.path.parent) if classifier.path else None
    trained_on = None if seen is None else score_unseen(predictions, classifier.card, seen)
    return {**score_predictions(predictions, classifier.card), "trained_on": trained_on}, predictions


def score_unseen(predictions: pd.DataFrame, card: Card, seen: frozenset[str]) -> TrainedOn:
    """Score a predictions table without the images that the classifier was trained on.

    Args:
        predictions: N rows with `digest` and `group`.
        card: of the classifier.
        seen: digests of its training images.
    """
    flags = are_seen(predictions, seen)
    unseen = predictions[~flags].reset_index(drop=True)
    without = score_predictions(unseen, card) if 0 < len(unseen) < len(predictions) else None
    return {"images": int(flags.sum()), "without": without}


def seen_by_start_sentence(found: TrainedOn) -> str:
    """Say how many of a run's test images its starting weights were trained on, and how it does on the others."""
    told = f"The starting weights were trained on {found['images']:,} of these test images"
    without = found["without"]
    if without is None:
        return f"{told}: on all of them, so this is no test."
    return f"{told}; accuracy on the other {without['n']:,} is {percent(without['accuracy'])}{_between(without)}."


def _between(metrics: Metrics) -> str:
    ends = metrics["ci95"]["accuracy"]
    return f" (95 %: {percent(ends[0])} to {percent(ends[1])})" if ends else ""


def trained_on_sentence(score: Metrics | DataScore) -> str:
    """Say how many of the scored images the classifier was trained on, and how it does on the others."""
    found: TrainedOn | None = score.get("trained_on")  # type: ignore[assignment]
    if found is None:
        return "Which images it was trained on is not stored, so these may be among them."
    if not found["images"]:
        return "It was trained on none of these images."
    told = f"It was trained on {found['images']:,} of these {score['n']:,} images"
    without = found["without"]
    if without is None:
        return f"{told}: this is no test."
    return f"{told}. On the other {without['n']:,} its accuracy is {percent(without['accuracy'])}{_between(without)}."


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
    sources = score_sources(predictions, card.classes)
    return {**metrics, "sources": sources} if sources else metrics


def answers_of(predictions: pd.DataFrame, card: Card) -> AnswerShares:
    """Count what a classifier answers that abstains below the confidence of its card.

    Args:
        predictions: its predictions table.
        card: of the classifier.
    """
    probabilities = table_probabilities(predictions, card.classes)
    groups = prediction_groups(predictions)
    return answer_shares(predictions["true"], probabilities, card.classes, groups, abstain_below=card.abstain_below)
