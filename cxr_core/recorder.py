"""Write down what a training does as it happens, and look out for a request to stop. Imports TensorFlow."""

import logging
import time

import keras
import numpy as np
import pandas as pd
from tqdm import tqdm

from cxr_core.files import atomic_path
from cxr_core.runs import RunStatus

_SAVE_EVERY_SECONDS = 5.0
_WRITE_EVERY_SECONDS = 1.0
_log = logging.getLogger(__name__)


class StopRequested(Exception):
    """Raised wherever a run looks up and finds that somebody asked it to stop."""


class Recorder(keras.callbacks.Callback):
    """Write status, history and best weights to the run folder, and look out for a stop request."""

    def __init__(self, run):
        super().__init__()
        self._run = run
        self._status = RunStatus(**(vars(run.status()) | {"state": "running"}))
        self._epoch_rows, self._batch_rows = [], []
        self._best_loss, self._best_weights, self._unsaved = float("inf"), None, False
        self._last_write = self._last_save = 0.0
        self._bar = None

    @property
    def has_best(self):
        return self._best_weights is not None

    def say(self, phase):
        """Name what comes next; raises StopRequested if nobody wants it any more."""
        self._look_out_for_stop()
        self.write_status("running", phase)

    def phase(self, name):
        """Name what comes next; returns a callable(done, total) that reports on it and looks out for a stop."""
        self.say(name)
        bar = tqdm(desc=name, disable=None, leave=False)

        def report(done, total):
            self._look_out_for_stop()
            bar.total, bar.n = total, done
            bar.refresh()
            if done == total:
                bar.close()
            if time.monotonic() - self._last_write > _WRITE_EVERY_SECONDS:
                self.write_status("running", f"{name}: {done:,} of {total:,}")

        return report

    def write_status(self, state, phase="", message="", **counters):
        """Write the status with what changed."""
        values = vars(self._status) | {"state": state, "message": message} | counters
        self._status = RunStatus(**(values | ({"phase": phase} if phase else {})))
        self._run.write_status(self._status)
        self._last_write = time.monotonic()

    def begin(self, full_model, n_batches, batch_size):
        """Say which whole model holds the weights that training changes, before it begins."""
        self._full_model, self._batch_size = full_model, batch_size
        self.write_status("running", "Training", batches=n_batches, started=time.time())

    def save_best(self):
        """Write the best weights so far to `model.keras`, if they are not there yet."""
        if not self._unsaved:
            return
        current = self._full_model.get_weights()
        self._full_model.set_weights(self._best_weights)
        with atomic_path(self._run.path / "model.keras") as temporary:
            self._full_model.save(temporary)
        self._full_model.set_weights(current)
        self._unsaved, self._last_save = False, time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        self._batch_rows = []
        self._epoch_start = self._train_end = time.monotonic()
        self._bar = tqdm(total=self._status.batches, desc=f"epoch {epoch + 1}", disable=None, leave=False)

    def on_train_batch_end(self, batch, logs=None):
        self._look_out_for_stop()
        self._train_end = time.monotonic()
        loss = float(logs["loss"])
        if not np.isfinite(loss):
            raise ValueError(
                f"The loss became {loss} in batch {batch + 1} of epoch {self._status.epoch + 1}; "
                "the learning rate is too high for these settings."
            )
        seconds = self._train_end - self._epoch_start
        self._batch_rows.append((self._status.epoch + 1, batch + 1, loss, float(logs["accuracy"]), seconds))
        self._bar.update()
        if self._train_end - self._last_write > _WRITE_EVERY_SECONDS:
            self._write_batches(batch + 1)

    def on_test_batch_end(self, batch, logs=None):
        self._look_out_for_stop()

    def on_epoch_end(self, epoch, logs=None):
        self._bar.close()
        if logs["val_loss"] < self._best_loss:
            self._best_loss, self._unsaved = logs["val_loss"], True
            self._best_weights = self._full_model.get_weights()
        if time.monotonic() - self._last_save > _SAVE_EVERY_SECONDS:
            self.save_best()
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        images = len(self._batch_rows) * self._batch_size
        row = {"epoch": epoch + 1} | {name: float(logs[name]) for name in names}
        row["learning_rate"] = float(self.model.optimizer.learning_rate)
        row["epoch_seconds"] = time.monotonic() - self._epoch_start
        row["images_per_second"] = images / max(self._train_end - self._epoch_start, 1e-9)
        self._epoch_rows.append(row)
        with atomic_path(self._run.path / "epochs.csv") as temporary:
            pd.DataFrame(self._epoch_rows).to_csv(temporary, index=False)
        self._status = RunStatus(**(vars(self._status) | {"epoch": epoch + 1}))
        self._write_batches(0)
        _log.info("  ".join(f"{k} {v:.4g}" for k, v in row.items()))

    def _write_batches(self, batch):
        epoch = self._batch_rows[0][0] if self._batch_rows else 0
        columns = ["epoch", "batch", "loss", "accuracy", "seconds"]
        with atomic_path(self._run.path / "batches" / f"epoch-{epoch:04d}.csv") as temporary:
            pd.DataFrame(self._batch_rows, columns=columns).to_csv(temporary, index=False)
        self.write_status("running", "Training", batch=batch)

    def _look_out_for_stop(self):
        if self._run.stop_requested:
            raise StopRequested
