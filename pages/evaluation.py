"""How good a classifier is, and where it is wrong."""

import json

import numpy as np
import streamlit as st

from cxr_core.card import load_card
from cxr_core.config import class_label
from cxr_core.evaluate import most_confident_mistakes, report_table, roc_curves, sample_predictions, table_probabilities
from cxr_core.figures import confusion_figure, roc_figure
from ui.blocks import download_table, page_header, show_figure, show_history
from ui.models import choose_model, model_history
from ui.predictions import choose_predictions, show_predictions

page_header("Evaluation", "How good a classifier is on images it did not learn from, and where it is wrong.")
name, folder = choose_model("The shipped one, or any of your runs that has a model.")
metrics, predictions, title = choose_predictions(folder)
classes = metrics["classes"]
curves = roc_curves(predictions["true"], table_probabilities(predictions, classes), classes)

columns = st.columns(4)
columns[0].metric("Images", f"{metrics['n']:,}", border=True, help=title)
columns[1].metric("Accuracy", f"{metrics['accuracy']:.1%}", border=True, help="Share of images that are called right.")
worst = min((r["recall"], c) for c, r in metrics["per_class"].items() if r["recall"] is not None)
columns[2].metric(
    f"Lowest recall: {class_label(worst[1])}", f"{worst[0]:.1%}", border=True, help="The class missed most."
)
macro = f"{curves['macro']['auc']:.3f}" if curves else "–"
columns[3].metric("AUC, macro average", macro, border=True, help="1 is perfect, 0.5 is chance; needs two classes.")
st.caption(title)

left, right = st.columns(2)
with left:
    unit = st.segmented_control(
        "Cells", ["Images", "Shares"], default="Images", help="Counts, or shares of the true class."
    )
    show_figure(confusion_figure(metrics, shares=unit == "Shares"))
with right:
    if curves:
        show_figure(roc_figure(curves))
    else:
        st.info("ROC curves need images of at least two classes.")

st.subheader(
    "Per class", help="Precision: how many alarms are true. Recall: how many are found. F1: their harmonic mean."
)
report = report_table(metrics).rename(index=class_label)
st.dataframe(report, width="stretch")

st.subheader("Random sample", help="Twelve predictions at random; a mark and a word say which are right.")
if st.button("Show others", icon=":material/shuffle:", help="Draw twelve others."):
    st.session_state["prediction_seed"] = st.session_state.get("prediction_seed", 0) + 1
rng = np.random.default_rng(st.session_state.get("prediction_seed", 0))
show_predictions(sample_predictions(predictions, 12, rng))

st.subheader("Most confident mistakes", help="Where the classifier was surest and wrong.")
mistakes = most_confident_mistakes(predictions, 12)
if len(mistakes):
    show_predictions(mistakes)
else:
    st.success("No mistakes on these images.")

history = model_history(folder)
if len(history):
    st.subheader("Learning history")
    show_history(history)

st.subheader("Take it with you")
left, middle, right = st.columns(3)
with left:
    download_table("Every prediction", predictions.drop(columns="path", errors="ignore"), "predictions.csv")
with middle:
    download_table("The report per class", report, "report.csv", index=True)
with right:
    st.download_button(
        "All figures as JSON",
        json.dumps(metrics, indent=2),
        "metrics.json",
        "application/json",
        icon=":material/download:",
        help="The same keys as the evaluate command gives.",
    )
with st.expander("How this classifier was made"):
    st.json(load_card(folder).training, expanded=1)
