"""What is in a run folder, and how far the run is."""

import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from cxr_core.config import RUNS_DIR
from cxr_core.recipes.training_config import config_from_dict
from cxr_core.runs.work_folder import ACTIVE, RESUMABLE, WorkFolder, stamped_name
from cxr_core.system.files import read_json

_WORDLESS_ENDS = {
    "failed": "The training process ended without a word; the end of its log is below.",
    "stopped": "Stopped by request in the middle of a step; the best model so far is kept if there is one.",
    "paused": "Ended in the middle of a step; it goes on after its last finished epoch.",
}
_FULL_DISK = "The disk that holds this run is full. Make room, then resume it."
_FULL_DISK_BYTES = 1_000_000


@dataclass(frozen=True)
class RunStatus:
    """One look at a run.

    Attributes:
        state: "queued", "starting", "running", "finished", "stopped", "paused" or "failed".
        phase: what it is doing, in words.
        message: why it stopped or failed, else "".
        epoch, epochs: finished and planned.
        batch, batches: within the current epoch.
        started, updated: Unix seconds; a resumed run started when it was resumed.
        epoch_started: Unix seconds, when the current epoch began.
        first_epoch: epochs that were finished when this process began: 0 unless it was resumed.
        seconds_before: how long earlier processes trained.
        memory_bytes, peak_memory_bytes: of the training process, resident.
        pid, pid_started, host: the process, when it was created (Unix seconds) and on which computer; None and "".
        lost: the process ended without a word, and nobody had asked it to.
    """

    state: str
    phase: str = ""
    message: str = ""
    epoch: int = 0
    epochs: int = 0
    batch: int = 0
    batches: int = 0
    started: float = 0.0
    updated: float = 0.0
    epoch_started: float = 0.0
    first_epoch: int = 0
    seconds_before: float = 0.0
    memory_bytes: int = 0
    peak_memory_bytes: int = 0
    pid: int | None = None
    pid_started: float | None = None
    host: str = ""
    lost: bool = False

    @property
    def is_active(self):
        """True while a process works on the run."""
        return self.state in ACTIVE

    @property
    def eta_seconds(self):
        """Seconds to the planned end at the pace so far, or None before the first batch."""
        done = self.epoch - self.first_epoch + (self.batch / self.batches if self.batches else 0)
        left = self.epochs - self.first_epoch - done
        spent = self.updated - self.started
        return None if done <= 0 or spent <= 0 else max(0.0, left * spent / done)

    @property
    def epoch_eta_seconds(self):
        """Seconds until the current epoch's batches are done, or None between epochs."""
        spent = self.updated - self.epoch_started
        return None if not self.batch or spent <= 0 else max(0.0, (self.batches - self.batch) * spent / self.batch)

    @property
    def seconds_spent(self):
        """Seconds of training so far, by all processes."""
        return self.seconds_before + (max(0.0, self.updated - self.started) if self.batches else 0.0)


@dataclass(frozen=True)
class Run(WorkFolder):
    """A run folder; every method reads the disk anew."""

    @property
    def has_model(self):
        """True once the exported classifier can be opened."""
        return (self.path / "model.onnx").exists() and (self.path / "card.json").exists()

    def config(self):
        """Return the TrainingConfig; ValueError or FileNotFoundError if it cannot be read."""
        return config_from_dict(read_json(self.path / "config.json"))

    def status(self):
        """Return a RunStatus. A run whose process went without a word shows as failed, or as what it was asked for."""
        status = self.read_status(RunStatus, "run")
        state = self.end_without_a_word(status)
        if state is None:
            return status
        full = shutil.disk_usage(self.path).free < _FULL_DISK_BYTES
        message = _FULL_DISK if full else _WORDLESS_ENDS[state]
        return replace(status, state=state, message=message, lost=state == "failed")

    def epochs(self):
        """Return a DataFrame, one row per finished epoch; empty before the first, or where the file is broken."""
        table = _read_table(self.path / "epochs.csv")
        return table if {"epoch", "loss", "val_loss", "accuracy", "val_accuracy"} <= set(table) else pd.DataFrame()

    def batches(self):
        """Return a DataFrame of all batches: epoch, batch, loss, accuracy, seconds; may be empty."""
        tables = [_read_table(path) for path in sorted((self.path / "batches").glob("epoch-*.csv"))]
        tables = [t for t in tables if len(t)]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()

    def log_tail(self, lines=40):
        """Return the last lines of the log, str."""
        path = self.path / "log.txt"
        if not path.exists():
            return ""
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 20_000))
            text = stream.read().decode("utf-8", "replace")
        return "\n".join(re.split(r"[\r\n]+", text)[-lines:]).strip()

    def metrics(self):
        """Return `metrics.json`: `evaluate`'s keys under "validation" and "test", or None before or where broken."""
        try:
            return read_json(self.path / "metrics.json")
        except (FileNotFoundError, ValueError):
            return None

    def predictions(self):
        """Return the table of validation and test predictions; empty before they are made."""
        return _read_table(self.path / "predictions.csv")

    def split(self):
        """Return `split.csv`: file, class, group and side of every image; empty where there is none."""
        return _read_table(self.path / "split.csv")

    @property
    def pause_reason(self):
        """Why it is to pause at once, str; "" where the end of its epoch will do."""
        try:
            return (self.path / "pause").read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    @property
    def can_resume(self):
        """True where the run ended before its time and can go on after its last finished epoch."""
        return self.status().state in RESUMABLE and (self.path / "config.json").exists()

    @property
    def needs_export(self):
        """True where there is a best model that no exported classifier was made from yet."""
        model, card = self.path / "model.keras", self.path / "card.json"
        if not model.exists():
            return False
        return not self.has_model or card.stat().st_mtime_ns < model.stat().st_mtime_ns


def new_run_path(recipe, runs_dir=RUNS_DIR):
    """Return a run folder's path that sorts by time and is not taken; nothing is made."""
    return Path(runs_dir) / stamped_name(recipe)


def list_runs(runs_dir=RUNS_DIR):
    """Return all Runs of a folder, newest first."""
    folder = Path(runs_dir)
    paths = [p.parent for p in folder.glob("*/config.json")] if folder.is_dir() else []
    return [Run(p) for p in sorted(paths, key=lambda p: p.name, reverse=True)]


def _read_table(path):
    try:
        return pd.read_csv(path)
    except (FileNotFoundError, pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError):
        return pd.DataFrame()
