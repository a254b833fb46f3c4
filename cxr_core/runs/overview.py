"""How do all runs look as a table, and what does a training history show?"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from cxr_core.runs.run import Run


def runs_table(runs: Iterable[Run], *, with_test: bool = False) -> pd.DataFrame:
    """Return one row per run for people to read, with its settings, state and best validation accuracy.

    Args:
        runs: the runs.
        with_test: add the test accuracy. Who chooses among runs by it has used the test side up: it counts as a look,
            see `looks.record_looks`.
    """
    return pd.DataFrame([_run_row(run, with_test) for run in runs])


def _run_row(run: Run, with_test: bool) -> dict[str, Any]:
    try:
        config = run.config()
    except (FileNotFoundError, ValueError) as error:
        return {"run": run.name, "state": "unreadable", "message": str(error)}
    status, metrics, epochs = run.status(), run.metrics(), run.epochs()
    return {
        "run": run.name,
        "state": status.state,
        "recipe": config.recipe,
        "split": config.split,
        "seed": config.seed,
        "epochs": f"{status.epoch} of {status.epochs}",
        "best validation accuracy": epochs["val_accuracy"].max() if len(epochs) else None,
        **({"test accuracy": metrics["test"]["accuracy"] if metrics else None} if with_test else {}),
        "data": ", ".join(Path(r).name for r in config.roots),
        "message": status.message,
    }


def diagnose_history(epochs: pd.DataFrame) -> str | None:
    """Say what is wrong with a training history; None if nothing is.

    From the third epoch on: training and validation have diverged if the training accuracy is higher by more than 0.25
    (with the article's settings, because the moving statistics of batch normalisation lag behind); the network has
    collapsed if the validation accuracy did not change at all.

    Args:
        epochs: from `Run.epochs`.
    """
    if len(epochs) < 3:
        return None
    last = epochs.iloc[-1]
    if last["accuracy"] - last["val_accuracy"] > 0.25:
        return (
            f"Training and validation accuracy have diverged: {last['accuracy']:.0%} vs {last['val_accuracy']:.0%}. "
            "With few batches per epoch, the batch-normalisation statistics lag far behind the weights. "
            "Set freeze_batch_norm=true or choose the finetune recipe."
        )
    if epochs["val_accuracy"].nunique() == 1 and last["accuracy"] < 0.9:
        return (
            "Validation accuracy has not changed since the first epoch: the network may have collapsed to predicting "
            "one class. Choose the quick or finetune recipe, or a lower learning rate."
        )
    return None
