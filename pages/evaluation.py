"""How good is a classifier, how certain is that, and where is it wrong?"""

import json

import streamlit as st

from ui.common.components import download_table, offer_download, offer_report, page_header, show_history
from ui.common.model_picker import choose_model, model_history
from ui.common.navigation import keep_choice
from ui.evaluation.confidence import show_confidence
from ui.evaluation.downloads import report_download, report_downloads, show_training
from ui.evaluation.errors import show_errors
from ui.evaluation.predictions import choose_predictions
from ui.evaluation.summary import predictions_curves, show_headline, show_summary
from ui.evaluation.threshold import show_threshold

VIEWS = ("Summary", "Confidence", "Threshold", "Errors")
page_header("Evaluation", "How good a classifier is on images that it was not trained on, and where it is wrong.")
folder = choose_model()
metrics, predictions, title = choose_predictions(folder)
curves = predictions_curves(predictions, metrics["classes"])
show_headline(metrics, curves, title)

with st.container(horizontal=True, vertical_alignment="bottom"):
    view = st.segmented_control(
        "View",
        VIEWS,
        key=keep_choice("view", VIEWS[0], VIEWS),
        required=True,
        help="Summary: all metrics. Confidence: calibration and abstention. Threshold: one class against the rest. "
        "Errors: the images behind the plots.",
    )
    offer_report(folder, "Report (HTML)")
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
        st.header("Training history")
        show_history(history)

st.header("Downloads")
left, middle, right = st.columns(3)
with left:
    download_table("Predictions (CSV)", predictions.drop(columns="path", errors="ignore"), "predictions.csv")
with middle:
    report_download(metrics)
with right:
    offer_download(
        "Metrics (JSON)",
        json.dumps(metrics, indent=2),
        "metrics.json",
        "application/json",
        help="With the same keys as the output of the evaluate command.",
    )
report_downloads(folder)
with st.expander("How this classifier was trained"):
    show_training(folder)
