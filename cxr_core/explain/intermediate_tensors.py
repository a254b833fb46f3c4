"""Two further answers to where a classifier looked: Grad-CAM++ and Score-CAM, from the same exported graph.

The graph gives Grad-CAM alone. What the other two need, activations, gradients and logits, is computed inside
it: a copy in memory names those tensors as outputs. Imported only where one of the two is asked for.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import onnx
import onnxruntime

from cxr_core.explain.overlay import MapUnavailable
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.system.arrays import FloatArray, UInt8Array
from cxr_core.system.onnx_session import open_session, run_graph

# What leaves nothing below zero behind.
_RECTIFIERS = ("Relu", "Clip")


@dataclass(frozen=True)
class IntermediateTensors:
    """What a graph computes on its way to the maps of one layer.

    Attributes:
        session: onnxruntime.InferenceSession with the further outputs.
        activations: str, name of the layer's activations, float32 (N, h, w, K).
        gradients: str, name of the gradients of every class's logit, (N or 1, C, h or 1, w or 1, K); or None
            where they are the same for every image.
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

    def activations_and_gradients(
        self, images_u8: UInt8Array, preprocessing: Preprocessing
    ) -> tuple[FloatArray, FloatArray]:
        """Return both of prepared images, uint8 (N, size, size): (N, h, w, K) and (N or 1, C, h or 1, w or 1, K)."""
        names = [name for name in (self.activations, self.gradients) if name]
        activations, *gradients = run_graph(self.session, names, images_u8, preprocessing.scaled)
        return activations, gradients[0] if self.fixed_gradients is None else self.fixed_gradients


@lru_cache(maxsize=2)
def open_intermediate_tensors(path, layer, mtime_ns):
    """Open an exported graph with the tensors that lead to the maps of a layer as further outputs.

    Args:
        path: Path of the graph, as `onnx_export.export_classifier` writes it.
        layer: str, one of its map layers.
        mtime_ns: int, when the file was written; what was opened is kept for as long as it stays the same.

    Returns:
        IntermediateTensors.

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
    return IntermediateTensors(
        open_session(graph_file.SerializeToString()),
        activations,
        gradients,
        onnx.numpy_helper.to_array(fixed)[:, :, None, None, :] if fixed else None,
        logits,
        source is not None and source.op_type in _RECTIFIERS,
    )
