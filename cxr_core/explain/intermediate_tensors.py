"""Two further answers to where a classifier looked: Grad-CAM++ and Score-CAM, from the same exported graph.

The graph gives Grad-CAM alone. What the other two need, activations, gradients and logits, is computed inside
it: a copy in memory names those tensors as outputs. Imported only where one of the two is asked for.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import onnx
import onnxruntime

from cxr_core.explain.overlay import MapUnavailable, scale_maps
from cxr_core.system.onnx_session import open_session, run_graph, run_scaled

# What leaves nothing below zero behind.
_RECTIFIERS = ("Relu", "Clip")
# Larger ones are no faster, and the memory that a pass takes is never given back.
_BATCH = 4


@dataclass(frozen=True)
class Inside:
    """What a graph computes on its way to the maps of one layer.

    Attributes:
        session: onnxruntime.InferenceSession with the further outputs.
        activations: str, name of the layer's activations, float32 (N, h, w, K).
        gradients: str, name of the gradients of every class's logit, (N or 1, C, h or 1, w or 1, K); or None
            where they are the same for every picture.
        fixed_gradients: float32 (1, C, 1, 1, K) in that case, else None.
        logits: str, name of the logits, float32 (N, C).
        is_rectified: bool, whether activations are never below zero.
    """

    session: onnxruntime.InferenceSession
    activations: str
    gradients: str | None
    fixed_gradients: np.ndarray | None
    logits: str
    is_rectified: bool


@lru_cache(maxsize=2)
def open_inside(path, layer, mtime_ns):
    """Open an exported graph with the tensors that lead to the maps of a layer as further outputs.

    Args:
        path: Path of the graph, as `export.export_classifier` writes it.
        layer: str, one of its map layers.
        mtime_ns: int, when the file was written; what was opened is kept for as long as it stays the same.

    Returns:
        Inside.

    Raises:
        overlay.MapUnavailable: the graph has no such layer, or was not exported by this program.
    """
    graph_file = onnx.load(path)
    graph = graph_file.graph
    makers = {output: node for node in graph.node for output in node.output}

    def made_by(name, kind):
        node = makers.get(name)
        if node is None or node.op_type != kind:
            raise MapUnavailable(
                f"Only Grad-CAM can be had of this model: its graph does not show {layer} as expected."
            )
        return node

    product = made_by(made_by(made_by(f"maps_{layer}", "Relu").input[0], "Reshape").input[0], "MatMul")
    weights, positions = product.input
    activations = made_by(made_by(positions, "Transpose").input[0], "Reshape").input[0]
    logits = made_by("probabilities", "Softmax").input[0]
    fixed = {tensor.name: tensor for tensor in graph.initializer}.get(weights)
    gradients = None if fixed else made_by(weights, "ReduceMean").input[0]
    for name in filter(None, (activations, gradients, logits)):
        graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    # Activations come turned so that channels stand last.
    source = makers.get(made_by(activations, "Transpose").input[0])
    return Inside(
        open_session(graph_file.SerializeToString()),
        activations,
        gradients,
        onnx.numpy_helper.to_array(fixed)[:, :, None, None, :] if fixed else None,
        logits,
        source is not None and source.op_type in _RECTIFIERS,
    )


def plus_plus_maps(inside, images_u8, preprocessing):
    """Make Grad-CAM++ maps for every class.

    Args:
        inside: Inside.
        images_u8: uint8 (N, size, size).
        preprocessing: preprocessing.Preprocessing they were prepared with.

    Returns:
        float32 (N, C, h, w) in [0, 1].

    Raises:
        overlay.MapUnavailable: the layer's activations can be below zero, for which the method is not defined.
    """
    if not inside.is_rectified:
        raise MapUnavailable("Grad-CAM++ needs a layer whose values are never below zero, such as one after a ReLU.")
    names = [inside.activations, *filter(None, (inside.gradients,))]
    activations, *gradients = run_graph(inside.session, names, images_u8, preprocessing.scaled)
    return scale_maps(weigh_plus_plus(activations, gradients[0] if gradients else inside.fixed_gradients))


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


def score_maps(inside, image_u8, preprocessing, *, progress=None):
    """Make Score-CAM maps for every class of one image: each channel counts by what the network says behind it.

    The image is shown once per channel that is not flat, covered but for where the channel is active. A flat
    channel covers nothing, and is left out.

    Args:
        inside: Inside.
        image_u8: uint8 (size, size).
        preprocessing: preprocessing.Preprocessing it was prepared with.
        progress: callable(done, total) over channels, or None.

    Returns:
        float32 (C, h, w) in [0, 1].

    Source:
        Wang et al. 2020, arXiv:1910.01279, algorithm 1; the score is the logit, which the baseline does not
        change after the softmax over channels. What is covered is 0 in the network's own input.
    """
    activations = run_graph(inside.session, [inside.activations], image_u8[None], preprocessing.scaled)[0][0]
    low, high = activations.min(axis=(0, 1)), activations.max(axis=(0, 1))
    channels = np.flatnonzero(high > low)
    scaled = preprocessing.scaled(image_u8)
    scores = []
    for start in range(0, len(channels), _BATCH):
        part = channels[start : start + _BATCH]
        batch = np.stack([scaled * _mask(activations[:, :, k], scaled.shape[:2])[..., None] for k in part])
        scores.append(run_scaled(inside.session, [inside.logits], batch)[0])
        if progress:
            progress(start + len(part), len(channels))
    if not scores:
        classes = run_graph(inside.session, [inside.logits], image_u8[None], preprocessing.scaled)[0].shape[1]
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
