"""Where in the image does a cell of a map look? Not where the map's grid lies, for most networks.

A convolution with a stride reaches further on one side than on the other, by how its input is padded, so that the cells
of the last layers look at places further down and right, or up and left, than an even grid would have it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from cxr_core.explain.intermediate_tensors import open_intermediate_tensors
from cxr_core.imaging.preprocessing import MapOffset
from cxr_core.system.files import file_stamp

_POOLS = ("Conv", "MaxPool", "AveragePool")
# What these make belongs to the whole image, such as the pooled features and all that follows from them.
_PLACELESS = ("GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceMax", "Flatten", "Reshape", "Gemm", "MatMul")


@dataclass(frozen=True)
class _Field:
    """Where the cells of a tensor look: along each axis, the middle of cell n lies at `first + n * step` pixels.

    Attributes:
        axes: which axes of the tensor are height and width.
        first: of the pixel that cell 0 looks at in the middle, along both.
        step: pixels from one cell to the next.
    """

    axes: tuple[int, int]
    first: tuple[float, float]
    step: tuple[float, float]


def map_offsets(path: Path, layers: Sequence[str]) -> dict[str, MapOffset]:
    """Compute how far the cells of each map layer look beside where an even grid would have them.

    The middle of what a cell can see follows from strides, kernels and padding of the layers before it; where paths of
    different middles meet, their mean counts. It is the same for every image; which part of that field a trained
    network heeds is not, and differs from image to image by as much as the offset.

    Args:
        path: the graph, as `onnx_export.export_classifier` writes it.
        layers: its map layers.

    Returns:
        {layer: (down, right)} as proportions of the image's side.

    Raises:
        overlay.MapUnavailable: the graph was not exported by this program.

    Source:
        Araujo et al. 2019, Computing receptive fields of convolutional neural networks (Distill), equations 3 to 8;
        Alsallakh et al. 2021, arXiv:2010.02178, on what uneven padding does to the maps of a network.
    """
    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    size = graph.input[0].type.tensor_type.shape.dim[1].dim_value
    fields = _Fields(graph)
    offsets = {}
    for layer in layers:
        name = open_intermediate_tensors(path, layer, file_stamp(path)).activations
        field = fields.of(name)
        # An even grid of n cells has its first middle half a step, less half a pixel, from the edge.
        down, right = (first - (step - 1) / 2 for first, step in zip(field.first, field.step, strict=True))
        offsets[layer] = (down / size, right / size)
    return offsets


class _Fields:
    """The fields of a graph's tensors, from its input on."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
        shapes = [*graph.value_info, *graph.input]
        self._shapes = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in shapes}
        self._known = {graph.input[0].name: _Field((1, 2), (0.0, 0.0), (1.0, 1.0))}
        # ONNX demands that a node comes after those that it depends on.
        for node in graph.node:
            field = self._after(node)
            if field is not None:
                self._known |= dict.fromkeys(node.output, field)

    def of(self, name: str) -> _Field:
        """Return the field of a tensor that depends on places in the image, as that of a map layer does."""
        return self._known[name]

    def _after(self, node: onnx.NodeProto) -> _Field | None:
        """Return the field of what a node makes; None where its values belong to no place in the image."""
        fields = [self._known[name] for name in node.input if name in self._known]
        if not fields or node.op_type in _PLACELESS:
            return None
        field = replace(fields[0], first=tuple(np.mean([f.first for f in fields], axis=0).tolist()))
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Transpose":
            order = list(attributes["perm"])
            return replace(field, axes=(order.index(field.axes[0]), order.index(field.axes[1])))
        if node.op_type == "Pad":
            pads = self._values[node.input[1]]
            return _reached(field, [1, 1], [-float(pads[axis]) for axis in field.axes])
        if node.op_type in _POOLS:
            return self._pooled(node, field, attributes)
        return field

    def _pooled(self, node: onnx.NodeProto, field: _Field, attributes: dict[str, Any]) -> _Field:
        """Return the field after a convolution or pooling, whose tensors are (N, C, H, W)."""
        kernel = list(attributes.get("kernel_shape") or self._shapes[node.input[1]][2:])
        strides, dilations = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        pads = list(attributes.get("pads", [0, 0]))[:2]
        if attributes.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER"):
            sides = [self._shapes[node.input[0]][axis] for axis in field.axes]
            whole = [max(0, (-(-n // s) - 1) * s + span - n) for n, s, span in zip(sides, strides, spans, strict=True)]
            pads = [p // 2 if attributes["auto_pad"] == b"SAME_UPPER" else -(-p // 2) for p in whole]
        return _reached(field, strides, [(span - 1) / 2 - pad for span, pad in zip(spans, pads, strict=True)])


def _reached(field: _Field, strides: Sequence[int], shift: Sequence[float]) -> _Field:
    """Return a field whose cells are `strides` cells apart, the first of them `shift` cells from the first before."""
    down, right = (first + step * cells for first, step, cells in zip(field.first, field.step, shift, strict=True))
    steps = [step * stride for step, stride in zip(field.step, strides, strict=True)]
    return replace(field, first=(down, right), step=(steps[0], steps[1]))
