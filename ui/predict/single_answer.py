"""How is one answer shown: the predicted class or why there is none, what to bear in mind, and the Grad-CAM maps?"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypedDict

import streamlit as st

from cxr_core.classes import class_label
from cxr_core.evaluation.headline_metrics import false_alarm_sentence
from cxr_core.explain.cam_methods import CAM_METHODS
from cxr_core.explain.overlay import COLOUR_MAPS, MapUnavailable
from cxr_core.imaging.display import SCREEN_SIDE, display_rgb, png_bytes, shrink
from cxr_core.imaging.lung_segmentation import draw_outline
from cxr_core.imaging.reader import is_dicom
from cxr_core.inference.batch_prediction import safe_stem
from cxr_core.inference.classifier import Classifier
from cxr_core.inference.input_gate import Neighbour
from cxr_core.inference.nearest_images import find_neighbours
from cxr_core.inference.selective_prediction import Answer, answer_upload, operating_sentence
from cxr_core.inference.track_record import confidence_sentence, load_track_record
from cxr_core.plots.prediction import colour_bar_figure, probability_figure
from cxr_core.reporting.scan_report import model_facts, scan_report
from cxr_core.robustness.shortcut_verdict import LEVELS, card_shortcuts
from cxr_core.system.arrays import FloatArray, UInt8Array
from cxr_core.system.text import percent
from ui.common.components import offer_download, plain_error, progress_bars, show_figure
from ui.common.markdown import Markdown, plain_label, plain_text
from ui.common.navigation import keep_choice
from ui.common.permissions import is_open_to_strangers
from ui.common.thumbnails import show_images
from ui.predict.image_viewer import view_image

# Longest side of what is drawn over a radiograph, in pixels.
_DRAWN_SIDE = 1_600


class MapLook(TypedDict):
    """How a map is laid over an image; see `overlay.overlay_map`."""

    alpha: float
    colour_map: str


def choose_maps(classifier: Classifier) -> tuple[str, str, MapLook]:
    """Let the user choose in the sidebar how maps are computed and look; returns (layer, method, look)."""
    explained = "\n".join(f"- **{name}** {method.help}" for name, method in CAM_METHODS.items())
    layers = classifier.card.map_layers
    method = st.sidebar.selectbox(
        "Map", list(CAM_METHODS), key=keep_choice("map", next(iter(CAM_METHODS)), CAM_METHODS), help=explained
    )
    layer = st.sidebar.selectbox(
        "Layer",
        layers,
        key=keep_choice("layer", layers[0], layers),
        help="Layer whose activations make the map. out_relu follows the last convolution; the article uses "
        "block_16_depthwise.",
    )
    alpha = st.sidebar.slider(
        "Opacity of the map",
        0.0,
        1.0,
        step=0.05,
        key=keep_choice("opacity", 0.4),
        help="0 shows only the image, 1 only the map.",
    )
    colour_map = st.sidebar.segmented_control(
        "Colours",
        list(COLOUR_MAPS),
        key=keep_choice("colours", "jet", COLOUR_MAPS),
        required=True,
        help="jet as in the article; inferno is perceptually uniform.",
    )
    return layer, method, MapLook(alpha=alpha, colour_map=colour_map or "jet")


def answer_scan(classifier: Classifier, data: bytes, layer: str, method: str) -> tuple[Answer, Callable[[], Answer]]:
    """Classify one file.

    Args:
        classifier: predicts.
        data: the file.
        layer: as for `selective_prediction.answer_upload`.
        method: of the maps; where it is unavailable, the page says why and shows Grad-CAM instead.

    Returns:
        The answer, and a callable that computes it again. A download holds the callable until it is clicked, and with
        it the file, but no decoded image.

    Raises:
        reader.UnreadableImage: as `selective_prediction.answer_upload`.
    """
    answer = answer_upload(classifier, data, layer, isolated=True)
    maps = (
        None
        if CAM_METHODS[method].maps is None
        else _further_maps(classifier, data, answer.prediction.image_u8, layer, method)
    )

    def with_maps(plain: Answer) -> Answer:
        if maps is None:
            return plain
        return replace(plain, prediction=replace(plain.prediction, maps=maps, map_method=method))

    return with_maps(answer), lambda: with_maps(answer_upload(classifier, data, layer, isolated=True))


def _further_maps(
    classifier: Classifier, data: bytes, image_u8: UInt8Array, layer: str, method: str
) -> FloatArray | None:
    """Return maps, kept until others are asked for; None, with a sentence on the page, where they are unavailable."""
    key = (classifier, hashlib.sha256(data).digest(), layer, method)
    known = st.session_state.get("maps")
    if known is None or known["key"] != key:
        known = {"key": key, "maps": None, "why_not": None}
        with progress_bars() as phase:
            slow = CAM_METHODS[method].progress_text
            report = phase(slow) if slow else None
            try:
                known["maps"] = classifier.further_maps(image_u8, layer, method, progress=report)
            except MapUnavailable as error:
                known["why_not"] = plain_error(error)
        st.session_state["maps"] = known
    if known["why_not"]:
        why_not: Markdown = known["why_not"]
        st.info(f"{why_not} The maps below are Grad-CAM.", icon=":material/info:")
    return known["maps"]


def show_verdict(answer: Answer) -> bool:
    """Show the answer, or why there is none.

    Returns:
        True where the numbers behind the answer are to be shown.
    """
    if answer.status == "ok":
        confidence = float(answer.prediction.probabilities.max())
        st.header(
            f"Prediction: {plain_label(answer.prediction.label)} ({plain_text(answer.in_words)}, {percent(confidence)})"
        )
        return True
    st.header("No answer")
    st.warning(plain_text(" ".join(answer.reasons)), icon=":material/block:")
    return st.toggle(
        "Show the numbers anyway",
        key=keep_choice("numbers_anyway", False),
        help="For experts: what the classifier computed. Do not rely on it.",
    )


def show_scan(answer: Answer, classifier: Classifier, look: MapLook, *, with_map: bool) -> None:
    """Show the radiograph at its full size; a map and the outline of the lungs can be laid over it.

    Args:
        answer: of the image.
        classifier: the one that answered.
        look: how the map looks.
        with_map: whether maps are shown.
    """
    prediction, lungs = answer.prediction, answer.view.lungs
    choices = st.container(horizontal=True, vertical_alignment="bottom")
    with_map = with_map and choices.toggle(
        "Map", key=keep_choice("scan_map", True), help="Lays the map over the radiograph: where the classifier looked."
    )
    outlined = choices.toggle(
        "Lungs", key=keep_choice("scan_lungs", False), help="Outlines the lungs, as a network of their own finds them."
    )
    drawn = None
    if with_map:
        names = prediction.classes
        class_name = choices.selectbox(
            "Map of", names, names.index(prediction.label), format_func=class_label, label_visibility="collapsed",
            width=150, help="The class whose map is shown.",
        )  # fmt: skip
        drawn = shrink(answer.overlay(classifier, class_name, **look), _DRAWN_SIDE)
    if outlined:
        drawn = shrink(display_rgb(prediction.image), _DRAWN_SIDE) if drawn is None else drawn
        drawn = draw_outline(drawn, answer.view.at(drawn.shape).lungs)
    view_image(prediction.image, key="original", drawn=drawn)
    if with_map:
        st.caption(plain_text(answer.lungs_sentence(classifier, class_name)))
    elif outlined and not lungs.found:
        st.caption(f"No lungs found: {plain_text(lungs.reason)} The dashed box is where they would be expected.")


def show_numbers(answer: Answer) -> None:
    """Show the probabilities, with what they are and are not."""
    prediction = answer.prediction
    show_figure(probability_figure(prediction.classes, prediction.probabilities))
    st.caption("The classifier's own scores. They are not the probability that a person has the disease.")


def show_caveats(answer: Answer, classifier: Classifier, folder: Path, *, with_numbers: bool) -> None:
    """Show what to bear in mind: notes on the image, the classifier's record, and what it gets wrong elsewhere.

    Args:
        answer: of one image.
        classifier: the one that answered.
        folder: its model folder, for its track record on its own test images.
        with_numbers: whether the numbers behind the answer are shown.
    """
    for note in answer.notes:
        st.info(plain_text(note), icon=":material/info:")
    card = classifier.card
    shortcuts = card_shortcuts(card)
    record = confidence_sentence(float(answer.prediction.probabilities.max()), load_track_record(folder))
    sentences = [
        *([record, operating_sentence(card, answer.prediction)] if with_numbers else []),
        false_alarm_sentence(card),
        f"Shortcut test: {LEVELS[shortcuts['verdict']['level']]}." if shortcuts else None,
    ]
    for sentence in sentences:
        if sentence:
            st.caption(plain_text(sentence))
    if answer.verdict is None:
        st.caption("This classifier has no input gate: it answers any image, whether a chest radiograph or not.")


def show_maps(answer: Answer, classifier: Classifier, look: MapLook) -> None:
    """Show the maps of all classes side by side."""
    prediction = answer.prediction
    st.markdown(f"**Where the classifier looked** ({plain_text(prediction.map_method)})")
    columns = st.columns(len(prediction.classes))
    for column, class_name, map_ in zip(columns, prediction.classes, prediction.maps, strict=True):
        overlay = answer.overlay(classifier, class_name, **look)
        note = "" if map_.any() else " (no evidence in this image)"
        caption = f"{plain_label(class_name)}{note}"
        column.image(shrink(overlay, SCREEN_SIDE), caption, alt=f"Map of {caption}", width="stretch")
    show_figure(colour_bar_figure(look["colour_map"]))


def offer_downloads(
    name: str,
    data: bytes,
    answer_again: Callable[[], Answer],
    classifier: Classifier,
    *,
    with_numbers: bool,
    look: MapLook,
) -> None:
    """Offer the overlay, where the numbers are shown, and a report.

    Args:
        name: of the file.
        data: the file.
        answer_again: computes the answer again; see `answer_scan`.
        classifier: the one that answered.
        with_numbers: True where probabilities and maps are shown.
        look: how the overlay looks.
    """
    with st.container(horizontal=True):
        if with_numbers:
            _offer_overlay(answer_again, classifier, look, as_dicom=is_dicom(data))
        offer_download(
            "Download a report",
            lambda: _report(name, answer_again(), classifier, with_numbers, look),
            f"{safe_stem(name)}.html",
            "text/html",
            icon=":material/description:",
            help="One page to print or keep: the answer, the reasons, the classifier and its limits.",
        )


def _offer_overlay(
    answer_again: Callable[[], Answer], classifier: Classifier, look: MapLook, *, as_dicom: bool
) -> None:
    """Offer the overlay as PNG; for a DICOM file as DICOM, too."""
    offer_download(
        "Download the overlay",
        lambda: _overlay_bytes(answer_again(), classifier, look),
        "overlay.png",
        "image/png",
        help="Of the predicted class, at the size of the image.",
    )
    if as_dicom:
        offer_download(
            "Download the overlay as DICOM",
            lambda: _dicom_bytes(answer_again(), classifier, look),
            "overlay.dcm",
            "application/dicom",
            icon=":material/radiology:",
            help="A Secondary Capture with a new header: it belongs to no patient and no study. "
            "Burned-in text stays in the image.",
        )


def _report(name: str, answer: Answer, classifier: Classifier, with_numbers: bool, look: MapLook) -> str:
    return scan_report(
        name, answer, classifier, model_facts(classifier), made=_now(), with_numbers=with_numbers, **look
    )


def _overlay_bytes(answer: Answer, classifier: Classifier, look: MapLook) -> bytes:
    return png_bytes(answer.overlay(classifier, answer.prediction.label, **look))


def _dicom_bytes(answer: Answer, classifier: Classifier, look: MapLook) -> bytes:
    # pydicom takes a while to load, and most visitors never need it.
    from cxr_core.reporting.dicom_secondary_capture import overlay_dicom

    return overlay_dicom(answer, classifier, answer.prediction.label, made=_now(), **look)


def _now() -> datetime:
    return datetime.now().astimezone()


def show_neighbours(answer: Answer, classifier: Classifier) -> None:
    """Show the training images nearest by the network's features; where they are not on this computer, their classes.

    A classifier never includes them, since their licences may forbid it; whoever trained it has them.
    """
    if not answer.neighbours:
        return
    st.markdown("**Nearest training images**")
    words = [f"{plain_label(n.class_name)} ({n.similarity:.2f})" for n in answer.neighbours]
    scale = "1 means the same image, 0 nothing in common"
    withheld = is_open_to_strangers()
    paths = [] if withheld else _paths_of(classifier, answer.neighbours)
    found = [(path, word) for path, word in zip(paths, words, strict=False) if path]
    if found:
        show_images(*zip(*found, strict=True))
        missing = len(words) - len(found)
        st.caption(f"With class and similarity: {scale}." + (f" {missing} more could not be found." if missing else ""))
        return
    st.caption(
        f"Nearest first, with class and similarity: {', '.join(words)}. {scale}. The images are not included with the "
        "classifier" + ("." if withheld else "; open its data set on the Dataset page to see them here.")
    )


def _paths_of(classifier: Classifier, neighbours: Sequence[Neighbour]) -> list[Path | None]:
    """Look for neighbours in the run's own folders, and in the data set that is open in this visit."""
    roots, listed = tuple(classifier.card.training.get("roots", ())), {}
    opened = st.session_state.get("dataset")
    if opened:
        rows = opened.table[opened.table["digest"].isin([n.digest for n in neighbours])]
        roots, listed = (*roots, *opened.roots), dict(zip(rows["digest"], rows["path"], strict=True))
    return _neighbour_paths(classifier, neighbours, roots, listed)


# A file may change or go meanwhile, so nothing is remembered for long. Of each visit its own: paths of its data set.
@st.cache_data(
    scope="session",
    max_entries=100,
    ttl=60,
    show_spinner=False,
    hash_funcs={Classifier: lambda c: str(c.path), Neighbour: repr},
)
def _neighbour_paths(
    classifier: Classifier, neighbours: Sequence[Neighbour], roots: tuple[str, ...], listed: dict[str, str]
) -> list[Path | None]:
    return find_neighbours(classifier, neighbours, roots, listed)
