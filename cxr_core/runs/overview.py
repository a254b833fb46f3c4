"""How all runs look as a table, and what a history shows."""

from pathlib import Path

import pandas as pd


def runs_table(runs):
    """Return a DataFrame for people: one row per run with its settings, state and scores."""
    rows = []
    for run in runs:
        try:
            config = run.config()
        except (FileNotFoundError, ValueError) as error:
            rows.append({"run": run.name, "state": "unreadable", "message": str(error)})
            continue
        status, metrics, epochs = run.status(), run.metrics(), run.epochs()
        rows.append(
            {
                "run": run.name,
                "state": status.state,
                "recipe": config.recipe,
                "split": config.split,
                "seed": config.seed,
                "epochs": f"{status.epoch} of {status.epochs}",
                "best validation accuracy": epochs["val_accuracy"].max() if len(epochs) else None,
                "test accuracy": metrics["test"]["accuracy"] if metrics else None,
                "data": ", ".join(Path(r).name for r in config.roots),
                "message": status.message,
            }
        )
    return pd.DataFrame(rows)


def diagnose_history(epochs):
    """Say in one sentence what a learning history shows, or None where nothing is amiss.

    Args:
        epochs: DataFrame as `Run.epochs` gives it.

    Returns:
        str or None. Rules: from the third epoch on, training and validation part if training
        accuracy leads by more than 0.25 (the lag of batch norm's moving statistics with the
        article's settings); a run has collapsed if validation accuracy did not move at all.
    """
    if len(epochs) < 3:
        return None
    last = epochs.iloc[-1]
    if last["accuracy"] - last["val_accuracy"] > 0.25:
        return (
            f"Training and validation have parted: {last['accuracy']:.0%} against {last['val_accuracy']:.0%}. "
            "With few steps per epoch the batch-normalisation statistics lag far behind the weights. "
            "Set freeze_batch_norm=true or take the finetune recipe."
        )
    if epochs["val_accuracy"].nunique() == 1 and last["accuracy"] < 0.9:
        return (
            "Validation accuracy has not moved since the first epoch: the head may have collapsed to one class. "
            "Take the quick or finetune recipe, or a lower learning rate."
        )
    return None
