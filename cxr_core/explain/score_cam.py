"""How are Score-CAM maps computed: what does the network answer if only one channel's region is visible?"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cxr_core.explain.overlay import scale_maps
from cxr_core.imaging.preprocessing import MapOffset, Preprocessing
from cxr_core.system.arrays import FloatArray, UInt8Array
from cxr_core.system.onnx_session import run_graph, run_scaled
from cxr_core.system.progress import Progress

if TYPE_CHECKING:
    # It loads the package onnx, which Grad-CAM does not need.
    from cxr_core.explain.intermediate_tensors import IntermediateTensors

# Larger batches are no faster, and the memory that a pass takes is kept.
_BATCH = 4


def score_maps(
    tensors: IntermediateTensors,
    image_u8: UInt8Array,
    preprocessing: Preprocessing,
    *,
    progress: Progress | None = None,
) -> FloatArray:
    """Compute the Score-CAM maps of every class of one image: each channel is weighted by the score of its region.

    The network sees the image once per channel, masked by the channel's activation. A flat channel masks nothing, and
    is left out.

    Args:
        tensors: of the chosen layer.
        image_u8: uint8 (size, size).
        preprocessing: the one it was prepared with.
        progress: called after each batch, in channels.

    Returns:
        float32 (C, h, w) in [0, 1].

    Source:
        Wang et al. 2020, arXiv:1910.01279, algorithm 1. The score is the logit: subtracting the baseline's score would
        not change the softmax over channels. A masked pixel is 0 in the network's input.
    """
    activations, logits = (
        values[0]
        for values in run_graph(
            tensors.session, [tensors.activations, tensors.logits], image_u8[None], preprocessing.scaled
        )
    )
    channels = np.flatnonzero(activations.max(axis=(0, 1)) > activations.min(axis=(0, 1)))
    if not len(channels):
        return np.zeros((len(logits), *activations.shape[:2]), np.float32)
    masks = partial(_mask, preprocessing=preprocessing, shape=image_u8.shape, offset=tensors.offset)
    scores = _channel_scores(tensors, preprocessing.scaled(image_u8), activations[:, :, channels], masks, progress)
    weights = np.exp(scores - scores.max(axis=0))
    weights /= weights.sum(axis=0)
    maps = np.einsum("kc,hwk->chw", weights, activations[:, :, channels].astype(np.float64))
    return scale_maps(np.maximum(maps, 0).astype(np.float32))


def _channel_scores(
    tensors: IntermediateTensors,
    scaled: FloatArray,
    activations: FloatArray,
    mask: Callable[[FloatArray], FloatArray],
    progress: Progress | None,
) -> FloatArray:
    """Return the logits of an image masked by each channel of some activations (h, w, K), float64 (K, C)."""
    scores, n = [], activations.shape[2]
    for start in range(0, n, _BATCH):
        part = range(start, min(start + _BATCH, n))
        batch = np.stack([scaled * mask(activations[:, :, k])[..., None] for k in part])
        scores.append(run_scaled(tensors.session, [tensors.logits], batch)[0])
        if progress:
            progress(part.stop, n)
    return np.concatenate(scores).astype(np.float64)


def _mask(
    channel: FloatArray, *, preprocessing: Preprocessing, shape: tuple[int, ...], offset: MapOffset
) -> FloatArray:
    """Return one channel brought to the input's place and shape and stretched to [0, 1], float32 (size, size)."""
    large = preprocessing.map_on_image(channel, shape, offset)
    low, high = large.min(), large.max()
    return (large - low) / (high - low)
