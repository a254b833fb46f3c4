"""The error browser of the Evaluation page: click into a figure, see the images behind it; the weakest slices."""

from pathlib import Path

import streamlit as st

from cxr_core.classes import class_label
from cxr_core.evaluation.calibration import bin_numbers, reliability_bins
from cxr_core.evaluation.slices import SLICES, file_facts, slice_table, worst_slice
from cxr_core.explain.overlay import overlay_map
from cxr_core.imaging.display import shrink
from cxr_core.imaging.reader import UnreadableImage
from cxr_core.plots.evaluation import confusion_figure, reliability_figure, roc_figure
from ui.common.components import download_table, one_page
from ui.common.markdown import plain_name
from ui.common.model_picker import open_classifier
from ui.evaluation.predictions import show_predictions

_IMAGES_A_PAGE = 12
_OVERLAY_SIDE = 224


def show_errors(metrics, predictions, curves, folder):
    """Let the user click into a figure and show the images behind it; then the weakest slices."""
    st.caption("Click a cell, a point of a curve or a bar: the images behind it appear below.")
    figure_of = st.segmented_control(
        "Pick from", ["Confusion matrix", "ROC", "Reliability"], default="Confusion matrix",
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


def _picked(figure_of, metrics, predictions, curves):
    """Return the rows behind what was clicked, and a sentence that names them."""
    wrong = predictions[~predictions["right"].astype(bool)]
    if figure_of == "ROC" and curves:
        points = _clicked(roc_figure(curves, clickable=True), "pick_roc")
        if points:
            name, threshold = points[0]
            is_class, alarm = predictions["true"] == name, predictions[f"p_{name}"] >= threshold
            label = class_label(name)
            return predictions[is_class != alarm], f"Missed or falsely called {label} from {threshold:.3f} on"
    elif figure_of == "Reliability":
        bins = reliability_bins(predictions["right"], predictions["confidence"])
        points = _clicked(reliability_figure(bins, "Reliability"), "pick_reliability")
        if points:
            low, high = bins.loc[int(points[0][0]), ["low", "high"]]
            inside = bin_numbers(predictions["confidence"]) == bin_numbers([(low + high) / 2])[0]
            return predictions[inside], f"Sure to {low:.0%} – {high:.0%}"
    else:
        points = _clicked(confusion_figure(metrics), "pick_confusion")
        if points:
            true, called = points[0]
            chosen = (predictions["true"] == true) & (predictions["predicted"] == called)
            return predictions[chosen], f"{class_label(true)}, called {class_label(called)}: {chosen.sum()} images"
    return wrong, f"All mistakes: {len(wrong)} of {len(predictions)} images"


def _clicked(figure, key):
    event = st.plotly_chart(
        figure, width="stretch", key=key, on_select="rerun", selection_mode="points", config={"displaylogo": False}
    )
    return [point["customdata"] for point in event.selection.points if "customdata" in point]


def _show_with_maps(rows, classes, folder):
    """Show images with Grad-CAM of the answer, its probabilities and what the file tells."""
    open_classifier(folder)
    facts = file_facts(rows)
    with st.container(horizontal=True, gap="small"):
        for (index, row), fact in zip(rows.iterrows(), facts.to_dict("records"), strict=True):
            with st.container(width=230, height="stretch", border=True, key=f"error_{index}"):
                path = Path(row["path"])
                image = _overlay(str(folder), str(path), path.stat().st_mtime_ns if path.exists() else 0)
                if image is None:
                    st.caption("The file is gone.")
                else:
                    st.image(image, width="stretch")
                mark = ":material/check: right" if row["right"] else ":material/close: **wrong**"
                st.markdown(f"{mark}: is {class_label(row['true'])}, called {class_label(row['predicted'])}")
                st.caption("  \n".join(f"{class_label(c)} {row[f'p_{c}']:.1%}" for c in classes))
                size = f"{fact['width']:.0f} × {fact['height']:.0f} {fact['format']}, " if fact.get("format") else ""
                st.caption(f"{size}{plain_name(row['file'], 46)}")
    st.caption("Over each image: where the classifier looked for the class it answered (Grad-CAM, jet: red is most).")


@st.cache_data(max_entries=300, show_spinner=False)
def _overlay(folder, path, mtime_ns):
    """Return an image with the map of its answer, uint8 (h, w, 3) RGB, or None where the file is gone or broken."""
    classifier = open_classifier(Path(folder))
    try:
        prediction = classifier.predict_image(Path(path).read_bytes())
    except (UnreadableImage, OSError):
        return None
    map_ = prediction.maps[prediction.classes.index(prediction.label)]
    image = shrink(prediction.image, _OVERLAY_SIDE)
    return overlay_map(image, classifier.card.preprocessing.map_on_image(map_, image.shape))


def _show_slices(predictions, accuracy):
    st.subheader("Slices", help="Accuracy by what the files tell: where it is weakest, and whether by chance.")
    table = _slices(predictions.drop(columns=[c for c in predictions if c.startswith("p_")]))
    if table.empty:
        st.info("All images are alike in source, size and format: there is nothing to slice by.")
        return
    worst = worst_slice(table, accuracy)
    if worst:
        st.warning(worst, icon=":material/trending_down:")
    else:
        st.success("No slice of at least 10 images is clearly weaker than the whole.", icon=":material/check:")
    percent = st.column_config.NumberColumn(format="percent")
    st.dataframe(
        table.assign(by=table["by"].map(SLICES)).rename(columns={"low": "95 % from", "high": "95 % to"}),
        width="stretch", hide_index=True,
        column_config=dict.fromkeys(("accuracy", "95 % from", "95 % to"), percent),
    )  # fmt: skip
    download_table("Download the slices", table, "slices.csv")


@st.cache_data(max_entries=8, show_spinner="Reading what the files tell…")
def _slices(predictions):
    return slice_table(predictions, file_facts(predictions))
