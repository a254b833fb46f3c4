"""What does a resumed training need? All of it in one file."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import keras
import numpy as np

from cxr_core.runs.run import Run
from cxr_core.system.arrays import FloatArray
from cxr_core.system.files import atomic_path
from cxr_core.training.progress_callback import ProgressCallback, RecorderState

FILE = "checkpoint.npz"
# Stored in the file; raised when its layout changes, so that older files are refused with a sentence.
_VERSION = 1
_KEPT = {
    keras.callbacks.ReduceLROnPlateau: ("best", "wait", "cooldown_counter"),
    keras.callbacks.EarlyStopping: ("best", "wait", "best_epoch", "stopped_epoch"),
}


class _State(TypedDict):
    """The plain values among what is kept, as they stand in the file.

    Attributes:
        version: of the file's layout.
        epoch: how many are finished.
        done: whether training has come to its end.
        recorder: what the recorder must know.
        callbacks: the attributes of `_KEPT`, per callback that has any.
    """

    version: int
    epoch: int
    done: bool
    recorder: RecorderState
    callbacks: list[dict[str, float]]


@dataclass
class _Kept:
    """One file's content: the plain values, and the arrays of the model, its optimizer and its best weights."""

    state: _State
    model: list[FloatArray] = field(default_factory=list)
    optimizer: list[FloatArray] = field(default_factory=list)
    best: list[FloatArray] = field(default_factory=list)


class Checkpoint(keras.callbacks.Callback):
    """Write the whole state of a training after every epoch, and restore it where one was kept.

    Kept are the weights, the counters that dropout draws from, the optimizer with its learning rate
    and averages, the best weights and their loss, the state of the learning-rate schedule and of
    early stopping, and the history. The order of the images and their augmentation depend on seed,
    epoch and image alone, so a resumed run continues as if it had never been interrupted. Keras's
    BackupAndRestore keeps weights and epoch only.

    It must be the last callback: only then has every other one finished its epoch.

    Args:
        run: its folder takes the file.
        recorder: knows the history and the best weights.
        callbacks: the other callbacks.
    """

    def __init__(self, run: Run, recorder: ProgressCallback, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        super().__init__()
        self._path, self._recorder = run.path / FILE, recorder
        self._callbacks = callbacks
        self._kept: _Kept | None = None

    @property
    def first_epoch(self) -> int:
        """How many epochs are finished already."""
        return self._kept.state["epoch"] if self._kept else 0

    @property
    def is_done(self) -> bool:
        """True where training had come to its end when the state was kept."""
        return self._kept is not None and self._kept.state["done"]

    def load(self, model: keras.Model) -> None:
        """Restore weights, optimizer and history, if a state was kept.

        Args:
            model: compiled; the one that is trained.

        Raises:
            ValueError: the file is broken, or belongs to another network.
        """
        self._kept = _read(self._path)
        if self._kept is None:
            return
        model.optimizer.build(model.trainable_variables)
        kept = (self._kept.model, _variables(model)), (self._kept.optimizer, model.optimizer.variables)
        for values, variables in kept:
            if [v.shape for v in values] != [tuple(v.shape) for v in variables]:
                raise ValueError("The checkpoint belongs to another network; start a new run with these settings.")
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        self._recorder.restore(self._kept.state["recorder"], self._kept.best)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        # The other callbacks have just reset themselves.
        if self._kept is None:
            return
        for callback, values in zip(self._stateful(), self._kept.state["callbacks"], strict=True):
            vars(callback).update(values)
        for callback in self._callbacks:
            if isinstance(callback, keras.callbacks.SwapEMAWeights):
                # An epoch ends with the averages in the model's place; the next one swaps them back.
                callback._ema_weights_in_model = True
        self._kept = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        done = self.model.stop_training or epoch + 1 == self.params["epochs"]
        recorded, best = self._recorder.state()
        callbacks = [{name: getattr(c, name) for name in _names(c)} for c in self._stateful()]
        state = _State(version=_VERSION, epoch=epoch + 1, done=done, recorder=recorded, callbacks=callbacks)
        arrays: dict[str, Any] = {"state": np.frombuffer(json.dumps(state, default=float).encode(), np.uint8)}
        groups = {"model": _variables(self.model), "optimizer": self.model.optimizer.variables, "best": best}
        for name, values in groups.items():
            arrays |= {f"{name}_{i:04d}": keras.ops.convert_to_numpy(value) for i, value in enumerate(values)}
        with atomic_path(self._path, durable=True) as temporary:
            np.savez(temporary, **arrays)
        self._recorder.end_epoch()

    def _stateful(self) -> list[keras.callbacks.Callback]:
        """Return the other callbacks that have a state to keep."""
        return [callback for callback in self._callbacks if _names(callback)]


def _names(callback: keras.callbacks.Callback) -> tuple[str, ...]:
    """Return the attributes of a callback that are kept."""
    return next((names for kind, names in _KEPT.items() if isinstance(callback, kind)), ())


def _variables(model: keras.Model) -> list[keras.Variable]:
    """Return the weights and the counters that dropout draws from; no metrics."""
    return [variable for layer in model.layers for variable in layer.variables]


def _read(path: Path) -> _Kept | None:
    """Return what was kept, or None where there is no file; ValueError for a broken one."""
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in sorted(file.files)}
        state = json.loads(arrays.pop("state").tobytes())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path.name} is broken, so this run cannot be resumed; start a new one.") from error
    if state.get("version") != _VERSION:
        raise ValueError("This run's checkpoint was written by another version; start a new run with its settings.")
    kept = _Kept(state)
    for name, value in arrays.items():
        getattr(kept, name.rsplit("_", 1)[0]).append(value)
    return kept
