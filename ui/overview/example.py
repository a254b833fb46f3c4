"""What does an answer look like? One radiograph that the built-in classifier answers, and what drove the answer."""

import streamlit as st

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.imaging.display import display_rgb, jpeg_bytes, shrink
from cxr_core.imaging.lung_segmentation import draw_outline
from cxr_core.inference.selective_prediction import answer_upload
from cxr_core.system.text import percent
from ui.common.markdown import Markdown, plain_label, plain_name
from ui.common.model_picker import export_stamp, open_classifier
from ui.common.navigation import choose
from ui.common.thumbnails import examples

_SIDE = 512
_EXAMPLE = "Clear answer"


def show_example() -> None:
    """Show one example of Predict with its answer, its lungs and its map; nothing where the teaching set is damaged."""
    example = examples().get(_EXAMPLE)
    if example is None:
        return
    plain, mapped, words = _answered(export_stamp(SHIPPED_MODEL_DIR), example.path.stat().st_mtime_ns)
    scan, map_, told = st.columns([1, 1, 1.2], gap="medium", vertical_alignment="center")
    scan.image(plain, alt="A chest radiograph with its lungs outlined", caption="Lungs outlined", width="stretch")
    map_.image(mapped, alt="The same radiograph with its Grad-CAM map", caption="Grad-CAM", width="stretch")
    with told:
        st.markdown(
            f"The built-in classifier answers {words}. The truth is **{plain_label(example.truth)}**, as its "
            "collection says. The map shows what drove the answer, not that it did so for a good reason."
        )
        if st.button("See this answer in full", icon=":material/search:", help="On the page Predict."):
            choose("example", _EXAMPLE)
            st.switch_page("pages/predict.py")
        st.caption(plain_name(example.credit, 200))


@st.cache_data(max_entries=1, show_spinner=False)
def _answered(stamp: tuple[int, ...], mtime_ns: int) -> tuple[bytes, bytes, Markdown]:
    """Return the example with its lungs outlined and with its map, as JPEG, and the answer in words."""
    classifier = open_classifier(SHIPPED_MODEL_DIR)
    answer = answer_upload(classifier, examples()[_EXAMPLE].path.read_bytes())
    label = str(answer.prediction.label)
    image = shrink(display_rgb(answer.prediction.image), _SIDE)
    outlined = draw_outline(image, answer.view.at(image.shape).lungs)
    mapped = shrink(answer.overlay(classifier, label), _SIDE)
    words = f"**{plain_label(label)}** ({percent(answer.prediction.probabilities.max(), 0)})"
    return jpeg_bytes(outlined), jpeg_bytes(mapped), words
