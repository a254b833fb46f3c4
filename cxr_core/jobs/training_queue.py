"""Whose turn is it on a shared installation? One training at a time, first come, first served.

A queued training is an ordinary run folder with the status "queued". One process works through the queue; whoever
queues a training or looks at the queue starts it, and it ends with the last training.
"""

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from cxr_core.config import RUNS_DIR
from cxr_core.recipes.memory_estimate import check_memory
from cxr_core.recipes.training_config import TrainingConfig
from cxr_core.runs.labels import display_name
from cxr_core.runs.lifecycle import check_resumable, create_run, resume_run, run_lock, spawn_detached
from cxr_core.runs.run import VISIT_FILE, Run, list_runs, new_run_path
from cxr_core.splits.curation import Curation
from cxr_core.system.files import why_it_failed
from cxr_core.system.processes import tie_to_parent

MAX_WAITING = 20
_POLL_SECONDS = 0.5


def queue_training(
    config: TrainingConfig,
    runs_dir: str | Path | None = None,
    curation: Curation | None = None,
    *,
    of_visit: bool = False,
) -> Run:
    """Put a new training at the end of the queue.

    Args:
        config: decides the result.
        runs_dir: the folder of all runs; `config.RUNS_DIR` by default.
        curation: as for `lifecycle.create_run`.
        of_visit: a visitor started it, and nobody else is to see it.

    Returns:
        A run with status "queued".

    Raises:
        ValueError: the training does not fit into memory, or too many are waiting already.
    """
    runs_dir = Path(runs_dir or RUNS_DIR)
    check_memory(config)
    _check_length(runs_dir)
    path = new_run_path(config.recipe, runs_dir)
    if of_visit:
        # Before the configuration, with which the folder becomes a run for everyone.
        path.mkdir(parents=True)
        (path / VISIT_FILE).touch()
    run = create_run(config, path, curation, queued=True)
    ensure_worker(runs_dir)
    return run


def queue_run(run: Run) -> None:
    """Put a run that was stopped or paused, or failed, at the end of the queue; it then continues where it was.

    Raises:
        ValueError: as for `queue_training`, or the run is active or finished.
        lifecycle.RunTaken: a process still works on it.
    """
    runs_dir = run.path.parent
    check_memory(run.config())
    _check_length(runs_dir)
    with run_lock(run):
        status = check_resumable(run)
        run.forget_requests()
        run.write_status(replace(status, state="queued", phase="Waiting", message="", started=time.time()))
    ensure_worker(runs_dir)


def all_runs(runs_dir: str | Path | None = None) -> list[Run]:
    """Return the runs of everyone, those of visitors included: the queue is one for all."""
    runs_dir = Path(runs_dir or RUNS_DIR)
    return [*list_runs(runs_dir), *list_runs(runs_dir, of_visits=True)]


def queued_runs(runs: Iterable[Run]) -> list[Run]:
    """Return the waiting ones of some runs, the next one first."""
    waiting = [(run.status().started, run.name, run) for run in runs if run.status().state == "queued"]
    return [run for _, _, run in sorted(waiting, key=lambda one: one[:2])]


def queue_table(waiting: Iterable[Run]) -> pd.DataFrame:
    """Return a table for people: one row per waiting run, in order, and since when it waits."""
    rows = []
    for position, run in enumerate(waiting, start=1):
        config, since = run.config(), pd.Timestamp(run.status().started, unit="s", tz="UTC")
        rows.append((position, display_name(run), config.recipe, config.epochs, since))
    return pd.DataFrame(rows, columns=["position", "run", "recipe", "epochs", "since"])


def ensure_worker(runs_dir: str | Path | None = None) -> None:
    """Start the process that works through the queue, if a training waits and no such process is running."""
    runs_dir = Path(runs_dir or RUNS_DIR)
    if not queued_runs(all_runs(runs_dir)):
        return
    try:
        with _lock(runs_dir).acquire(timeout=0):
            pass
    except Timeout:
        return
    spawn_detached(["-m", "cxr_core", "work-queue", str(runs_dir)], runs_dir)


def work_queue(runs_dir: str | Path) -> None:
    """Train what is queued, one after the other, until all are done. Returns at once if another process is doing so.

    A training ends soon after the process that started it, so this one stays until the last is over.

    A training that cannot be started is marked as failed, with the reason, and the next one has its turn.

    Args:
        runs_dir: the folder of all runs.
    """
    runs_dir = Path(runs_dir)
    try:
        with _lock(runs_dir).acquire(timeout=0):
            tie_to_parent()
            while True:
                runs = all_runs(runs_dir)
                waiting, busy = queued_runs(runs), any(run.status().is_active for run in runs)
                if not waiting and not busy:
                    return
                if waiting and not busy:
                    _start(waiting[0])
                time.sleep(_POLL_SECONDS)
    except Timeout:
        return


def _start(run: Run) -> None:
    try:
        resume_run(run)
    except (ValueError, OSError) as error:
        run.write_status(replace(run.status(), state="failed", message=why_it_failed(error)))


def _check_length(runs_dir: Path) -> None:
    waiting = len(queued_runs(all_runs(runs_dir)))
    if waiting >= MAX_WAITING:
        raise ValueError(
            f"At most {MAX_WAITING} trainings may wait, and {waiting} do. Try again when the queue is shorter."
        )


def _lock(runs_dir: Path) -> FileLock:
    return FileLock(runs_dir / ".queue.lock")
