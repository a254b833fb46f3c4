"""What the frozen part of a network makes of augmented copies, computed once and kept. Imports TensorFlow.

Training then runs the other part alone, many times faster; see `keep_activations`.
"""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import keras
import numpy as np

from cxr_core.config import CACHE_DIR
from cxr_core.data.prepared_images import read_images
from cxr_core.system.files import atomic_path
from cxr_core.system.onnx_session import open_session, run_graph
from cxr_core.training.batches import augmented
from cxr_core.training.onnx_export import kept_features_graph

_CHUNK = 64


def split_network(model, first_layer):
    """Part a network before a layer.

    Args:
        model: keras.Model, flat.
        first_layer: name of the first layer of the second part; what it takes in must be all that part takes in.

    Returns:
        (trunk, rest): keras.Model from images to that layer's input, and from there to the model's output;
        both share their weights with `model`.

    Raises:
        ValueError: something else also crosses from one part to the other.
    """
    between = model.get_layer(first_layer).input
    return keras.Model(model.input, between), keras.Model(between, model.output)


def keep_activations(trunk, images_u8, rows, config, *, key, copies, progress):
    """Run the frozen part of a network over augmented copies of images, or open what was kept of that.

    Args:
        trunk: keras.Model from float32 (N, size, size, 3) to (N, h, w, c); see `split_network`.
        images_u8: uint8 (M, size, size), prepared.
        rows: int (n,), positions in `images_u8`.
        config: training_config.TrainingConfig; its seed and augmentation make the copies.
        key: str that stands for the content of `images_u8`.
        copies: int, how many augmented copies of each image; 0 for one unchanged one.
        progress: callable(done, total).

    Returns:
        float16 (max(1, copies), n, h, w, c), memory-mapped: it takes disk, not memory.
    """
    graph, digest = kept_features_graph(trunk, config.preprocessing.size)
    changes = config.augmentation.to_dict() if copies else None
    settings = [digest, key, config.preprocessing.scaling, changes, config.seed, copies, np.asarray(rows).tolist()]
    name = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:32]
    path = CACHE_DIR / "activations" / f"{name}.npy"
    if not path.exists():
        shape = (max(1, copies), len(rows), *trunk.output.shape[1:])
        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
        with atomic_path(path) as temporary, temporary.open("wb") as file, ThreadPoolExecutor() as pool:
            np.lib.format.write_array_header_1_0(file, header)
            session = open_session(graph)
            for copy in range(shape[0]):
                report = partial(_report, progress, copy * len(rows), shape[0] * len(rows))
                _write_copy(file, session, images_u8, np.asarray(rows), config, copy if copies else None, pool, report)
    return np.load(path, mmap_mode="r")


def _report(progress, before, total, done):
    progress(before + done, total)


def _write_copy(file, session, images_u8, rows, config, copy, pool, report):
    """Write what the network makes of one copy of every image, chunk by chunk; of the images themselves for None."""
    for start in range(0, len(rows), _CHUNK):
        chosen = rows[start : start + _CHUNK]
        if copy is None:
            images = read_images(images_u8, chosen)
        else:
            images = np.stack(list(pool.map(lambda row: augmented(images_u8, rows, row, config, copy), chosen)))
        (values,) = run_graph(session, ["features"], images, config.preprocessing.scaled)
        values.astype("<f2").tofile(file)
        report(start + len(chosen))
