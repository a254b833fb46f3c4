"""How well does a person read the same radiographs as the classifier?"""

import streamlit as st

from cxr_core.evaluation.scoring import classify_table
from ui.common.components import page_header, plain_error, progress_bar, research_notice
from ui.common.dataset_picker import choose_dataset, credit_images
from ui.common.model_picker import choose_model, open_classifier
from ui.evaluation.mapped_images import show_with_maps
from ui.reading.answer import ask_answer
from ui.reading.results import answers_text, show_results
from ui.reading.study import ask_study, forget_study, open_study

page_header("Reading", "Read radiographs yourself, then compare with the labels and the classifier.")
dataset = choose_dataset()
folder = choose_model()
study = open_study(dataset)
if study is None:
    st.markdown(
        "You see one image after the other without its label, choose a class and say how sure you are. At the end "
        "stand your sensitivity and specificity beside the classifier's, with every image and its map."
    )
    ask_study(dataset)
    st.stop()
reader = study.reader
if reader is not None:
    ask_answer(study, reader)
    if st.button("Begin anew", help="Forgets all answers."):
        forget_study()
        st.rerun()
    credit_images(dataset)
    st.stop()

research_notice()
try:
    with progress_bar("Classifying") as report:
        predictions = classify_table(open_classifier(folder), study.cases, progress=lambda _phase: report)
except ValueError as error:
    st.error(f"{plain_error(error)} Choose another classifier in the sidebar.")
    st.stop()
if len(predictions) < len(study.cases):
    st.error("Images have vanished since they were read; begin anew.")
    forget_study()
    st.stop()
st.header("How well you read")
show_results(study, predictions)
if st.button("Read others", help="Forgets these answers; download them first if you want to keep them."):
    forget_study()
    st.rerun()
st.header("Every image, with the classifier's answer and map")
for number in range(len(predictions)):
    st.caption(answers_text(study, number))
    case = predictions.iloc[[number]]
    show_with_maps(case, case["path"], folder, f"read_{number}")
