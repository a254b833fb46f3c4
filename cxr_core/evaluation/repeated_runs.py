"""How much do the metrics of one training vary over folds and seeds?"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd

from cxr_core.classes import class_label
from cxr_core.evaluation.confidence_intervals import FigureName, mean_interval
from cxr_core.evaluation.metrics import Metrics, evaluate_predictions
from cxr_core.evaluation.predictions import prediction_groups, table_probabilities
from cxr_core.runs.run import Run
from cxr_core.system.files import read_json
from cxr_core.system.text import percent

LEAST_RUNS = 2
_VARYING: dict[FigureName, str] = {"recall": "Recall", "auc": "AUC"}


def repeated_runs(run: Run, runs: Sequence[Run]) -> list[Run]:
    """Gather the runs whose settings differ from those of a run in nothing but seed and fold.

    Args:
        run: the run to compare with.
        runs: the candidates; the run itself may be one of them.

    Returns:
        Those that were tested, of the same images, one for each seed and fold and in their order: of several the run
        itself, or the newest. Empty where there are fewer than two, or where the run has no configuration.
    """
    chosen: dict[tuple[int, int], Run] = {}
    for other in _of_same_images(run, _with_same_settings(run, runs)):
        place = other.config().seed, other.config().fold
        if place not in chosen or chosen[place].name != run.name:
            chosen[place] = other
    return [chosen[place] for place in sorted(chosen)] if len(chosen) >= LEAST_RUNS else []


def left_out_sentence(run: Run, runs: Sequence[Run]) -> str:
    """Say which runs with the same settings `repeated_runs` does not count; "" where it counts all."""
    alike = _with_same_settings(run, runs)
    same = _of_same_images(run, alike)
    places = {(other.config().seed, other.config().fold) for other in same}
    told = []
    if len(same) < len(alike):
        told.append(f"{len(alike) - len(same)} of other images or exclusions")
    if len(places) < len(same):
        told.append(f"{len(same) - len(places)} with a seed and fold that another one has")
    return f"Not counted, though their settings are the same: runs {' and '.join(told)}." if told else ""


def seeds_table(runs: Sequence[Run]) -> pd.DataFrame:
    """List the test accuracy of each run.

    Args:
        runs: tested runs, as `repeated_runs` returns them.

    Returns:
        One row per run: `run`, `seed`, `fold` (0 without folds), `images` (tested), `accuracy`, and its 95 % interval
        `low` and `high` (missing where it has none), on the run's own test set.
    """
    rows = []
    for run in runs:
        test, config = _test_metrics(run), run.config()
        ends = test["ci95"]["accuracy"] if "ci95" in test else None
        low, high = ends or (None, None)
        rows.append((run.name, config.seed, config.fold, test.get("n"), test["accuracy"], low, high))
    return pd.DataFrame(rows, columns=["run", "seed", "fold", "images", "accuracy", "low", "high"])


def repeated_runs_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Compute mean and standard deviation of the accuracy and of each class's recall and AUC over runs.

    Args:
        runs: at least two tested runs.

    Returns:
        One row per metric: `figure` (its name), `mean`, `sd` (of the single runs, ddof 1), `low` and `high` (95 %
        interval of the mean, see `confidence_intervals.mean_interval`; NaN where all runs agree), `lowest`, `highest`
        and `runs` (in how many it is defined; a metric that is defined in fewer than two is left out).
    """
    ratio = _test_to_train(runs)
    rows = []
    for figure, values in _values_over_runs([_test_metrics(run) for run in runs]).items():
        if len(values) >= LEAST_RUNS:
            low, high = mean_interval(values, ratio) or (np.nan, np.nan)
            spread = float(np.mean(values)), float(np.std(values, ddof=1))
            rows.append((figure, *spread, low, high, min(values), max(values), len(values)))
    return pd.DataFrame(rows, columns=["figure", "mean", "sd", "low", "high", "lowest", "highest", "runs"])


def repeats_sentence(table: pd.DataFrame) -> str:
    """Sum up a table of `seeds_table` in a sentence; "" where it has no rows."""
    if table.empty:
        return ""
    scores, seeds = table["accuracy"], table["seed"].nunique()
    kind = "folds" if table["fold"].any() and seeds == 1 else "seeds" if seeds == len(table) else "folds and seeds"
    return (
        f"Across {len(table)} {kind}: test accuracy {percent(scores.mean())} on average, standard deviation "
        f"{100 * scores.std(ddof=1):.1f} points, from {percent(scores.min())} to {percent(scores.max())}."
    )


def pooled_predictions(runs: Sequence[Run]) -> pd.DataFrame | None:
    """Pool the test predictions of all folds: every image once, by a network that was not trained on it.

    Args:
        runs: all folds of one cross-validation.

    Returns:
        A predictions table with `fold`; None where a fold is missing or doubled, or the folds are of different data.
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
    splits = [run.split() for run in runs]
    is_whole = len({_contents(split) for split in splits}) == 1 and len(splits[0]) == len(pooled)
    return pooled if is_whole and pooled["path"].is_unique else None


def pooled_metrics(predictions: pd.DataFrame, classes: Sequence[str]) -> Metrics:
    """Score pooled predictions.

    Each fold's network has its own scale of scores, which an AUC over the pooled scores mixes: `repeated_runs_table`
    has the mean of the folds' own AUC (Forman & Scholz 2010, doi:10.1145/1882471.1882479).
    """
    probabilities = table_probabilities(predictions, classes)
    return evaluate_predictions(predictions["true"], probabilities, classes, prediction_groups(predictions))


def _test_metrics(run: Run) -> Metrics:
    metrics = run.metrics()
    assert metrics is not None, f"{run.name} was not tested"
    return metrics["test"]


def _values_over_runs(tests: Sequence[Metrics]) -> dict[str, list[float]]:
    """Return {name of a metric: its values in the runs in which it is defined}."""
    values = {"Accuracy": [test["accuracy"] for test in tests]}
    for key, label in _VARYING.items():
        for name in tests[0].get("classes", ()):
            rows = [test["per_class"][name] for test in tests if name in test["per_class"]]
            of_runs = [row.get(key) for row in rows]
            values[f"{label}, {class_label(name)}"] = [v for v in of_runs if v is not None]
    return values


def _test_to_train(runs: Sequence[Run]) -> float:
    """Return the number of test images per training image, averaged over runs; 0 where no split is known."""
    sides = [run.split().get("split", pd.Series(dtype=str)).value_counts() for run in runs]
    ratios = [side.get("test", 0) / side["train"] for side in sides if side.get("train", 0)]
    return float(np.mean(ratios)) if ratios else 0.0


def _with_same_settings(run: Run, runs: Sequence[Run]) -> list[Run]:
    """Return the tested runs whose settings differ in nothing but seed and fold, by name."""
    wanted = _settings_without_luck(run)
    found = [other for other in runs if wanted and _settings_without_luck(other) == wanted and other.metrics()]
    return sorted(found, key=lambda other: other.name)


def _of_same_images(run: Run, runs: Sequence[Run]) -> list[Run]:
    """Return the runs of the same images with the same classes, as far as their folders tell."""
    wanted = _images_of(run)
    return [other for other in runs if _images_of(other) == wanted]


def _images_of(run: Run) -> tuple[Any, ...] | None:
    """Return what tells the images of a run: content and class of each; of a run of an earlier version their counts."""
    split = run.split()
    if {"digest", "class_name"} <= set(split):
        return _contents(split)
    try:
        data = read_json(run.path / "environment.json")["data"]
        return data["fingerprint"], data["excluded"], sum(sum(side.values()) for side in data["images"].values())
    except (FileNotFoundError, KeyError, ValueError):
        return None


def _contents(split: pd.DataFrame) -> tuple[Any, ...]:
    """Return content and class of each image of a split, in any order; of earlier versions as much as they tell."""
    if "digest" not in split:
        return (len(split),)
    told = split[[name for name in ("digest", "class_name") if name in split]]
    return tuple(sorted(told.itertuples(index=False, name=None)))


def _settings_without_luck(run: Run) -> dict[str, Any] | None:
    """Return a run's settings without its seed and number of fold; None where it has no configuration."""
    try:
        config = run.config()
        return asdict(replace(config, seed=0, fold=min(config.fold, 1)))
    except (FileNotFoundError, ValueError):
        return None
