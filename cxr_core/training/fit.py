"""Which layers learn, from which batches, with which callbacks?"""

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import tensorflow as tf

from cxr_core.config import CACHE_DIR
from cxr_core.data.prepared_images import PreparedImages, read_in_parts
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.recipes.learning_rate import cosine_rate
from cxr_core.recipes.training_config import TrainingConfig
from cxr_core.runs.run import Run
from cxr_core.system.arrays import FloatArray, UInt8Array, create_array
from cxr_core.system.disk_cache import is_cached, new_entry, open_array
from cxr_core.system.memory import release_memory
from cxr_core.system.onnx_session import open_session, run_graph
from cxr_core.system.progress import Progress
from cxr_core.system.visit_folders import visit_cache
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
from cxr_core.training.onnx_export import kept_features_graph, weights_digest
from cxr_core.training.progress_callback import ConfusionCounts, ProgressCallback
from cxr_core.training.run_inputs import RunInputs, read_inputs

_HEAD_LEARNING_RATE = 1e-3
_HEAD_EPOCHS = 40
# A test has "CPU" here, with several logical ones.
_SHARING_DEVICES = "GPU"


@dataclass(frozen=True)
class _Network:
    """A network and the part of it that learns; both share their weights.

    Attributes:
        whole: from images to probabilities.
        trained: the part that is trained, compiled.
        trunk: the frozen part before it whose activations are kept, or None.
        confusion: the metric that counts validation images by true and predicted class.
    """

    whole: keras.Model
    trained: keras.Model
    trunk: keras.Model | None
    confusion: ConfusionCounts


def fit_network(run: Run, recorder: ProgressCallback) -> None:
    """Train a run's network, or go on after its last finished epoch.

    Args:
        run: its configuration says how; split, environment and state are written to its folder.
        recorder: writes status, history and the best model.

    Raises:
        ValueError: the data or the configuration do not allow the training, or the loss is no number any more.
        OSError: images, weights or the disk are not as they must be.
        StopRequested: somebody asked the run to stop.
        PauseRequested: somebody asked the run to pause.
    """
    config = run.config()
    devices = _devices(config)
    keras.utils.set_random_seed(config.seed)
    inputs = read_inputs(run, config, phase=recorder.phase, resumed=(run.path / CHECKPOINT_FILE).exists())
    recorder.say("Building the network")
    with devices:
        network = _build_network(config, len(inputs.classes))
        callbacks = _callbacks(config, recorder)
        checkpoint = Checkpoint(run, recorder, callbacks)
        checkpoint.load(network.trained)
    clock = EpochClock(checkpoint.first_epoch)
    if config.head_first and config.train_from != "head" and not checkpoint.first_epoch:
        _train_head(network.whole, inputs, config, recorder)
    batches, validation = _batches(network, inputs, config, recorder, clock)
    _begin(run, network, inputs, config, recorder)
    if not checkpoint.is_done:
        network.trained.fit(
            batches,
            validation_data=validation,
            epochs=config.epochs,
            initial_epoch=checkpoint.first_epoch,
            callbacks=[clock, *callbacks, checkpoint],
            shuffle=False,
            verbose=0,
        )
    recorder.save_best()


def _devices(config: TrainingConfig) -> contextlib.AbstractContextManager[object]:
    """Return the context in which the network is built: on one device, or mirrored on several GPUs."""
    if config.gpus == 1:
        return contextlib.nullcontext()
    found = tf.config.list_logical_devices(_SHARING_DEVICES)
    if len(found) < config.gpus:
        raise ValueError(
            f"gpus={config.gpus} needs as many GPUs in this computer; TensorFlow finds {len(found)}. Leave it at 1."
        )
    if config.batch_size % config.gpus:
        raise ValueError(f"batch_size must be a multiple of gpus={config.gpus}; received {config.batch_size}.")
    return tf.distribute.MirroredStrategy([device.name for device in found[: config.gpus]]).scope()


def _build_network(config: TrainingConfig, n_classes: int) -> _Network:
    """Build the network, and compile the part of it that learns."""
    whole, trunk = build_model(config, n_classes), None
    if config.train_from == "head":
        trained = _head_of(whole)
    elif config.cached_augmentations:
        trunk, trained = split_network(whole, config.train_from)
    else:
        trained = keras.Model(whole.input, whole.output)
    confusion = ConfusionCounts(n_classes)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing)
    trained.compile(_build_optimizer(config), loss, metrics=["accuracy", confusion])
    return _Network(whole, trained, trunk, confusion)


def _head_of(model: keras.Model) -> keras.Model:
    """Return the layers after the pooled features as a model of their own; the weights are shared."""
    return keras.Model(model.get_layer("features").output, model.output)


def _train_head(model: keras.Model, inputs: RunInputs, config: TrainingConfig, recorder: ProgressCallback) -> None:
    """Train the head alone on the features of the frozen backbone."""
    features = frozen_features(model, config, inputs.prepared, recorder.phase("Computing features"))
    recorder.say("Training the head alone")
    head, labels, split, weights = _head_of(model), inputs.labels, inputs.split, inputs.weights(config)
    head.compile(keras.optimizers.Adam(_HEAD_LEARNING_RATE), "categorical_crossentropy")
    early = keras.callbacks.EarlyStopping("val_loss", patience=5, restore_best_weights=True)
    head.fit(
        features[split.train],
        labels[split.train],
        validation_data=(features[split.validation], labels[split.validation]),
        epochs=_HEAD_EPOCHS,
        sample_weight=None if weights is None else weights[split.train],
        callbacks=[early],
        verbose=0,
    )


def _batches(
    network: _Network,
    inputs: RunInputs,
    config: TrainingConfig,
    recorder: ProgressCallback,
    clock: EpochClock,
) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """Return what the trained part learns from, and what it is validated on: images, activations or features."""
    prepared, split, labels, weights = inputs.prepared, inputs.split, inputs.labels, inputs.weights(config)
    if config.train_from == "head":
        features = frozen_features(network.whole, config, prepared, recorder.phase("Computing features"))
        return (
            feature_batches(features, split.train, labels, config, clock, weights),
            kept_validation_batches(features, split.validation, labels, gpus=config.gpus),
        )
    if config.cached_augmentations:
        return _kept_batches(network, inputs, config, recorder, clock)
    return (
        image_batches(prepared.images_u8, split.train, labels, config, clock, weights, inputs.lungs),
        validation_batches(prepared.images_u8, split.validation, labels, config.preprocessing, gpus=config.gpus),
    )


def _kept_batches(
    network: _Network,
    inputs: RunInputs,
    config: TrainingConfig,
    recorder: ProgressCallback,
    clock: EpochClock,
) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """Return training and validation batches of the activations that the frozen part of the network gives."""
    images_u8, key, split, labels = inputs.prepared.images_u8, inputs.prepared.key, inputs.split, inputs.labels
    weights = inputs.weights(config)
    report = recorder.phase("Computing activations of augmented copies")
    kept = keep_activations(
        network.trunk,
        images_u8,
        split.train,
        config,
        key=key,
        copies=config.cached_augmentations,
        progress=report,
        lungs=inputs.lungs,
    )
    report = recorder.phase("Computing activations for validation")
    plain = keep_activations(network.trunk, images_u8, split.validation, config, key=key, copies=0, progress=report)
    return (
        activation_batches(kept, labels[split.train], config, clock, None if weights is None else weights[split.train]),
        kept_validation_batches(plain[0], np.arange(len(split.validation)), labels[split.validation], gpus=config.gpus),
    )


def _begin(run: Run, network: _Network, inputs: RunInputs, config: TrainingConfig, recorder: ProgressCallback) -> None:
    """Write the images of the epoch snapshots, and tell the recorder what it is to follow."""
    snapshots = EpochSnapshotCallback(
        run,
        network.whole,
        frozen=config.train_from == "head",
        prepared=inputs.prepared,
        rows=inputs.split.validation,
        preprocessing=config.preprocessing,
        classes=inputs.classes,
    )
    recorder.begin(
        network.whole,
        network.trained,
        network.confusion,
        snapshots,
        n_batches=len(inputs.split.train) // config.batch_size,
        batch_size=config.batch_size,
    )


def _callbacks(config: TrainingConfig, recorder: keras.callbacks.Callback) -> list[keras.callbacks.Callback]:
    """Return the callbacks in the order in which each epoch ends."""
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


def _build_optimizer(config: TrainingConfig) -> keras.optimizers.Optimizer:
    if config.ema_momentum is None:
        return keras.optimizers.Adam(config.learning_rate)
    return keras.optimizers.Adam(config.learning_rate, use_ema=True, ema_momentum=config.ema_momentum)


def frozen_features(
    model: keras.Model,
    config: TrainingConfig,
    prepared: PreparedImages,
    progress: Progress,
    cache_dir: str | Path = CACHE_DIR,
) -> FloatArray:
    """Run the frozen backbone once over all images: float32 (N, F). ONNX Runtime is faster than Keras here."""
    path = features_file(model, config, prepared, cache_dir)
    if is_cached(path):
        return open_array(path)
    graph, _ = kept_features_graph(_backbone_of(model), config.preprocessing.size)
    with new_entry(path) as temporary:
        _write_features(
            open_session(graph, for_many=True), prepared.images_u8, config.preprocessing, temporary, progress
        )
    release_memory()
    return open_array(path)


def features_file(
    model: keras.Model, config: TrainingConfig, prepared: PreparedImages, cache_dir: str | Path = CACHE_DIR
) -> Path:
    """Return the file that the features of these images are kept in, as the model's backbone gives them."""
    settings = f"{weights_digest(_backbone_of(model))}-{prepared.key}-{config.preprocessing.scaling}"
    folder = visit_cache(prepared.table["path"]) or Path(cache_dir)
    return folder / "features" / f"{hashlib.sha256(settings.encode()).hexdigest()[:32]}.npy"


def _backbone_of(model: keras.Model) -> keras.Model:
    return keras.Model(model.input, model.get_layer("features").output)


def _write_features(
    session: onnxruntime.InferenceSession,
    images_u8: UInt8Array,
    preprocessing: Preprocessing,
    path: Path,
    progress: Progress,
) -> None:
    """Compute features part by part, so that memory does not grow with the data set."""
    shape = (len(images_u8), session.get_outputs()[0].shape[1])
    values = create_array(path, np.float32, shape)
    for rows, images in read_in_parts(images_u8):
        (values[rows.start : rows.stop],) = run_graph(session, ["features"], images, preprocessing.scaled)
        progress(rows.stop, len(values))
    values.flush()
