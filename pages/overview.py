"""What is CXR Lab, what can its built-in classifier do and not do, and where does one begin?"""

import streamlit as st

from ui.common.components import page_header, research_notice
from ui.common.metrics import show_figures_row
from ui.common.model_picker import shipped_card, shipped_figures
from ui.overview.example import show_example
from ui.overview.first_steps import offer_starts, show_path, show_shipped_verdict
from ui.overview.tour import show_tour

page_header(
    "CXR Lab",
    "Train, evaluate and stress-test classifiers of chest radiographs: Normal, COVID-19, viral pneumonia, "
    "or classes of your own.",
)
research_notice()
offer_starts()
show_example()

st.header("The built-in classifier", help="Trained with this code; see its model card below.")
show_figures_row(shipped_figures())
show_shipped_verdict()
st.markdown(
    "High scores on its own test set say little about patients from other hospitals: the classes differ in hospital, "
    "age and file history, and a classifier can read those instead of the lungs. Results on images from elsewhere are "
    "therefore shown next to them."
)

show_path()

show_tour()

with st.expander("Model card of the built-in classifier"):
    st.markdown(shipped_card())
