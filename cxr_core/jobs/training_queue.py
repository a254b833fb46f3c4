"""Trainings that wait for each other where many people share one computer: one at a time, first come, first served.

A queued training is an ordinary run folder whose status says "queued". One process works the queue off; it is started
by whoever queues or looks, and ends when nobody waits any more.
"""

import time
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from cxr_core.config import RUNS_DIR
from cxr_core.recipes.memory_estimate import check_memory
from cxr_core.runs.lifecycle import check_resumable, create_run, resume_run, run_lock, spawn_detached
from cxr_core.runs.run import list_runs, new_run_path
from cxr_core.system.processes import tie_to_parent

MAX_WAITING = 20
_POLL_SECONDS = 0.5


def queue_training(config, runs_dir=None, curation=None):
    """Put a new training at the end of the queue.

    Args:
        config: training_config.TrainingConfig.
        runs_dir: str or Path, the folder of all runs; `config.RUNS_DIR` by default.
        decisions: as for `lifecycle.create_run`.

    Returns:
        run.Run, with status "queued".

    Raises:
        ValueError: it does not fit the memory, or too many wait already.
    """
    runs_dir = Path(runs_dir or RUNS_DIR)
    check_memory(config)
    _check_length(runs_dir)
    run = create_run(config, new_run_path(config.recipe, runs_dir), curation, queued=True)
    ensure_worker(runs_dir)
    return run


def queue_run(run):
    """Put a run that was stopped or paused, or that failed, at the end of the queue; it then goes on where it was.

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


def queued_runs(runs):
    """Return those of a list of run.Run that wait, the next one first."""
    waiting = [(run.status().started, run.name, run) for run in runs if run.status().state == "queued"]
    return [run for _, _, run in sorted(waiting, key=lambda one: one[:2])]


def ensure_worker(runs_dir=None):
    """Start a process that works the queue off, where somebody waits and nobody does that already."""
    runs_dir = Path(runs_dir or RUNS_DIR)
    if not queued_runs(list_runs(runs_dir)):
        return
    try:
        with _lock(runs_dir).acquire(timeout=0):
            pass
    except Timeout:
        return
    spawn_detached(["-m", "cxr_core", "work-queue", str(runs_dir)], runs_dir)


def work_queue(runs_dir):
    """Train what is queued, one after the other, until nobody waits. Returns at once where another process does so.

    A training that cannot be started is left as failed, with the reason; the next one has its turn.

    Args:
        runs_dir: str or Path.
    """
    runs_dir = Path(runs_dir)
    try:
        with _lock(runs_dir).acquire(timeout=0):
            tie_to_parent()
            while True:
                runs = list_runs(runs_dir)
                waiting = queued_runs(runs)
                if not waiting:
                    return
                if not any(run.status().is_active for run in runs):
                    _start(waiting[0])
                time.sleep(_POLL_SECONDS)
    except Timeout:
        return


def _start(run):
    try:
        resume_run(run)
    except (ValueError, OSError) as error:
        run.write_status(replace(run.status(), state="failed", message=str(error)))


def _check_length(runs_dir):
    waiting = len(queued_runs(list_runs(runs_dir)))
    if waiting >= MAX_WAITING:
        raise ValueError(
            f"At most {MAX_WAITING} trainings may wait; {waiting} do. Come back when the queue is shorter."
        )


def _lock(runs_dir):
    return FileLock(runs_dir / ".queue.lock")
