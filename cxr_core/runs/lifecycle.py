"""What is in a run folder, and how to start, watch and stop the process that writes it.

config.json       the TrainingConfig
decisions.json    images left out and look-alikes told apart, as they were decided when the run began
environment.json  command, versions, platform, threads, data set fingerprint
status.json       state, phase, process, counters, message
split.csv         file, class, group and side of every image
epochs.csv        one row per finished epoch
batches/          one CSV per epoch, one row per batch
log.txt           what the process printed
model.keras       best weights so far
checkpoint.npz    all that training needs to go on after its last epoch; gone once the run is finished
trained           says that nothing but the export is left; gone once the run is finished
watch/            six validation images, and per epoch their Grad-CAM maps and the confusion matrix
tensorboard/      the history once more, for TensorBoard
label.json        what people call the run, their note and their star
.lock             held by the one process that may write here
stop, pause       requests; a sentence in the second one asks for a pause at once
balance.json      what was added to each class's score after training, where the recipe asks for it
model.onnx, card.json   the exported classifier
metrics.json, predictions.csv   scores and rows of validation and test
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from cxr_core.config import PROJECT_DIR, RUNS_DIR
from cxr_core.recipes.training_config import command_for
from cxr_core.runs.run import Run, RunStatus, new_run_path
from cxr_core.runs.work_folder import RESUMABLE, acquire_folder
from cxr_core.splits.curation import CURATION_FILE, curation_path, load_curation, save_curation
from cxr_core.system.files import write_json, write_text
from cxr_core.system.processes import find_process, process_facts, process_is_alive

STOP_PATIENCE_SECONDS = 3.0
_BEGINNABLE = (*RESUMABLE, "queued")
_ABANDONED = "The app or job that it belonged to has ended; resume it: it goes on after its last finished epoch."
# A killed process of many threads holds its files a moment longer than it counts as alive.
_DYING_SECONDS = 3.0
# A stopped run's best model is exported in the background; to go on is worth waiting for that.
_EXPORT_SECONDS = 60.0


class RunTaken(ValueError):
    """Another process is writing to the run folder."""


def create_run(config, path, curation=None, *, queued=False):
    """Make a run folder for a configuration.

    Args:
        config: training_config.TrainingConfig.
        path: str or Path of the folder; it may exist, but may not hold a run.
        decisions: curation.Curation about the data; by default those kept beside their index.
        queued: bool, it is to wait until somebody starts it with `resume_run`.

    Returns:
        Run, with status "starting" and the calling process as its own, or with status "queued".

    Raises:
        ValueError: the folder already holds a run, or cannot be written, or the kept decisions cannot be read.
    """
    curation = load_curation(curation_path(config.roots)) if curation is None else curation
    run = Run(Path(path).resolve())
    acquire_folder(run.path, "config.json", "run")
    write_json(run.path / "config.json", config.to_dict())
    save_curation(curation, run.path / CURATION_FILE)
    state, phase, own = ("queued", "Waiting", {}) if queued else ("starting", "Starting", process_facts())
    run.write_status(RunStatus(state, phase, epochs=config.epochs, started=time.time(), **own))
    return run


def start_run(config, runs_dir=RUNS_DIR, curation=None):
    """Start a training in a process of its own that outlives the caller.

    Args:
        config: training_config.TrainingConfig.
        runs_dir: str or Path, the folder of all runs.
        decisions: as for `create_run`.

    Returns:
        Run, with status "starting".
    """
    run = create_run(config, new_run_path(config.recipe, runs_dir), curation)
    process = spawn_detached([*command_for(config, run.path), "--into-existing"], run.path)
    facts = process_facts(process.pid)
    run.write_status(RunStatus("starting", "Starting TensorFlow", epochs=config.epochs, started=time.time(), **facts))
    return run


@contextmanager
def run_lock(run, *, patience_seconds=0.0):
    """Keep every other process from writing to a run while the block lasts.

    The system lets go of the lock when its owner ends, however it ends.

    Args:
        run: Run.
        patience_seconds: float, how long to wait for another owner.

    Raises:
        RunTaken: another process holds the run.
        ValueError: the folder cannot be written.
    """
    try:
        lock = FileLock(run.path / ".lock")
        lock.acquire(timeout=patience_seconds)
    except Timeout as error:
        raise RunTaken(
            f"Another process is training or exporting {run.name}; one run folder takes one at a time."
        ) from error
    except OSError as error:
        raise ValueError(f"The run folder {run.path} cannot be written: {error.strerror}.") from error
    try:
        yield
    finally:
        lock.release()


def check_begins(run):
    """Raise RunTaken unless this process is the one that a held run waits for.

    A process that was started a second time on one folder may get the lock once the first lets go of it: to put the
    program that exports in its place, or because all is done.
    """
    status = run.status()
    process = find_process(status) if status.state == "running" else None
    if status.state != "starting" and not (process and process.pid == os.getpid()):
        raise RunTaken(
            f"Another process was here first: {run.name} is {status.state}; one run folder takes one at a time."
        )


def resume_run(run):
    """Let a run go on after its last finished epoch, or begin where it was queued, in a process of its own.

    Where a stopped run's model is still being exported, this waits for the end of that, at most a minute.

    Args:
        run: Run that was queued, stopped or paused, or that failed.

    Returns:
        Run, with status "starting".

    Raises:
        ValueError: the run is active or finished, or cannot be read or written.
    """
    patience = _EXPORT_SECONDS if check_resumable(run, _BEGINNABLE).state == "stopped" else _DYING_SECONDS
    with run_lock(run, patience_seconds=patience):
        status = check_resumable(run, _BEGINNABLE)
        process = spawn_detached(["-m", "cxr_core", "resume", str(run.path), "--into-existing"], run.path)
        _mark_resumed(run, status, process.pid)
    return run


def acquire_run(run):
    """Make the calling process the one that resumes a run; see `resume_run`."""
    with run_lock(run, patience_seconds=_DYING_SECONDS):
        _mark_resumed(run, check_resumable(run, _BEGINNABLE), None)


def pause_run(run):
    """Ask a run to end after its current epoch, so that it loses nothing and can be resumed.

    Raises:
        ValueError: the run is not active.
    """
    status = run.status()
    if not status.is_active:
        raise ValueError(f"Only a running training can be paused; {run.name} is {status.state}.")
    (run.path / "pause").touch()


def abandon_run(run):
    """Ask a run to pause at once, because nobody is left who could see or stop it."""
    write_text(run.path / "pause", _ABANDONED)


def halt_run(run, reason):
    """See to it that a run pauses at once, so that it can be resumed. Takes at most 5 seconds.

    Args:
        run: Run; one that is not active is left alone.
        reason: str, the sentence that it then shows.
    """
    status = run.status()
    if not status.is_active:
        return
    write_text(run.path / "pause", reason)
    if _waited_for_end(status, STOP_PATIENCE_SECONDS):
        return
    process = find_process(status)
    if process is not None:
        process.kill()
        _waited_for_end(status, 0.5)
        run.write_status(replace(run.status(), message=reason))


def start_export(run):
    """Export and evaluate an ended run's best model, if it has a new one, in a process of its own."""
    if run.needs_export:
        spawn_detached(["-m", "cxr_core", "export", str(run.path)], run.path)


def stop_run(run):
    """Ask a run to stop and see to it: politely first, then by signal. Takes at most 5 seconds.

    The best model so far stays. A paused run becomes a stopped one, and its best model is exported; a queued one
    loses its place. Any other run that is not active is left alone.
    """
    status = run.status()
    if status.state == "paused":
        run.write_status(replace(status, state="stopped", message="Stopped after a pause; the best model is kept."))
        start_export(run)
    if status.state == "queued":
        run.write_status(replace(status, state="stopped", message="Taken out of the queue before it began."))
    if not status.is_active:
        return
    (run.path / "stop").touch()
    if _waited_for_end(status, STOP_PATIENCE_SECONDS):
        return
    process = find_process(status)
    if process is None:
        return
    process.send_signal(signal.SIGTERM)
    if not _waited_for_end(status, 1.0):
        process.kill()
        _waited_for_end(status, 0.5)
    run.write_status(run.status())
    start_export(run)


def check_resumable(run, states=RESUMABLE):
    """Return the RunStatus of a run that can go on; ValueError where it is in no such state, or cannot be read."""
    run.config()
    status = run.status()
    if status.state not in states:
        raise ValueError(f"Only a stopped, paused or failed run can be resumed; {run.name} is {status.state}.")
    return status


def _mark_resumed(run, status, pid):
    run.forget_requests()
    epochs = status.epochs or run.config().epochs
    changes = {"state": "starting", "phase": "Starting TensorFlow", "message": "", "epochs": epochs, "batch": 0}
    run.write_status(replace(status, lost=False, **changes, **process_facts(pid)))


def spawn_detached(words, folder):
    """Start Python on `words` in a session of its own; what it prints goes to the folder's `log.txt`.

    It outlives its parent, unless `processes.tie_to_parent` decided otherwise.
    """
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=PROJECT_DIR,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _waited_for_end(status, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not process_is_alive(status):
            return True
        time.sleep(0.05)
    return False
