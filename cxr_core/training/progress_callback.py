"""What is written while a training runs, and where does it heed a request to stop or pause?"""

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TypedDict

import keras
import numpy as np
import pandas as pd
import psutil
from tqdm import tqdm

from cxr_core.runs.run import Run
from cxr_core.runs.work_folder import RunState
from cxr_core.system.arrays import FloatArray
from cxr_core.system.files import atomic_path, write_text
from cxr_core.system.memory import peak_memory
from cxr_core.system.processes import process_facts
from cxr_core.system.progress import Progress
from cxr_core.system.text import table_csv
from cxr_core.training.epoch_snapshot_callback import EpochSnapshotCallback
from cxr_core.training.tensorboard import EventWriter

_SAVE_EVERY_SECONDS = 5.0
# Writing the whole network may take a second, and the checkpoint holds the best weights in any case.
_SAVING_SHARE = 0.05
_WRITE_EVERY_SECONDS = 1.0
_PAUSED = "Paused after a finished epoch; it can be resumed at any time."
_log = logging.getLogger(__name__)


class StopRequested(Exception):
    """Raised wherever a run checks for requests and finds that somebody asked it to stop."""


class PauseRequested(Exception):
    """Raised between epochs, or before the first, where somebody asked the run to pause; anywhere if at once.

    Its text is the sentence that the run then shows.
    """


class RecorderState(TypedDict):
    """What a resumed run must know of its history.

    Attributes:
        rows: one per finished epoch, as in `epochs.csv`.
        best_loss: the lowest validation loss so far.
    """

    rows: list[dict[str, float]]
    best_loss: float


class ConfusionCounts(keras.metrics.Metric):
    """Count images by true and predicted class; its result is how many were right."""

    def __init__(self, n_classes: int) -> None:
        super().__init__(name="confusion")
        self._n_classes = n_classes
        self.counts = self.add_weight(shape=(n_classes, n_classes), initializer="zeros", name="counts")

    def update_state(
        self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor, sample_weight: keras.KerasTensor | None = None
    ) -> None:
        true, predicted = (keras.ops.one_hot(keras.ops.argmax(y, axis=-1), self._n_classes) for y in (y_true, y_pred))
        self.counts.assign_add(keras.ops.matmul(keras.ops.transpose(true), predicted))

    def result(self) -> keras.KerasTensor:
        return keras.ops.trace(self.counts)


class ProgressCallback(keras.callbacks.Callback):
    """Write status, history and best weights to the run folder, and heed requests to stop or pause."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run, self._process = run, psutil.Process()
        self._status = replace(run.status(), state="running", message="", lost=False, **process_facts())
        self._epoch_rows: list[dict[str, float]] = []
        # Epoch, batch, loss, accuracy, seconds since the epoch began.
        self._batch_rows: list[tuple[int, int, float, float, float]] = []
        self._best_loss, self._unsaved = float("inf"), False
        self._best_weights: list[FloatArray] | None = None
        self._last_write = self._last_save = self._save_seconds = 0.0
        self._events = EventWriter(run.path / "tensorboard")

    @property
    def has_best(self) -> bool:
        """True once an epoch has ended."""
        return bool(self._best_weights) or (self._run.path / "model.keras").exists()

    def say(self, phase: str) -> None:
        """Name what comes next; StopRequested or PauseRequested where somebody asked for that."""
        self._check_requests(between_epochs=True)
        self.write_status("running", phase)

    def phase(self, name: str) -> Progress:
        """Name what comes next; returns what it reports to, which heeds requests, too."""
        self.say(name)
        bar = tqdm(desc=name, disable=None, leave=False)

        def report(done: int, total: int) -> None:
            self._check_requests(between_epochs=True)
            bar.total, bar.n = total, done
            bar.refresh()
            if done == total:
                bar.close()
            if time.monotonic() - self._last_write > _WRITE_EVERY_SECONDS:
                self.write_status("running", f"{name}: {done:,} of {total:,}")

        return report

    def write_status(self, state: RunState, phase: str = "", message: str = "") -> None:
        """Write the status; an empty phase leaves the one before."""
        memory = self._process.memory_info().rss
        peak = max(memory, peak_memory(), self._status.peak_memory_bytes)
        self._status = replace(
            self._status,
            state=state,
            message=message,
            phase=phase or self._status.phase,
            memory_bytes=memory,
            peak_memory_bytes=peak,
        )
        self._run.write_status(self._status)
        self._last_write = time.monotonic()

    def begin(
        self,
        model: keras.Model,
        trained: keras.Model,
        confusion: ConfusionCounts,
        snapshots: EpochSnapshotCallback,
        *,
        n_batches: int,
        batch_size: int,
    ) -> None:
        """Say what training changes, before it begins.

        Args:
            model: the whole network.
            trained: the part of it that is trained.
            confusion: the metric that `trained` was compiled with.
            snapshots: written after each epoch.
            n_batches: per epoch.
            batch_size: images per batch.
        """
        self._whole, self._trained, self._confusion, self._snapshots = model, trained, confusion, snapshots
        self._batch_size = batch_size
        before, finished = self._status.seconds_spent, len(self._epoch_rows)
        self._status = replace(
            self._status,
            started=time.time(),
            seconds_before=before,
            epoch=finished,
            first_epoch=finished,
            batch=0,
            batches=n_batches,
        )
        self.write_status("running", "Training")

    def state(self) -> tuple[RecorderState, list[FloatArray]]:
        """Return what a resumed run must know: the history, and the best weights."""
        return {"rows": self._epoch_rows, "best_loss": self._best_loss}, self._best_weights or []

    def restore(self, state: RecorderState, best_weights: list[FloatArray]) -> None:
        """Go on from what `state` returned, and write the history as it was then."""
        self._epoch_rows, self._best_loss = state["rows"], state["best_loss"]
        self._best_weights, self._unsaved = best_weights or None, bool(best_weights)
        self._write_history()

    def save_best(self) -> None:
        """Write the best weights so far to `model.keras`, if they are not there yet."""
        if not self._unsaved:
            return
        start = time.monotonic()
        current = self._trained.get_weights()
        self._trained.set_weights(self._best_weights)
        # What was added to the class scores of an earlier best model is not in this one.
        (self._run.path / "balance.json").unlink(missing_ok=True)
        with atomic_path(self._run.path / "model.keras") as temporary:
            self._whole.save(temporary)
        self._trained.set_weights(current)
        self._unsaved, self._last_save = False, time.monotonic()
        self._save_seconds = self._last_save - start

    def forget_models(self) -> None:
        """Release the networks, after the best model was saved."""
        del self._whole, self._trained, self._confusion, self._snapshots
        self._best_weights = None
        self.set_model(None)

    def end_epoch(self) -> None:
        """Pause here, where nothing is lost, if somebody asked for it."""
        self._check_requests(between_epochs=True)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._batch_rows = []
        self._epoch_start = self._train_end = time.monotonic()
        self._status = replace(self._status, epoch_started=time.time())
        self._bar = tqdm(total=self._status.batches, desc=f"epoch {epoch + 1}", disable=None, leave=False)

    def _learning_rate(self) -> float:
        # On several devices it is no number by itself.
        return float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:
        self._check_requests()
        self._train_end = time.monotonic()
        loss = float(logs["loss"])
        if not np.isfinite(loss):
            rate = self._learning_rate()
            raise ValueError(
                f"The loss became {loss} in batch {batch + 1} of epoch {self._status.epoch + 1}; "
                f"the learning rate of {rate:g} is too high for these settings."
            )
        seconds = self._train_end - self._epoch_start
        self._batch_rows.append((self._status.epoch + 1, batch + 1, loss, float(logs["accuracy"]), seconds))
        self._bar.update()
        if self._train_end - self._last_write > _WRITE_EVERY_SECONDS:
            self._write_batches(batch + 1)

    def on_test_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._check_requests()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        self._bar.close()
        if logs["val_loss"] < self._best_loss:
            self._best_loss, self._unsaved = float(logs["val_loss"]), True
            self._best_weights = self._trained.get_weights()
        if time.monotonic() - self._last_save > max(_SAVE_EVERY_SECONDS, self._save_seconds / _SAVING_SHARE):
            self.save_best()
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        images = len(self._batch_rows) * self._batch_size
        row: dict[str, float] = {"epoch": epoch + 1} | {name: float(logs[name]) for name in names}
        row["learning_rate"] = self._learning_rate()
        row["epoch_seconds"] = time.monotonic() - self._epoch_start
        row["images_per_second"] = images / max(self._train_end - self._epoch_start, 1e-9)
        self._snapshots.write(epoch + 1, self._confusion.counts.numpy().astype(int))
        self._epoch_rows.append(row)
        self._write_history()
        self._events.write(row)
        self._status = replace(self._status, epoch=epoch + 1)
        self._write_batches(0)
        _log.info("  ".join(f"{k} {v:.4g}" for k, v in row.items()))

    def _write_history(self) -> None:
        write_text(self._run.path / "epochs.csv", table_csv(pd.DataFrame(self._epoch_rows)))

    def _write_batches(self, batch: int) -> None:
        """Write the curve of the current epoch, and how far it is."""
        epoch = self._batch_rows[0][0] if self._batch_rows else 0
        columns = ["epoch", "batch", "loss", "accuracy", "seconds"]
        path = self._run.path / "batches" / f"epoch-{epoch:04d}.csv"
        write_text(path, table_csv(pd.DataFrame(self._batch_rows, columns=columns)))
        self._status = replace(self._status, batch=batch)
        self.write_status("running", "Training")

    def _check_requests(self, *, between_epochs: bool = False) -> None:
        """Raise StopRequested or PauseRequested where somebody asked for that; a pause with a reason comes at once."""
        if self._run.stop_requested:
            raise StopRequested
        if self._run.pause_requested:
            reason = self._run.pause_reason
            if between_epochs or reason:
                raise PauseRequested(reason or _PAUSED)
