"""From which probability on does one class raise an alarm, against all others?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cxr_core.classes import class_label
from cxr_core.evaluation.decision_curve import decision_curve
from cxr_core.evaluation.metrics import Curve, Metrics
from cxr_core.evaluation.operating_point import (
    OperatingPoint,
    operating_point,
    save_operating_point,
    threshold_for_specificity,
)
from cxr_core.evaluation.predictions import one_against_rest
from cxr_core.inference.model_card import load_card
from cxr_core.plots.evaluation import alarm_figure, decision_figure, operating_figure
from cxr_core.system.arrays import BoolArray, FloatArray
from cxr_core.system.text import percent
from ui.common.components import show_figure
from ui.common.markdown import Markdown, plain_label
from ui.common.metrics import plain_metric
from ui.common.permissions import show_refusal

CHOOSE_ON_VALIDATION = (
    "Choose on the validation set, then look at the test set: a threshold chosen on the test set looks better than it "
    "is."
)


def show_threshold(metrics: Metrics, predictions: pd.DataFrame, curves: Mapping[str, Curve], folder: Path) -> None:
    """Show one class against the rest at a threshold that the user moves."""
    classes = [name for name in metrics["classes"] if name in curves]
    if not classes:
        st.info("A threshold needs images of at least two classes.")
        return
    saved = load_card(folder).operating_point
    first, second, third = st.columns(3, vertical_alignment="bottom")
    name = _ask_class(first, classes, saved)
    is_class, scores = one_against_rest(predictions, name)
    prevalence = second.number_input(
        "Prevalence in %", 0.0, 100.0, round(100 * float(is_class.mean()), 1), 0.5,
        help="Proportion of the class among the people it is to be used on. PPV and NPV depend on it.",
    ) / 100  # fmt: skip
    threshold = _ask_threshold(third, name, is_class, scores, saved)
    point = operating_point(name, is_class, scores, threshold, prevalence=prevalence)
    _show_point(point, curves[name])
    show_figure(decision_figure(decision_curve(is_class, scores, prevalence=prevalence), threshold))
    st.caption(
        "Net benefit: true positives per person, minus false positives weighted by the odds of the threshold (Vickers "
        "& Elkin 2006). Acting on the alarms is worth it only where their curve lies above both others."
    )
    st.caption(CHOOSE_ON_VALIDATION)
    _offer_saving(point, saved, folder)


def _ask_class(place: DeltaGenerator, classes: list[str], saved: dict[str, Any]) -> str:
    """Ask for the class that alarms are for; it begins with that of the saved operating point, or with COVID-19."""
    start = saved.get("class_name") if saved.get("class_name") in classes else "covid"
    return place.selectbox(
        "Class", classes, index=classes.index(start) if start in classes else 0, format_func=class_label,
        help="An alarm is for this class, against all others.",
    )  # fmt: skip


def _ask_threshold(
    place: DeltaGenerator, name: str, is_class: BoolArray, scores: FloatArray, saved: dict[str, Any]
) -> float:
    """Ask for a class's threshold: a slider, and in `place` a button that sets it to 90 % specificity."""
    key = f"threshold_{name}"
    if key not in st.session_state:
        st.session_state[key] = float(saved["threshold"]) if saved.get("class_name") == name else 0.5
    place.button(
        "Set to 90 % specificity",
        on_click=_set_threshold, args=(key, threshold_for_specificity(is_class, scores, 0.9)),
        help="The lowest threshold on these images at which 90 % of the others raise no alarm.",
    )  # fmt: skip
    return st.slider(
        "Threshold", 0.0, 1.0, step=0.001, format="%.3f", key=key,
        help="A probability of at least this is an alarm.",
    )  # fmt: skip


def _set_threshold(key: str, value: float) -> None:
    st.session_state[key] = float(value)


def _show_point(point: OperatingPoint, curve: Curve) -> None:
    """Show an operating point's metrics, its place on the ROC curve and its counts."""
    shown = (
        ("Sensitivity", point.sensitivity, "Proportion of the class that raises an alarm."),
        ("Specificity", point.specificity, "Proportion of the others that raise none."),
        ("PPV", point.ppv, "Positive predictive value: the proportion of alarms that are true, at this prevalence."),
        ("NPV", point.npv, "Negative predictive value: of those without an alarm, the proportion of others, at this "
         "prevalence."),
    )  # fmt: skip
    label: Markdown
    help_text: Markdown
    for column, (label, value, help_text) in zip(st.columns(4), shown, strict=True):
        plain_metric(column, label, "–" if value is None else percent(value), help=help_text)
    left, right = st.columns(2)
    with left:
        show_figure(operating_figure(curve, point, point.class_name))
    with right:
        show_figure(alarm_figure(point))


def _offer_saving(point: OperatingPoint, saved: dict[str, Any], folder: Path) -> None:
    if saved:
        st.caption(f"Saved with the model: {plain_label(saved['class_name'])} from {saved['threshold']:.3f}.")
    if not show_refusal("keeping") and st.button(
        "Save to model", icon=":material/save:", help="Stored in the model card; replaces an earlier operating point."
    ):
        save_operating_point(folder, point)
        st.success(f"Saved: {plain_label(point.class_name)} from {point.threshold:.3f}.", icon=":material/check:")
