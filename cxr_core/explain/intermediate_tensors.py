"""How are activations, gradients and logits read out of an exported graph?

The graph's own outputs are the maps of Grad-CAM. What other methods need is computed inside it: a copy in memory names
those tensors as outputs. Imported only where such a method is used.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import onnx
import onnxruntime

from cxr_core.explain.overlay import MapUnavailable
from cxr_core.imaging.preprocessing import MapOffset, Preprocessing
from cxr_core.system.arrays import FloatArray, UInt8Array
from cxr_core.system.onnx_session import open_session, run_graph

# Operations whose outputs are never negative.
_RECTIFIERS = ("Relu", "Clip")


@dataclass(frozen=True)
class IntermediateTensors:
    """What a graph computes on its way to the maps of one layer.

    Attributes:
        session: the graph with the further outputs.
        activations: name of the layer's activations, float32 (N, h, w, K).
        gradients: name of the gradients of every class's logit, float32 (N or 1, C, h or 1, w or 1, K); None if they
            are the same for every image.
        fixed_gradients: in that case the gradients, float32 (1, C, 1, 1, K); else None.
        logits: name of the logits, float32 (N, C).
        is_rectified: whether activations are never negative.
        offset: how far beside an even grid over the image the layer's cells look.
    """

    session: onnxruntime.InferenceSession
    activations: str
    gradients: str | None
    fixed_gradients: FloatArray | None
    logits: str
    is_rectified: bool
    offset: MapOffset = (0.0, 0.0)

    def activations_and_gradients(
        self, images_u8: UInt8Array, preprocessing: Preprocessing
    ) -> tuple[FloatArray, FloatArray]:
        """Return both of prepared images, uint8 (N, size, size): (N, h, w, K) and (N or 1, C, h or 1, w or 1, K)."""
        names = [name for name in (self.activations, self.gradients) if name]
        activations, *gradients = run_graph(self.session, names, images_u8, preprocessing.scaled)
        return activations, gradients[0] if self.fixed_gradients is None else self.fixed_gradients


@lru_cache(maxsize=2)
def open_intermediate_tensors(path: Path, layer: str, stamp: tuple[int, ...]) -> IntermediateTensors:
    """Open an exported graph with the tensors that lead to the maps of a layer as further outputs.

    Args:
        path: the graph, as `onnx_export.export_classifier` writes it.
        layer: one of its map layers.
        stamp: the file's, see `files.file_stamp`; the opened graph is kept as long as this does not change.

    Raises:
        overlay.MapUnavailable: the graph has no such layer, or was not exported by this program.
    """
    graph_file = onnx.load(path)
    graph = graph_file.graph
    makers = {output: node for node in graph.node for output in node.output}

    def made_by(name: str, kind: str) -> onnx.NodeProto:
        node = makers.get(name)
        if node is None or node.op_type != kind:
            raise MapUnavailable(f"This model supports Grad-CAM only: its graph does not contain {layer} as expected.")
        return node

    product = made_by(made_by(made_by(f"maps_{layer}", "Relu").input[0], "Reshape").input[0], "MatMul")
    weights, positions = product.input
    activations = made_by(made_by(positions, "Transpose").input[0], "Reshape").input[0]
    logits = made_by("probabilities", "Softmax").input[0]
    fixed = {tensor.name: tensor for tensor in graph.initializer}.get(weights)
    gradients = None if fixed else made_by(weights, "ReduceMean").input[0]
    for name in filter(None, (activations, gradients, logits)):
        graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    # The activations are transposed so that channels come last.
    source = makers.get(made_by(activations, "Transpose").input[0])
    return IntermediateTensors(
        open_session(graph_file.SerializeToString()),
        activations,
        gradients,
        onnx.numpy_helper.to_array(fixed)[:, :, None, None, :] if fixed else None,
        logits,
        source is not None and source.op_type in _RECTIFIERS,
    )
