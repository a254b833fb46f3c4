"""The views of the Evaluation page that show figures: summary, confidence and threshold; and its report."""

from pathlib import Path

import numpy as np
import streamlit as st

from cxr_core.classes import class_label
from cxr_core.evaluation.metrics import class_curves, report_with_intervals, roc_curves
from cxr_core.evaluation.predictions import (
    compare_predictions,
    most_confident_mistakes,
    sample_predictions,
    table_probabilities,
)
from cxr_core.evaluation.repeated_runs import repeated_runs
from cxr_core.plots.evaluation import (
    confusion_figure,
    precision_recall_figure,
    roc_figure,
)
from cxr_core.runs.run import Run, list_runs
from ui.common.components import show_figure
from ui.common.metrics import interval_text, plain_metric
from ui.common.model_picker import model_folders
from ui.common.repeated_runs import show_repeated_runs
from ui.evaluation.predictions import own_predictions, show_predictions


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


def _show_repeats(folder):
    """Show the runs with the same settings, other folds and seeds, where there are any."""
    runs = repeated_runs(Run(Path(folder)), list_runs())
    if not runs:
        return
    st.subheader(
        "Over folds and seeds", help="The same training with other test images, weights and order: how much is luck."
    )
    show_repeated_runs(runs)


def _show_comparison(predictions, folder):
    """Compare with another classifier on the images that both were asked, by paired bootstrap."""
    others = {name: other for name, other in model_folders().items() if other != Path(folder)}
    if not others:
        return
    st.subheader("Against another classifier", help="On the same images; patients are drawn again 2,000 times.")
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
        f"On {shared} shared images this classifier is right in **{100 * difference.value:+.1f} points** more "
        f"(95 %: {100 * difference.low:+.1f} to {100 * difference.high:+.1f}): {verdict}."
    )
    st.caption("Images that the other classifier learned from are not among its predictions.")


def _roc_bands(of_classes):
    return {name: curve["bands"]["roc"] for name, curve in of_classes.items() if curve["bands"]}


@st.cache_data(max_entries=8, show_spinner="Resampling the curves…")
def _class_curves(predictions, classes):
    return class_curves(predictions, classes)


def predictions_curves(predictions, classes):
    """Return the ROC curves of a predictions table; see `metrics.roc_curves`."""
    return roc_curves(predictions["true"], table_probabilities(predictions, classes), classes)
