"""Which radiographs can one try on the Predict page, and what is true of them?"""

import streamlit as st

from cxr_core.data.teaching_set import TeachingImage, example_images
from ui.common.markdown import plain_label, plain_name
from ui.common.thumbnails import known_teaching_images


def examples() -> dict[str, TeachingImage]:
    """Return {what the built-in classifier answers: an image}; empty where the teaching set cannot be read."""
    return example_images(known_teaching_images().values())


def show_truth(example: TeachingImage) -> None:
    """Say what an example truly shows, and from whom it is."""
    st.info(f"The truth is **{plain_label(example.truth)}**, as its collection says.", icon=":material/fact_check:")
    st.caption(plain_name(example.credit, 200))
