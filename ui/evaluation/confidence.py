"""How sure the classifier is, and what abstaining would bring."""

import streamlit as st

from cxr_core.evaluation.calibration import calibration_error, reliability_bins
from cxr_core.evaluation.operating_point import save_operating_point
from cxr_core.evaluation.predictions import table_probabilities
from cxr_core.evaluation.selective_classification import abstention_for_accuracy, coverage_curve
from cxr_core.inference.model_card import load_card
from cxr_core.inference.temperature_scaling import apply_temperature
from cxr_core.plots.evaluation import coverage_figure, reliability_figure
from ui.common.components import show_figure
from ui.common.metrics import plain_metric
from ui.common.permissions import show_refusal
from ui.evaluation.threshold import CHOOSE_ON_VALIDATION


def show_confidence(metrics, predictions, folder):
    """Show whether confidence means what it says, before and after the temperature, and what abstaining buys."""
    classes, card = metrics["classes"], load_card(folder)
    right = predictions["right"].to_numpy(bool)
    probabilities = table_probabilities(predictions, classes)
    raw = apply_temperature(probabilities, 1 / card.temperature)
    views = [("As it is used", probabilities.max(axis=1))]
    if card.temperature != 1:
        views.insert(0, ("Before the temperature", raw.max(axis=1)))
    columns = st.columns(4)
    errors = [calibration_error(right, confidence) for _, confidence in views]
    plain_metric(
        columns[0], "Expected calibration error", f"{errors[-1]:.3f}",
        f"before the temperature {errors[0]:.3f}" if len(errors) > 1 else "",
        help="Mean gap between how sure it is and how often it is right; 0 is perfect (Guo et al. 2017).",
    )  # fmt: skip
    plain_metric(
        columns[1], "Brier score", f"{metrics['brier']:.3f}",
        help="Mean squared error of the probabilities, summed over classes: 0 is perfect, 2 the worst.",
    )  # fmt: skip
    plain_metric(
        columns[2], "Mean confidence", f"{probabilities.max(axis=1).mean():.1%}", f"right in {right.mean():.1%}",
        help="Where it is surer than it is right, do not take its percentages for odds.",
    )  # fmt: skip
    plain_metric(
        columns[3], "Temperature", f"{card.temperature:.2f}",
        "as exported" if card.temperature == 1 else "fitted on validation",
        help="All logits are divided by it. Above 1 it was too sure. The answers do not change.",
    )  # fmt: skip
    for column, (title, confidence) in zip(st.columns(len(views)), views, strict=True):
        with column:
            show_figure(reliability_figure(reliability_bins(right, confidence), f"Reliability: {title.lower()}"))
    if card.temperature == 1:
        st.caption("This classifier was exported without a temperature; runs trained from now on fit one.")

    st.subheader("Abstention", help='Let the classifier say "not sure" when its confidence is low.')
    curve = coverage_curve(right, views[-1][1])
    chosen = st.slider(
        "Not sure below a confidence of", 0.0, 1.0, float(card.abstain_below), 0.01,
        help="Images with a lower highest probability get no answer.",
    )  # fmt: skip
    answered = views[-1][1] >= chosen
    columns = st.columns(3)
    plain_metric(columns[0], "Answered", f"{answered.mean():.1%}", help="Share of images that get an answer.")
    accuracy = f"{right[answered].mean():.1%}" if answered.any() else "–"
    plain_metric(columns[1], "Right, of those answered", accuracy, help="Accuracy of the answers alone.")
    for_98 = abstention_for_accuracy(right, views[-1][1], 0.98)
    plain_metric(
        columns[2], "98 % right from", "never" if for_98 is None else f"{for_98:.2f}",
        help="The lowest confidence from which its answers on these images are 98 % right.",
    )  # fmt: skip
    show_figure(coverage_figure(curve, chosen))
    st.caption(CHOOSE_ON_VALIDATION)
    if not show_refusal("keeping") and st.button(
        "Keep this with the model", icon=":material/save:", key="keep_abstain",
        help='Stored in the model\'s card: below this confidence its answer is "not sure".',
    ):  # fmt: skip
        save_operating_point(folder, abstain_below=chosen)
        st.success(f"Kept: below {chosen:.2f} it is not sure.", icon=":material/check:")
