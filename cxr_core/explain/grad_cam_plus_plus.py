"""How are Grad-CAM++ maps computed from an exported graph?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cxr_core.explain.overlay import MapUnavailable, scale_maps
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.system.arrays import FloatArray, UInt8Array

if TYPE_CHECKING:
    # It loads the package onnx, which Grad-CAM does not need.
    from cxr_core.explain.intermediate_tensors import IntermediateTensors


def plus_plus_maps(tensors: IntermediateTensors, images_u8: UInt8Array, preprocessing: Preprocessing) -> FloatArray:
    """Compute the Grad-CAM++ maps of every class.

    Args:
        tensors: of the chosen layer.
        images_u8: uint8 (N, size, size).
        preprocessing: the one they were prepared with.

    Returns:
        float32 (N, C, h, w) in [0, 1].

    Raises:
        overlay.MapUnavailable: the layer's activations can be negative, for which the method is not defined.
    """
    if not tensors.is_rectified:
        raise MapUnavailable("Grad-CAM++ needs a layer whose activations are never negative, such as one after a ReLU.")
    return scale_maps(weigh_plus_plus(*tensors.activations_and_gradients(images_u8, preprocessing)))


def weigh_plus_plus(activations: FloatArray, gradients: FloatArray) -> FloatArray:
    """Weight a layer's channels as Grad-CAM++ does: by their positive gradients, each position weighted on its own.

    Args:
        activations: float32 (N, h, w, K), not negative.
        gradients: float32 (N or 1, C, h or 1, w or 1, K), of the logits S.

    Returns:
        float32 (N, C, h, w), not negative, up to a factor per map.

    Source:
        Chattopadhyay et al. 2018, arXiv:1710.11063, equations 10 to 13 and 19. The score is exp(S). The layers that
        follow are piecewise linear, so that its derivatives are exp(S) times powers of the gradient of S; exp(S) is a
        common factor of a map.
    """
    values, slopes = activations.astype(np.float64)[:, None], gradients.astype(np.float64)
    square = slopes**2
    below = 2 * square + values.sum(axis=(2, 3), keepdims=True) * slopes**3
    alpha = np.divide(square, below, out=np.zeros(below.shape), where=below != 0)
    shares = np.broadcast_to(alpha * np.maximum(slopes, 0), (*alpha.shape[:2], *values.shape[2:]))
    weights = shares.sum(axis=(2, 3))
    return np.maximum(np.einsum("nck,nhwk->nchw", weights, values[:, 0]), 0).astype(np.float32)
