"""An answer on a page: the label or why there is none, what to mind, and where the classifier looked."""

import hashlib
from dataclasses import replace
from datetime import datetime

import streamlit as st

from cxr_core.classes import class_label
from cxr_core.explain.overlay import COLOUR_MAPS, MAP_METHODS, MapUnavailable
from cxr_core.imaging.display import SCREEN_SIDE, png_bytes, shrink
from cxr_core.imaging.reader import is_dicom
from cxr_core.inference.batch_prediction import safe_stem
from cxr_core.inference.classifier import Classifier
from cxr_core.inference.input_gate import Neighbour
from cxr_core.inference.nearest_images import find_neighbours
from cxr_core.inference.selective_prediction import answer_upload, operating_sentence
from cxr_core.inference.track_record import confidence_sentence, load_track_record
from cxr_core.plots.prediction import colour_bar_figure, probability_figure
from cxr_core.reporting.scan_report import model_facts, scan_report
from ui.common.components import offer_download, progress_bars, show_figure
from ui.common.permissions import is_open_to_strangers
from ui.common.thumbnails import show_images

_METHOD_HELP = """
- **Grad-CAM** weighs the layer's channels by their mean gradient. At once.
- **Grad-CAM++** weighs every position of a channel, too, so that several spots are not averaged away. At once; only for
  layers whose values are never below zero.
- **Score-CAM** needs no gradient: it covers the image by each channel in turn and asks the network again. Up
  to a thousand passes, several seconds.
"""


def choose_maps(classifier):
    """Let the user choose in the sidebar how maps are made and look; returns (layer, method, look).

    `look` are the keywords alpha and colour_map of `overlay.overlay_map`.
    """
    method = st.sidebar.selectbox("Map", MAP_METHODS, help=_METHOD_HELP)
    layer = st.sidebar.selectbox(
        "Layer",
        classifier.card.map_layers,
        help="Whose activations make the map. out_relu is the last convolution; the article takes block_16_depthwise.",
    )
    alpha = st.sidebar.slider(
        "Strength of the map", 0.0, 1.0, 0.4, 0.05, help="0 shows the image alone, 1 the map alone."
    )
    colour_map = st.sidebar.segmented_control(
        "Colours", list(COLOUR_MAPS), default="jet", help="jet as in the article; inferno is perceptually even."
    )
    return layer, method, {"alpha": alpha, "colour_map": colour_map or "jet"}


def answer_scan(classifier, data, layer, method):
    """Answer one file.

    Args:
        classifier: classifier.Classifier.
        data: bytes of the file.
        layer, method: as for `selective_prediction.answer_upload`. Where the method cannot be had, the page says why and
            Grad-CAM takes its place.

    Returns:
        (answer, answer_again): selective_prediction.Answer, and a callable that returns it again. A download keeps the callable
        until it is clicked, and with it the file's bytes, but no decoded image.

    Raises:
        reader.UnreadableImage: as `selective_prediction.answer_upload`.
    """
    answer = answer_upload(classifier, data, layer)
    maps = None if method == "Grad-CAM" else _further_maps(classifier, data, answer.prediction.image_u8, layer, method)

    def with_maps(plain):
        if maps is None:
            return plain
        return replace(plain, prediction=replace(plain.prediction, maps=maps, map_method=method))

    return with_maps(answer), lambda: with_maps(answer_upload(classifier, data, layer))


def _further_maps(classifier, data, image_u8, layer, method):
    """Return the maps, kept until others are asked for; None, with a sentence on the page, where they cannot be had."""
    key = (classifier, hashlib.sha256(data).digest(), layer, method)
    known = st.session_state.get("maps")
    if known is None or known["key"] != key:
        known = {"key": key, "maps": None, "why_not": None}
        with progress_bars() as phase:
            # Only Score-CAM takes long enough to be waited for.
            report = phase("Covering the image, channel by channel") if method == "Score-CAM" else None
            try:
                known["maps"] = classifier.further_maps(image_u8, layer, method, progress=report)
            except MapUnavailable as error:
                known["why_not"] = str(error)
        st.session_state["maps"] = known
    if known["why_not"]:
        st.info(f"{known['why_not']} The maps below are Grad-CAM.", icon=":material/info:")
    return known["maps"]


def show_verdict(answer, classifier, folder):
    """Show the answer, or why there is none.

    Args:
        answer: selective_prediction.Answer.
        classifier: the classifier.Classifier that answered.
        folder: Path of the model folder, for its record on its own test images.

    Returns:
        bool, whether the numbers behind it are to be shown.
    """
    sure = float(answer.prediction.probabilities.max())
    if answer.status == "ok":
        st.subheader(f"The classifier answers {class_label(answer.label)}: {answer.in_words}, {sure:.1%}")
        wanted = True
    else:
        st.subheader("No answer")
        st.warning(" ".join(answer.reasons), icon=":material/block:")
        wanted = st.toggle(
            "Show the numbers all the same",
            help="For an expert: what the classifier computed. It should not be believed.",
        )
    for note in answer.notes:
        st.info(note, icon=":material/info:")
    record = confidence_sentence(sure, load_track_record(folder))
    for sentence in (record, operating_sentence(classifier.card, answer.prediction)):
        if wanted and sentence:
            st.caption(sentence)
    if answer.verdict is None:
        st.caption("This model has no gate: it answers whatever image it is given, a chest radiograph or not.")
    return wanted


def show_numbers(answer, classifier, look):
    """Show the probabilities, and the map of every class side by side; `look` as for `offer_downloads`."""
    prediction = answer.prediction
    show_figure(probability_figure(prediction.classes, prediction.probabilities))
    st.markdown(f"**Where the classifier looked** ({prediction.map_method})")
    columns = st.columns(len(prediction.classes))
    for column, class_name, map_ in zip(columns, prediction.classes, prediction.maps, strict=True):
        overlay = answer.overlay(classifier, class_name, **look)
        said = "" if map_.any() else " (nothing in this image speaks for it)"
        column.image(shrink(overlay, SCREEN_SIDE), f"for {class_label(class_name)}{said}", width="stretch")
    show_figure(colour_bar_figure(look["colour_map"]))


def offer_downloads(name, data, answer_again, classifier, *, with_numbers, look):
    """Offer what can be kept of an answer: the overlay, where numbers are wanted, and a report.

    Args:
        name, data: str and bytes, the file's.
        answer_again: callable that returns the selective_prediction.Answer.
        classifier: the classifier.Classifier that answered.
        with_numbers: bool, whether probabilities and maps are shown.
        look: dict of alpha and colour_map, as for `overlay.overlay_map`.
    """
    with st.container(horizontal=True):
        if with_numbers:
            offer_download(
                "Download the overlay",
                lambda: _overlay_bytes(answer_again(), classifier, look),
                "overlay.png",
                "image/png",
                help="Of the likeliest class, at the image's own size.",
            )
        if with_numbers and is_dicom(data):
            offer_download(
                "Download the overlay as DICOM",
                lambda: _dicom_bytes(answer_again(), classifier, look),
                "overlay.dcm",
                "application/dicom",
                icon=":material/radiology:",
                help="A Secondary Capture with a new header: it belongs to no patient and no study. Letters in the "
                "image itself stay.",
            )
        offer_download(
            "Download a report",
            lambda: scan_report(
                name,
                answer_again(),
                classifier,
                model_facts(classifier),
                made=_now(),
                with_numbers=with_numbers,
                **look,
            ),
            f"{safe_stem(name)}.html",
            "text/html",
            icon=":material/description:",
            help="One page to print or keep: the answer, why, by which classifier, and its limits.",
        )


def _overlay_bytes(answer, classifier, look):
    return png_bytes(answer.overlay(classifier, answer.prediction.label, **look))


def _dicom_bytes(answer, classifier, look):
    # pydicom takes a while to load, and most visitors never need it.
    from cxr_core.reporting.dicom_secondary_capture import overlay_dicom

    return overlay_dicom(answer, classifier, answer.prediction.label, made=_now(), **look)


def _now():
    return datetime.now().astimezone()


def show_neighbours(answer, classifier):
    """Show the training images that are nearest by the network's features, or their classes where they are not here.

    They never come with a classifier, since their licences may forbid it; who trained it has them.
    """
    if not answer.neighbours:
        return
    st.markdown("**Nearest among the training images**")
    words = [f"{class_label(n.class_name)} ({n.similarity:.2f})" for n in answer.neighbours]
    scale = "1 is the same image, 0 has nothing in common"
    kept = is_open_to_strangers()
    paths = [] if kept else _neighbour_paths(classifier, answer.neighbours, _training_roots(classifier))
    found = [(path, word) for path, word in zip(paths, words, strict=False) if path]
    if found:
        show_images(*zip(*found, strict=True))
        missing = len(words) - len(found)
        st.caption(f"With class and similarity: {scale}." + (f" {missing} more are no longer here." if missing else ""))
        return
    st.caption(
        f"Nearest first, with their class and similarity: {', '.join(words)}. {scale}. The images themselves do not "
        "come with the classifier"
        + ("." if kept else "; they show here once you open its data set on the Dataset page.")
    )


def _training_roots(classifier):
    """Return where training images may lie: the run's own folders, and the data set that is open in this visit."""
    opened = st.session_state.get("dataset")
    return (*classifier.card.training.get("roots", ()), *(opened.roots if opened else ()))


@st.cache_data(max_entries=100, show_spinner=False, hash_funcs={Classifier: lambda c: str(c.path), Neighbour: repr})
def _neighbour_paths(classifier, neighbours, roots):
    return find_neighbours(classifier, neighbours, roots)
