"""The views of the Evaluation page that show figures: summary, confidence and threshold; and its report."""

from functools import partial
from pathlib import Path

import numpy as np
import streamlit as st

from cxr_core.classes import class_label
from cxr_core.evaluation.calibration import calibration_error, reliability_bins
from cxr_core.evaluation.decision_curve import decision_curve
from cxr_core.evaluation.metrics import class_curves, report_table, report_with_intervals, roc_curves
from cxr_core.evaluation.operating_point import operating_point, save_operating_point, threshold_for_specificity
from cxr_core.evaluation.predictions import (
    compare_predictions,
    most_confident_mistakes,
    sample_predictions,
    table_probabilities,
)
from cxr_core.evaluation.repeated_runs import repeated_runs
from cxr_core.evaluation.selective_classification import abstention_for_accuracy, coverage_curve
from cxr_core.inference.model_card import load_card
from cxr_core.inference.temperature_scaling import apply_temperature
from cxr_core.plots.evaluation import (
    alarm_figure,
    confusion_figure,
    coverage_figure,
    decision_figure,
    operating_figure,
    precision_recall_figure,
    reliability_figure,
    roc_figure,
)
from cxr_core.reporting.model_report import REPORT_FILES, render_report, report_facts
from cxr_core.runs.run import Run, list_runs
from ui.common.components import download_table, interval_text, offer_download, plain_metric, show_figure
from ui.common.model_picker import model_folders
from ui.common.permissions import show_refusal
from ui.common.repeated_runs import show_spread
from ui.evaluation.predictions import own_predictions, show_predictions

_CHOOSE_ON_VALIDATION = (
    "Choose on the validation split, then look at the test split: what is chosen on the very pictures that it is "
    "measured on flatters itself."
)


def show_headline(metrics, curves, title):
    """Show the answer first: images, accuracy, the class missed most, and the AUC, each with its interval."""
    ends = metrics.get("ci95") or {"accuracy": None, "per_class": {}}
    columns = st.columns(4)
    plain_metric(columns[0], "Images", f"{metrics['n']:,}", help=title)
    plain_metric(
        columns[1], "Accuracy", f"{metrics['accuracy']:.1%}", interval_text(ends["accuracy"]),
        help="Share of images that are called right, with its 95 % interval: patients drawn again 2,000 times.",
    )  # fmt: skip
    recall, name = min((r["recall"], c) for c, r in metrics["per_class"].items() if r["recall"] is not None)
    plain_metric(
        columns[2], f"Lowest recall: {class_label(name)}", f"{recall:.1%}",
        interval_text(ends["per_class"].get(name, {}).get("recall")), help="The class missed most.",
    )  # fmt: skip
    macro = f"{curves['macro']['auc']:.3f}" if curves else "–"
    plain_metric(columns[3], "AUC, macro average", macro, help="1 is perfect, 0.5 is chance; needs two classes.")
    st.caption(title)


def show_summary(metrics, predictions, curves, folder):
    """Show confusion matrix, curves with bands, the report per class and a comparison with another classifier."""
    classes = metrics["classes"]
    left, right = st.columns(2)
    with left:
        unit = st.segmented_control(
            "Cells", ["Images", "Shares"], default="Images", help="Counts, or shares of the true class."
        )
        show_figure(confusion_figure(metrics, shares=unit == "Shares"))
    with right:
        kind = st.segmented_control(
            "Curves", ["ROC", "Precision and recall"], default="ROC", help="Bands hold 95 % of the resampled curves."
        )
        of_classes = _class_curves(predictions, tuple(classes))
        if not curves:
            st.info("Curves need images of at least two classes.")
        elif kind == "Precision and recall":
            show_figure(precision_recall_figure(of_classes))
        else:
            show_figure(roc_figure(curves, _roc_bands(of_classes)))
    st.subheader(
        "Per class", help="Precision: how many alarms are true. Recall: how many are found. F1: their harmonic mean. "
        "In brackets the 95 % interval.",
    )  # fmt: skip
    st.dataframe(report_with_intervals(metrics).rename(index=class_label), width="stretch")
    _show_repeats(folder)
    _show_comparison(predictions, folder)

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
        help="Pictures with a lower highest probability get no answer.",
    )  # fmt: skip
    answered = views[-1][1] >= chosen
    columns = st.columns(3)
    plain_metric(columns[0], "Answered", f"{answered.mean():.1%}", help="Share of pictures that get an answer.")
    accuracy = f"{right[answered].mean():.1%}" if answered.any() else "–"
    plain_metric(columns[1], "Right, of those answered", accuracy, help="Accuracy of the answers alone.")
    for_98 = abstention_for_accuracy(right, views[-1][1], 0.98)
    plain_metric(
        columns[2], "98 % right from", "never" if for_98 is None else f"{for_98:.2f}",
        help="The lowest confidence from which its answers on these pictures are 98 % right.",
    )  # fmt: skip
    show_figure(coverage_figure(curve, chosen))
    st.caption(_CHOOSE_ON_VALIDATION)
    if not show_refusal("keeping") and st.button(
        "Keep this with the model", icon=":material/save:", key="keep_abstain",
        help='Stored in the model\'s card: below this confidence its answer is "not sure".',
    ):  # fmt: skip
        save_operating_point(folder, abstain_below=chosen)
        st.success(f"Kept: below {chosen:.2f} it is not sure.", icon=":material/check:")


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
        help="The lowest threshold on these pictures at which 90 % of the others raise no alarm.",
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
    st.caption(_CHOOSE_ON_VALIDATION)
    if kept:
        st.caption(f"Kept with the model: {class_label(kept['class_name'])} from {kept['threshold']:.3f} on.")
    if not show_refusal("keeping") and st.button(
        "Keep this operating point",
        icon=":material/save:",
        help="Stored in the model's card, in place of an earlier one.",
    ):
        save_operating_point(folder, point)
        st.success(f"Kept: {class_label(name)} from {threshold:.3f} on.", icon=":material/check:")


def _show_repeats(folder):
    """Show the runs with the same settings, other folds and seeds, where there are any."""
    runs = repeated_runs(Run(Path(folder)), list_runs())
    if not runs:
        return
    st.subheader(
        "Over folds and seeds", help="The same training with other test pictures, weights and order: how much is luck."
    )
    show_spread(runs)


def _show_comparison(predictions, folder):
    """Compare with another classifier on the pictures that both were asked, by paired bootstrap."""
    others = {name: other for name, other in model_folders().items() if other != Path(folder)}
    if not others:
        return
    st.subheader("Against another classifier", help="On the same pictures; patients are drawn again 2,000 times.")
    name = st.selectbox(
        "Compare with", list(others), index=None, placeholder="None", help="Its own predictions are used."
    )
    if name is None:
        return
    try:
        difference, shared = compare_predictions(predictions, own_predictions(others[name]))
    except (ValueError, OSError) as error:
        st.info(str(error))
        return
    verdict = "a clear difference" if difference.is_clear else "no clear difference"
    st.markdown(
        f"On {shared} shared pictures this classifier is right in **{100 * difference.value:+.1f} points** more "
        f"(95 %: {100 * difference.low:+.1f} to {100 * difference.high:+.1f}): {verdict}."
    )
    st.caption("Pictures that the other classifier learned from are not among its predictions.")


def _set_threshold(key, value):
    st.session_state[key] = float(value)


def _roc_bands(of_classes):
    return {name: curve["bands"]["roc"] for name, curve in of_classes.items() if curve["bands"]}


@st.cache_data(max_entries=8, show_spinner="Resampling the curves…")
def _class_curves(predictions, classes):
    return class_curves(predictions, classes)


def predictions_curves(predictions, classes):
    """Return the ROC curves of a predictions table; see `metrics.roc_curves`."""
    return roc_curves(predictions["true"], table_probabilities(predictions, classes), classes)


def report_download(metrics):
    """Offer the per-class figures as CSV."""
    download_table("The report per class", report_table(metrics).rename(index=class_label), "report.csv", index=True)


def report_downloads(folder):
    """Offer the classifier's report, made when somebody asks for it."""
    kinds = (
        ("Report (HTML)", "report.html", "text/html", "Opens in any browser, without a network."),
        ("Report (Markdown)", "report.md", "text/markdown", "The same without figures."),
        ("Model card", "model_card.md", "text/markdown", "In the layout of Mitchell et al. 2019."),
    )
    for column, (label, name, mime, help_text) in zip(st.columns(3), kinds, strict=True):
        offer_download(
            label,
            partial(_report_bytes, folder, REPORT_FILES[name]),
            f"{Path(folder).name}-{name}",
            mime,
            icon=":material/description:",
            help=f"{help_text} Made from what is stored with the classifier, by the CLAIM checklist.",
            place=column,
        )


def _report_bytes(folder, kind):
    return render_report(report_facts(folder), kind).encode()
