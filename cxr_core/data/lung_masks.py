"""Where are the lungs in the prepared images? Found once per content, then memory-mapped."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from cxr_core.config import CACHE_DIR, LUNG_MODEL_DIR
from cxr_core.data.prepared_images import PreparedImages, read_in_parts
from cxr_core.imaging.lung_segmentation import MASK_SIDE, look_at_chest
from cxr_core.system.arrays import UInt8Array, create_array
from cxr_core.system.disk_cache import is_cached, new_entry, open_array
from cxr_core.system.progress import Progress
from cxr_core.system.visit_folders import visit_cache


def lung_masks(
    prepared: PreparedImages, progress: Progress | None = None, *, cache_dir: str | Path = CACHE_DIR
) -> UInt8Array:
    """Find the lungs in every image, or open what was found before.

    Args:
        prepared: N images.
        progress: counts the images.
        cache_dir: where the masks are kept; those of a visit's images are kept in its folder.

    Returns:
        uint8 (N, MASK_SIDE, MASK_SIDE), memory-mapped: 255 where lung, with its part behind the heart, is certain; 0
        everywhere in an image whose lungs were not found.
    """
    network = hashlib.sha256((LUNG_MODEL_DIR / "model.onnx").read_bytes()).hexdigest()
    folder = Path(visit_cache(prepared.table["path"]) or cache_dir) / "lungs"
    path = folder / f"{hashlib.sha256(f'{network}-{prepared.key}'.encode()).hexdigest()[:32]}.npy"
    if not is_cached(path):
        n = len(prepared.images_u8)
        with new_entry(path) as temporary, ThreadPoolExecutor() as pool:
            masks = create_array(temporary, np.uint8, (n, MASK_SIDE, MASK_SIDE))
            for rows, images in read_in_parts(prepared.images_u8):
                masks[rows.start : rows.stop] = list(pool.map(lung_mask_u8, images))
                if progress:
                    progress(rows.stop, n)
            masks.flush()
    return open_array(path)


def lung_mask_u8(image_u8: UInt8Array) -> UInt8Array:
    """Find the lungs in one prepared image, uint8 (H, W); returns a mask as `lung_masks` does, without their axis N."""
    chest = look_at_chest(image_u8)
    return np.round(chest.cells.max(axis=-1) * 255 * chest.lungs.found).astype(np.uint8)
