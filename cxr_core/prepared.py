"""Prepared images on disk: made once per content and preprocessing, then memory-mapped."""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cxr_core.config import CACHE_DIR
from cxr_core.files import atomic_path, read_json, write_json
from cxr_core.pictures import UnreadablePicture, read_picture


@dataclass(frozen=True)
class PreparedImages:
    """Images ready for scaling, in the order of the table they were made from.

    Attributes:
        images_u8: uint8 (N, size, size), memory-mapped and read-only.
        table: DataFrame of N rows: the pictures that could be decoded.
        errors: dict of file to sentence: those that could not.
        key: str, digest of content and preprocessing.
    """

    images_u8: np.ndarray
    table: pd.DataFrame
    errors: dict
    key: str


def prepare_images(table, preprocessing, *, cache_dir=CACHE_DIR, progress=None):
    """Prepare every picture of a data set table, or open what was prepared before.

    The cache is keyed by the files' content and the preprocessing, never by name or time. An
    array enters it by renaming, with its list of errors written first, so a half-written one
    is never read.

    Args:
        table: DataFrame with `path`, `file` and `digest`, as `dataset.scan_dataset` makes it.
        preprocessing: preprocess.Preprocessing.
        cache_dir: str or Path.
        progress: callable(done, total) or None.

    Returns:
        PreparedImages.

    Raises:
        ValueError: not one picture could be decoded.
        OSError: a file went away while it was read; nothing is cached then.
    """
    reachable = table["path"].map(lambda path: os.access(path, os.R_OK)).to_numpy(bool)
    errors = dict.fromkeys(table["file"][~reachable], "This file cannot be opened.")
    table = table[reachable].reset_index(drop=True)
    key = _cache_key(table, preprocessing)
    array_path = Path(cache_dir) / "prepared" / f"{key}.npy"
    errors_path = array_path.with_suffix(".json")
    if len(table) and not (array_path.exists() and errors_path.exists()):
        _write_images(table, preprocessing, array_path, errors_path, progress)
    failed = read_json(errors_path) if len(table) else {}
    good = np.ones(len(table), bool)
    good[[int(position) for position in failed]] = False
    if not good.any():
        raise ValueError("Not one picture of this data set could be decoded.")
    images = np.load(array_path, mmap_mode="r")
    errors |= {table["file"].iloc[int(position)]: reason for position, reason in failed.items()}
    readable = images if good.all() else images[good]
    return PreparedImages(readable, table[good].reset_index(drop=True), errors, key)


def _cache_key(table, preprocessing):
    settings = json.dumps(preprocessing.to_dict(), sort_keys=True)
    return hashlib.sha256("\n".join([settings, *table["digest"]]).encode()).hexdigest()[:32]


def _write_images(table, preprocessing, array_path, errors_path, progress):
    def prepare(path):
        try:
            return preprocessing.image_u8(read_picture(path)), None
        except UnreadablePicture as error:
            return None, str(error)

    failed, shape = {}, (len(table), preprocessing.size, preprocessing.size)
    # Three threads on two cores: one of them is often waiting for the disk.
    with atomic_path(array_path) as temporary, ThreadPoolExecutor(3) as pool:
        images = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        for position, (image, error) in enumerate(pool.map(prepare, table["path"])):
            if error:
                failed[str(position)] = error
            else:
                images[position] = image
            if progress and ((position + 1) % 50 == 0 or position + 1 == len(table)):
                progress(position + 1, len(table))
        images.flush()
        del images
        write_json(errors_path, failed)
