"""How is a run created, started, paused, resumed, stopped and deleted?

A run folder holds:

config.json       the `TrainingConfig`
decisions.json    the curation of the data set (excluded images, confirmed non-duplicates) when the run began
environment.json  command, versions, platform, threads, data set fingerprint
status.json       state, phase, process, counters, message
split.csv         class, group and part of the split of every image
epochs.csv        one row per finished epoch
batches/          one CSV per epoch, one row per batch
log.txt           what the process printed
model.keras       the best model so far
checkpoint.npz    all that is needed to resume after the last epoch; deleted once the run is finished
trained           an empty file: only the export is left; deleted once the run is finished
watch/            six validation images, and per epoch their Grad-CAM maps and the confusion matrix
tensorboard/      the history for TensorBoard
label.json        a person's name, note and star for the run
.lock             held by the one process that may write here
stop, pause       requests; a pause with a sentence in it is asked for at once, otherwise after the epoch
balance.json      what was added to each class's logit after training, if the recipe asks for it
search.json       how many trials of a search this one was chosen from; only in a search's chosen trial
visit             an empty file: a visitor of a shared installation started it
test_looks.csv    one line for each time that the test score was shown or written
model.onnx, card.json   the exported classifier
metrics.json, predictions.csv   metrics and predictions of the validation and test images
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from cxr_core.config import PROJECT_DIR, RUNS_DIR
from cxr_core.recipes.training_config import TrainingConfig, command_for
from cxr_core.runs.run import Run, RunStatus, new_run_path
from cxr_core.runs.work_folder import RESUMABLE, RunState, WorkFolder, WorkStatus, new_folder
from cxr_core.splits.curation import CURATION_FILE, Curation, save_curation, stored_decisions
from cxr_core.system.files import refusal_to_write, write_json, write_text
from cxr_core.system.processes import find_process, process_facts, process_is_alive

STOP_PATIENCE_SECONDS = 3.0
_BEGINNABLE: tuple[RunState, ...] = (*RESUMABLE, "queued")
_ABANDONED = "The app or job that started this training has ended. Resume it to continue after its last finished epoch."
# A killed process with many threads still holds its files for a moment after it has vanished.
_DYING_SECONDS = 3.0
# A stopped run's best model is exported in the background; resuming it waits for that.
_EXPORT_SECONDS = 60.0


class RunTaken(ValueError):
    """Another process is writing to the run folder."""


def create_run(
    config: TrainingConfig, path: str | Path, curation: Curation | None = None, *, queued: bool = False
) -> Run:
    """Create a run folder for a configuration.

    Args:
        config: decides the result.
        path: the folder; it may exist, but must not hold a run.
        curation: of the data set; by default all that is stored about images.
        queued: wait until somebody starts the run with `resume_run`.

    Returns:
        A run with status "starting" that belongs to the calling process, or with status "queued".

    Raises:
        ValueError: the folder already holds a run or cannot be written, or the stored curation cannot be read.
    """
    curation = stored_decisions(config.roots) if curation is None else curation
    run = Run(Path(path).resolve())
    status = RunStatus("queued", "Waiting", epochs=config.epochs, started=time.time())
    with new_folder(run.path, "config.json", "run"):
        write_json(run.path / "config.json", config.to_dict())
        save_curation(curation, run.path / CURATION_FILE)
        run.write_status(status if queued else replace(status, state="starting", phase="Starting", **process_facts()))
    return run


def start_run(
    config: TrainingConfig,
    runs_dir: str | Path = RUNS_DIR,
    curation: Curation | None = None,
    *,
    path: str | Path | None = None,
) -> Run:
    """Start a training in a process of its own that outlives the caller.

    Args:
        config: decides the result.
        runs_dir: the folder of all runs.
        curation: as for `create_run`.
        path: the run's own folder; by default a new one in `runs_dir`.

    Returns:
        A run with status "starting".

    Raises:
        ValueError: as for `create_run`.
    """
    run = create_run(config, path or new_run_path(config.recipe, runs_dir), curation)
    process = spawn_detached([*command_for(config, run.path), "--into-existing"], run.path)
    facts = process_facts(process.pid)
    run.write_status(RunStatus("starting", "Starting TensorFlow", epochs=config.epochs, started=time.time(), **facts))
    return run


@contextmanager
def run_lock(run: WorkFolder, *, patience_seconds: float = 0.0) -> Iterator[None]:
    """Keep every other process from writing to a run or job while the block lasts.

    The operating system releases the lock when its owner ends, however it ends.

    Args:
        run: a run or a job.
        patience_seconds: how long to wait for another owner.

    Raises:
        RunTaken: another process holds the lock.
        ValueError: the folder cannot be written.
    """
    try:
        lock = FileLock(run.path / ".lock")
        lock.acquire(timeout=patience_seconds)
    except Timeout as error:
        raise RunTaken(
            f"Another process is training or exporting {run.name}; only one can use a run folder at a time."
        ) from error
    except OSError as error:
        raise ValueError(refusal_to_write(f"The run folder {run.path}", error)) from error
    try:
        yield
    finally:
        lock.release()


def check_begins(run: Run) -> None:
    """Check that a locked run waits for this process.

    A second process on the same folder may get the lock once the first has released it: to replace itself by the
    program that exports, or because it is done.

    Raises:
        RunTaken: the run waits for no process, or for another one.
    """
    status = run.status()
    process = find_process(status) if status.state == "running" else None
    if status.state != "starting" and not (process and process.pid == os.getpid()):
        raise RunTaken(
            f"Another process was faster: {run.name} is {status.state}; only one can use a run folder at a time."
        )


def resume_run(run: Run) -> Run:
    """Continue a run after its last finished epoch, or begin a queued one, in a process of its own.

    If a stopped run's model is still being exported, this waits for at most a minute until that is done.

    Args:
        run: was queued, stopped or paused, or failed.

    Returns:
        The run, with status "starting".

    Raises:
        ValueError: the run is active or finished, or cannot be read or written.
    """
    patience = _EXPORT_SECONDS if check_resumable(run, _BEGINNABLE).state == "stopped" else _DYING_SECONDS
    with run_lock(run, patience_seconds=patience):
        status = check_resumable(run, _BEGINNABLE)
        process = spawn_detached(["-m", "cxr_core", "resume", str(run.path), "--into-existing"], run.path)
        _mark_resumed(run, status, process.pid)
    return run


def acquire_run(run: Run) -> None:
    """Make the calling process the one that resumes a run; see `resume_run`."""
    with run_lock(run, patience_seconds=_DYING_SECONDS):
        _mark_resumed(run, check_resumable(run, _BEGINNABLE), None)


def pause_run(run: Run) -> None:
    """Ask a run to end after its current epoch, so that no work is lost and it can be resumed.

    Raises:
        ValueError: the run is not active.
    """
    status = run.status()
    if not status.is_active:
        raise ValueError(f"Only a running training can be paused; {run.name} is {status.state}.")
    (run.path / "pause").touch()


def abandon_run(run: Run) -> None:
    """Ask a run to pause at once, because nobody is left who could see or stop it."""
    write_text(run.path / "pause", _ABANDONED)


def halt_run(run: Run, reason: str) -> None:
    """Pause a run at once, by killing its process if need be, so that it can be resumed. Takes at most 5 seconds.

    Args:
        run: has no effect unless it is active.
        reason: the sentence that the run then shows.
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


def start_export(run: Run) -> None:
    """Export and evaluate an ended run's best model, if it has a new one, in a process of its own."""
    if run.needs_export:
        spawn_detached(["-m", "cxr_core", "export", str(run.path)], run.path)


def stop_run(run: Run) -> None:
    """Stop a run: by a request first, by a signal if that is not heeded. Takes at most 5 seconds.

    The best model so far is kept. A paused run becomes a stopped one, and its best model is exported; a queued one
    loses its place. There is no effect on any other run that is not active.
    """
    status = run.status()
    if status.state == "paused":
        run.write_status(replace(status, state="stopped", message="Stopped after a pause; the best model is kept."))
        start_export(run)
    if status.state == "queued":
        run.write_status(replace(status, state="stopped", message="Removed from the queue before it began."))
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


def delete_run(run: Run) -> None:
    """Delete a run's folder for good.

    Raises:
        RunTaken: a process is training or exporting it.
        ValueError: the run is active, or its folder cannot be changed.
    """
    if run.status().is_active:
        raise ValueError(f"{run.name} is {run.status().state}; stop it before you delete it.")
    with run_lock(run):
        gone = run.path.with_name(f".deleted-{run.name}")
        try:
            # At once for every reader; removing the files takes longer.
            run.path.rename(gone)
        except OSError as error:
            raise ValueError(f"{run.path} cannot be deleted: {error.strerror}.") from error
    shutil.rmtree(gone)


def check_resumable(run: Run, states: Sequence[RunState] = RESUMABLE) -> RunStatus:
    """Return the status of a run that can be resumed.

    Args:
        run: to be resumed.
        states: those in which it can be.

    Raises:
        FileNotFoundError: the run has no configuration.
        ValueError: its configuration cannot be read, or it is in another state.
    """
    run.config()
    status = run.status()
    if status.state not in states:
        raise ValueError(f"Only a stopped, paused or failed run can be resumed; {run.name} is {status.state}.")
    return status


def _mark_resumed(run: Run, status: RunStatus, pid: int | None) -> None:
    run.forget_requests()
    run.write_status(
        replace(
            status,
            state="starting",
            phase="Starting TensorFlow",
            message="",
            epochs=status.epochs or run.config().epochs,
            batch=0,
            lost=False,
            **process_facts(pid),
        )
    )


def spawn_detached(words: Sequence[str], folder: Path) -> "subprocess.Popen[bytes]":
    """Start Python in a session of its own; what it prints is appended to `log.txt`.

    The process outlives its parent, unless `processes.tie_to_parent` decided otherwise.

    Args:
        words: arguments of the interpreter.
        folder: where the log is.
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


def _waited_for_end(status: WorkStatus, seconds: float) -> bool:
    """Wait for the end of the process that a status names; True once it has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not process_is_alive(status):
            return True
        time.sleep(0.05)
    return False
