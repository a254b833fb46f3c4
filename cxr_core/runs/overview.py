"""How do all runs look as a table, which epoch of a run is kept, how did it end, and when will it?"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxr_core.recipes.training_config import TrainingConfig
from cxr_core.runs.run import Run, RunStatus
from cxr_core.system.text import percent

# Export and evaluation, on two cores: the first whatever the data, the second per validation and test image.
_EXPORT_SECONDS, _SECONDS_PER_IMAGE = 20.0, 0.03
# So many epochs smooth the time that one takes.
_SMOOTHED = 5


def runs_table(runs: Iterable[Run], *, with_test: bool = False) -> pd.DataFrame:
    """Return one row per run for people to read, with its settings, state and the validation accuracy
    of the epoch that is kept.

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
        "validation accuracy": kept_accuracy(epochs),
        **({"test accuracy": metrics["test"]["accuracy"] if metrics else None} if with_test else {}),
        "data": ", ".join(Path(r).name for r in config.roots),
        "message": status.message,
    }


def kept_epoch(epochs: pd.DataFrame) -> int | None:
    """Return the epoch whose weights are kept, the first with the lowest validation loss; None before the first.

    Args:
        epochs: from `Run.epochs`.
    """
    row = _kept_row(epochs)
    return None if row is None else int(epochs["epoch"].iloc[row])


def kept_accuracy(epochs: pd.DataFrame) -> float | None:
    """Return the validation accuracy of the epoch that is kept, in [0, 1]; None before the first."""
    row = _kept_row(epochs)
    return None if row is None else float(epochs["val_accuracy"].iloc[row])


def _kept_row(epochs: pd.DataFrame) -> int | None:
    if epochs.empty or epochs["val_loss"].isna().all():
        return None
    return int(np.nanargmin(epochs["val_loss"]))


def end_sentence(epochs: pd.DataFrame, config: TrainingConfig) -> str:
    """Say how a finished run ended, and which epoch was kept.

    Args:
        epochs: from `Run.epochs`.
        config: the run's.
    """
    kept = kept_epoch(epochs)
    if kept is None:
        return "Finished."
    last = int(epochs["epoch"].iloc[-1])
    if config.early_stopping_patience and last < config.epochs:
        waited = _epochs_text(last - kept)
        return f"Finished: stopped early after epoch {last} (no better for {waited}); epoch {kept} was kept."
    if kept == last:
        return (
            f"Finished: all {_epochs_text(last)} were trained; the last one was kept, with the lowest validation loss."
        )
    return f"Finished: all {_epochs_text(last)} were trained; epoch {kept} was kept, with the lowest validation loss."


def epoch_sentence(epochs: pd.DataFrame) -> str:
    """Say what the last epoch of a history brought.

    Args:
        epochs: from `Run.epochs`, at least one row.
    """
    last, earlier = epochs.iloc[-1], epochs["val_loss"].iloc[:-1]
    sentence = (
        f"After epoch {int(last['epoch'])}, {percent(last['accuracy'])} of the training images and "
        f"{percent(last['val_accuracy'])} of the validation images are right; the validation loss is "
        f"{last['val_loss']:.3f}"
    )
    if earlier.empty:
        return f"{sentence}."
    if last["val_loss"] < earlier.min():
        return f"{sentence}, the lowest so far."
    kept = kept_epoch(epochs)
    return f"{sentence}, against {earlier.min():.3f} after epoch {kept}, which is kept for now."


def seconds_left(status: RunStatus, epochs: pd.DataFrame, *, now: float, images: int = 0) -> float | None:
    """Estimate the seconds until a run is finished, export and evaluation included.

    The median of the last epochs smooths what single ones took; in the first, the pace of its batches counts.

    Args:
        status: of the run.
        epochs: from `Run.epochs`.
        now: Unix seconds.
        images: how many will be evaluated after training; 0 if unknown.

    Returns:
        None before the first batch.
    """
    export = _EXPORT_SECONDS + images * _SECONDS_PER_IMAGE
    passed = max(0.0, max(now, status.updated) - status.epoch_started)
    taken = epochs["epoch_seconds"].dropna().tail(_SMOOTHED) if len(epochs) else pd.Series(dtype=float)
    if len(taken):
        an_epoch = float(np.median(taken))
    elif status.batch and status.updated > status.epoch_started:
        an_epoch = (status.updated - status.epoch_started) * status.batches / status.batch
    else:
        return None
    left = status.epochs - status.epoch
    if left <= 0:
        return max(0.0, export - max(0.0, passed - an_epoch))
    # Between two epochs the older one still stands there as begun.
    return left * an_epoch - (min(passed, an_epoch) if status.batch else 0.0) + export


def _epochs_text(n: int) -> str:
    return "1 epoch" if n == 1 else f"{n} epochs"
