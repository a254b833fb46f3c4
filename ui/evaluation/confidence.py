"""Does the confidence mean what it says, and how accurate would the classifier be if it abstained?"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from cxr_core.data.sources import source_label
from cxr_core.evaluation.calibration import calibration_error, reliability_bins
from cxr_core.evaluation.hospitals.conformal_sets import coverage_sentences, run_sets, set_coverage
from cxr_core.evaluation.metrics import Metrics
from cxr_core.evaluation.operating_point import save_operating_point
from cxr_core.evaluation.predictions import table_probabilities
from cxr_core.evaluation.selective_classification import abstention_for_accuracy, coverage_and_accuracy, coverage_curve
from cxr_core.inference.model_card import load_card
from cxr_core.inference.temperature_scaling import apply_temperature
from cxr_core.plots.evaluation import coverage_figure, reliability_figure
from cxr_core.system.arrays import BoolArray, FloatArray
from cxr_core.system.text import percent
from ui.common.components import show_figure, show_table
from ui.common.markdown import plain_text
from ui.common.metrics import plain_metric
from ui.common.permissions import show_refusal
from ui.evaluation.threshold import CHOOSE_ON_VALIDATION


def show_confidence(metrics: Metrics, predictions: pd.DataFrame, folder: Path) -> None:
    """Show the calibration before and after temperature scaling, and what abstaining would bring."""
    card = load_card(folder)
    right = predictions["right"].to_numpy(bool)
    probabilities = table_probabilities(predictions, metrics["classes"])
    raw = apply_temperature(probabilities, 1 / card.temperature)
    _show_calibration(metrics, right, raw.max(axis=1), probabilities.max(axis=1), card.temperature)
    _show_abstention(right, probabilities.max(axis=1), card.abstain_below, folder)
    _show_sets(predictions, metrics["classes"], folder)


def _show_sets(predictions: pd.DataFrame, classes: Sequence[str], folder: Path) -> None:
    """Show how often prediction sets hold the true class at each source; nothing without validation predictions."""
    limits = run_sets(folder, classes)
    if limits is None:
        return
    st.header(
        "Prediction sets",
        help="In place of one answer, all classes that cannot be left out, so that the true one is among them in 90 % "
        "of images like the validation images, which chose the limits.",
    )
    found = set_coverage(predictions, limits)
    told = coverage_sentences(found)
    show = st.warning if any("fails" in sentence for sentence in told) else st.info
    show(plain_text(" ".join(told)), icon=":material/checklist:")
    rows = [
        {
            "source": source_label(row["source"]) or "all images", "images": row["coverage"]["images"],
            "coverage": row["coverage"]["share"],
            "low": row["coverage"]["ci95"][0] if row["coverage"]["ci95"] else None,
            "high": row["coverage"]["ci95"][1] if row["coverage"]["ci95"] else None,
            "mean size": row["mean_size"],
        }
        for row in found
    ]  # fmt: skip
    show_table(
        pd.DataFrame(rows),
        percents=("coverage",),
        formats={"mean size": "%.2f"},
    )


def _show_calibration(
    metrics: Metrics, right: BoolArray, raw: FloatArray, confidence: FloatArray, temperature: float
) -> None:
    """Show calibration metrics and reliability diagrams; `raw` is the confidence before the temperature was applied."""
    scaled = temperature != 1
    columns = st.columns(4)
    plain_metric(
        columns[0], "Expected calibration error", f"{calibration_error(right, confidence):.3f}",
        f"before scaling {calibration_error(right, raw):.3f}" if scaled else "",
        help="Mean gap between confidence and accuracy; 0 is perfect (Guo et al. 2017).",
    )  # fmt: skip
    plain_metric(
        columns[1], "Brier score", f"{metrics['brier']:.3f}",
        help="Mean squared error of the probabilities, summed over classes: 0 is perfect, 2 the worst.",
    )  # fmt: skip
    plain_metric(
        columns[2], "Mean confidence", percent(confidence.mean()), f"accuracy {percent(right.mean())}",
        help="Where the confidence exceeds the accuracy, do not read it as the probability of being right.",
    )  # fmt: skip
    plain_metric(
        columns[3], "Temperature", f"{temperature:.2f}", "fitted on validation" if scaled else "as exported",
        help="All logits are divided by it; above 1, the classifier was overconfident. Predictions do not change.",
    )  # fmt: skip
    views = [("Reliability diagram", confidence)]
    if scaled:
        views = [("Before temperature scaling", raw), ("After temperature scaling", confidence)]
    for column, (title, values) in zip(st.columns(len(views)), views, strict=True):
        with column:
            show_figure(reliability_figure(reliability_bins(right, values), title))
    if not scaled:
        st.caption("This classifier was exported without a temperature; new runs fit one.")


def _show_abstention(right: BoolArray, confidence: FloatArray, saved: float, folder: Path) -> None:
    """Show how accurate the answers are above a confidence that the user moves; it begins with the saved one."""
    st.header("Abstention", help='Let the classifier answer "not sure" when its confidence is low.')
    threshold = st.slider(
        "Abstain below", 0.0, 1.0, float(saved), 0.01,
        help="Images whose highest probability is lower get no answer.",
    )  # fmt: skip
    coverage, accuracy = coverage_and_accuracy(right, confidence, threshold)
    for_98 = abstention_for_accuracy(right, confidence, 0.98)
    columns = st.columns(3)
    plain_metric(columns[0], "Answered", percent(coverage), help="Coverage: the proportion of images answered.")
    plain_metric(
        columns[1], "Accuracy when it answers", "–" if accuracy is None else percent(accuracy),
        help="Of the answered images only.",
    )  # fmt: skip
    plain_metric(
        columns[2], "98 % accuracy from", "never" if for_98 is None else f"{for_98:.2f}",
        help="The lowest confidence at which 98 % of the answers on these images are right.",
    )  # fmt: skip
    show_figure(coverage_figure(coverage_curve(right, confidence), threshold))
    st.caption(CHOOSE_ON_VALIDATION)
    if not show_refusal("keeping") and st.button(
        "Save to model", icon=":material/save:", key="keep_abstain",
        help='Stored in the model card: below this confidence, the classifier answers "not sure".',
    ):  # fmt: skip
        save_operating_point(folder, abstain_below=threshold)
        st.success(f"Saved: the classifier abstains below {threshold:.2f}.", icon=":material/check:")
