"""How good a classifier is, how sure that is, and where it is wrong."""

import json

import streamlit as st

from cxr_core.inference.model_card import load_card
from ui.common.components import download_table, offer_download, page_header, show_history
from ui.common.model_picker import choose_model, model_history
from ui.evaluation.confidence import show_confidence
from ui.evaluation.downloads import report_download, report_downloads
from ui.evaluation.errors import show_errors
from ui.evaluation.predictions import choose_predictions
from ui.evaluation.summary import predictions_curves, show_headline, show_summary
from ui.evaluation.threshold import show_threshold

page_header("Evaluation", "How good a classifier is on images it did not learn from, and where it is wrong.")
name, folder = choose_model("The shipped one, or any of your runs that has a model.")
metrics, predictions, title = choose_predictions(folder)
curves = predictions_curves(predictions, metrics["classes"])
show_headline(metrics, curves, title)

view = st.segmented_control(
    "Look at",
    ["Summary", "Confidence", "Threshold", "Errors"],
    default="Summary",
    help="Summary: all figures. Confidence: calibration and abstention. Threshold: one class against the rest. "
    "Errors: the images behind the figures.",
)
if view == "Confidence":
    show_confidence(metrics, predictions, folder)
elif view == "Threshold":
    show_threshold(metrics, predictions, curves, folder)
elif view == "Errors":
    show_errors(metrics, predictions, curves, folder)
else:
    show_summary(metrics, predictions, curves, folder)
    history = model_history(folder)
    if len(history):
        st.subheader("Learning history")
        show_history(history)

st.subheader("Take it with you")
left, middle, right = st.columns(3)
with left:
    download_table("Every prediction", predictions.drop(columns="path", errors="ignore"), "predictions.csv")
with middle:
    report_download(metrics)
with right:
    offer_download(
        "All figures as JSON",
        json.dumps(metrics, indent=2),
        "metrics.json",
        "application/json",
        help="The same keys as the evaluate command gives.",
    )
report_downloads(folder)
with st.expander("How this classifier was made"):
    st.json(load_card(folder).training, expanded=1)
