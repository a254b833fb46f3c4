"""How is the lung network built: the first two thirds of MobileNetV2, a decoder for the masks, a head for the view?"""

import keras
import tensorflow as tf
from keras import layers as kl

from cxr_core.imaging.lung_segmentation import CONVENTIONS, NETWORK_SIDE, VIEWS
from cxr_core.recipes.backbones import imagenet_weights_path
from cxr_core.training.network import MissingWeights

# What goes from the encoder to the decoder, from coarse to fine, and how many channels of it.
_BOTTOM = "block_12_add"
_SKIPPED = (("block_6_expand_relu", 48), ("block_3_expand_relu", 24), ("block_1_expand_relu", 12))
_DECODED = (64, 32, 24)
# Pixels that soften Dice where a mask is small or empty.
_SMOOTH = 20.0


def build_lung_network() -> keras.Model:
    """Build the network, its encoder with ImageNet weights.

    Returns:
        From float32 (N, NETWORK_SIDE, NETWORK_SIDE, 1) in [-1, 1] to {"lungs": logits (N, MASK_SIDE, MASK_SIDE, 2),
        "views": logits (N, V)}. The statistics of the encoder's batch normalisations stay those of ImageNet.

    Raises:
        MissingWeights: the ImageNet weights are not on this computer.

    Source:
        Ronneberger et al. 2015, arXiv:1505.04597 (U-Net), on the blocks of Sandler et al. 2018, arXiv:1801.04381.
    """
    weights = imagenet_weights_path()
    if not weights.exists():
        raise MissingWeights(f"MobileNetV2's ImageNet weights are not in {weights.parent}; put {weights.name} there.")
    grey = keras.Input((NETWORK_SIDE, NETWORK_SIDE, 1), name="image")
    encoder = keras.applications.MobileNetV2(
        input_tensor=kl.Concatenate()([grey, grey, grey]), include_top=False, weights=str(weights)
    )
    for layer in encoder.layers:
        if isinstance(layer, kl.BatchNormalization):
            layer.trainable = False
    bottom = encoder.get_layer(_BOTTOM).output
    x = _separable(bottom, 96)
    for (name, channels), width in zip(_SKIPPED, _DECODED, strict=True):
        beside = kl.Conv2D(channels, 1)(encoder.get_layer(name).output)
        x = _separable(kl.Concatenate()([kl.UpSampling2D(2, interpolation="bilinear")(x), beside]), width)
    lungs = kl.Conv2D(len(CONVENTIONS), 3, padding="same", name="lungs")(x)
    x = _separable(_separable(bottom, 96, strides=2), 96)
    x = kl.Dropout(0.3)(kl.Flatten()(kl.Conv2D(24, 1)(x)))
    views = kl.Dense(len(VIEWS), name="views")(kl.Dense(48, activation="relu")(x))
    return keras.Model(grey, {"lungs": lungs, "views": views})


def mask_loss(target: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return the cross-entropy plus one minus Dice, of the masks that are known.

    Args:
        target: float32 (N, H, W, 4): for each convention the mask in [0, 1], then for each whether it is known.
        logits: float32 (N, H, W, 2).
    """
    masks, known = tf.split(target, 2, axis=-1)
    n_cells = tf.cast(tf.shape(masks)[1] * tf.shape(masks)[2], tf.float32)
    crossed = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(masks, logits) * known, axis=(1, 2)) / n_cells
    found = tf.sigmoid(logits) * known
    both = tf.reduce_sum(found * masks, axis=(1, 2))
    either = tf.reduce_sum(found, axis=(1, 2)) + tf.reduce_sum(masks * known, axis=(1, 2))
    apart = 1 - (2 * both + _SMOOTH) / (either + _SMOOTH)
    is_known = known[:, 0, 0]
    return tf.reduce_sum(crossed + apart * is_known) / tf.maximum(tf.reduce_sum(is_known), 1.0)


def _separable(x: keras.KerasTensor, channels: int, strides: int = 1) -> keras.KerasTensor:
    x = kl.SeparableConv2D(channels, 3, strides=strides, padding="same", use_bias=False)(x)
    return kl.ReLU()(kl.BatchNormalization(momentum=0.98)(x))
