"""What is true of the radiographs that one can try on the Predict page?"""

import streamlit as st

from cxr_core.data.teaching_set import TeachingImage
from ui.common.markdown import plain_label, plain_name


def show_truth(example: TeachingImage) -> None:
    """Say what an example truly shows, and from whom it is."""
    st.info(f"The truth is **{plain_label(example.truth)}**, as its collection says.", icon=":material/fact_check:")
    st.caption(plain_name(example.credit, 200))
