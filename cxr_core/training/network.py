"""The network: a known backbone with a small head, as one flat graph. Imports TensorFlow."""

import urllib.error
import urllib.request
from functools import partial

import keras
import tensorflow as tf

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.recipes.backbones import BACKBONES, imagenet_weights_path

_WEIGHTS_URL = "https://storage.googleapis.com/tensorflow/keras-applications"
_MAKERS = {
    "mobilenetv2": keras.applications.MobileNetV2,
    # Without its own normalisation, whose constants the conversion to ONNX loses.
    "efficientnetv2b0": partial(keras.applications.EfficientNetV2B0, include_preprocessing=False),
    "densenet121": keras.applications.DenseNet121,
    "resnet50v2": keras.applications.ResNet50V2,
}
# From [0, 1] to what each backbone was trained on: factor and offset per channel.
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_IMAGENET_RANGE = ([1 / s for s in _SPREAD], [-m / s for m, s in zip(_MEAN, _SPREAD, strict=True)])
_INPUTS = {
    "efficientnetv2b0": _IMAGENET_RANGE,
    "densenet121": _IMAGENET_RANGE,
    "resnet50v2": ([2.0] * 3, [-1.0] * 3),
}


class MissingWeights(OSError):
    """The backbone's starting weights are neither on this machine nor to be downloaded."""


def build_model(config, n_classes):
    """Build the classifier a configuration asks for, with trained backbone weights.

    Args:
        config: training_config.TrainingConfig.
        n_classes: int >= 2.

    Returns:
        keras.Model from float32 (N, size, size, 3) to probabilities (N, n_classes); flat, the last
        two layers are `logits` and `probabilities`. Layers that the configuration freezes are
        not trainable. MobileNetV2 takes the images as the preprocessing scales them, as in the article;
        any other backbone first brings them to the range it was trained on.

    Raises:
        MissingWeights: the starting weights cannot be had; the sentence says what to do.

    Source:
        Sandler et al. 2018, arXiv:1801.04381; the default head is the article's.
    """
    size = config.preprocessing.size
    image = keras.Input((size, size, 3))
    backbone = _MAKERS[config.backbone](
        include_top=False, input_tensor=_scaled_input(image, config), weights=_starting_weights(config)
    )
    if config.start == "shipped":
        _copy_shipped_weights(backbone)
    backbone_layers = list(backbone.layers)
    x = keras.layers.GlobalAveragePooling2D(name="features")(backbone.output)
    dropouts = list(config.head_dropouts)
    if len(dropouts) > len(config.head_units):
        x = keras.layers.Dropout(dropouts.pop(0), name="head_dropout_0")(x)
    for i, (units, dropout) in enumerate(zip(config.head_units, dropouts, strict=True), start=1):
        x = keras.layers.Dense(units, activation="relu", name=f"head_{i}")(x)
        x = keras.layers.Dropout(dropout, name=f"head_dropout_{i}")(x)
    x = keras.layers.Dense(n_classes, name="logits")(x)
    model = keras.Model(image, keras.layers.Softmax(name="probabilities")(x))
    _set_training(backbone_layers, config)
    return model


def _scaled_input(image, config):
    if config.backbone not in _INPUTS:
        return image
    factors, offsets = _INPUTS[config.backbone]
    if config.preprocessing.scaling == "-1..1":
        factors, offsets = [f / 2 for f in factors], [o + f / 2 for f, o in zip(factors, offsets, strict=True)]
    return keras.layers.Rescaling(factors, offsets, name="backbone_range")(image)


def _starting_weights(config):
    if config.start == "shipped":
        if not (SHIPPED_MODEL_DIR / "model.keras").exists():
            raise MissingWeights(f"The shipped classifier's weights are missing from {SHIPPED_MODEL_DIR}.")
        return None
    backbone, path = BACKBONES[config.backbone], imagenet_weights_path(config.backbone)
    if not path.exists():
        try:
            urllib.request.urlopen(f"{_WEIGHTS_URL}/{backbone.folder}/{path.name}", timeout=10).close()
        except (urllib.error.URLError, TimeoutError) as error:
            raise MissingWeights(
                f"{backbone.label}'s ImageNet weights are not in {path.parent} and cannot be downloaded "
                f"({getattr(error, 'reason', error)}). Put {path.name} there, or start from the shipped "
                "classifier's MobileNetV2: choose it in the form, or add --set start=shipped."
            ) from error
    return "imagenet"


def _copy_shipped_weights(backbone):
    shipped = keras.saving.load_model(SHIPPED_MODEL_DIR / "model.keras", compile=False)
    # Layers without weights, the input among them, may have other names in a process that built networks before.
    for layer in backbone.layers:
        if layer.weights:
            layer.set_weights(shipped.get_layer(layer.name).get_weights())


def _set_training(backbone_layers, config):
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


def _fuse(layer):
    """Have a batch normalisation learn in one of TensorFlow's kernels.

    Keras 3 composes it of eight operations that each pass over all values; fused, a training of all layers is half as
    fast again on a CPU, with the same losses. The layer stays Keras's own, so that its model opens without this code.
    """
    composed = layer.call

    def call(inputs, training=None, mask=None):
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
