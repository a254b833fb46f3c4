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
from cxr_core.evaluation.slices import SLICES, file_facts, slice_table, worst_slice
from cxr_core.explain.overlay import overlay_map
from cxr_core.imaging.display import shrink
from cxr_core.imaging.reader import UnreadableImage
from cxr_core.plots.evaluation import confusion_figure, reliability_figure, roc_figure
from cxr_core.plots.style import figure_words
from cxr_core.system.arrays import UInt8Array
from ui.common.components import download_table, one_page, show_table
from ui.common.markdown import plain_name
from ui.common.metrics import images_text
from ui.common.model_picker import export_stamp, open_classifier
from ui.common.thumbnails import prediction_caption
from ui.evaluation.predictions import show_predictions

if TYPE_CHECKING:
    import plotly.graph_objects as go

_IMAGES_A_PAGE = 12
_OVERLAY_SIDE = 224


def show_errors(metrics: Metrics, predictions: pd.DataFrame, curves: Mapping[str, Curve], folder: Path) -> None:
    """Let the user click into a figure and show the images behind it; then the weakest slices."""
    st.caption("Click a cell, a point of a curve or a bar to see the images behind it below.")
    figure_of = st.segmented_control(
        "Pick from", ["Confusion matrix", "ROC", "Reliability"], default="Confusion matrix",
        required=True,
        help="Which figure to click into.",
    )  # fmt: skip
    rows, sentence = _picked(figure_of or "Confusion matrix", metrics, predictions, curves)
    st.subheader(sentence)
    if len(rows):
        page = one_page(rows.sort_values("confidence", ascending=False), _IMAGES_A_PAGE, f"errors_{sentence}")
        if "path" in rows and rows["path"].map(lambda p: Path(p).exists()).any():
            _show_with_maps(page, metrics["classes"], folder)
        else:
            show_predictions(page.drop(columns="path", errors="ignore"))
    _show_slices(predictions, metrics["accuracy"])


def _picked(
    figure_of: str, metrics: Metrics, predictions: pd.DataFrame, curves: Mapping[str, Curve]
) -> tuple[pd.DataFrame, str]:
    """Return the rows behind what was clicked, and a heading that names them."""
    if figure_of == "ROC" and curves:
        point = _clicked(roc_figure(curves, clickable=True), "pick_roc")
        if point:
            name, threshold = point
            heading = f"Missed {class_label(name)} and false alarms at a threshold of {threshold:.3f}"
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
            return rows, f"True {class_label(true)}, predicted {class_label(predicted)}: {images_text(len(rows))}"
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


def _show_with_maps(rows: pd.DataFrame, classes: list[str], folder: Path) -> None:
    """Show images with Grad-CAM of the predicted class, the probabilities, and what is known of the file."""
    open_classifier(folder)
    facts, stamp = file_facts(rows), export_stamp(folder)
    with st.container(horizontal=True, gap="small"):
        for (index, row), fact in zip(rows.iterrows(), facts.to_dict("records"), strict=True):
            with st.container(width=230, height="stretch", border=True, key=f"error_{index}"):
                path = Path(row["path"])
                image = _overlay(str(folder), stamp, str(path), path.stat().st_mtime_ns if path.exists() else 0)
                if image is None:
                    st.caption("File not found.")
                else:
                    st.image(image, alt=f"Grad-CAM of {row['file']}", width="stretch")
                st.markdown(prediction_caption(row["predicted"], row["true"], row["confidence"]))
                st.caption("  \n".join(f"{class_label(c)} {row[f'p_{c}']:.1%}" for c in classes))
                size = f"{fact['width']:.0f} × {fact['height']:.0f} {fact['format']}, " if fact.get("format") else ""
                st.caption(f"{size}{plain_name(row['file'], 46)}")
    st.caption("Overlay: Grad-CAM of the predicted class (jet; red marks the strongest evidence).")


@st.cache_data(max_entries=300, show_spinner=False)
def _overlay(folder: str, stamp: tuple[int, ...], path: str, mtime_ns: int) -> UInt8Array | None:
    """Return an image with Grad-CAM of its predicted class, uint8 (h, w, 3) RGB; None if it is missing or broken."""
    classifier = open_classifier(Path(folder))
    try:
        prediction = classifier.predict_image(Path(path).read_bytes())
    except (UnreadableImage, OSError):
        return None
    map_ = prediction.maps[prediction.classes.index(prediction.label)]
    image = shrink(prediction.image, _OVERLAY_SIDE)
    return overlay_map(image, classifier.map_on_image(map_, image.shape))


def _show_slices(predictions: pd.DataFrame, accuracy: float) -> None:
    st.subheader("Slices", help="Accuracy by file properties: where it is lowest, and whether that could be chance.")
    table = _slices(predictions.drop(columns=[c for c in predictions.columns if c.startswith("p_")]))
    if table.empty:
        st.info("All images have the same source, size and format, so there are no slices.")
        return
    worst = worst_slice(table, accuracy)
    if worst:
        st.warning(worst, icon=":material/trending_down:")
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
