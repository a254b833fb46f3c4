"""The same training under other seeds: how much of a score is luck."""

from dataclasses import replace

import pandas as pd

LEAST_RUNS = 2


def repeats_table(run, runs):
    """Gather the runs that differ from one in nothing but their seed.

    Args:
        run: runs.Run.
        runs: list of runs.Run to look among; the run itself may be one of them.

    Returns:
        DataFrame, one row per finished run in the order of seeds: `run`, `seed`, `accuracy`, `low`, `high` (its 95 %
        interval, missing where it has none) on the own test split. Without rows where there are fewer than two,
        or the run has no configuration.
    """
    wanted, rows = _but_for_the_seed(run), []
    for other in runs if wanted is not None else ():
        metrics = other.metrics() if _but_for_the_seed(other) == wanted else None
        if metrics:
            low, high = (metrics["test"].get("ci95") or {}).get("accuracy") or (None, None)
            rows.append((other.name, other.config().seed, metrics["test"]["accuracy"], low, high))
    table = pd.DataFrame(rows, columns=["run", "seed", "accuracy", "low", "high"])
    return table.sort_values(["seed", "run"], ignore_index=True) if len(table) >= LEAST_RUNS else table.head(0)


def repeats_sentence(table):
    """Say in words what `repeats_table` found; "" where it has no rows."""
    if table.empty:
        return ""
    scores = table["accuracy"]
    return (
        f"{len(table)} runs with these settings, seeds apart: test accuracy {scores.mean():.1%} on average, standard "
        f"deviation {100 * scores.std(ddof=1):.1f} points, from {scores.min():.1%} to {scores.max():.1%}."
    )


def _but_for_the_seed(run):
    try:
        return replace(run.config(), seed=0)
    except (FileNotFoundError, ValueError):
        return None
