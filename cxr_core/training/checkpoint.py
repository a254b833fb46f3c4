"""All that a training needs to go on after its last finished epoch, in one file. Imports TensorFlow."""

import json
import zipfile

import keras
import numpy as np

from cxr_core.system.files import atomic_path

FILE = "checkpoint.npz"
# Part of the file: a change of its layout makes older ones unreadable, with a sentence.
_VERSION = 1
_KEPT = {
    keras.callbacks.ReduceLROnPlateau: ("best", "wait", "cooldown_counter"),
    keras.callbacks.EarlyStopping: ("best", "wait", "best_epoch", "stopped_epoch"),
}


class Checkpoint(keras.callbacks.Callback):
    """Write the whole state of a training after every epoch, and put it back where one was kept.

    Kept are the weights, the counters that dropout draws from, the optimizer with its learning rate
    and averages, the best weights and their loss, the state of the learning-rate schedule and of
    early stopping, and the history. The order of the images and their augmentation depend on seed,
    epoch and image alone, so a resumed run continues as if it had never been interrupted. Keras's
    BackupAndRestore keeps weights and epoch only.

    It must be the last callback: only then has every other one finished its epoch.

    Args:
        run: run.Run.
        recorder: progress_callback.ProgressCallback, which knows the history and the best weights.
        callbacks: list of the other callbacks.
    """

    def __init__(self, run, recorder, callbacks):
        super().__init__()
        self._path, self._recorder = run.path / FILE, recorder
        self._callbacks = callbacks
        self._kept = None

    @property
    def first_epoch(self):
        """Epochs that are finished already, int."""
        return self._kept["state"]["epoch"] if self._kept else 0

    @property
    def is_done(self):
        """True where training had come to its end when the state was kept."""
        return self._kept is not None and self._kept["state"]["done"]

    def load(self, model):
        """Put weights, optimizer and history back, if a state was kept.

        Args:
            model: keras.Model, compiled; the one that is trained.

        Raises:
            ValueError: the file is broken, or belongs to another network.
        """
        self._kept = _read(self._path)
        if self._kept is None:
            return
        model.optimizer.build(model.trainable_variables)
        for name, variables in (("model", _variables(model)), ("optimizer", model.optimizer.variables)):
            values = self._kept[name]
            if [v.shape for v in values] != [tuple(v.shape) for v in variables]:
                raise ValueError("The kept state belongs to another network; start a new run with these settings.")
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        self._recorder.restore(self._kept["state"]["recorder"], self._kept["best"])

    def on_train_begin(self, logs=None):
        # The other callbacks have just reset themselves.
        if self._kept is None:
            return
        for callback, values in zip(self._stateful(), self._kept["state"]["callbacks"], strict=True):
            vars(callback).update(values)
        for callback in self._callbacks:
            if isinstance(callback, keras.callbacks.SwapEMAWeights):
                # An epoch ends with the averages in the model's place; the next one swaps them back.
                callback._ema_weights_in_model = True
        self._kept = None

    def on_epoch_end(self, epoch, logs=None):
        done = self.model.stop_training or epoch + 1 == self.params["epochs"]
        recorded, best = self._recorder.state()
        callbacks = [{name: getattr(c, name) for name in _names(c)} for c in self._stateful()]
        state = {"version": _VERSION, "epoch": epoch + 1, "done": done, "recorder": recorded, "callbacks": callbacks}
        arrays = {"state": np.frombuffer(json.dumps(state, default=float).encode(), np.uint8)}
        groups = {"model": _variables(self.model), "optimizer": self.model.optimizer.variables, "best": best}
        for name, values in groups.items():
            arrays |= {f"{name}_{i:04d}": keras.ops.convert_to_numpy(value) for i, value in enumerate(values)}
        with atomic_path(self._path, durable=True) as temporary:
            np.savez(temporary, **arrays)
        self._recorder.end_epoch()

    def _stateful(self):
        return [callback for callback in self._callbacks if _names(callback)]


def _names(callback):
    return next((names for kind, names in _KEPT.items() if isinstance(callback, kind)), ())


def _variables(model):
    """Weights and the counters that dropout draws from; no metrics."""
    return [variable for layer in model.layers for variable in layer.variables]


def _read(path):
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in sorted(file.files)}
        state = json.loads(arrays.pop("state").tobytes())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path.name} is broken, so this run cannot be resumed; start a new one.") from error
    if state.get("version") != _VERSION:
        raise ValueError("This run's kept state comes from another version; start a new run with its settings.")
    groups = {"model": [], "optimizer": [], "best": []}
    for name, value in arrays.items():
        groups[name.rsplit("_", 1)[0]].append(value)
    return groups | {"state": state}
