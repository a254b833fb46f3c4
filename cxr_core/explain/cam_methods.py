"""Which methods say where the classifier looked?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cxr_core.explain.grad_cam_plus_plus import plus_plus_maps
from cxr_core.explain.score_cam import score_maps
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.system.arrays import FloatArray, UInt8Array
from cxr_core.system.progress import Progress

if TYPE_CHECKING:
    # It loads the package onnx, which Grad-CAM does not need.
    from cxr_core.explain.intermediate_tensors import IntermediateTensors


class CamFunction(Protocol):
    """Computes the maps of one image from what the exported graph computes on its way."""

    def __call__(
        self,
        tensors: IntermediateTensors,
        image_u8: UInt8Array,
        preprocessing: Preprocessing,
        *,
        progress: Progress | None = None,
    ) -> FloatArray:
        """Compute the map of every class.

        Args:
            tensors: of the chosen layer.
            image_u8: uint8 (size, size).
            preprocessing: the one it was prepared with.
            progress: called as the work goes on.

        Returns:
            float32 (C, h, w) in [0, 1].

        Raises:
            overlay.MapUnavailable: the layer does not support the method; the sentence says why.
        """


@dataclass(frozen=True)
class CamMethod:
    """One method to say where a classifier looked.

    Attributes:
        help: what it does and what it costs, in a sentence that goes on after its name.
        maps: computes them; None for Grad-CAM, which every exported graph computes along with the probabilities.
        progress_text: what a slow method does, for its progress bar; empty for one that takes no time.
    """

    help: str
    maps: CamFunction | None = None
    progress_text: str = ""


def _plus_plus_maps(
    tensors: IntermediateTensors,
    image_u8: UInt8Array,
    preprocessing: Preprocessing,
    *,
    progress: Progress | None = None,
) -> FloatArray:
    return plus_plus_maps(tensors, image_u8[None], preprocessing)[0]


# A new method is one more entry; docs/extending.md shows how.
CAM_METHODS = {
    "Grad-CAM": CamMethod("weights the layer's channels by their mean gradient. Immediate."),
    "Grad-CAM++": CamMethod(
        "also weights the positions within a channel, so that several separate findings are not averaged away. "
        "Immediate; only for layers whose activations are never negative.",
        _plus_plus_maps,
    ),
    "Score-CAM": CamMethod(
        "needs no gradient: it masks the image with each channel in turn and runs the network again. Up to a thousand "
        "passes, several seconds.",
        score_maps,
        progress_text="Masking the image, channel by channel",
    ),
}


def find_cam_method(name: str) -> CamMethod:
    """Return a method by its name; ValueError names those that there are."""
    if name not in CAM_METHODS:
        raise ValueError(f"method must be one of {', '.join(CAM_METHODS)}; received {name!r}.")
    return CAM_METHODS[name]
