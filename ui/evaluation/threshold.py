"""One class against the rest: where the alarm begins."""

import streamlit as st

from cxr_core.classes import class_label
from cxr_core.evaluation.decision_curve import decision_curve
from cxr_core.evaluation.operating_point import operating_point, save_operating_point, threshold_for_specificity
from cxr_core.inference.model_card import load_card
from cxr_core.plots.evaluation import alarm_figure, decision_figure, operating_figure
from ui.common.components import show_figure
from ui.common.metrics import plain_metric
from ui.common.permissions import show_refusal

CHOOSE_ON_VALIDATION = (
    "Choose on the validation split, then look at the test split: what is chosen on the very images that it is "
    "measured on flatters itself."
)


def show_threshold(metrics, predictions, curves, folder):
    """Show one class against the rest at a threshold that the user moves."""
    classes = [name for name in metrics["classes"] if name in curves]
    if not classes:
        st.info("A threshold needs images of at least two classes.")
        return
    kept = load_card(folder).operating_point
    first, second, third = st.columns(3, vertical_alignment="bottom")
    start = kept.get("class_name") if kept.get("class_name") in classes else "covid"
    name = first.selectbox(
        "Class", classes, index=classes.index(start) if start in classes else 0, format_func=class_label,
        help="An alarm is for this class, against all others.",
    )  # fmt: skip
    is_class, scores = (predictions["true"] == name).to_numpy(), predictions[f"p_{name}"].to_numpy()
    prevalence = second.number_input(
        "Prevalence in %", 0.0, 100.0, round(100 * float(is_class.mean()), 1), 0.5,
        help="Share of the class among the people it is to be used on. PPV and NPV depend on it.",
    ) / 100  # fmt: skip
    key = f"threshold_{name}"
    if key not in st.session_state:
        st.session_state[key] = float(kept["threshold"]) if kept.get("class_name") == name else 0.5
    third.button(
        "The threshold with 90 % specificity",
        on_click=_set_threshold, args=(key, threshold_for_specificity(is_class, scores, 0.9)),
        help="The lowest threshold on these images at which 90 % of the others raise no alarm.",
    )  # fmt: skip
    threshold = st.slider(
        "Threshold", 0.0, 1.0, step=0.001, format="%.3f", key=key,
        help="A probability of at least this is an alarm.",
    )  # fmt: skip
    point = operating_point(name, is_class, scores, threshold, prevalence=prevalence)
    told = (
        ("Sensitivity", point.sensitivity, "Share of the class that raises an alarm."),
        ("Specificity", point.specificity, "Share of the others that raise none."),
        ("PPV", point.ppv, "Share of alarms that are true, at this prevalence."),
        ("NPV", point.npv, "Share of answers without an alarm that are right, at this prevalence."),
    )
    for column, (label, value, help_text) in zip(st.columns(4), told, strict=True):
        plain_metric(column, label, "–" if value is None else f"{value:.1%}", help=help_text)
    left, right = st.columns(2)
    with left:
        show_figure(operating_figure(curves[name], point, name))
    with right:
        show_figure(alarm_figure(point))
    show_figure(decision_figure(decision_curve(is_class, scores, prevalence=prevalence), threshold))
    st.caption(
        "Net benefit: true alarms per person, less false alarms weighed by the odds of the threshold (Vickers & Elkin "
        "2006). Where its line is not above both others, acting on its alarms is not worth it."
    )
    st.caption(CHOOSE_ON_VALIDATION)
    if kept:
        st.caption(f"Kept with the model: {class_label(kept['class_name'])} from {kept['threshold']:.3f} on.")
    if not show_refusal("keeping") and st.button(
        "Keep this operating point",
        icon=":material/save:",
        help="Stored in the model's card, in place of an earlier one.",
    ):
        save_operating_point(folder, point)
        st.success(f"Kept: {class_label(name)} from {threshold:.3f} on.", icon=":material/check:")


def _set_threshold(key, value):
    st.session_state[key] = float(value)
