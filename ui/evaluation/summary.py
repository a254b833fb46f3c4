"""How good is the classifier in a few numbers and curves, and compared with other runs and classifiers?"""

from collections.abc import Mapping
from math import isnan
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.evaluation.confidence_intervals import Band
from cxr_core.evaluation.hospitals.source_scores import (
    named_shares,
    score_sources,
    source_notes,
    source_shares,
    source_table,
    worst_source_sentences,
)
from cxr_core.evaluation.metrics import (
    ClassCurves,
    Curve,
    Metrics,
    class_curves,
    class_interval,
    lowest_recall,
    roc_curves,
)
from cxr_core.evaluation.predictions import (
    compare_predictions,
    known_by_name,
    most_confident_mistakes,
    sample_predictions,
    table_probabilities,
)
from cxr_core.evaluation.repeated_runs import left_out_sentence, repeated_runs
from cxr_core.plots.evaluation import confusion_figure, precision_recall_figure, roc_figure
from cxr_core.plots.sources import sources_figure
from cxr_core.reporting.run_statements import interval_words
from cxr_core.runs.run import Run
from cxr_core.system.text import percent
from ui.common.components import plain_error, show_figure, show_report, show_table
from ui.common.markdown import Markdown, plain_label, plain_text
from ui.common.metrics import interval_text, look_once, plain_metric
from ui.common.model_picker import model_folders, visible_runs
from ui.common.navigation import keep_choice
from ui.common.repeated_runs import show_repeated_runs
from ui.evaluation.mapped_images import image_paths
from ui.evaluation.predictions import own_predictions, show_predictions


def show_headline(metrics: Metrics, curves: Mapping[str, Curve], title: Markdown) -> None:
    """Show the answer first: number of images, accuracy, the class missed most, and the AUC, with their intervals."""
    name, recall = lowest_recall(metrics)
    accuracy_ends = metrics["ci95"]["accuracy"] if "ci95" in metrics else None
    columns = st.columns(4)
    plain_metric(columns[0], "Images", f"{metrics['n']:,}", help=title)
    plain_metric(
        columns[1], "Accuracy", percent(metrics['accuracy']), interval_text(accuracy_ends),
        help=f"Proportion of images classified correctly. {plain_text(interval_words(metrics))}",
    )  # fmt: skip
    plain_metric(
        columns[2], f"Recall: {plain_label(name)}", percent(recall),
        interval_text(class_interval(metrics, name, "recall")), help="Of the class that is missed most often.",
    )  # fmt: skip
    macro = f"{curves['macro']['auc']:.3f}" if curves else "–"
    plain_metric(
        columns[3],
        "AUC, macro average",
        macro,
        help="Mean of the classes' areas under the ROC curve: 1 is perfect, 0.5 is chance. It needs two classes.",
    )
    st.caption(title)


def show_summary(metrics: Metrics, predictions: pd.DataFrame, curves: Mapping[str, Curve], folder: Path) -> None:
    """Show confusion matrix, curves, metrics per class, comparisons, and images that are classified well or badly."""
    _show_figures(metrics, predictions, curves, folder)
    st.header(
        "Per class", help="Precision (PPV): how many alarms are true. Recall (sensitivity): how many images of the "
        "class are found. F1: their harmonic mean. In brackets: 95 % interval.",
    )  # fmt: skip
    show_report(metrics)
    _show_sources(metrics, predictions)
    _show_repeats(folder)
    _show_comparison(predictions, folder)

    held = predictions[image_paths(predictions).notna()]
    st.header(
        "Random sample", help="Twelve predictions drawn at random, from images that are on this computer where any are."
    )
    if st.button("Show others", icon=":material/shuffle:", help="Draw twelve other predictions."):
        st.session_state["prediction_seed"] = st.session_state.get("prediction_seed", 0) + 1
    rng = np.random.default_rng(st.session_state.get("prediction_seed", 0))
    show_predictions(sample_predictions(held if len(held) else predictions, 12, rng), folder, "sample")

    st.header("Most confident errors", help="Where the classifier was wrong with the highest confidence.")
    mistakes = pd.concat([most_confident_mistakes(rows, 12) for rows in (held, predictions)])
    if len(mistakes):
        show_predictions(mistakes[~mistakes.index.duplicated()], folder, "mistakes")
    else:
        st.success("No errors on these images.")


def _show_figures(metrics: Metrics, predictions: pd.DataFrame, curves: Mapping[str, Curve], folder: Path) -> None:
    left, right = st.columns(2)
    with left:
        unit = st.segmented_control(
            "Cells",
            ["Images", "Proportions"],
            default="Images",
            required=True,
            help="Counts, or proportions of each true class.",
        )
        show_figure(confusion_figure(metrics, shares=unit == "Proportions"))
    with right:
        kind = st.segmented_control(
            "Curves", ["ROC", "Precision and recall"], default="ROC", required=True,
            help="The bands contain 95 % of the bootstrapped curves.",
        )  # fmt: skip
        of_classes = _curves_with_bands(metrics, predictions, folder)
        if not curves:
            st.info("Curves need images of at least two classes.")
        elif kind == "Precision and recall":
            show_figure(precision_recall_figure(of_classes))
        else:
            show_figure(roc_figure(curves, _roc_bands(of_classes)))


def _show_sources(metrics: Metrics, predictions: pd.DataFrame) -> None:
    """Show how good the classifier is at each source, the worst in words; nothing where there are not several."""
    scores = metrics.get("sources") or score_sources(predictions, metrics["classes"])
    if not scores:
        return
    st.header(
        "At each source", help="A source is a hospital or collection. By the likeliest class, abstaining from nothing. "
        "In brackets: 95 % interval.",
    )  # fmt: skip
    st.warning(plain_text(" ".join(worst_source_sentences(scores))), icon=":material/local_hospital:")
    names = list(named_shares(scores[0]))
    name = st.selectbox(
        "Figure", names, key=keep_choice("source_figure", names[0], names), width=340,
        help="Sources with too few images for it are left out of the plot; the table counts them.",
    )  # fmt: skip
    shares = source_shares(scores, name)
    if len(shares):
        show_figure(sources_figure(shares, name))
    else:
        st.info("No source has enough images for this figure.")
    with st.expander("All figures in a table"):
        show_table(source_table(scores).melt("Source", var_name="Figure", value_name="At this source"))
    for note in source_notes(scores, metrics["n"]):
        st.caption(plain_text(note))


def _show_repeats(folder: Path) -> None:
    """Show the runs with the same settings but other folds and seeds, where there are any."""
    all_runs = visible_runs()
    runs = repeated_runs(Run(folder), all_runs)
    if not runs:
        return
    st.header(
        "Across folds and seeds",
        help="The same training with other test images, initial weights and order: how much is due to chance.",
    )
    show_repeated_runs(runs)
    left_out = left_out_sentence(Run(folder), all_runs)
    if left_out:
        st.caption(plain_text(left_out))


def _show_comparison(predictions: pd.DataFrame, folder: Path) -> None:
    """Compare with another classifier by a paired bootstrap on the images that both have predicted."""
    others = {name: other for name, other in model_folders().items() if other != folder}
    if not others:
        return
    st.header("Compare with another classifier", help="On the same images; 2,000 bootstrap samples of patients.")
    name = st.selectbox(
        "Other classifier", list(others), index=None, placeholder="None", help="Its stored predictions are used."
    )
    if name is None:
        return
    try:
        other = own_predictions(others[name])
        look_once([Run(others[name])], "comparison")
        difference, shared = compare_predictions(predictions, other)
    except (ValueError, OSError) as error:
        st.info(plain_error(error))
        return
    more = "more" if difference.value >= 0 else "less"
    verdict = "a clear difference" if difference.is_clear else "no clear difference"
    if isnan(difference.low):
        told = "they differ on too few images to tell which is better."
    else:
        ends = f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f} points"
        told = f"95 % interval of the difference {ends}: {verdict}."
    st.markdown(
        f"On {shared:,} shared images this classifier is **{100 * abs(difference.value):.1f} points {more} accurate**; "
        f"{told}"
    )
    st.caption("Images that the other classifier was trained on are not among its predictions.")
    if known_by_name(predictions, other):
        st.caption(
            "One of the two classifiers comes from an earlier version, which named images by their files alone: images "
            "of the same name and class are taken for the same."
        )


def _roc_bands(of_classes: Mapping[str, ClassCurves]) -> dict[str, Band]:
    return {name: curve["bands"]["roc"] for name, curve in of_classes.items() if curve["bands"]}


def _curves_with_bands(metrics: Metrics, predictions: pd.DataFrame, folder: Path) -> dict[str, ClassCurves]:
    # Predictions on a data set that somebody has chosen tell where its images lie; stored ones do not.
    is_shared = folder == SHIPPED_MODEL_DIR and "path" not in predictions
    return (_shipped_curves if is_shared else _own_curves)(predictions, tuple(metrics["classes"]))


@st.cache_data(max_entries=4, show_spinner="Bootstrapping the curves…")
def _shipped_curves(predictions: pd.DataFrame, classes: tuple[str, ...]) -> dict[str, ClassCurves]:
    return class_curves(predictions, classes)


# Of each visit its own: these may be predictions on a visitor's data set.
@st.cache_data(scope="session", max_entries=8, show_spinner="Bootstrapping the curves…")
def _own_curves(predictions: pd.DataFrame, classes: tuple[str, ...]) -> dict[str, ClassCurves]:
    return class_curves(predictions, classes)


def predictions_curves(predictions: pd.DataFrame, classes: list[str]) -> dict[str, Curve]:
    """Return the ROC curves of a predictions table; see `metrics.roc_curves`."""
    return roc_curves(predictions["true"], table_probabilities(predictions, classes), classes)
