"""Predictions on a page: which ones to look at, and a grid that tells right from wrong."""

from pathlib import Path

import pandas as pd
import streamlit as st

from cxr_core.classes import class_label
from cxr_core.evaluation.metrics import evaluate_predictions
from cxr_core.evaluation.predictions import prediction_groups, table_probabilities
from cxr_core.evaluation.scoring import score_table
from cxr_core.inference.model_card import load_card
from cxr_core.splits.leakage import leakage_sentence
from ui.common.components import progress_bar
from ui.common.dataset_picker import choose_dataset
from ui.common.model_picker import open_classifier
from ui.common.thumbnails import show_images

_SIDES = {"test": "Its test split", "validation": "Its validation split", "dataset": "Another data set"}
_TITLES = {
    "test": "The classifier's own test split: neither trained on nor used to choose the best epoch.",
    "validation": "The validation split, which chose the best epoch: a little flattering.",
    "dataset": "The data set chosen at the left. Images the classifier was trained on flatter its figures.",
}


def choose_predictions(folder):
    """Let the user choose which predictions of a classifier to look at.

    Args:
        folder: Path of a model folder.

    Returns:
        (metrics, predictions, title): dict, DataFrame and what the images are, in a sentence.
    """
    card = load_card(folder)
    side = st.segmented_control(
        "Images", list(_SIDES), default="test", format_func=_SIDES.get, help="Which images the figures below are about."
    )
    side = side or "test"
    if side == "dataset":
        return *_score_chosen(folder), _TITLES[side]
    title = _TITLES[side]
    if side == "test" and card.training.get("split") == "article":
        title = "The article's way: these test images also chose the best epoch, so the figures flatter the classifier."
    if side == "test" and "leakage" in card.metrics:
        title += " " + leakage_sentence(card.metrics["leakage"])
    table = _predictions_of(str(folder), (folder / "predictions.csv").stat().st_mtime_ns)
    rows = table[table["split"] == side].reset_index(drop=True)
    metrics = card.metrics[side]
    if "ci95" not in metrics:
        # Older cards were measured without intervals; their predictions have all that is needed.
        metrics = _scores_of(str(folder), side, rows, card.classes)
    return metrics, rows, title


def own_predictions(folder):
    """Return a model folder's predictions on its own test images, DataFrame; FileNotFoundError where it has none."""
    table = _predictions_of(str(folder), (folder / "predictions.csv").stat().st_mtime_ns)
    return table[table["split"] == "test"]


@st.cache_data(max_entries=8, show_spinner=False)
def _predictions_of(folder, mtime_ns):
    return pd.read_csv(Path(folder) / "predictions.csv")


@st.cache_data(max_entries=8, show_spinner=False)
def _scores_of(folder, side, predictions, classes):
    probabilities = table_probabilities(predictions, classes)
    return evaluate_predictions(predictions["true"], probabilities, classes, prediction_groups(predictions))


def show_predictions(predictions):
    """Show a grid of images with prediction and truth; where the images are not at hand, a table."""
    captions = [_caption(row) for row in predictions.itertuples()]
    if "path" in predictions:
        show_images(predictions["path"].tolist(), captions)
        return
    st.caption("The images themselves are not part of this installation; these are their names and predictions.")
    shown = predictions[["file", "true", "predicted", "confidence"]].assign(
        true=predictions["true"].map(class_label),
        predicted=predictions["predicted"].map(class_label),
        verdict=["right" if right else "wrong" for right in predictions["right"]],
    )
    percent = st.column_config.NumberColumn(format="percent")
    st.dataframe(shown, width="stretch", hide_index=True, column_config={"confidence": percent})


def _caption(row):
    if row.right:
        return f":material/check: right: {class_label(row.predicted)}, {row.confidence:.0%}"
    return (
        f":material/close: **wrong**: called {class_label(row.predicted)}, {row.confidence:.0%}; "
        f"is {class_label(row.true)}"
    )


def _score_chosen(folder):
    dataset = choose_dataset()
    key = (str(folder), dataset.fingerprint)
    if st.session_state.get("scored_key") != key:
        classifier = open_classifier(folder)
        try:
            with progress_bar("Classifying") as report:
                st.session_state["scored"] = score_table(classifier, dataset.table, progress=lambda _phase: report)
        except ValueError as error:
            st.error(f"{error} Choose another data set at the left.")
            st.stop()
        st.session_state["scored_key"] = key
    return st.session_state["scored"]
