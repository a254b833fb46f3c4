"""Where is the classifier wrong? Click into a figure to see the images behind it; then its weakest slices."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from cxr_core.classes import class_label
from cxr_core.evaluation.calibration import in_confidence_bin, reliability_bins
from cxr_core.evaluation.metrics import Curve, Metrics
from cxr_core.evaluation.predictions import confused_rows, misjudged_rows
from cxr_core.evaluation.slices import SLICES, file_facts, named_sources, slice_table, worst_slice
from cxr_core.plots.evaluation import confusion_figure, reliability_figure, roc_figure
from cxr_core.plots.style import figure_words
from cxr_core.system.text import percent
from ui.common.components import download_table, one_page, show_table
from ui.common.markdown import Markdown, plain_label, plain_text
from ui.common.metrics import images_text
from ui.evaluation.mapped_images import image_paths
from ui.evaluation.predictions import show_predictions

if TYPE_CHECKING:
    import plotly.graph_objects as go

_IMAGES_A_PAGE = 12
_WITHOUT_MOUSE = "The same images as by a click into the figure, for those who use no mouse; a click goes first."


def show_errors(metrics: Metrics, predictions: pd.DataFrame, curves: Mapping[str, Curve], folder: Path) -> None:
    """Let the user click into a figure, or choose below it, and show the images behind; then the weakest slices."""
    st.caption("Click a cell, a point of a curve or a bar, or choose one below, to see the images behind it.")
    figure_of = st.segmented_control(
        "Pick from", ["Confusion matrix", "ROC", "Reliability"], default="Confusion matrix",
        required=True,
        help="Which figure to click into.",
    )  # fmt: skip
    rows, sentence = _picked(figure_of or "Confusion matrix", metrics, predictions, curves)
    st.header(sentence)
    if len(rows):
        held = image_paths(rows).notna()
        order = rows.assign(_held=held).sort_values(["_held", "confidence"], ascending=False)
        page = one_page(order.drop(columns="_held"), _IMAGES_A_PAGE, f"errors_{sentence}")
        show_predictions(page, folder, "errors")
    _show_slices(predictions, metrics["accuracy"])


def _picked(
    figure_of: str, metrics: Metrics, predictions: pd.DataFrame, curves: Mapping[str, Curve]
) -> tuple[pd.DataFrame, Markdown]:
    """Return the rows behind what was clicked or, without a mouse, chosen below the figure; and their heading."""
    if figure_of == "ROC" and curves:
        clicked = _clicked(roc_figure(curves, clickable=True), "pick_roc")
        class_threshold = clicked or _choose_threshold(metrics["classes"])
        if class_threshold:
            name, threshold = class_threshold
            heading = f"Missed {plain_label(name)} and false alarms at a threshold of {threshold:.3f}"
            return misjudged_rows(predictions, name, threshold), heading
    elif figure_of == "Reliability":
        bins = reliability_bins(predictions["right"], predictions["confidence"])
        clicked = _clicked(reliability_figure(bins, "Reliability diagram"), "pick_reliability")
        row = clicked or _choose_bin(bins)
        if row:
            low, high = (float(bins[end].loc[int(row[0])]) for end in ("low", "high"))
            rows = predictions[in_confidence_bin(predictions["confidence"], low, high)]
            return rows, f"Confidence between {percent(low, 0)} and {percent(high, 0)}"
    else:
        clicked = _clicked(confusion_figure(metrics), "pick_confusion")
        cell = clicked or _choose_cell(metrics)
        if cell:
            true, predicted = cell
            rows = confused_rows(predictions, true, predicted)
            return rows, f"True {plain_label(true)}, predicted {plain_label(predicted)}: {images_text(len(rows))}"
    wrong = predictions[~predictions["right"].astype(bool)]
    return wrong, f"Misclassified: {len(wrong):,} of {images_text(len(predictions))}"


def _clicked(figure: "go.Figure", key: str) -> list[Any] | None:
    """Show a figure and return the `customdata` of the point that was clicked, or None."""
    event = st.plotly_chart(
        figure,
        width="stretch",
        key=key,
        on_select="rerun",
        selection_mode="points",
        # A click needs no toolbar, which would lie over the title of a narrow page.
        config={"displayModeBar": False},
        alt=figure_words(figure),
    )
    return next((point["customdata"] for point in event.selection.points if "customdata" in point), None)


def _choose_cell(metrics: Metrics) -> tuple[str, str] | None:
    """Let the user choose a cell of the confusion matrix; returns (true class, predicted class)."""
    counts = {
        (true, predicted): count
        for true, row in zip(metrics["classes"], metrics["confusion_matrix"], strict=True)
        for predicted, count in zip(metrics["classes"], row, strict=True)
    }
    return st.selectbox(
        "Or choose a cell", list(counts), index=None, key="choose_cell", placeholder="Choose true and predicted class",
        format_func=lambda cell: f"True {class_label(cell[0])}, predicted {class_label(cell[1])} ({counts[cell]:,})",
        help=_WITHOUT_MOUSE,
    )  # fmt: skip


def _choose_threshold(classes: list[str]) -> tuple[str, float] | None:
    """Let the user choose a point of the ROC curves; returns (class, threshold)."""
    left, right = st.columns(2)
    name = left.selectbox(
        "Or choose a class", classes, index=None, key="choose_class", placeholder="Choose a class",
        format_func=class_label, help=_WITHOUT_MOUSE,
    )  # fmt: skip
    threshold = right.number_input(
        "at a threshold of", 0.0, 1.0, 0.5, 0.05, key="choose_threshold",
        help="From this probability of the class on, an image is called it.",
    )  # fmt: skip
    return None if name is None else (name, threshold)


def _choose_bin(bins: pd.DataFrame) -> list[int] | None:
    """Let the user choose a bar of the reliability diagram; returns its number in a list, as the figure holds it."""
    chosen = st.selectbox(
        "Or choose a range of confidence", bins.index.tolist(), index=None, key="choose_bin",
        placeholder="Choose a range",
        format_func=lambda i: (
            f"{percent(bins['low'][i], 0)} to {percent(bins['high'][i], 0)} ({images_text(bins['images'][i])})"
        ),
        help=_WITHOUT_MOUSE,
    )  # fmt: skip
    return None if chosen is None else [chosen]


def _show_slices(predictions: pd.DataFrame, accuracy: float) -> None:
    st.header("Slices", help="Accuracy by file properties: where it is lowest, and whether that could be chance.")
    table = _slices(predictions.drop(columns=[c for c in predictions.columns if c.startswith("p_")]))
    if table.empty:
        st.info("All images have the same source, size and format, so there are no slices.")
        return
    worst = worst_slice(table, accuracy)
    if worst:
        st.warning(plain_text(worst), icon=":material/trending_down:")
    else:
        st.success("No slice of at least 10 images is clearly below the overall accuracy.", icon=":material/check:")
    show_table(
        named_sources(table).replace({"by": SLICES}),
        percents=("accuracy",),
    )
    download_table("Slices (CSV)", table, "slices.csv")


# Of each visit its own: these may be predictions on a visitor's data set.
@st.cache_data(scope="session", max_entries=8, show_spinner="Reading file properties…")
def _slices(predictions: pd.DataFrame) -> pd.DataFrame:
    return slice_table(predictions, file_facts(predictions))
