"""Where is the classifier wrong? Click into a figure to see the images behind it; then its weakest slices."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from cxr_core.evaluation.calibration import in_confidence_bin, reliability_bins
from cxr_core.evaluation.metrics import Curve, Metrics
from cxr_core.evaluation.predictions import confused_rows, misjudged_rows
from cxr_core.evaluation.slices import SLICES, file_facts, slice_table, worst_slice
from cxr_core.plots.evaluation import confusion_figure, reliability_figure, roc_figure
from cxr_core.plots.style import figure_words
from ui.common.components import download_table, one_page, show_table
from ui.common.markdown import Markdown, plain_label, plain_text
from ui.common.metrics import images_text
from ui.evaluation.mapped_images import image_paths
from ui.evaluation.predictions import show_predictions

if TYPE_CHECKING:
    import plotly.graph_objects as go

_IMAGES_A_PAGE = 12


def show_errors(metrics: Metrics, predictions: pd.DataFrame, curves: Mapping[str, Curve], folder: Path) -> None:
    """Let the user click into a figure and show the images behind it; then the weakest slices."""
    st.caption("Click a cell, a point of a curve or a bar to see the images behind it below.")
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
    """Return the rows behind what was clicked, and a heading that names them."""
    if figure_of == "ROC" and curves:
        point = _clicked(roc_figure(curves, clickable=True), "pick_roc")
        if point:
            name, threshold = point
            heading = f"Missed {plain_label(name)} and false alarms at a threshold of {threshold:.3f}"
            return misjudged_rows(predictions, name, threshold), heading
    elif figure_of == "Reliability":
        bins = reliability_bins(predictions["right"], predictions["confidence"])
        point = _clicked(reliability_figure(bins, "Reliability diagram"), "pick_reliability")
        if point:
            low, high = (float(bins[end].loc[int(point[0])]) for end in ("low", "high"))
            rows = predictions[in_confidence_bin(predictions["confidence"], low, high)]
            return rows, f"Confidence between {low:.0%} and {high:.0%}"
    else:
        point = _clicked(confusion_figure(metrics), "pick_confusion")
        if point:
            true, predicted = point
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
        config={"displaylogo": False},
        alt=figure_words(figure),
    )
    return next((point["customdata"] for point in event.selection.points if "customdata" in point), None)


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
        table.assign(by=table["by"].map(SLICES)).rename(columns={"low": "95 % from", "high": "95 % to"}),
        percents=("accuracy", "95 % from", "95 % to"),
    )
    download_table("Slices (CSV)", table, "slices.csv")


@st.cache_data(max_entries=8, show_spinner="Reading file properties…")
def _slices(predictions: pd.DataFrame) -> pd.DataFrame:
    return slice_table(predictions, file_facts(predictions))
