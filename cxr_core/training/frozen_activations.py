"""Which activations does the frozen part of a network give for augmented copies?

They are computed once and kept; training then runs the other part alone, many times faster.
"""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import keras
import numpy as np

from cxr_core.config import CACHE_DIR
from cxr_core.data.prepared_images import read_images
from cxr_core.recipes.training_config import TrainingConfig
from cxr_core.system.arrays import FloatArray, IntArray, UInt8Array
from cxr_core.system.disk_cache import is_cached, new_entry, open_array
from cxr_core.system.onnx_session import open_session, run_graph
from cxr_core.system.progress import Progress
from cxr_core.system.visit_folders import visit_cache
from cxr_core.training.batches import augmented
from cxr_core.training.onnx_export import kept_features_graph

_CHUNK = 64


def split_network(model: keras.Model, first_layer: str) -> tuple[keras.Model, keras.Model]:
    """Cut a network in two before a layer.

    Args:
        model: flat.
        first_layer: first layer of the second part; its input must be the only input of that part.

    Returns:
        (trunk, rest): from images to that layer's input, and from there to the model's output; both share their
        weights with `model`.

    Raises:
        ValueError: a skip connection crosses the cut.
    """
    between = model.get_layer(first_layer).input
    return keras.Model(model.input, between), keras.Model(between, model.output)


def keep_activations(
    trunk: keras.Model,
    images_u8: UInt8Array,
    rows: IntArray,
    config: TrainingConfig,
    *,
    key: str,
    copies: int,
    progress: Progress,
    lungs: UInt8Array | None = None,
) -> FloatArray:
    """Run the frozen part of a network over augmented copies of images, or open what an earlier training kept.

    Args:
        trunk: from float32 (N, size, size, 3) to (N, h, w, c); see `split_network`.
        images_u8: uint8 (M, size, size), prepared.
        rows: int (n,), positions in `images_u8`.
        config: its seed and augmentation make the copies.
        key: digest of the content of `images_u8`.
        copies: how many augmented copies of each image; 0 for the image itself.
        progress: counts images and copies.
        lungs: as for `batches.augmented`.

    Returns:
        float16 (max(1, copies), n, h, w, c), memory-mapped: it takes disk, not memory.
    """
    graph, digest = kept_features_graph(trunk, config.preprocessing.size)
    changes = config.augmentation.to_dict() if copies else None
    rows = np.asarray(rows)
    settings = [digest, key, config.preprocessing.scaling, changes, config.seed, copies, rows.tolist()]
    if lungs is not None:
        settings.append(hashlib.sha256(lungs.tobytes()).hexdigest())
    name = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:32]
    # Prepared images of a visit lie in its folder themselves.
    visit = visit_cache([images_u8.filename or ""]) if isinstance(images_u8, np.memmap) else None
    path = (visit or CACHE_DIR) / "activations" / f"{name}.npy"
    if not is_cached(path):
        shape = (max(1, copies), len(rows), *trunk.output.shape[1:])
        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
        with new_entry(path) as temporary, temporary.open("wb") as file, ThreadPoolExecutor() as pool:
            np.lib.format.write_array_header_1_0(file, header)
            session = open_session(graph, for_many=True)
            for copy in range(shape[0]):
                augment = partial(augmented, images_u8, rows, config=config, epoch=copy, lungs=lungs)
                for start in range(0, len(rows), _CHUNK):
                    chosen = rows[start : start + _CHUNK]
                    images = np.stack(list(pool.map(augment, chosen))) if copies else read_images(images_u8, chosen)
                    (values,) = run_graph(session, ["features"], images, config.preprocessing.scaled)
                    values.astype("<f2").tofile(file)
                    progress(copy * len(rows) + start + len(chosen), shape[0] * len(rows))
    return open_array(path)
