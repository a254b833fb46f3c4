"""What happens to a run from its first to its last moment: images, training, export, evaluation."""

import contextlib
import logging
import signal
from typing import Literal

import keras
import tensorflow as tf

from cxr_core.runs.lifecycle import check_begins, run_lock, start_export
from cxr_core.runs.run import Run
from cxr_core.system.files import is_disk_full, remove_leftovers, why_it_failed
from cxr_core.system.memory import release_memory
from cxr_core.training.checkpoint import FILE as CHECKPOINT_FILE
from cxr_core.training.export_run import export_run, report_copies
from cxr_core.training.fit import fit_network
from cxr_core.training.progress_callback import PauseRequested, ProgressCallback, StopRequested

_log = logging.getLogger(__name__)
# Whoever started this process may hold the run a moment longer.
_LOCK_PATIENCE_SECONDS = 10.0
_TRAINED_FILE = "trained"

# How a run ends here; "trained" where the export is still to come.
End = Literal["finished", "stopped", "paused", "trained"]


def train_run(run: Run, *, export_here: bool = True) -> End:
    """Carry out the run that a folder's configuration describes, or what is left of it.

    Progress, history and the best model are written as they come, and the whole state after every
    epoch: a run that ended before its time goes on after its last finished epoch. A request to stop
    leaves the best model so far and hands its export to a process of its own, so that this one ends
    at once. A request to pause is heeded between epochs, or at once where it gives a reason.

    Args:
        run: with a `config.json`.
        export_here: export in this process. TensorFlow keeps the memory that training took, more than a gigabyte where
            layers of the backbone learn; a fresh process, which calls this again, exports in a third of the memory.

    Returns:
        The final state; "trained" where the export is still to come.

    Raises:
        lifecycle.RunTaken: another process writes to this run, or did since this one was started; it is left alone.
        ValueError: the data or the configuration do not allow the run. The run is marked as failed with the same
            sentence first.
        OSError: the disk, the memory or the weights do not allow it; marked likewise.
    """
    with run_lock(run, patience_seconds=_LOCK_PATIENCE_SECONDS):
        check_begins(run)
        remove_leftovers(run.path)
        recorder = ProgressCallback(run)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: (run.path / "stop").touch())
        try:
            return _run_to_its_end(run, recorder, export_here)
        except (ValueError, OSError, tf.errors.OpError) as error:
            sentence = _sentence(error)
            _log.error("failed: %s", sentence)
            # On a full disk not even that may be possible; the run then shows as failed all the same.
            with contextlib.suppress(OSError):
                recorder.write_status("failed", message=sentence)
            if isinstance(error, (ValueError, OSError)):
                raise
            raise OSError(sentence) from error


def _run_to_its_end(run: Run, recorder: ProgressCallback, export_here: bool) -> End:
    """Train where that is still to be done, then export, and write how it ended."""
    trained = run.path / _TRAINED_FILE
    try:
        if not trained.exists():
            fit_network(run, recorder)
            if not run.config().export:
                note = "Trained but not tested: only the trial that is chosen will be."
                return _end_finished(run, recorder, message=note)
            trained.touch()
            if not export_here:
                return "trained"
            # The optimizer and the graphs of training would stay in memory beside those of the export.
            recorder.forget_models()
            keras.backend.clear_session()
            release_memory()
        recorder.say("Exporting and evaluating the best model")
        export_run(run)
        release_memory()
    except StopRequested:
        return _end_stopped(run, recorder)
    except PauseRequested as request:
        recorder.save_best()
        recorder.write_status("paused", message=str(request))
        return "paused"
    # The classifier is there: giving up the search for copies takes nothing from it.
    with contextlib.suppress(StopRequested, PauseRequested):
        report_copies(run, phase=recorder.phase)
    return _end_finished(run, recorder)


def _end_finished(run: Run, recorder: ProgressCallback, message: str = "") -> End:
    for name in (CHECKPOINT_FILE, _TRAINED_FILE):
        (run.path / name).unlink(missing_ok=True)
    recorder.write_status("finished", "Finished", message=message)
    return "finished"


def _sentence(error: ValueError | OSError | tf.errors.OpError) -> str:
    """Say why a run failed, and what helps where that is known."""
    if isinstance(error, OSError) and is_disk_full(error):
        return "The disk is full. Free some space, then resume the run: it continues after its last finished epoch."
    if isinstance(error, tf.errors.ResourceExhaustedError):
        return "There is not enough memory for these settings; lower batch_size, then start a new run."
    if isinstance(error, tf.errors.OpError):
        return error.message
    return why_it_failed(error)


def _end_stopped(run: Run, recorder: ProgressCallback) -> End:
    if recorder.has_best:
        recorder.save_best()
        start_export(run)
        recorder.write_status("stopped", "Stopped", message="Stopped by request; the best model so far is kept.")
    else:
        recorder.write_status(
            "stopped", "Stopped", message="Stopped by request before the first epoch ended: there is no model."
        )
    return "stopped"
