"""One training run from images to an evaluated, exported classifier. Imports TensorFlow."""

import hashlib
import importlib.metadata
import logging
import platform
import signal
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from tqdm import tqdm

from cxr_core.batches import feature_batches, image_batches, validation_batches
from cxr_core.card import Card, write_card
from cxr_core.classifier import BATCH_SIZE, load_classifier, open_session
from cxr_core.config import CACHE_DIR, PROJECT_DIR
from cxr_core.dataset import scan_dataset
from cxr_core.evaluate import score_table
from cxr_core.export import export_classifier, export_features
from cxr_core.files import atomic_path, read_json, write_json
from cxr_core.model import MissingWeights, build_model
from cxr_core.prepared import prepare_images
from cxr_core.recipes import command_for
from cxr_core.runs import RunStatus, spawn_detached
from cxr_core.split import make_split, picture_groups

_log = logging.getLogger(__name__)
_PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "opencv-python-headless", "onnxruntime", "scikit-learn")
_SAVE_EVERY_SECONDS = 5.0
_WRITE_EVERY_SECONDS = 1.0


class _StopRequested(Exception):
    """Raised wherever the run looks up and finds that somebody asked it to stop."""


def train_run(run):
    """Carry out the run that a folder's configuration describes.

    Progress, history and the best model are written as they come. A request to stop leaves the
    best model so far and hands its export to a process of its own, so that this one ends at once.

    Args:
        run: runs.Run with a `config.json`.

    Returns:
        str, the final state: "finished" or "stopped".

    Raises:
        ValueError, FileNotFoundError, MissingWeights: the data, the configuration or the weights
            do not allow the run. The run is marked as failed with the same sentence first.
    """
    recorder = _Recorder(run)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: (run.path / "stop").touch())
    try:
        _train(run, recorder)
    except _StopRequested:
        return _end_stopped(run, recorder)
    except (ValueError, FileNotFoundError, MissingWeights) as error:
        _log.error("failed: %s", error)
        recorder.write_status("failed", message=str(error))
        raise
    recorder.write_status("finished", "Finished")
    return "finished"


def export_run(run):
    """Export a run's best model and evaluate it on validation and test.

    Args:
        run: runs.Run with `model.keras`, `split.csv` and `environment.json`.

    Raises:
        FileNotFoundError: the run has no model yet.
    """
    path = run.path / "model.keras"
    if not path.exists():
        raise FileNotFoundError(f"The run {run.name} has no model: it ended before its first epoch did.")
    config, environment = run.config(), read_json(run.path / "environment.json")
    layers = export_classifier(keras.saving.load_model(path, compile=False), run.path / "model.onnx")
    training = config.to_dict() | {"data": environment["data"]}
    training["roots"] = [Path(r).name for r in config.roots]
    card = Card(
        name=run.name,
        classes=tuple(environment["data"]["classes"]),
        preprocessing=config.preprocessing,
        map_layers=layers,
        training=training,
    )
    write_card(card, run.path)
    metrics = _evaluate_run(run, config)
    write_json(run.path / "metrics.json", metrics)
    write_card(Card(**(vars(card) | {"metrics": metrics})), run.path)


def _train(run, recorder):
    config = run.config()
    keras.utils.set_random_seed(config.seed)
    dataset = scan_dataset(*config.roots, progress=recorder.phase("Looking through the images"))
    prepared = prepare_images(dataset.table, config.preprocessing, progress=recorder.phase("Preparing the images"))
    table, images = prepared.table, prepared.images_u8
    split = make_split(
        table, config.split, seed=config.seed, validation_share=config.validation_share, test_share=config.test_share
    )
    if len(split.train) < config.batch_size:
        raise ValueError(
            f"One batch needs {config.batch_size} training images, but there are {len(split.train)}; lower batch_size."
        )
    _write_split(run, table, split)
    _write_environment(run, config, dataset, table, split)
    recorder.say("Building the network")
    model = build_model(config, len(dataset.classes))
    classes = list(dataset.classes)
    targets = table["class_name"].map(classes.index).to_numpy()
    labels = np.eye(len(classes), dtype=np.float32)[targets]
    if config.train_from == "head":
        features = _compute_features(model, config, prepared, recorder.phase("Computing features"))
        trained = keras.Model(model.get_layer("features").output, model.output)
        batches = feature_batches(features, split.train, labels, config)
        validation = (features[split.validation], labels[split.validation])
    else:
        trained = keras.Model(model.input, model.output)
        batches = image_batches(images, split.train, labels, config)
        validation = validation_batches(images, split.validation, labels, config.preprocessing)
    trained.compile(keras.optimizers.Adam(config.learning_rate), "categorical_crossentropy", metrics=["accuracy"])
    recorder.begin(model, len(split.train) // config.batch_size, config.batch_size)
    trained.fit(
        batches,
        validation_data=validation,
        epochs=config.epochs,
        callbacks=_callbacks(config, recorder),
        class_weight=_class_weights(targets[split.train]) if config.class_weights else None,
        verbose=0,
    )
    recorder.save_best()
    recorder.say("Exporting and evaluating the best model")
    export_run(run)


def _callbacks(config, recorder):
    patience = config.plateau_patience
    plateau = keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.3, patience=patience, mode="min", min_lr=1e-11)
    early = [keras.callbacks.EarlyStopping("val_loss", patience=config.stop_after)] if config.stop_after else []
    return [recorder, plateau, *early]


def _class_weights(targets):
    counts = np.bincount(targets)
    return {i: len(targets) / (len(counts) * n) for i, n in enumerate(counts) if n}


def _compute_features(model, config, prepared, progress):
    """Run the frozen backbone once over all images, in ONNX Runtime, which is faster than Keras here."""
    backbone = keras.Model(model.input, model.get_layer("features").output)
    digest = hashlib.sha256(b"".join(w.tobytes() for w in backbone.get_weights())).hexdigest()[:32]
    settings = f"{digest}-{prepared.key}-{config.preprocessing.scaling}"
    path = CACHE_DIR / "features" / f"{hashlib.sha256(settings.encode()).hexdigest()[:32]}.npy"
    if path.exists():
        return np.load(path)
    graph = CACHE_DIR / "backbones" / f"{digest}-{config.preprocessing.size}.onnx"
    if not graph.exists():
        export_features(backbone, graph)
    session, parts = open_session(graph), []
    images = prepared.images_u8
    for start in range(0, len(images), BATCH_SIZE):
        batch = config.preprocessing.scaled(images[start : start + BATCH_SIZE])
        parts += session.run(["features"], {"image": batch})
        progress(min(start + BATCH_SIZE, len(images)), len(images))
    features = np.concatenate(parts)
    with atomic_path(path) as temporary:
        np.save(temporary, features)
    return features


def _end_stopped(run, recorder):
    if recorder.has_best:
        recorder.save_best()
        with (run.path / "log.txt").open("ab") as log:
            spawn_detached([sys.executable, "-m", "cxr_core", "export", str(run.path)], log)
        recorder.write_status("stopped", "Stopped", message="Stopped by request; the best model so far is kept.")
    else:
        recorder.write_status(
            "stopped", "Stopped", message="Stopped by request before the first epoch ended: there is no model."
        )
    return "stopped"


def _evaluate_run(run, config):
    split = pd.read_csv(run.path / "split.csv")
    classifier = load_classifier(run.path)
    metrics, tables = {}, []
    for name in ("validation", "test"):
        # In the article's way the test images are the validation images.
        side = "test" if config.split == "article" else name
        metrics[name], predictions = score_table(classifier, split[split["split"] == side])
        tables.append(predictions.assign(split=name))
    with atomic_path(run.path / "predictions.csv") as temporary:
        pd.concat(tables).to_csv(temporary, index=False)
    return metrics


def _write_split(run, table, split):
    columns = table[["file", "class_name", "path", "digest"]]
    with atomic_path(run.path / "split.csv") as temporary:
        columns.assign(group=picture_groups(table), split=split.names(len(table))).to_csv(temporary, index=False)


def _write_environment(run, config, dataset, table, split):
    counts = {
        name: {c: int(n) for c, n in table["class_name"].iloc[getattr(split, name)].value_counts().items()}
        for name in ("train", "validation", "test")
    }
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    values = {
        "command": ["python", *command_for(config, run.path)],
        "folder": str(PROJECT_DIR),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
        "data": {
            "classes": list(dataset.classes),
            "images": counts,
            "unreadable": len(dataset.unreadable),
            "fingerprint": dataset.fingerprint,
        },
    }
    write_json(run.path / "environment.json", values)


class _Recorder(keras.callbacks.Callback):
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
        """Name what comes next; raises _StopRequested if nobody wants it any more."""
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
            raise _StopRequested
