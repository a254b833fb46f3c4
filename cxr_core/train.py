"""One training run from images to an evaluated, exported classifier. Imports TensorFlow."""

import hashlib
import importlib.metadata
import logging
import platform
import signal
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from cxr_core.activations import keep_activations, split_network
from cxr_core.batches import (
    activation_batches,
    feature_batches,
    image_batches,
    kept_validation_batches,
    validation_batches,
)
from cxr_core.calibration import fit_temperature
from cxr_core.card import Card, write_card
from cxr_core.classifier import Classifier, open_session, run_graph
from cxr_core.config import CACHE_DIR, PROJECT_DIR, order_classes
from cxr_core.dataset import scan_dataset
from cxr_core.decisions import DECISIONS_FILE, Decisions, load_decisions
from cxr_core.evaluate import score_table, table_probabilities
from cxr_core.export import export_classifier, export_features
from cxr_core.files import atomic_path, read_json, write_json
from cxr_core.grouping import group_pictures
from cxr_core.leakage import leakage_of, score_without_leaks
from cxr_core.model import build_model
from cxr_core.operating_point import balancing_shifts
from cxr_core.prepared import prepare_images
from cxr_core.recipes import command_for, cosine_rate
from cxr_core.recorder import Recorder, StopRequested
from cxr_core.runs import start_export
from cxr_core.split import make_split, split_table

_log = logging.getLogger(__name__)
_HEAD_LEARNING_RATE = 1e-3
_HEAD_EPOCHS = 40
_PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "opencv-python-headless", "onnxruntime", "scikit-learn")


def train_run(run):
    """Carry out the run that a folder's configuration describes.

    Progress, history and the best model are written as they come. A request to stop leaves the
    best model so far and hands its export to a process of its own, so that this one ends at once.

    Args:
        run: runs.Run with a `config.json`.

    Returns:
        str, the final state: "finished" or "stopped".

    Raises:
        ValueError, OSError: the data, the disk, the configuration or the weights
            do not allow the run. The run is marked as failed with the same sentence first.
    """
    recorder = Recorder(run)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: (run.path / "stop").touch())
    try:
        _train(run, recorder)
    except StopRequested:
        return _end_stopped(run, recorder)
    except (ValueError, OSError) as error:
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
    classes = tuple(environment["data"]["classes"])
    model = keras.saving.load_model(path, compile=False)
    balance = run.path / "balance.json"
    if config.balance_classes and not balance.exists():
        shifts = _balance(model, run, config, classes)
        with atomic_path(path) as temporary:
            model.save(temporary)
        write_json(balance, shifts)
    graph = run.path / "model.onnx"
    layers = export_classifier(model, graph)
    training = config.to_dict() | {"data": environment["data"]}
    if balance.exists():
        training["balance"] = read_json(balance)
    training["roots"] = [Path(r).name for r in config.roots]
    card = Card(
        name=run.name,
        classes=classes,
        preprocessing=config.preprocessing,
        map_layers=layers,
        training=training,
    )
    card, metrics = _evaluate_run(run, config, Classifier(card, open_session(graph)))
    write_json(run.path / "metrics.json", metrics)
    # Last of all: whoever finds a card finds everything that belongs to it.
    write_card(replace(card, metrics=metrics), run.path)


def _train(run, recorder):
    config = run.config()
    keras.utils.set_random_seed(config.seed)
    dataset = scan_dataset(*config.roots, progress=recorder.phase("Looking through the images"))
    decisions = load_decisions(run.path / DECISIONS_FILE)
    _, table, groups = group_pictures(dataset.table, decisions, phase=recorder.phase).taking_part(decisions)
    prepared = prepare_images(table, config.preprocessing, progress=recorder.phase("Preparing the images"))
    if len(prepared.table) < len(table):
        raise OSError("Pictures went away while the run began; start it again.")
    images = prepared.images_u8
    split = make_split(
        table,
        config.split,
        seed=config.seed,
        groups=groups,
        validation_share=config.validation_share,
        test_share=config.test_share,
    )
    if len(split.train) < config.batch_size:
        raise ValueError(
            f"One batch needs {config.batch_size} training images, but there are {len(split.train)}; lower batch_size."
        )
    with atomic_path(run.path / "split.csv") as temporary:
        split_table(table, groups, split).to_csv(temporary, index=False)
    _write_environment(run, config, dataset, table, split, decisions)
    recorder.say("Building the network")
    # Not the data set's: a class may be left out as a whole.
    classes = list(order_classes(table["class_name"]))
    model = build_model(config, len(classes))
    targets = table["class_name"].map(classes.index).to_numpy()
    labels = np.eye(len(classes), dtype=np.float32)[targets]
    weights = _class_weights(targets[split.train]) if config.class_weights else None
    head_only = config.train_from == "head"
    if head_only or config.head_first:
        features = _compute_features(model, config, prepared, recorder.phase("Computing features"))
    if head_only:
        trained = _head_of(model)
        batches = feature_batches(features, split.train, labels, config)
        validation = (features[split.validation], labels[split.validation])
    else:
        if config.head_first:
            recorder.say("Training the head alone")
            _train_head(_head_of(model), features, labels, split, weights)
        if config.copies:
            trunk, trained = split_network(model, config.train_from)
            batches, validation = _kept_batches(trunk, prepared, split, labels, config, recorder)
        else:
            trained = keras.Model(model.input, model.output)
            batches = image_batches(images, split.train, labels, config)
            validation = validation_batches(images, split.validation, labels, config.preprocessing)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing)
    trained.compile(_build_optimizer(config), loss, metrics=["accuracy"])
    recorder.begin(model, len(split.train) // config.batch_size, config.batch_size)
    trained.fit(
        batches,
        validation_data=validation,
        epochs=config.epochs,
        callbacks=_callbacks(config, recorder),
        class_weight=weights,
        shuffle=False,
        verbose=0,
    )
    recorder.save_best()
    recorder.say("Exporting and evaluating the best model")
    export_run(run)


def _kept_batches(trunk, prepared, split, labels, config, recorder):
    """Return training and validation batches of what the frozen part of the network makes of the images."""
    options = {"config": config, "key": prepared.key}
    report = recorder.phase("Computing activations of augmented copies")
    kept = keep_activations(trunk, prepared.images_u8, split.train, copies=config.copies, progress=report, **options)
    report = recorder.phase("Computing activations for validation")
    plain = keep_activations(trunk, prepared.images_u8, split.validation, copies=0, progress=report, **options)
    return (
        activation_batches(kept, labels[split.train], config),
        kept_validation_batches(plain[0], labels[split.validation]),
    )


def _head_of(model):
    """Return the layers after the pooled features as a model of their own; the weights are shared."""
    return keras.Model(model.get_layer("features").output, model.output)


def _train_head(head, features, labels, split, weights):
    head.compile(keras.optimizers.Adam(_HEAD_LEARNING_RATE), "categorical_crossentropy")
    early = keras.callbacks.EarlyStopping("val_loss", patience=5, restore_best_weights=True)
    head.fit(
        features[split.train],
        labels[split.train],
        validation_data=(features[split.validation], labels[split.validation]),
        epochs=_HEAD_EPOCHS,
        class_weight=weights,
        callbacks=[early],
        verbose=0,
    )


def _callbacks(config, recorder):
    if config.schedule == "cosine":
        schedule = keras.callbacks.LearningRateScheduler(lambda epoch: cosine_rate(config, epoch))
    else:
        patience = config.plateau_patience
        schedule = keras.callbacks.ReduceLROnPlateau("val_loss", 0.3, patience, mode="min", min_lr=1e-11)
    early = [keras.callbacks.EarlyStopping("val_loss", patience=config.stop_after)] if config.stop_after else []
    # First of all, so that the recorder finds the averaged weights in place when it keeps the best.
    average = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if config.weight_average else []
    return [*average, recorder, schedule, *early]


def _build_optimizer(config):
    if config.weight_average is None:
        return keras.optimizers.Adam(config.learning_rate)
    return keras.optimizers.Adam(config.learning_rate, use_ema=True, ema_momentum=config.weight_average)


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
    session = open_session(graph)
    (features,) = run_graph(session, ["features"], prepared.images_u8, config.preprocessing, progress=progress)
    with atomic_path(path) as temporary:
        np.save(temporary, features)
    return features


def _balance(model, run, config, classes):
    """Shift the class scores of a model so that validation finds all classes equally well; returns the shifts."""
    split = pd.read_csv(run.path / "split.csv")
    prepared = prepare_images(split[split["split"] == _validation_side(config)], config.preprocessing)
    probabilities = model.predict(config.preprocessing.scaled(prepared.images_u8), batch_size=64, verbose=0)
    shifts = balancing_shifts(probabilities, prepared.table["class_name"].map(classes.index).to_numpy())
    kernel, bias = model.get_layer("logits").get_weights()
    model.get_layer("logits").set_weights([kernel, bias + shifts])
    return dict(zip(classes, shifts.tolist(), strict=True))


def _validation_side(config):
    """In the article's way the test images are the validation images."""
    return "test" if config.split == "article" else "validation"


def _end_stopped(run, recorder):
    if recorder.has_best:
        recorder.save_best()
        start_export(run)
        recorder.write_status("stopped", "Stopped", message="Stopped by request; the best model so far is kept.")
    else:
        recorder.write_status(
            "stopped", "Stopped", message="Stopped by request before the first epoch ended: there is no model."
        )
    return "stopped"


def _evaluate_run(run, config, classifier):
    """Fit the temperature on validation, then score validation and test; returns (card, metrics)."""
    split = pd.read_csv(run.path / "split.csv")
    sides = {"validation": split[split["split"] == _validation_side(config)], "test": split[split["split"] == "test"]}
    before, predictions = score_table(classifier, sides["validation"])
    targets = predictions["true"].map(classifier.classes.index).to_numpy()
    temperature = fit_temperature(table_probabilities(predictions, classifier.classes), targets)
    classifier = replace(classifier, card=replace(classifier.card, temperature=temperature))
    metrics, tables = {}, []
    for name, rows in sides.items():
        metrics[name], predictions = score_table(classifier, rows)
        tables.append(predictions.assign(split=name))
    metrics["validation"] |= {"uncalibrated": {"ece": before["ece"], "brier": before["brier"]}}
    predictions = pd.concat(tables)
    with atomic_path(run.path / "predictions.csv") as temporary:
        predictions.to_csv(temporary, index=False)
    leaks = leakage_of(split["split"], split, split["group"])
    leakage = score_without_leaks(predictions, leaks.rows) | {"sentence": leaks.sentence}
    return classifier.card, metrics | {"leakage": leakage}


def _write_environment(run, config, dataset, table, split, decisions):
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
    command = ["python", *command_for(config, run.path)]
    if decisions != Decisions():
        command += ["--decisions", str(run.path / DECISIONS_FILE)]
    values = {
        "command": command,
        "folder": str(PROJECT_DIR),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
        "data": {
            "classes": list(order_classes(table["class_name"])),
            "images": counts,
            "unreadable": len(dataset.unreadable),
            "excluded": decisions.reasons(),
            "fingerprint": dataset.fingerprint,
        },
    }
    write_json(run.path / "environment.json", values)
