"""With what can a newcomer begin, and in which order do the pages follow each other?"""

import streamlit as st

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.evaluation.headline_metrics import calibration_sentence
from cxr_core.inference.model_card import load_card
from cxr_core.robustness.shortcut_verdict import LEVELS, card_shortcuts, load_shortcut_result, maps_sentence
from ui.common.markdown import plain_text
from ui.common.navigation import choose
from ui.common.permissions import may

_STARTS = (
    ("Try a scan", "pages/predict.py", ":material/search:", "Upload a chest radiograph, or choose an example."),
    ("Look at a data set", "pages/dataset.py", ":material/photo_library:", "The teaching set, or images of your own."),
    (
        "Train your own in a minute",
        "pages/training.py",
        ":material/model_training:",
        "The quick recipe on the teaching set takes about a minute.",
    ),
)
_PATH = (
    ("dataset", "Dataset", "What is in the images, and how the classes differ in ways unrelated to disease."),
    (
        "duplicates",
        "Duplicates",
        "Find copies of the same radiograph; then check image quality and see all images on a map.",
    ),
    ("labels", "Labels", "Images whose label looks wrong: keep it, correct it, or leave the image out."),
    ("splits", "Splits", "Training, validation and test images, and what a careless split would leak."),
    ("preprocessing", "Preprocessing", "What the classifier sees: adjust every option and see the result."),
    ("training", "Training", "Start, monitor, stop and resume training, and compare runs."),
    (
        "evaluation",
        "Evaluation",
        "How good a classifier is, how well its confidence is calibrated, and where it is wrong.",
    ),
    ("shortcuts", "Shortcuts", "Does the classifier need the lungs? It is tested again with the lungs hidden."),
    ("hospital", "Your hospital", "Try a classifier on 30 images or more of a hospital that it has not seen."),
    ("predict", "Predict", "Classify one scan or many, and see which regions drove the answer."),
    ("reading", "Reading", "Read radiographs yourself, then compare with the labels and the classifier."),
)
_IN_A_ROW = 4


def offer_starts() -> None:
    """Offer ways to begin, each with one click: three, and one's own images."""
    with st.container(horizontal=True):
        for i, (label, page, icon, words) in enumerate(_STARTS):
            if st.button(label, icon=icon, help=words, type="primary" if i == 0 else "secondary"):
                st.switch_page(page)
        if st.button(
            "Open your own images", icon=":material/folder_open:", help="A folder of this computer, or a ZIP file."
        ):
            choose("source", "folder" if may("folders") else "zip")
            st.switch_page("pages/dataset.py")


def show_shipped_verdict() -> None:
    """Show what the shortcut test, its calibration and the test of its maps say of the built-in classifier."""
    card = load_card(SHIPPED_MODEL_DIR)
    summary = card_shortcuts(card)
    if summary:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**Shortcut test: {LEVELS[summary['verdict']['level']]}.**", width="content")
            st.page_link("pages/shortcuts.py", label="Why", icon=":material/troubleshoot:")
    result = load_shortcut_result(SHIPPED_MODEL_DIR)
    told = [calibration_sentence(card), maps_sentence(result["maps"]) if result else None]
    st.markdown(plain_text(" ".join(sentence for sentence in told if sentence)))


def show_path() -> None:
    """Show the pages in the order in which a study goes through them."""
    st.header("The path through the pages")
    for start in range(0, len(_PATH), _IN_A_ROW):
        steps = enumerate(_PATH[start : start + _IN_A_ROW], start=start + 1)
        for column, (number, (page, label, words)) in zip(st.columns(_IN_A_ROW), steps, strict=False):
            with column.container(border=True, height="stretch"):
                st.page_link(f"pages/{page}.py", label=f"**{number}. {label}**", icon=":material/arrow_forward:")
                st.caption(plain_text(words))
