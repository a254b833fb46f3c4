"""What several runs of one training found together: each of them, mean and spread, and all folds as one."""

import streamlit as st

from cxr_core.classes import class_label
from cxr_core.evaluation.metrics import report_with_intervals
from cxr_core.evaluation.repeated_runs import (
    pooled_metrics,
    pooled_predictions,
    repeated_runs_table,
    repeats_sentence,
    seeds_table,
)
from cxr_core.plots.training import repeated_runs_figure
from ui.common.components import download_table, show_figure
from ui.common.metrics import interval_text, plain_metric

_ENDS = {"low": "95 % from", "high": "95 % to"}


def show_repeated_runs(runs):
    """Show the test results of runs that differ in nothing but fold and seed.

    Args:
        runs: list of tested run.Run, at least two, as `repeated_runs.repeated_runs` gives them.
    """
    table, spread = seeds_table(runs), repeated_runs_table(runs)
    st.markdown(repeats_sentence(table))
    show_figure(repeated_runs_figure(spread), key="spread")
    percent = st.column_config.NumberColumn(format="percent")
    columns = ("accuracy", "mean", "sd", "95 % from", "95 % to", "lowest", "highest")
    st.dataframe(
        spread.rename(columns=_ENDS), width="stretch", hide_index=True, column_config=dict.fromkeys(columns, percent)
    )
    st.caption(
        "The training images of two folds or seeds overlap, so their scores are no independent draws: the interval of "
        "the mean is widened for that (Nadeau & Bengio 2003). None stands where all runs agree."
    )
    _show_pooled(runs)
    with st.expander("Run by run"):
        st.dataframe(
            table.drop(columns=[] if table["fold"].any() else "fold").rename(columns=_ENDS),
            width="stretch", hide_index=True, column_config=dict.fromkeys(columns, percent),
        )  # fmt: skip
    download_table("The spread as a table", spread, "spread.csv")


def _show_pooled(runs):
    predictions = pooled_predictions(runs)
    if predictions is None:
        return
    metrics = _pooled(predictions, tuple(runs[0].metrics()["test"]["classes"]))
    st.markdown("**All folds together**")
    left, right = st.columns(2)
    plain_metric(left, "Images", f"{metrics['n']:,}", "each tested once", help="By a network that never saw it.")
    plain_metric(
        right, "Accuracy", f"{metrics['accuracy']:.1%}", interval_text(metrics["ci95"]["accuracy"]),
        help="Share of all images that are called right, with its 95 % interval: patients drawn again 2,000 times.",
    )  # fmt: skip
    st.dataframe(report_with_intervals(metrics).drop(columns="auc").rename(index=class_label), width="stretch")
    st.caption("The AUC stands above only: each fold's network has its own scale of scores, which pooling would mix.")
    download_table("Every prediction of all folds", predictions.drop(columns="path"), "folds.csv")


@st.cache_data(max_entries=8, show_spinner="Drawing patients again…")
def _pooled(predictions, classes):
    return pooled_metrics(predictions, classes)
