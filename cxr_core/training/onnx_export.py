"""How does a Keras model become an ONNX graph with probabilities, features and Grad-CAM maps?"""

import gc
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from keras import layers as kl

from cxr_core.config import CACHE_DIR
from cxr_core.data.prepared_images import read_in_parts
from cxr_core.recipes.backbones import BACKBONES
from cxr_core.system.arrays import FloatArray
from cxr_core.system.disk_cache import is_cached
from cxr_core.system.files import atomic_path
from cxr_core.system.memory import release_memory
from cxr_core.system.onnx_session import open_session

OPSET = 17


def export_classifier(model: keras.Model, path: str | Path, map_layers: Sequence[str] | None = None) -> tuple[str, ...]:
    """Write a classifier as ONNX.

    The graph takes `image` float32 (N, size, size, 3) and gives `probabilities` float32 (N, C),
    `features` float32 (N, F) as they enter the head, and for every map layer
    `maps_<layer>` float32 (N, C, h, w): Grad-CAM for each class, before scaling to [0, 1].

    Args:
        model: flat; its layer `features` enters the head, and its layer `logits` feeds a softmax.
        path: the .onnx file, written atomically.
        map_layers: layers to make maps from; those that the model lacks are left out. By default those of every
            backbone in `BACKBONES`.

    Returns:
        The layers that maps can be made from.

    Raises:
        ValueError: the layers after a map layer are no chain, or one of them has no known gradient.

    Source:
        Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2: the class score is the value
        before the softmax.
    """
    if map_layers is None:
        map_layers = [name for backbone in BACKBONES.values() for name in backbone.map_layers]
    names = {layer.name for layer in model.layers}
    chosen = tuple(name for name in dict.fromkeys(map_layers) if name in names)
    chains = {name: _layers_after(model, name) for name in chosen}
    tensors = {layer.name: layer.output for chain in chains.values() for layer in chain}
    tensors |= {name: model.get_layer(name).output for name in chosen}
    features = model.get_layer("features").output
    trunk = keras.Model(model.input, tensors | {"probabilities": model.output, "features": features})

    def forward(image: tf.Tensor) -> dict[str, tf.Tensor]:
        values = trunk(image, training=False)
        maps = {f"maps_{name}": _grad_cam(name, chains[name], values) for name in chosen}
        return {"probabilities": values["probabilities"], "features": values["features"]} | maps

    convert_to_onnx(forward, model.input.shape, path)
    return chosen


def kept_features_graph(network: keras.Model, size: int) -> tuple[Path, str]:
    """Return a frozen network's ONNX graph, made once for these weights.

    Args:
        network: from images to features or activations.
        size: side of its input in pixels.

    Returns:
        (path, digest): where the graph lies in the cache, and a digest of the weights.
    """
    digest = weights_digest(network)
    path = CACHE_DIR / "backbones" / f"{digest}-{size}.onnx"
    if not is_cached(path):
        export_features(network, path)
    return path, digest


def weights_digest(network: keras.Model) -> str:
    """Return what identifies a network's weights."""
    return hashlib.sha256(b"".join(w.tobytes() for w in network.get_weights())).hexdigest()[:32]


def export_features(model: keras.Model, path: str | Path) -> None:
    """Write a backbone as ONNX: `image` float32 (N, size, size, 3) to `features` float32 (N, F)."""
    convert_to_onnx(lambda image: {"features": model(image, training=False)}, model.input.shape, path)


def head_probabilities(path: Path, features: FloatArray) -> FloatArray:
    """Run the head of an exported classifier: float32 (N, F), as its `features`, to probabilities, float32 (N, C)."""
    head = onnx.utils.Extractor(onnx.load(path)).extract_model(["features"], ["probabilities"])
    session = open_session(head.SerializeToString())
    return np.concatenate([session.run(["probabilities"], {"features": f})[0] for _, f in read_in_parts(features)])


def convert_to_onnx(
    forward: Callable[[tf.Tensor], dict[str, tf.Tensor]], input_shape: tuple[int | None, ...], path: str | Path
) -> None:
    """Write what TensorFlow computes of `image` as ONNX.

    Args:
        forward: from a float32 tensor of `input_shape` to {name of an output: tensor}.
        input_shape: its first side may be None.
        path: the .onnx file, written atomically.
    """
    signature = [tf.TensorSpec(input_shape, tf.float32, name="image")]
    function = tf.function(forward, input_signature=signature)
    with atomic_path(path) as temporary, _frequent_collection():
        tf2onnx.convert.from_function(function, signature, opset=OPSET, output_path=str(temporary))
    del function
    release_memory()


@contextmanager
def _frequent_collection() -> Iterator[None]:
    """Let Python collect garbage often.

    tf2onnx copies the whole graph for every pass over it, in circles of references that Python would
    leave alone for long beside all that TensorFlow keeps: a gigabyte for the built-in classifier, which then comes to a
    quarter. Rarer collections than these would take half as much again, and no less time.
    """
    gc.collect()
    gc.freeze()
    thresholds = gc.get_threshold()
    gc.set_threshold(100, 2, 2)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def _layers_after(model: keras.Model, name: str) -> list[keras.layers.Layer]:
    """Return the layers from the one after `name` up to `logits`; they must form a chain."""
    names = [layer.name for layer in model.layers]
    chain = model.layers[names.index(name) : names.index("logits") + 1]
    for before, after in zip(chain, chain[1:], strict=False):
        if after.input is not before.output:
            raise ValueError(f"Maps need a chain of layers; {after.name} does not follow {before.name}.")
    return chain[1:]


def _grad_cam(name: str, chain: list[keras.layers.Layer], values: dict[str, tf.Tensor]) -> tf.Tensor:
    """Weigh the channels of layer `name` by their mean gradient: float32 (N, C, h, w).

    Args:
        name: the layer.
        chain: the layers after it, up to `logits`.
        values: what each of these layers gives out.
    """
    logits = values["logits"]
    gradient = tf.eye(logits.shape[-1])[None]
    inputs = [name] + [layer.name for layer in chain[:-1]]
    for layer, before in zip(reversed(chain), reversed(inputs), strict=True):
        gradient = _pull_back(layer, gradient, values[before], values[layer.name])
    weights = tf.reduce_mean(gradient, axis=(2, 3))
    activations = values[name]
    positions = tf.reshape(activations, [-1, activations.shape[1] * activations.shape[2], activations.shape[3]])
    maps = tf.matmul(weights, positions, transpose_b=True)
    return tf.nn.relu(tf.reshape(maps, [-1, logits.shape[-1], *activations.shape[1:3]]))


def _pull_back(layer: keras.layers.Layer, gradient: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Apply the chain rule to one layer.

    ONNX knows no gradients, so each is written as forward operations.

    Args:
        layer: with input `x` and output `y`.
        gradient: of the class scores with respect to `y`, (N or 1, C, ...).
        x: the layer's input.
        y: the layer's output.

    Returns:
        The gradient with respect to `x`, (N or 1, C, ...).
    """
    if isinstance(layer, kl.Dropout):
        return gradient
    if isinstance(layer, kl.Dense) and layer.activation in (keras.activations.linear, keras.activations.relu):
        if layer.activation is keras.activations.relu:
            gradient *= tf.cast(y > 0, tf.float32)[:, None]
        return tf.matmul(gradient, layer.kernel, transpose_b=True)
    if isinstance(layer, kl.GlobalAveragePooling2D):
        return gradient[:, :, None, None] / (x.shape[1] * x.shape[2])
    if isinstance(layer, kl.ReLU) and layer.negative_slope == layer.threshold == 0:
        inside = (x > 0) if layer.max_value is None else (x > 0) & (x < layer.max_value)
        return gradient * tf.cast(inside, tf.float32)[:, None]
    if isinstance(layer, kl.BatchNormalization) and layer.axis in (-1, len(x.shape) - 1):
        gamma = layer.gamma if layer.scale else 1.0
        return gradient * (gamma / tf.sqrt(layer.moving_variance + layer.epsilon))
    if isinstance(layer, kl.Conv2D) and _is_pointwise(layer):
        return tf.matmul(gradient, layer.kernel[0, 0], transpose_b=True)
    raise ValueError(f"No gradient is known for layer {layer.name} ({type(layer).__name__}).")


def _is_pointwise(layer: kl.Conv2D) -> bool:
    """Whether a convolution is one linear map of the channels at each position."""
    is_linear = layer.activation is keras.activations.linear
    return layer.kernel_size == (1, 1) and layer.strides == (1, 1) and layer.groups == 1 and is_linear
