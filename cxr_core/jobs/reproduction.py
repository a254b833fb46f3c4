"""How is the training of a reproduction found, begun or continued, and followed to its end?"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from cxr_core.recipes.batch_norm_lag import lag_sentence
from cxr_core.recipes.memory_estimate import check_memory
from cxr_core.recipes.training_config import TrainingConfig
from cxr_core.runs.lifecycle import resume_run, start_run
from cxr_core.runs.overview import seconds_left
from cxr_core.runs.run import Run, RunStatus
from cxr_core.splits.curation import Curation
from cxr_core.system.text import percent

_POLL_SECONDS = 1.0
# What is told of a run, a sentence at a time.
Say = Callable[[str], object]


def find_reproduction(config: TrainingConfig, runs: Iterable[Run]) -> Run | None:
    """Return the run among these, newest first, that has exactly these settings; a finished one before any other."""
    same = [run for run in runs if _config_of(run) == config]
    finished = [run for run in same if run.status().state == "finished" and run.has_model]
    return next(iter([*finished, *same]), None)


def begin_or_continue(
    config: TrainingConfig, run: Run | None, *, path: Path | None = None, curation: Curation | None = None
) -> tuple[Run, bool]:
    """See to it that somebody works on a reproduction, unless it is finished.

    Args:
        config: of a new run.
        run: an earlier one that is to go on, or None to begin anew.
        path: folder of the new run; a new one in the folder of all runs by default.
        curation: as for `lifecycle.create_run`.

    Returns:
        The run, and whether a process was started for it.

    Raises:
        ValueError: it does not fit into memory, or cannot go on.
    """
    if run is not None and (run.status().is_active or run.status().state == "finished"):
        return run, False
    check_memory(config if run is None else run.config())
    if run is None:
        return start_run(config, curation=curation, path=path), True
    return resume_run(run), True


def follow_run(run: Run, say: Say) -> RunStatus:
    """Tell how a run goes, epoch by epoch, until nobody works on it any more.

    Args:
        run: active.
        say: is told what the run does, and after each epoch how long it still takes at the pace of the epochs so far.

    Returns:
        How it ended.
    """
    config, told, phase, has_warned = run.config(), len(run.epochs()), "", False
    while True:
        status, epochs = run.status(), run.epochs()
        doing = status.phase.partition(":")[0]
        if status.is_active and doing and doing != phase:
            phase = doing
            say(f"{phase}…")
        if status.batches and not has_warned:
            has_warned = True
            expected = lag_sentence(config, status.batches)
            if expected and status.epoch < status.epochs:
                say(expected)
        if len(epochs) > told:
            told = len(epochs)
            say(_epoch_sentence(run, status))
        if not status.is_active:
            return status
        time.sleep(_POLL_SECONDS)


def _epoch_sentence(run: Run, status: RunStatus) -> str:
    epochs, split = run.epochs(), run.split()
    last = epochs.iloc[-1]
    left = seconds_left(status, epochs, now=time.time(), images=int((split["split"] != "train").sum()))
    # The first epoch of a process prepares TensorFlow, too.
    about = "at most" if last["epoch"] <= status.first_epoch + 1 else "about"
    pace = "" if left is None else f"; {about} {_duration(left)} left ({last['epoch_seconds']:,.1f} s an epoch)"
    return (
        f"Epoch {last['epoch']:.0f} of {status.epochs}: training {percent(last['accuracy'])}, validation "
        f"{percent(last['val_accuracy'])}{pace}."
    )


def _duration(seconds: float) -> str:
    return f"{seconds / 60:,.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _config_of(run: Run) -> TrainingConfig | None:
    try:
        return run.config()
    except (FileNotFoundError, ValueError):
        return None
