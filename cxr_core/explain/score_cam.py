"""Score-CAM: what the network answers where only one channel's region is left."""

import cv2
import numpy as np

from cxr_core.explain.overlay import scale_maps
from cxr_core.system.onnx_session import run_graph, run_scaled

# Larger ones are no faster, and the memory that a pass takes is never given back.
_BATCH = 4


def score_maps(tensors, image_u8, preprocessing, *, progress=None):
    """Make Score-CAM maps for every class of one image: each channel counts by what the network says behind it.

    The image is shown once per channel that is not flat, covered but for where the channel is active. A flat
    channel covers nothing, and is left out.

    Args:
        inside: IntermediateTensors.
        image_u8: uint8 (size, size).
        preprocessing: preprocessing.Preprocessing it was prepared with.
        progress: callable(done, total) over channels, or None.

    Returns:
        float32 (C, h, w) in [0, 1].

    Source:
        Wang et al. 2020, arXiv:1910.01279, algorithm 1; the score is the logit, which the baseline does not
        change after the softmax over channels. What is covered is 0 in the network's own input.
    """
    activations = run_graph(tensors.session, [tensors.activations], image_u8[None], preprocessing.scaled)[0][0]
    low, high = activations.min(axis=(0, 1)), activations.max(axis=(0, 1))
    channels = np.flatnonzero(high > low)
    scaled = preprocessing.scaled(image_u8)
    scores = []
    for start in range(0, len(channels), _BATCH):
        part = channels[start : start + _BATCH]
        batch = np.stack([scaled * _mask(activations[:, :, k], scaled.shape[:2])[..., None] for k in part])
        scores.append(run_scaled(tensors.session, [tensors.logits], batch)[0])
        if progress:
            progress(start + len(part), len(channels))
    if not scores:
        classes = run_graph(tensors.session, [tensors.logits], image_u8[None], preprocessing.scaled)[0].shape[1]
        return np.zeros((classes, *activations.shape[:2]), np.float32)
    scores = np.concatenate(scores).astype(np.float64)
    weights = np.exp(scores - scores.max(axis=0))
    weights /= weights.sum(axis=0)
    maps = np.einsum("kc,hwk->chw", weights, activations[:, :, channels].astype(np.float64))
    return scale_maps(np.maximum(maps, 0).astype(np.float32))


def _mask(channel, shape):
    """Return one channel laid over the input, float32 (size, size), stretched to [0, 1]."""
    large = cv2.resize(channel, shape[::-1], interpolation=cv2.INTER_LINEAR)
    low, high = large.min(), large.max()
    return (large - low) / (high - low)
