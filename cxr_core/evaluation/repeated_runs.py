"""The same training on other folds or under other seeds: how much of a score is luck."""

from dataclasses import replace

import numpy as np
import pandas as pd

from cxr_core.classes import class_label
from cxr_core.evaluation.confidence_intervals import mean_interval
from cxr_core.evaluation.metrics import evaluate_predictions
from cxr_core.evaluation.predictions import prediction_groups, table_probabilities

LEAST_RUNS = 2


def repeated_runs(run, runs):
    """Gather the runs that differ from one in nothing but their seed and fold.

    Args:
        run: run.Run.
        runs: list of run.Run to look among; the run itself may be one of them.

    Returns:
        list of those that were tested, in the order of seeds and folds. Empty where there are fewer than two, or
        the run has no configuration.
    """
    wanted = _but_for_luck(run)
    found = [other for other in runs if wanted is not None and _but_for_luck(other) == wanted and other.metrics()]
    found = sorted(found, key=lambda other: (other.config().seed, other.config().fold, other.name))
    return found if len(found) >= LEAST_RUNS else []


def seeds_table(runs):
    """Return a DataFrame, one row per run, as `repeated_runs` gives them.

    Columns: `run`, `seed`, `fold` (0 without folds), `images` (tested), `accuracy`, `low`, `high` (its 95 %
    interval, missing where it has none) on the run's own test split.
    """
    rows = []
    for run in runs:
        test, config = run.metrics()["test"], run.config()
        low, high = (test.get("ci95") or {}).get("accuracy") or (None, None)
        rows.append((run.name, config.seed, config.fold, test.get("n"), test["accuracy"], low, high))
    return pd.DataFrame(rows, columns=["run", "seed", "fold", "images", "accuracy", "low", "high"])


def repeated_runs_table(runs):
    """Say for accuracy and each class's recall and AUC how they spread over runs.

    Args:
        runs: list of tested run.Run, at least two.

    Returns:
        DataFrame, one row per figure: `figure`, `mean`, `sd` (of the single runs, ddof 1), `low`, `high` (95 %
        interval of the mean, see `confidence_intervals.mean_interval`; NaN where all runs agree), `lowest`, `highest` and
        `runs` (in how many it is defined; a figure that is defined in fewer than two is left out).
    """
    tests = [run.metrics()["test"] for run in runs]
    ratio = _test_to_train(runs)
    figures = {"Accuracy": [test["accuracy"] for test in tests]}
    for key, said in (("recall", "Recall"), ("auc", "AUC")):
        for name in tests[0].get("classes", ()):
            values = [test["per_class"].get(name, {}).get(key) for test in tests]
            figures[f"{said}, {class_label(name)}"] = [v for v in values if v is not None]
    rows = []
    for figure, values in figures.items():
        if len(values) >= LEAST_RUNS:
            low, high = mean_interval(values, ratio) or (np.nan, np.nan)
            spread = float(np.mean(values)), float(np.std(values, ddof=1))
            rows.append((figure, *spread, low, high, min(values), max(values), len(values)))
    return pd.DataFrame(rows, columns=["figure", "mean", "sd", "low", "high", "lowest", "highest", "runs"])


def repeats_sentence(table):
    """Say in words what `seeds_table` found; "" where it has no rows."""
    if table.empty:
        return ""
    scores = table["accuracy"]
    what = "folds apart" if table["fold"].any() and table["seed"].nunique() == 1 else "seeds apart"
    return (
        f"{len(table)} runs with these settings, {what}: test accuracy {scores.mean():.1%} on average, standard "
        f"deviation {100 * scores.std(ddof=1):.1f} points, from {scores.min():.1%} to {scores.max():.1%}."
    )


def pooled_predictions(runs):
    """Put the test predictions of all folds together: every image once, by a network that never saw it.

    Args:
        runs: list of run.Run, all folds of one cross-validation.

    Returns:
        DataFrame as `predictions.predictions_table` makes it, with `fold`, or None where folds are missing or
        doubled, or are of different data.
    """
    if not runs:
        return None
    folds = [run.config().fold for run in runs]
    if sorted(folds) != list(range(1, runs[0].config().folds + 1)):
        return None
    tables = [
        run.predictions().query("split == 'test'").assign(fold=fold) for run, fold in zip(runs, folds, strict=True)
    ]
    pooled = pd.concat(tables, ignore_index=True)
    n_images = {len(run.split()) for run in runs}
    return pooled if n_images == {len(pooled)} and pooled["path"].is_unique else None


def pooled_metrics(predictions, classes):
    """Score pooled predictions; see `metrics.evaluate_predictions`.

    Each network has its own idea of how sure it is, so an AUC over pooled scores mixes their scales: `repeated_runs_table`
    has the mean of the folds' own (Forman & Scholz 2010, doi:10.1145/1882471.1882479).
    """
    probabilities = table_probabilities(predictions, classes)
    return evaluate_predictions(predictions["true"], probabilities, classes, prediction_groups(predictions))


def _test_to_train(runs):
    sides = [run.split().get("split", pd.Series(dtype=str)).value_counts() for run in runs]
    ratios = [side.get("test", 0) / side["train"] for side in sides if side.get("train", 0)]
    return float(np.mean(ratios)) if ratios else 0.0


def _but_for_luck(run):
    try:
        config = run.config()
        return replace(config, seed=0, fold=min(config.fold, 1))
    except (FileNotFoundError, ValueError):
        return None
