"""Which predictions of a classifier are shown, and how do right and wrong ones look?"""

from pathlib import Path

import pandas as pd
import streamlit as st

from cxr_core.classes import class_label
from cxr_core.evaluation.metrics import Metrics, evaluate_predictions
from cxr_core.evaluation.predictions import prediction_groups, table_probabilities
from cxr_core.evaluation.scoring import DataScore, score_table, seen_by_start_sentence, trained_on_sentence
from cxr_core.inference.model_card import Card, load_card
from cxr_core.reporting.run_statements import looks_words
from cxr_core.runs.looks import count_looks
from cxr_core.runs.run import Run, list_runs
from cxr_core.splits.leakage import leakage_sentence
from cxr_core.system.files import file_stamp
from ui.common.components import plain_error, progress_bar, show_table
from ui.common.dataset_picker import choose_dataset
from ui.common.markdown import Markdown, plain_text
from ui.common.metrics import images_text, look_once
from ui.common.model_picker import export_stamp, open_classifier
from ui.common.navigation import keep_choice
from ui.evaluation.mapped_images import image_paths, show_with_maps

_SIDES = {"test": "Its test set", "validation": "Its validation set", "dataset": "Another data set"}
_TITLES = {
    "test": "The classifier's own test set, which did not choose the best epoch.",
    "validation": "The validation set, which was used to choose the best epoch: the metrics are slightly optimistic.",
    "dataset": "The data set chosen in the sidebar.",
}


def choose_predictions(folder: Path) -> tuple[Metrics, pd.DataFrame, Markdown]:
    """Let the user choose which predictions of a classifier to look at.

    Returns:
        The metrics, the predictions table, and a sentence that says which images these are.
    """
    card = load_card(folder)
    side = st.segmented_control(
        "Images", list(_SIDES), key=keep_choice("images", "test", _SIDES), required=True,
        format_func=_SIDES.__getitem__,
        help="Which images the results below are for.",
    )  # fmt: skip
    side = side or "test"
    if side == "dataset":
        score, rows = _score_chosen(folder)
        return score, rows, f"{_TITLES[side]} {plain_text(trained_on_sentence(score))}"
    table = _predictions_of(str(folder), file_stamp(folder / "predictions.csv"))
    rows = table[table["split"] == side].reset_index(drop=True)
    if side == "test":
        look_once([Run(folder)], "Evaluation page")
    metrics: Metrics = card.metrics[side]
    if "ci95" not in metrics:
        # Older cards were measured without intervals; their predictions have all that is needed.
        metrics = _scores_of(str(folder), side, rows, card.classes)
    return metrics, rows, _title(card, side, folder)


def _title(card: Card, side: str, folder: Path) -> Markdown:
    """Return the sentence that says which images these are, and what to bear in mind about them."""
    title = _TITLES[side]
    if side != "test":
        return title
    if card.training.get("split") == "article":
        title = "As in the article, these test images were used to choose the best epoch: the metrics are optimistic."
    looks = count_looks(Run(folder), list_runs(folder.parent))
    if looks:
        title += f" It was looked at {plain_text(looks_words(looks))}."
    if "seen_by_start" in card.metrics:
        title += f" {plain_text(seen_by_start_sentence(card.metrics['seen_by_start']))}"
    return f"{title} {plain_text(leakage_sentence(card.metrics['leakage']))}" if "leakage" in card.metrics else title


def own_predictions(folder: Path) -> pd.DataFrame:
    """Return a classifier's predictions on its own test images; FileNotFoundError where it has none."""
    table = _predictions_of(str(folder), file_stamp(folder / "predictions.csv"))
    return table[table["split"] == "test"]


@st.cache_data(max_entries=8, show_spinner=False)
def _predictions_of(folder: str, stamp: tuple[int, ...]) -> pd.DataFrame:
    return Run(Path(folder)).predictions()


@st.cache_data(max_entries=8, show_spinner=False)
def _scores_of(folder: str, side: str, predictions: pd.DataFrame, classes: tuple[str, ...]) -> Metrics:
    probabilities = table_probabilities(predictions, classes)
    return evaluate_predictions(predictions["true"], probabilities, classes, prediction_groups(predictions))


def show_predictions(predictions: pd.DataFrame, folder: Path, key: str) -> None:
    """Show images with predicted and true class and their maps; a table of those that are not on this computer.

    Args:
        predictions: rows of a predictions table.
        folder: of the classifier.
        key: unique on the page.
    """
    paths = image_paths(predictions)
    held = paths.notna()
    if held.any():
        show_with_maps(predictions[held], paths[held], folder, key)
    if held.all():
        return
    st.caption("These images are not part of this installation; what is known are their file names and predictions.")
    others = predictions[~held]
    shown = others[["file", "true", "predicted", "confidence"]].assign(
        true=others["true"].map(class_label),
        predicted=others["predicted"].map(class_label),
        result=["✓ correct" if right else "✗ wrong" for right in others["right"]],
    )
    show_table(shown, percents=["confidence"])


def _score_chosen(folder: Path) -> tuple[DataScore, pd.DataFrame]:
    """Return the score on the data set of the sidebar, begun by a button; until then the page stops."""
    dataset = choose_dataset()
    classifier = open_classifier(folder)
    key = (str(folder), export_stamp(folder), dataset.fingerprint)
    if st.session_state.get("scored_key") != key:
        st.info("How good the classifier is on this data set appears here once its images are classified.")
        if not st.button(
            f"Classify {images_text(len(dataset.table))}", type="primary", help="Keep this page open until it is done."
        ):
            st.stop()
        try:
            with progress_bar("Classifying") as report:
                st.session_state["scored"] = score_table(classifier, dataset.table, progress=lambda _phase: report)
        except ValueError as error:
            st.error(f"{plain_error(error)} Choose another data set in the sidebar.")
            st.stop()
        st.session_state["scored_key"] = key
        st.rerun()
    return st.session_state["scored"]
