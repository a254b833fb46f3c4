"""Which layers learn, from which batches, with which callbacks."""

import contextlib
import hashlib

import keras
import numpy as np
import tensorflow as tf

from cxr_core.classes import order_classes
from cxr_core.config import CACHE_DIR
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.prepared_images import prepare_images, read_in_parts
from cxr_core.recipes.learning_rate import cosine_rate
from cxr_core.system.files import atomic_path
from cxr_core.system.memory import release_memory
from cxr_core.system.onnx_session import open_session, run_graph
from cxr_core.training.batches import (
    EpochClock,
    activation_batches,
    feature_batches,
    image_batches,
    kept_validation_batches,
    validation_batches,
)
from cxr_core.training.checkpoint import FILE as CHECKPOINT_FILE
from cxr_core.training.checkpoint import Checkpoint
from cxr_core.training.epoch_snapshot_callback import EpochSnapshotCallback
from cxr_core.training.frozen_activations import keep_activations, split_network
from cxr_core.training.network import build_model
from cxr_core.training.onnx_export import kept_features_graph
from cxr_core.training.progress_callback import ConfusionCounts
from cxr_core.training.run_inputs import load_split, make_run_split

_HEAD_LEARNING_RATE = 1e-3
_HEAD_EPOCHS = 40
# A test has "CPU" here, with several logical ones.
_SHARING_DEVICES = "GPU"


def fit_network(run, recorder):
    config = run.config()
    devices = _devices(config)
    keras.utils.set_random_seed(config.seed)
    dataset = scan_dataset(*config.roots, progress=recorder.phase("Looking through the images"))
    if (run.path / CHECKPOINT_FILE).exists():
        table, split = load_split(run, config, dataset)
    else:
        table, split = make_run_split(run, config, dataset, recorder)
    prepared = prepare_images(table, config.preprocessing, progress=recorder.phase("Preparing the images"))
    if len(prepared.table) < len(table):
        raise OSError("Images went away while the run began; start it again.")
    recorder.say("Building the network")
    # Not the data set's: a class may be left out as a whole.
    classes = list(order_classes(table["class_name"]))
    head_only = config.train_from == "head"
    with devices:
        model = build_model(config, len(classes))
        if head_only:
            trained = _head_of(model)
        elif config.cached_augmentations:
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
    elif config.cached_augmentations:
        batches, validation = _kept_batches(trunk, prepared, split, labels, config, recorder, clock)
    else:
        batches = image_batches(prepared.images_u8, split.train, labels, config, clock)
        validation = validation_batches(prepared.images_u8, split.validation, labels, config.preprocessing)
    strip = EpochSnapshotCallback(
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


def _kept_batches(trunk, prepared, split, labels, config, recorder, clock):
    """Return training and validation batches of what the frozen part of the network makes of the images."""
    options = {"config": config, "key": prepared.key}
    report = recorder.phase("Computing activations of augmented copies")
    kept = keep_activations(
        trunk, prepared.images_u8, split.train, copies=config.cached_augmentations, progress=report, **options
    )
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
    early = (
        [keras.callbacks.EarlyStopping("val_loss", patience=config.early_stopping_patience)]
        if config.early_stopping_patience
        else []
    )
    # First of all, so that the recorder finds the averaged weights in place when it keeps the best.
    average = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if config.ema_momentum else []
    return [*average, recorder, schedule, *early]


def _build_optimizer(config):
    if config.ema_momentum is None:
        return keras.optimizers.Adam(config.learning_rate)
    return keras.optimizers.Adam(config.learning_rate, use_ema=True, ema_momentum=config.ema_momentum)


def _class_weights(targets):
    """Weigh each class that occurs by the inverse of its share: {class: weight}, 1 on average over the images."""
    classes, counts = np.unique(targets, return_counts=True)
    return {int(i): len(targets) / (len(classes) * n) for i, n in zip(classes, counts, strict=True)}


def _compute_features(model, config, prepared, progress):
    """Run the frozen backbone once over all images, in ONNX Runtime, which is faster than Keras here."""
    graph, path = features_files(model, config, prepared)
    if path.exists():
        return np.load(path, mmap_mode="r")
    with atomic_path(path) as temporary:
        release_memory()
        _write_features(open_session(graph), prepared.images_u8, config.preprocessing, temporary, progress)
    return np.load(path, mmap_mode="r")


def features_files(model, config, prepared):
    """Return Paths of the frozen backbone's graph, and of its features of these images where they are kept."""
    backbone = keras.Model(model.input, model.get_layer("features").output)
    graph, digest = kept_features_graph(backbone, config.preprocessing.size)
    settings = f"{digest}-{prepared.key}-{config.preprocessing.scaling}"
    return graph, CACHE_DIR / "features" / f"{hashlib.sha256(settings.encode()).hexdigest()[:32]}.npy"


def _write_features(session, images_u8, preprocessing, path, progress):
    """Part by part, so that memory does not grow with the data set."""
    shape = (len(images_u8), session.get_outputs()[0].shape[1])
    values = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    for rows, images in read_in_parts(images_u8):
        (values[rows.start : rows.stop],) = run_graph(session, ["features"], images, preprocessing.scaled)
        progress(rows.stop, len(values))
    values.flush()
