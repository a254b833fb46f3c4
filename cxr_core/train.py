"""One training run from images to an evaluated, exported classifier. Imports TensorFlow."""

import contextlib
import errno
import hashlib
import importlib.metadata
import logging
import os
import platform
import signal
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from cxr_core.activations import keep_activations, split_network
from cxr_core.batches import (
    EpochClock,
    activation_batches,
    feature_batches,
    image_batches,
    kept_validation_batches,
    validation_batches,
)
from cxr_core.calibration import fit_temperature
from cxr_core.card import Card, load_card, write_card
from cxr_core.checkpoint import FILE as CHECKPOINT_FILE
from cxr_core.checkpoint import Checkpoint
from cxr_core.classifier import Classifier, open_session, run_graph
from cxr_core.config import CACHE_DIR, PROJECT_DIR, order_classes
from cxr_core.dataset import scan_dataset
from cxr_core.decisions import DECISIONS_FILE, Decisions, load_decisions
from cxr_core.evaluate import (
    classify_table,
    describe_predictions,
    score_predictions,
    soften_predictions,
    table_probabilities,
)
from cxr_core.export import export_classifier, head_probabilities, kept_features_graph
from cxr_core.files import atomic_path, read_json, remove_leftovers, write_json
from cxr_core.grouping import group_pictures
from cxr_core.leakage import leakage_of, score_without_leaks
from cxr_core.memory import release_memory
from cxr_core.model import build_model
from cxr_core.operating_point import balancing_shifts
from cxr_core.prepared import prepare_images, read_in_parts
from cxr_core.recipes import command_for, cosine_rate
from cxr_core.recorder import ConfusionCounts, PauseRequested, Recorder, StopRequested
from cxr_core.runs import check_begins, hold_run, start_export
from cxr_core.split import Split, make_split, split_table
from cxr_core.strip import Strip

_log = logging.getLogger(__name__)
_HEAD_LEARNING_RATE = 1e-3
_HEAD_EPOCHS = 40
# Whoever started this process may hold the run a moment longer.
_LOCK_PATIENCE_SECONDS = 10.0
# A test has "CPU" here, with several logical ones.
_SHARING_DEVICES = "GPU"
_TRAINED_FILE = "trained"
_PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "opencv-python-headless", "onnxruntime", "scikit-learn")


def train_run(run, *, export_here=True):
    """Carry out the run that a folder's configuration describes, or what is left of it.

    Progress, history and the best model are written as they come, and the whole state after every
    epoch: a run that ended before its time goes on after its last finished epoch. A request to stop
    leaves the best model so far and hands its export to a process of its own, so that this one ends
    at once. A request to pause is heeded between epochs, or at once where it gives a reason.

    Args:
        run: runs.Run with a `config.json`.
        export_here: bool, export in this process. TensorFlow keeps what learning took, more than a gigabyte where
            layers of the backbone learn; a fresh process, which calls this again, exports in a third of the memory.

    Returns:
        str, the final state: "finished", "stopped" or "paused"; or "trained" where the export is still to come.

    Raises:
        runs.RunTaken: another process writes to this run, or did since this one was started; it is left alone.
        ValueError, OSError: the data, the disk, the configuration or the weights
            do not allow the run. The run is marked as failed with the same sentence first.
    """
    with hold_run(run, patience_seconds=_LOCK_PATIENCE_SECONDS):
        check_begins(run)
        remove_leftovers(run.path)
        recorder = Recorder(run)
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
    card, metrics = _evaluate_run(run, config, Classifier(card, open_session(graph), graph), model)
    write_json(run.path / "metrics.json", metrics)
    # Last of all: whoever finds a card finds everything that belongs to it.
    write_card(replace(card, metrics=metrics), run.path)


def report_copies(run, *, phase, writing=None):
    """Look for near copies among a run's pictures, and say again what its test side shares with training.

    A split by patient and picture needs them before training. For any other they change nothing but
    this report, so the classifier does not wait for them.

    Args:
        run: runs.Run that was exported.
        phase: callable(name) that returns a callable(done, total) to report to, or None.
        writing: context manager that is entered once the search is over: `runs.hold_run` for a process that
            does not hold the run already. Whoever wants to resume the run need not wait for the search.
    """
    if not _copies_come_later(run.config()):
        return
    split = pd.read_csv(run.path / "split.csv")
    decisions = load_decisions(run.path / DECISIONS_FILE)
    groups = group_pictures(split, decisions, phase=phase).groups
    if len(groups) < len(split):
        raise OSError("Pictures went away while copies were looked for among them.")
    split = split.assign(group=groups)
    with writing or contextlib.nullcontext():
        with atomic_path(run.path / "split.csv") as temporary:
            split.to_csv(temporary, index=False)
        leakage = _leakage(split, run.predictions())
        metrics = read_json(run.path / "metrics.json") | {"leakage": leakage}
        write_json(run.path / "metrics.json", metrics)
        write_card(replace(load_card(run.path), metrics=metrics), run.path)


def _run_to_its_end(run, recorder, export_here):
    trained = run.path / _TRAINED_FILE
    try:
        if not trained.exists():
            _train(run, recorder)
            if not run.config().export:
                note = "Trained, and not tested: that is for the one that is chosen."
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


def _end_finished(run, recorder, message=""):
    for name in (CHECKPOINT_FILE, _TRAINED_FILE):
        (run.path / name).unlink(missing_ok=True)
    recorder.write_status("finished", "Finished", message=message)
    return "finished"


def _sentence(error):
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "The disk is full. Make room, then resume the run: it goes on after its last finished epoch."
    if isinstance(error, tf.errors.ResourceExhaustedError):
        return "The memory does not suffice for these settings; lower batch_size, then start a new run."
    return error.message if isinstance(error, tf.errors.OpError) else str(error)


def _train(run, recorder):
    config = run.config()
    devices = _devices(config)
    keras.utils.set_random_seed(config.seed)
    dataset = scan_dataset(*config.roots, progress=recorder.phase("Looking through the images"))
    if (run.path / CHECKPOINT_FILE).exists():
        table, split = _kept_split(run, config, dataset)
    else:
        table, split = _new_split(run, config, dataset, recorder)
    prepared = prepare_images(table, config.preprocessing, progress=recorder.phase("Preparing the images"))
    if len(prepared.table) < len(table):
        raise OSError("Pictures went away while the run began; start it again.")
    recorder.say("Building the network")
    # Not the data set's: a class may be left out as a whole.
    classes = list(order_classes(table["class_name"]))
    head_only = config.train_from == "head"
    with devices:
        model = build_model(config, len(classes))
        if head_only:
            trained = _head_of(model)
        elif config.copies:
            trunk, trained = split_network(model, config.train_from)
        else:
            trained = keras.Model(model.input, model.output)
        confusion = ConfusionCounts(len(classes))
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing)
        trained.compile(_build_optimizer(config), loss, metrics=["accuracy", confusion])
        callbacks = _callbacks(config, recorder)
        checkpoint = Checkpoint(run, recorder, callbacks)
        checkpoint.load(trained)
    first_epoch = checkpoint.first_epoch
    clock = EpochClock(first_epoch)
    targets = table["class_name"].map(classes.index).to_numpy()
    labels = np.eye(len(classes), dtype=np.float32)[targets]
    weights = _class_weights(targets[split.train]) if config.class_weights else None
    features = None
    if head_only or (config.head_first and not first_epoch):
        features = _compute_features(model, config, prepared, recorder.phase("Computing features"))
    if config.head_first and not head_only and not first_epoch:
        recorder.say("Training the head alone")
        _train_head(_head_of(model), features, labels, split, weights)
    if head_only:
        batches = feature_batches(features, split.train, labels, config, clock)
        validation = (features[split.validation], labels[split.validation])
    elif config.copies:
        batches, validation = _kept_batches(trunk, prepared, split, labels, config, recorder, clock)
    else:
        batches = image_batches(prepared.images_u8, split.train, labels, config, clock)
        validation = validation_batches(prepared.images_u8, split.validation, labels, config.preprocessing)
    strip = Strip(
        run,
        model,
        frozen=head_only,
        prepared=prepared,
        rows=split.validation,
        preprocessing=config.preprocessing,
        classes=classes,
    )
    n_batches = len(split.train) // config.batch_size
    recorder.begin(model, trained, confusion, strip, n_batches=n_batches, batch_size=config.batch_size)
    if not checkpoint.is_done:
        trained.fit(
            batches,
            validation_data=validation,
            epochs=config.epochs,
            initial_epoch=first_epoch,
            callbacks=[clock, *callbacks, checkpoint],
            class_weight=weights,
            shuffle=False,
            verbose=0,
        )
    recorder.save_best()


def _devices(config):
    """Return the context in which the network is made: on one device, or mirrored on several GPUs."""
    if config.gpus == 1:
        return contextlib.nullcontext()
    found = tf.config.list_logical_devices(_SHARING_DEVICES)
    if len(found) < config.gpus:
        raise ValueError(
            f"gpus={config.gpus} needs as many GPUs in this computer; TensorFlow finds {len(found)}. Leave it at 1."
        )
    return tf.distribute.MirroredStrategy([device.name for device in found[: config.gpus]]).scope()


def _new_split(run, config, dataset, recorder):
    """Split the data set, and write down how; returns the table of what takes part and its Split."""
    decisions = load_decisions(run.path / DECISIONS_FILE)
    find_copies = not _copies_come_later(config)
    grouping = group_pictures(dataset.table, decisions, phase=recorder.phase, find_copies=find_copies)
    _, table, groups = grouping.taking_part(decisions)
    split = make_split(
        table,
        config.split,
        seed=config.seed,
        groups=groups,
        validation_share=config.validation_share,
        test_share=config.test_share,
        folds=config.folds,
        fold=config.fold,
    )
    _check_split(table, config, split)
    with atomic_path(run.path / "split.csv") as temporary:
        split_table(table, groups, split).to_csv(temporary, index=False)
    _write_environment(run, config, dataset, table, split, decisions)
    return table, split


def _kept_split(run, config, dataset):
    """Return the table and the Split that an interrupted run began with."""
    if dataset.fingerprint != read_json(run.path / "environment.json")["data"]["fingerprint"]:
        raise ValueError(
            "The pictures have changed since this run began, so it cannot go on as it was; "
            "start a new run with its settings."
        )
    table = pd.read_csv(run.path / "split.csv", dtype={"patient": str})
    sides = {"train": "train", "validation": _validation_side(config), "test": "test"}
    return table, Split(**{name: np.flatnonzero(table["split"] == side) for name, side in sides.items()})


def _check_split(table, config, split):
    """Say before anything is computed what training or validation would lack."""
    if len(split.train) < config.batch_size:
        raise ValueError(
            f"One batch needs {config.batch_size} training images, but there are {len(split.train)}; lower batch_size."
        )
    for side in ("train", "validation"):
        missing = sorted(set(table["class_name"]) - set(table["class_name"].iloc[getattr(split, side)]))
        if missing:
            raise ValueError(
                f"Every class needs an image in {side}; {missing[0]!r} has none there. "
                "Take the stratified split, or another seed."
            )


def _copies_come_later(config):
    return config.split != "grouped"


def _kept_batches(trunk, prepared, split, labels, config, recorder, clock):
    """Return training and validation batches of what the frozen part of the network makes of the images."""
    options = {"config": config, "key": prepared.key}
    report = recorder.phase("Computing activations of augmented copies")
    kept = keep_activations(trunk, prepared.images_u8, split.train, copies=config.copies, progress=report, **options)
    report = recorder.phase("Computing activations for validation")
    plain = keep_activations(trunk, prepared.images_u8, split.validation, copies=0, progress=report, **options)
    return (
        activation_batches(kept, labels[split.train], config, clock),
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
    """Weigh each class that occurs by the inverse of its share: {class: weight}, 1 on average over the images."""
    classes, counts = np.unique(targets, return_counts=True)
    return {int(i): len(targets) / (len(classes) * n) for i, n in zip(classes, counts, strict=True)}


def _compute_features(model, config, prepared, progress):
    """Run the frozen backbone once over all images, in ONNX Runtime, which is faster than Keras here."""
    graph, path = _features_files(model, config, prepared)
    if path.exists():
        return np.load(path, mmap_mode="r")
    with atomic_path(path) as temporary:
        release_memory()
        _write_features(open_session(graph), prepared.images_u8, config.preprocessing, temporary, progress)
    return np.load(path, mmap_mode="r")


def _features_files(model, config, prepared):
    """Return Paths of the frozen backbone's graph, and of its features of these pictures where they are kept."""
    backbone = keras.Model(model.input, model.get_layer("features").output)
    graph, digest = kept_features_graph(backbone, config.preprocessing.size)
    settings = f"{digest}-{prepared.key}-{config.preprocessing.scaling}"
    return graph, CACHE_DIR / "features" / f"{hashlib.sha256(settings.encode()).hexdigest()[:32]}.npy"


def _write_features(session, images_u8, preprocessing, path, progress):
    """Part by part, so that memory does not grow with the data set."""
    shape = (len(images_u8), session.get_outputs()[0].shape[1])
    values = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    for rows, images in read_in_parts(images_u8):
        (values[rows.start : rows.stop],) = run_graph(session, ["features"], images, preprocessing)
        progress(rows.stop, len(values))
    values.flush()


def _balance(model, run, config, classes):
    """Shift the class scores of a model so that validation finds all classes equally well; returns the shifts."""
    split = pd.read_csv(run.path / "split.csv")
    prepared = prepare_images(split[split["split"] == _validation_side(config)], config.preprocessing)
    probabilities = model.predict(config.preprocessing.scaled(prepared.images_u8), batch_size=16, verbose=0)
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


def _kept_probabilities(classifier, model, config, split):
    """Classify a split's pictures by the features that a training of the head alone kept: float32 (N, C), or None."""
    if config.train_from != "head":
        return None
    prepared = prepare_images(split, config.preprocessing)
    path = _features_files(model, config, prepared)[1]
    if not path.exists() or len(prepared.table) < len(split):
        return None
    return head_probabilities(classifier.path, np.load(path, mmap_mode="r"))


def _evaluate_run(run, config, classifier, model):
    """Fit the temperature on validation, then score validation and test; returns (card, metrics)."""
    split = pd.read_csv(run.path / "split.csv")
    probabilities = _kept_probabilities(classifier, model, config, split)

    def classify(rows):
        if probabilities is None:
            return classify_table(classifier, rows)
        return describe_predictions(rows, probabilities[rows.index], classifier.classes)

    sides = {"validation": split[split["split"] == _validation_side(config)], "test": split[split["split"] == "test"]}
    tables = {name: classify(rows) for name, rows in sides.items()}
    before = score_predictions(tables["validation"], classifier.card)
    targets = tables["validation"]["true"].map(classifier.classes.index).to_numpy()
    temperature = fit_temperature(table_probabilities(tables["validation"], classifier.classes), targets)
    card = replace(classifier.card, temperature=temperature)
    tables = {
        name: soften_predictions(table, card.classes, temperature).assign(split=name) for name, table in tables.items()
    }
    metrics = {name: score_predictions(table, card) for name, table in tables.items()}
    metrics["validation"] |= {"uncalibrated": {"ece": before["ece"], "brier": before["brier"]}}
    predictions = pd.concat(tables.values())
    with atomic_path(run.path / "predictions.csv") as temporary:
        predictions.to_csv(temporary, index=False)
    leakage = _leakage(split, predictions)
    if _copies_come_later(config):
        leakage["sentence"] += " Near copies are still to be looked for."
    return card, metrics | {"leakage": leakage}


def _leakage(split, predictions):
    leaks = leakage_of(split["split"], split, split["group"])
    return score_without_leaks(predictions, leaks.rows) | {"sentence": leaks.sentence}


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
        # Losses are the same to the last digit only on as many threads: sums are taken in another order.
        "threads": int(os.environ.get("TF_NUM_INTRAOP_THREADS") or os.cpu_count() or 1),
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
