"""What CXR Lab is, what its classifier can and cannot do, and where to go."""

import streamlit as st

from ui.common.components import page_header, research_notice
from ui.common.metrics import show_figures_row
from ui.common.model_picker import shipped_card, shipped_figures

page_header(
    "CXR Lab",
    "Train, judge and question classifiers of chest radiographs: Normal, COVID-19, viral pneumonia, "
    "or any classes of your own.",
)
research_notice()

st.subheader("The classifier that comes with it", help="Trained by this very code; see the card below.")
show_figures_row(shipped_figures())
st.markdown(
    "High figures on its own test split say little about patients from elsewhere: the classes come from different "
    "hospitals, ages and file histories, and a classifier can read those instead of lungs. "
    "That is why figures from other hospitals stand beside it."
)

st.subheader("Where to go")
steps = (
    ("pages/dataset.py", "Dataset", "What is in the images, and how the classes differ in ways that are no disease."),
    ("pages/duplicates.py", "Duplicates", "Copies of one radiograph; then quality and a map of all images."),
    ("pages/splits.py", "Splits", "Which images teach and test, and what a careless split would leak."),
    ("pages/preprocessing.py", "Preprocessing", "What the classifier sees, with every option live."),
    ("pages/training.py", "Training", "Start a training, watch it, stop and resume it, compare runs."),
    ("pages/evaluation.py", "Evaluation", "How good a classifier is, how sure, and where it is wrong."),
    ("pages/shortcuts.py", "Shortcuts", "Whether it needs the lungs: it is asked again with them hidden."),
    ("pages/predict.py", "Predict", "Upload a scan: a prediction, and where the classifier looked."),
)
for start in (0, 4):
    for column, (page, label, text) in zip(st.columns(4), steps[start : start + 4], strict=True):
        with column.container(border=True, height="stretch"):
            st.page_link(page, label=f"**{label}**", icon=":material/arrow_forward:")
            st.caption(text)

with st.expander("The shipped classifier's card"):
    st.markdown(shipped_card())
