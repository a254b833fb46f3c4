"""How an exported graph is opened and run, without TensorFlow."""

import os
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf, RuntimeException

# As fast as larger batches on two cores, and a batch of 32 takes 250 MB more.
BATCH_SIZE = 8
# Without this ONNX Runtime also computes the map layers that nobody asked for.
_ONLY_WHAT_IS_ASKED = onnxruntime.RunOptions()
_ONLY_WHAT_IS_ASKED.only_execute_path_to_fetches = True
# What a batch takes ONNX Runtime would keep for the next one: the last of several gives it back.
_AND_GIVE_BACK = onnxruntime.RunOptions()
_AND_GIVE_BACK.only_execute_path_to_fetches = True
_AND_GIVE_BACK.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")


def run_graph(session, outputs, images_u8, scale, *, progress=None):
    """Run an ONNX graph over prepared images, batch by batch.

    Args:
        session: onnxruntime.InferenceSession with the input `image`.
        outputs: list of str, names of the graph's outputs; nothing else is computed.
        images_u8: uint8 (N, size, size), N >= 1.
        scale: callable that makes float32 (n, size, size, 3) of uint8 (n, size, size): what the graph was trained on.
        progress: callable(done, total) or None.

    Returns:
        list of arrays (N, ...), one per output.
    """
    parts = []
    for start in range(0, len(images_u8), BATCH_SIZE):
        batch = scale(images_u8[start : start + BATCH_SIZE])
        give_back = len(images_u8) > 1 and start + BATCH_SIZE >= len(images_u8)
        parts.append(run_scaled(session, outputs, batch, give_back=give_back))
        if progress:
            progress(min(start + BATCH_SIZE, len(images_u8)), len(images_u8))
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def run_scaled(session, outputs, images, *, give_back=False):
    """Run an ONNX graph once over float32 (N, size, size, 3), already scaled; returns a list of arrays (N, ...).

    With `give_back` the memory that it took goes back to the system instead of waiting for the next run.
    """
    return session.run(outputs, {"image": images}, _AND_GIVE_BACK if give_back else _ONLY_WHAT_IS_ASKED)


def open_session(graph):
    """Open an ONNX graph on all cores.

    Args:
        graph: str or Path of the file, or its bytes.

    Returns:
        onnxruntime.InferenceSession.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: it is broken.
    """
    in_memory = isinstance(graph, bytes)
    if not in_memory and not Path(graph).exists():
        raise FileNotFoundError(f"There is no model {graph}.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count() or 1
    options.log_severity_level = 3
    # Threads that wait for work by spinning take a third of the processor from other visitors, and from decoding.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        source = graph if in_memory else str(graph)
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except (Fail, InvalidGraph, InvalidProtobuf, RuntimeException) as error:
        name = "This" if in_memory else Path(graph).name
        raise ValueError(f"{name} is no ONNX graph that can be opened.") from error
