"""How do folds and seeds look together: each run, mean and spread, and all folds pooled?"""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from cxr_core.evaluation.metrics import Metrics
from cxr_core.evaluation.repeated_runs import (
    pooled_metrics,
    pooled_predictions,
    repeated_runs_table,
    repeats_sentence,
    seeds_table,
)
from cxr_core.plots.training import repeated_runs_figure
from cxr_core.runs.run import Run
from cxr_core.system.text import percent
from ui.common.components import download_table, show_figure, show_report, show_table
from ui.common.markdown import plain_text
from ui.common.metrics import interval_text, look_once, plain_metric


def show_repeated_runs(runs: Sequence[Run]) -> None:
    """Show the test results of runs that differ only in fold and seed.

    Args:
        runs: tested ones, at least two, as `repeated_runs.repeated_runs` gives them.
    """
    look_once(runs, "folds and seeds")
    table, spread = seeds_table(runs), repeated_runs_table(runs)
    st.markdown(plain_text(repeats_sentence(table)))
    show_figure(repeated_runs_figure(spread), key="spread")
    columns = ("accuracy", "mean", "sd", "lowest", "highest")
    show_table(spread, percents=columns)
    st.caption(
        "The training images of two folds or seeds overlap, so their scores are not independent; the interval of the "
        "mean is widened for that (Nadeau & Bengio 2003), and no interval is shown where all runs agree."
    )
    _show_pooled(runs)
    with st.expander("Each run"):
        show_table(table.drop(columns=[] if table["fold"].any() else "fold"), percents=columns)
    download_table("Mean and spread (CSV)", spread, "spread.csv")


def _show_pooled(runs: Sequence[Run]) -> None:
    predictions, of_one = pooled_predictions(runs), runs[0].metrics()
    if predictions is None or of_one is None:
        return
    metrics = _pooled(predictions, tuple(of_one["test"]["classes"]))
    st.markdown("**All folds pooled**")
    left, right = st.columns(2)
    plain_metric(
        left, "Images", f"{metrics['n']:,}", "each tested once", help="By a network that was not trained on it."
    )
    plain_metric(
        right, "Accuracy", percent(metrics['accuracy']), interval_text(metrics["ci95"]["accuracy"]),
        help="Proportion of images classified correctly, with its exact 95 % interval by patients.",
    )  # fmt: skip
    show_report(metrics, "auc")
    st.caption(
        "The AUC is given only per fold, above: each network has its own scale of scores, which pooling would mix."
    )
    download_table("Predictions of all folds (CSV)", predictions.drop(columns="path"), "folds.csv")


@st.cache_data(max_entries=8, show_spinner="Bootstrapping…")
def _pooled(predictions: pd.DataFrame, classes: tuple[str, ...]) -> Metrics:
    return pooled_metrics(predictions, classes)
