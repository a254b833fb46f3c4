"""Which backbones there are, and where their weights come from."""

import os
from dataclasses import dataclass
from pathlib import Path

STARTS = {
    "imagenet": "As trained on ImageNet; downloaded once where it is missing, 9 MB for MobileNetV2.",
    "shipped": "The backbone of the classifier that comes with CXR Lab; needs no network.",
}


@dataclass(frozen=True)
class Backbone:
    """A network of `keras.applications` to train on.

    Attributes:
        label: str, what people call it.
        note: str, one sentence: what it is and what it costs beside MobileNetV2.
        file: str, its ImageNet weights as Keras names them.
        folder: str, where Keras's weights server keeps that file.
        later_half: str, the first layer of the half that a fine-tuning trains.
        weights: int, how many it has.
        activations: float, how much its layers give out per image, MobileNetV2 being 1.
    """

    label: str
    note: str
    file: str
    folder: str
    later_half: str
    weights: int
    activations: float


BACKBONES = {
    "mobilenetv2": Backbone(
        "MobileNetV2",
        "The article's: 2.3 million weights, by far the fastest here.",
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        "mobilenet_v2",
        "block_8_expand",
        2_257_984,
        1.0,
    ),
    "efficientnetv2b0": Backbone(
        "EfficientNetV2-B0",
        "5.9 million weights; more than twice the computing of MobileNetV2, often more accurate (Tan & Le 2021).",
        "efficientnetv2-b0_notop.h5",
        "efficientnet_v2",
        "block5a_expand_conv",
        5_919_312,
        0.73,
    ),
    "densenet121": Backbone(
        "DenseNet121",
        "7 million weights; about nine times the computing. The usual one for radiographs since CheXNet.",
        "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "densenet",
        "conv4_block1_0_bn",
        7_037_504,
        2.29,
    ),
    "resnet50v2": Backbone(
        "ResNet50V2",
        "23.6 million weights; about eleven times the computing, and the most memory.",
        "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "resnet",
        "conv4_block1_preact_bn",
        23_564_800,
        1.44,
    ),
}


def imagenet_weights_path(backbone="mobilenetv2"):
    """Return where Keras keeps the ImageNet weights of a key of `BACKBONES`; the file may be missing."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    return home / "models" / BACKBONES[backbone].file
