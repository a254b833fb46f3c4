"""What is CXR Lab, what can its built-in classifier do and not do, and where does one begin?"""

import streamlit as st

from ui.common.components import page_header, research_notice
from ui.common.metrics import show_figures_row
from ui.common.model_picker import shipped_card, shipped_figures
from ui.overview.tour import show_tour

page_header(
    "CXR Lab",
    "Train, evaluate and stress-test classifiers of chest radiographs: Normal, COVID-19, viral pneumonia, "
    "or classes of your own.",
)
research_notice()

st.subheader("The built-in classifier", help="Trained with this code; see its model card below.")
show_figures_row(shipped_figures())
st.markdown(
    "High scores on its own test set say little about patients from other hospitals: the classes differ in hospital, "
    "age and file history, and a classifier can read those instead of the lungs. Results on images from elsewhere are "
    "therefore shown next to them."
)

st.subheader("Where to go")
steps = (
    ("pages/dataset.py", "Dataset", "What is in the images, and how the classes differ in ways unrelated to disease."),
    (
        "pages/duplicates.py",
        "Duplicates",
        "Find copies of the same radiograph; then check image quality and see all images on a map.",
    ),
    ("pages/splits.py", "Splits", "Training, validation and test images, and what a careless split would leak."),
    ("pages/preprocessing.py", "Preprocessing", "What the classifier sees: adjust every option and see the result."),
    ("pages/training.py", "Training", "Start, monitor, stop and resume training, and compare runs."),
    (
        "pages/evaluation.py",
        "Evaluation",
        "How good a classifier is, how well its confidence is calibrated, and where it is wrong.",
    ),
    (
        "pages/shortcuts.py",
        "Shortcuts",
        "Does the classifier need the lungs? It is tested again with the lungs hidden.",
    ),
    ("pages/predict.py", "Predict", "Classify one scan or many, and see which regions drove the answer."),
)
for start in (0, 4):
    for column, (page, label, text) in zip(st.columns(4), steps[start : start + 4], strict=True):
        with column.container(border=True, height="stretch"):
            st.page_link(page, label=f"**{label}**", icon=":material/arrow_forward:")
            st.caption(text)

show_tour()

with st.expander("Model card of the built-in classifier"):
    st.markdown(shipped_card())
