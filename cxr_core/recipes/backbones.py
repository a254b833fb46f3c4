"""Which backbones are there, and where do their weights come from?"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxr_core.imaging.preprocessing import MapOffset

STARTS = {
    "imagenet": "Trained on ImageNet; downloaded once if needed, 9 MB for MobileNetV2.",
    "shipped": "The backbone of the built-in classifier; needs no network connection. Images that it was trained "
    "on neither validate nor test.",
}


@dataclass(frozen=True)
class InputRange:
    """What a backbone takes in: value * factor + offset for values in [0, 1], per colour channel."""

    factors: tuple[float, float, float]
    offsets: tuple[float, float, float]


# Zero mean and unit variance over ImageNet, and [-1, 1].
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
STANDARDISED = InputRange(
    (1 / _SPREAD[0], 1 / _SPREAD[1], 1 / _SPREAD[2]),
    (-_MEAN[0] / _SPREAD[0], -_MEAN[1] / _SPREAD[1], -_MEAN[2] / _SPREAD[2]),
)
MINUS_ONE_TO_ONE = InputRange((2.0, 2.0, 2.0), (-1.0, -1.0, -1.0))


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A convolutional network to train on, without its own classification layers.

    Attributes:
        label: what people call it.
        note: one sentence: what it is and what it costs beside MobileNetV2.
        builder: "module:function" that builds it, imported when a training begins. Called as the functions of
            `keras.applications` are: `include_top=False`, `input_tensor` and `weights` ("imagenet" or None).
        options: further arguments of the builder.
        input_range: what it was trained on; None where it takes images as the preprocessing scales them.
        map_layers: layers that CAM maps can be made from. The first is the default: the last activation before the
            pooling.
        file: its ImageNet weights as Keras names them.
        folder: where Keras's weights server keeps that file.
        later_half: the first layer of the half that a fine-tuning trains.
        weights: how many it has.
        activations: how many values its layers give out per image, MobileNetV2 being 1.
        cell_shift: how many pixels further down and right than an even grid would have it the cells of its first map
            layer look, for images whose side is a multiple of 32. It serves the maps of a running training; the export
            computes it from the graph.
    """

    label: str
    note: str
    builder: str
    options: Mapping[str, Any] = field(default_factory=dict)
    input_range: InputRange | None = None
    map_layers: tuple[str, ...]
    file: str
    folder: str
    later_half: str
    weights: int
    activations: float
    cell_shift: float = 0.0

    def map_offset(self, size: int) -> MapOffset:
        """Return how far the cells of the first map layer look beside an even grid, for images of this side."""
        return (self.cell_shift / size,) * 2 if size % 32 == 0 else (0.0, 0.0)


# A new backbone is one more entry; docs/extending.md shows how.
BACKBONES = {
    "mobilenetv2": Backbone(
        label="MobileNetV2",
        note="As in the article; 2.3 million weights; by far the fastest here.",
        builder="keras.applications:MobileNetV2",
        # The second is the article's.
        map_layers=("out_relu", "block_16_depthwise"),
        file="mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        folder="mobilenet_v2",
        later_half="block_8_expand",
        weights=2_257_984,
        activations=1.0,
        cell_shift=15.5,
    ),
    "efficientnetv2b0": Backbone(
        label="EfficientNetV2-B0",
        note="5.9 million weights; more than twice the computing of MobileNetV2, often more accurate (Tan & Le 2021).",
        builder="keras.applications:EfficientNetV2B0",
        # Its own normalisation has constants that the conversion to ONNX loses.
        options={"include_preprocessing": False},
        input_range=STANDARDISED,
        map_layers=("top_activation",),
        file="efficientnetv2-b0_notop.h5",
        folder="efficientnet_v2",
        later_half="block5a_expand_conv",
        weights=5_919_312,
        activations=0.73,
        cell_shift=15.5,
    ),
    "densenet121": Backbone(
        label="DenseNet121",
        note="7 million weights; about nine times the computing. The usual one for radiographs since CheXNet.",
        builder="keras.applications:DenseNet121",
        input_range=STANDARDISED,
        map_layers=("relu",),
        file="densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
        folder="densenet",
        later_half="conv4_block1_0_bn",
        weights=7_037_504,
        activations=2.29,
        cell_shift=-1.5,
    ),
    "resnet50v2": Backbone(
        label="ResNet50V2",
        note="23.6 million weights; about eleven times the computing, and the most memory.",
        builder="keras.applications:ResNet50V2",
        input_range=MINUS_ONE_TO_ONE,
        map_layers=("post_relu",),
        file="resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        folder="resnet",
        later_half="conv4_block1_preact_bn",
        weights=23_564_800,
        activations=1.44,
        cell_shift=-15.5,
    ),
}


def imagenet_weights_path(backbone: str = "mobilenetv2") -> Path:
    """Return where Keras keeps the ImageNet weights of a key of `BACKBONES`; the file may be missing."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    return home / "models" / BACKBONES[backbone].file
