"""How is the network built? A known backbone with a new classification head, as one flat graph."""

import urllib.error
import urllib.request
from pkgutil import resolve_name
from typing import Any

import keras
import tensorflow as tf

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.recipes.backbones import BACKBONES, imagenet_weights_path
from cxr_core.recipes.training_config import TrainingConfig

_WEIGHTS_URL = "https://storage.googleapis.com/tensorflow/keras-applications"


class MissingWeights(OSError):
    """The backbone's starting weights are neither on this computer nor to be downloaded."""


def build_model(config: TrainingConfig, n_classes: int) -> keras.Model:
    """Build the classifier that a configuration asks for, with trained backbone weights.

    Args:
        config: says which backbone, which head, and which layers learn.
        n_classes: 2 or more.

    Returns:
        From float32 (N, size, size, 3) to probabilities (N, n_classes); flat, the last two layers are `logits` and
        `probabilities`. Layers that the configuration freezes are not trainable. MobileNetV2 takes the images as the
        preprocessing scales them, as in the article; any other backbone first brings them to the range it was
        trained on.

    Raises:
        MissingWeights: the starting weights cannot be had; the sentence says what to do.

    Source:
        Sandler et al. 2018, arXiv:1801.04381; the default head is the article's.
    """
    size = config.preprocessing.size
    image = keras.Input((size, size, 3))
    chosen = BACKBONES[config.backbone]
    backbone = resolve_name(chosen.builder)(
        include_top=False,
        input_tensor=_scaled_input(image, config),
        weights=_starting_weights(config),
        **chosen.options,
    )
    if config.start == "shipped":
        # The layers of a backbone are the first of the built-in classifier, so that theirs are the weights found.
        backbone.load_weights(SHIPPED_MODEL_DIR / "model.keras")
    backbone_layers = list(backbone.layers)
    model = keras.Model(image, _add_head(backbone.output, config, n_classes))
    _set_training(backbone_layers, config)
    return model


def _add_head(x: keras.KerasTensor, config: TrainingConfig, n_classes: int) -> keras.KerasTensor:
    """Lay pooling, hidden layers and softmax over a backbone's output; returns the probabilities."""
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    dropouts = list(config.head_dropouts)
    if len(dropouts) > len(config.head_units):
        x = keras.layers.Dropout(dropouts.pop(0), name="head_dropout_0")(x)
    for i, (units, dropout) in enumerate(zip(config.head_units, dropouts, strict=True), start=1):
        x = keras.layers.Dense(units, activation="relu", name=f"head_{i}")(x)
        x = keras.layers.Dropout(dropout, name=f"head_dropout_{i}")(x)
    x = keras.layers.Dense(n_classes, name="logits")(x)
    return keras.layers.Softmax(name="probabilities")(x)


def _scaled_input(image: keras.KerasTensor, config: TrainingConfig) -> keras.KerasTensor:
    """Bring images from the range of the preprocessing to the one that the backbone was trained on."""
    wanted = BACKBONES[config.backbone].input_range
    if wanted is None:
        return image
    factors, offsets = list(wanted.factors), list(wanted.offsets)
    if config.preprocessing.scaling == "-1..1":
        factors, offsets = [f / 2 for f in factors], [o + f / 2 for f, o in zip(factors, offsets, strict=True)]
    return keras.layers.Rescaling(factors, offsets, name="backbone_range")(image)


def _starting_weights(config: TrainingConfig) -> str | None:
    """Return the builder's argument `weights`, once they are at hand; None where they are copied in afterwards."""
    if config.start == "shipped":
        if not (SHIPPED_MODEL_DIR / "model.keras").exists():
            raise MissingWeights(f"The built-in classifier's weights are missing from {SHIPPED_MODEL_DIR}.")
        return None
    backbone, path = BACKBONES[config.backbone], imagenet_weights_path(config.backbone)
    if not path.exists():
        try:
            urllib.request.urlopen(f"{_WEIGHTS_URL}/{backbone.folder}/{path.name}", timeout=10).close()
        except (urllib.error.URLError, TimeoutError) as error:
            raise MissingWeights(
                f"{backbone.label}'s ImageNet weights are not in {path.parent} and cannot be downloaded "
                f"({getattr(error, 'reason', error)}). Put {path.name} there, or start from the built-in "
                "classifier's MobileNetV2: choose it in the form, or add --set start=shipped."
            ) from error
    return "imagenet"


def _set_training(backbone_layers: list[keras.layers.Layer], config: TrainingConfig) -> None:
    """Freeze what the configuration freezes, and set how the rest learns."""
    names = [layer.name for layer in backbone_layers]
    if config.train_from not in ("all", "head", *names):
        raise ValueError(f"train_from must be all, head or a layer of the backbone; received {config.train_from!r}.")
    first = {"all": 0, "head": len(names)}.get(config.train_from)
    first = names.index(config.train_from) if first is None else first
    for i, layer in enumerate(backbone_layers):
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        if is_norm and config.batch_norm_momentum is not None:
            layer.momentum = config.batch_norm_momentum
        layer.trainable = i >= first and not (is_norm and config.freeze_batch_norm)
        if is_norm and layer.trainable:
            _fuse(layer)


def _fuse(layer: keras.layers.BatchNormalization) -> None:
    """Have a batch normalisation learn in one of TensorFlow's kernels.

    Keras 3 composes it of eight operations that each pass over all values; fused, a training of all layers is half as
    fast again on a CPU, with the same losses. The layer stays Keras's own, so that its model opens without this code.
    """
    composed = layer.call

    def call(inputs: tf.Tensor, training: Any = None, mask: Any = None) -> tf.Tensor:
        if not (training and layer.trainable):
            return composed(inputs, training=training, mask=mask)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, layer.gamma, layer.beta, epsilon=layer.epsilon, is_training=True
        )
        # The kernel's variance is of a sample (over n - 1); Keras averages that of the batch (over n).
        n = tf.cast(tf.size(inputs) // tf.shape(inputs)[-1], tf.float32)
        for moving, value in ((layer.moving_mean, mean), (layer.moving_variance, variance * (n - 1) / n)):
            moving.assign(moving * layer.momentum + value * (1 - layer.momentum))
        return outputs

    layer.call = call
