"""What is in a run folder, and how far is the run?"""

import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from cxr_core.config import RUNS_DIR
from cxr_core.recipes.training_config import TrainingConfig, config_from_dict
from cxr_core.runs.run_tables import read_run_table
from cxr_core.runs.work_folder import ACTIVE, RESUMABLE, RunState, UnfinishedEnd, WorkFolder, stamped_name
from cxr_core.system.files import read_json

_UNREPORTED_ENDS: dict[UnfinishedEnd, str] = {
    "failed": "The training process ended unexpectedly; the end of its log is below.",
    "stopped": "Stopped by request in the middle of an epoch; the best model so far is kept if there is one.",
    "paused": "Paused in the middle of an epoch; it can be resumed after its last finished epoch.",
}
# What a search says of itself in the folder of the trial that it has chosen.
SEARCH_FILE = "search.json"
# An empty file in the folders of runs that visitors of a shared installation started; nobody else sees these.
VISIT_FILE = "visit"
_FULL_DISK = "The disk that holds this run is full. Free some space, then resume the run."
_FULL_DISK_BYTES = 1_000_000


@dataclass(frozen=True)
class RunStatus:
    """A run's state and progress at one moment.

    Attributes:
        state: of the run.
        phase: what it is doing, in words.
        message: why it stopped or failed, else "".
        epoch: how many are finished.
        epochs: how many are planned.
        batch: how many of the current epoch are done.
        batches: how many an epoch has.
        started: Unix seconds; of a resumed run, when it was resumed.
        updated: Unix seconds of the last sign of life.
        epoch_started: Unix seconds, when the current epoch began.
        first_epoch: how many epochs were finished when this process began; 0 unless it was resumed.
        seconds_before: training time of earlier processes.
        memory_bytes: resident memory of the training process.
        peak_memory_bytes: the highest so far.
        pid: the process; None before one has begun.
        pid_started: Unix seconds, when the process was created.
        host: name of its computer; "" if unknown.
        lost: the process ended unexpectedly.
    """

    state: RunState
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
    def is_active(self) -> bool:
        """True while a process works on the run."""
        return self.state in ACTIVE

    @property
    def share_done(self) -> float:
        """Proportion of the planned epochs that is done, in [0, 1]; the current one counts in part."""
        epochs = self.epoch + (self.batch / self.batches if self.batches else 0)
        return min(1.0, epochs / self.epochs) if self.epochs else 0.0

    @property
    def epoch_eta_seconds(self) -> float | None:
        """Seconds until the current epoch's batches are done; None between epochs."""
        spent = self.updated - self.epoch_started
        return None if not self.batch or spent <= 0 else max(0.0, (self.batches - self.batch) * spent / self.batch)

    @property
    def seconds_spent(self) -> float:
        """Seconds of training so far, by all processes."""
        return self.seconds_before + (max(0.0, self.updated - self.started) if self.batches else 0.0)


@dataclass(frozen=True)
class Run(WorkFolder):
    """A run folder; every method reads the disk anew."""

    @property
    def has_model(self) -> bool:
        """True once there is an exported classifier."""
        return (self.path / "model.onnx").exists() and (self.path / "card.json").exists()

    def config(self) -> TrainingConfig:
        """Return the run's configuration.

        Raises:
            FileNotFoundError: the folder has none.
            ValueError: it cannot be read.
        """
        return config_from_dict(read_json(self.path / "config.json"))

    def status(self) -> RunStatus:
        """Return the run's status; if its process ended unexpectedly, "failed", or what it had been asked for."""
        status = self.read_status(RunStatus, "run")
        state = self.unreported_end(status)
        if state is None:
            return status
        full = shutil.disk_usage(self.path).free < _FULL_DISK_BYTES
        message = _FULL_DISK if full else _UNREPORTED_ENDS[state]
        return replace(status, state=state, message=message, lost=state == "failed")

    def epochs(self) -> pd.DataFrame:
        """Return one row per finished epoch; empty before the first, and if the file is broken.

        Columns: `epoch`, `loss`, `accuracy`, `val_loss`, `val_accuracy`, and `learning_rate`, `epoch_seconds` and
        `images_per_second`, which are NaN where a run did not write them.
        """
        table = _read_table(self.path / "epochs.csv")
        needed = ["epoch", "loss", "val_loss", "accuracy", "val_accuracy"]
        if not _has_numbers(table, needed) or not np.isfinite(table["epoch"]).all():
            return pd.DataFrame()
        later = [name for name in ("learning_rate", "epoch_seconds", "images_per_second") if name not in table]
        return table.assign(**dict.fromkeys(later, np.nan))

    def batches(self) -> pd.DataFrame:
        """Return one row per batch: `epoch`, `batch`, `loss`, `accuracy`, `seconds`; may be empty; no broken file's."""
        tables = [_read_table(path) for path in sorted((self.path / "batches").glob("epoch-*.csv"))]
        tables = [t for t in tables if len(t) and _has_numbers(t, ["epoch", "batch", "loss", "accuracy"])]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()

    def log_tail(self, lines: int = 40) -> str:
        """Return the last lines of the log; "" if there is none."""
        path = self.path / "log.txt"
        if not path.exists():
            return ""
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 20_000))
            text = stream.read().decode("utf-8", "replace")
        return "\n".join(re.split(r"[\r\n]+", text)[-lines:]).strip()

    def metrics(self) -> dict[str, Any] | None:
        """Return what `metrics.json` holds: an `evaluation.metrics.Metrics` each for "validation" and "test".

        None before the export, and if the file is broken.
        """
        try:
            metrics = read_json(self.path / "metrics.json")
        except (FileNotFoundError, ValueError):
            return None
        return metrics if _are_metrics(metrics) else None

    def predictions(self) -> pd.DataFrame:
        """Return the predictions table of the validation and test images; empty before they are made.

        Runs of earlier versions did not write `digest`; it is taken from `split.csv`, where the paths tell it.
        """
        predictions = _read_table(self.path / "predictions.csv")
        if "path" not in predictions or "digest" in predictions:
            return predictions
        split = self.split()
        if not {"path", "digest"} <= set(split):
            return predictions
        return predictions.assign(digest=predictions["path"].map(split.groupby("path")["digest"].first()))

    def split(self) -> pd.DataFrame:
        """Return `split.csv`, as `split.split_table` made it; empty if there is none."""
        return _read_table(self.path / "split.csv")

    @property
    def pause_reason(self) -> str:
        """Why it must pause at once; "" if it may pause after its current epoch."""
        try:
            return (self.path / "pause").read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    @property
    def can_resume(self) -> bool:
        """True if the run ended early and can continue after its last finished epoch."""
        return self.status().state in RESUMABLE and (self.path / "config.json").exists()

    @property
    def needs_export(self) -> bool:
        """True if the best model has not been exported yet."""
        model, card = self.path / "model.keras", self.path / "card.json"
        if not model.exists():
            return False
        return not self.has_model or card.stat().st_mtime_ns < model.stat().st_mtime_ns


def new_run_path(recipe: str, runs_dir: str | Path = RUNS_DIR) -> Path:
    """Return the path of a new run folder, which sorts by time; the folder is not created."""
    return Path(runs_dir) / stamped_name(recipe)


def list_runs(runs_dir: str | Path = RUNS_DIR, *, of_visits: bool = False) -> list[Run]:
    """Return the runs of a folder, newest first.

    Args:
        runs_dir: the folder of all runs.
        of_visits: those that visitors of a shared installation started, in place of all others.
    """
    folder = Path(runs_dir)
    paths = [p.parent for p in folder.glob("*/config.json")] if folder.is_dir() else []
    chosen = [p for p in paths if (p / VISIT_FILE).exists() is of_visits]
    return [Run(p) for p in sorted(chosen, key=lambda p: p.name, reverse=True)]


def _has_numbers(table: pd.DataFrame, columns: list[str]) -> bool:
    """Return whether a table has some columns, and numbers in them."""
    return set(columns) <= set(table) and all(map(is_numeric_dtype, table[columns].dtypes))


def _are_metrics(values: Any) -> bool:
    """Return whether a test side was scored, and each side has an accuracy; what else stands there has none."""
    if not isinstance(values, dict) or "test" not in values:
        return False
    sides = [values[name] for name in ("validation", "test") if name in values]
    return all(isinstance(side, dict) and type(side.get("accuracy")) in (int, float) for side in sides)


def _read_table(path: Path) -> pd.DataFrame:
    try:
        return read_run_table(path) if path.is_file() else pd.DataFrame()
    except (FileNotFoundError, pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError):
        return pd.DataFrame()
