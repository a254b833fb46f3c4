"""Grad-CAM++, from what an exported graph computes on its way."""

import numpy as np

from cxr_core.explain.overlay import MapUnavailable, scale_maps


def plus_plus_maps(tensors, images_u8, preprocessing):
    """Make Grad-CAM++ maps for every class.

    Args:
        inside: IntermediateTensors.
        images_u8: uint8 (N, size, size).
        preprocessing: preprocessing.Preprocessing they were prepared with.

    Returns:
        float32 (N, C, h, w) in [0, 1].

    Raises:
        overlay.MapUnavailable: the layer's activations can be below zero, for which the method is not defined.
    """
    if not tensors.is_rectified:
        raise MapUnavailable("Grad-CAM++ needs a layer whose values are never below zero, such as one after a ReLU.")
    return scale_maps(weigh_plus_plus(*tensors.activations_and_gradients(images_u8, preprocessing)))


def weigh_plus_plus(activations, gradients):
    """Weigh a layer's channels as Grad-CAM++ does: every position by how much it alone speaks for the class.

    Args:
        activations: float32 (N, h, w, K), zero or above.
        gradients: float32 (N or 1, C, h or 1, w or 1, K), of the logits S.

    Returns:
        float32 (N, C, h, w), zero or above, up to a factor per map.

    Source:
        Chattopadhyay et al. 2018, arXiv:1710.11063, equations 10 to 13 and 19. The score is exp(S); what
        follows the layer is piecewise linear, so that its derivatives are exp(S) times powers of those of S, and
        exp(S) is a common factor of a map.
    """
    values, slopes = activations.astype(np.float64)[:, None], gradients.astype(np.float64)
    square = slopes**2
    below = 2 * square + values.sum(axis=(2, 3), keepdims=True) * slopes**3
    alpha = np.divide(square, below, out=np.zeros(below.shape), where=below != 0)
    shares = np.broadcast_to(alpha * np.maximum(slopes, 0), (*alpha.shape[:2], *values.shape[2:]))
    weights = shares.sum(axis=(2, 3))
    return np.maximum(np.einsum("nck,nhwk->nchw", weights, values[:, 0]), 0).astype(np.float32)
