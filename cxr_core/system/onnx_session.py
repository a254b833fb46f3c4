"""How is an exported graph opened and run, without TensorFlow?"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    RuntimeException,
)

from cxr_core.system.arrays import FloatArray, UInt8Array
from cxr_core.system.progress import Progress, in_threads

_TOLD_AFTER = 8
# Without this option ONNX Runtime also computes the outputs that were not requested.
_ONLY_WHAT_IS_ASKED = onnxruntime.RunOptions()
_ONLY_WHAT_IS_ASKED.only_execute_path_to_fetches = True
# ONNX Runtime keeps a batch's memory for the next one: the last of several batches returns it.
_AND_GIVE_BACK = onnxruntime.RunOptions()
_AND_GIVE_BACK.only_execute_path_to_fetches = True
_AND_GIVE_BACK.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")


def run_graph(
    session: onnxruntime.InferenceSession,
    outputs: Sequence[str],
    images_u8: UInt8Array,
    scale: Callable[[UInt8Array], FloatArray],
    *,
    progress: Progress | None = None,
) -> list[FloatArray]:
    """Run an ONNX graph over prepared images, one by one, and several at a time in a session for many images.

    In such a session that is faster than batches, elsewhere as fast; the values are the same to the last bit.

    Args:
        session: opened graph with the input `image`.
        outputs: names of the graph's outputs to compute; no others are.
        images_u8: uint8 (N, size, size), N >= 1.
        scale: turns uint8 (n, size, size) into the float32 (n, size, size, 3) that the graph was trained on.
        progress: called after every eighth image and after the last.

    Returns:
        One float32 array (N, ...) per output.
    """
    n = len(images_u8)

    def run(i: int) -> list[FloatArray]:
        return run_scaled(session, outputs, scale(images_u8[i : i + 1]), give_back=1 < n == i + 1)

    if n == 1:
        return run(0)
    parts = []
    one_core_each = session.get_session_options().intra_op_num_threads == 1
    for part in in_threads(run, range(n)) if one_core_each else map(run, range(n)):
        parts.append(part)
        if progress and (len(parts) % _TOLD_AFTER == 0 or len(parts) == n):
            progress(len(parts), n)
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def run_scaled(
    session: onnxruntime.InferenceSession, outputs: Sequence[str], images: FloatArray, *, give_back: bool = False
) -> list[FloatArray]:
    """Run an ONNX graph once over scaled images.

    Args:
        session: opened graph with the input `image`.
        outputs: names of the graph's outputs to compute; no others are.
        images: float32 (N, size, size, 3), as the graph was trained on.
        give_back: return the memory that the run took to the operating system instead of keeping it for the next one.

    Returns:
        One float32 array (N, ...) per output.
    """
    return session.run(outputs, {"image": images}, _AND_GIVE_BACK if give_back else _ONLY_WHAT_IS_ASKED)


def open_session(graph: str | Path | bytes, *, for_many: bool = False) -> onnxruntime.InferenceSession:
    """Open an ONNX graph.

    Args:
        graph: path of the file, or its bytes.
        for_many: each of many images gets one core; else one image gets all of them.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: it is broken.
    """
    if not isinstance(graph, bytes) and not Path(graph).exists():
        raise FileNotFoundError(f"There is no model {graph}.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1 if for_many else os.cpu_count() or 1
    options.log_severity_level = 3
    # Threads that spin while they wait for work take a third of the processor from other visitors and from decoding.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        source = graph if isinstance(graph, bytes) else str(graph)
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, RuntimeException) as error:
        name = "This" if isinstance(graph, bytes) else Path(graph).name
        raise ValueError(f"{name} is no ONNX graph that can be opened.") from error
