"""Where are the prepared images? On disk, made once per content and preprocessing, then memory-mapped."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxr_core.config import CACHE_DIR
from cxr_core.imaging.isolated_decoding import open_file
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.imaging.reader import UnreadableImage
from cxr_core.system.arrays import BoolArray, IntArray, UInt8Array
from cxr_core.system.disk_cache import is_cached, open_array, shrink_cache
from cxr_core.system.files import read_json, temporary_path, write_json
from cxr_core.system.progress import Progress, ShareWork, in_threads
from cxr_core.system.visit_folders import visit_cache

_CHUNK = 25
_ROWS_AT_ONCE = 128
CHANGED = "This file changed after it was listed; open the data set again."

# The SHA-256 of a file's content; and its image, or one sentence why there is none.
Prepared = tuple[str, UInt8Array, None] | tuple[str, None, str]
Pixel = TypeVar("Pixel", bound=np.generic)


@dataclass(frozen=True)
class PreparedImages:
    """Images ready for scaling, in the order of the table they were made from.

    Attributes:
        images_u8: uint8 (N, size, size), memory-mapped and read-only.
        table: DataFrame of N rows: the images that could be decoded.
        errors: dict of file to sentence: those that could not; of path to sentence where several have the same name.
        key: str, digest of content and preprocessing.
    """

    images_u8: UInt8Array
    table: pd.DataFrame
    errors: dict[str, str]
    key: str


def prepare_images(
    table: pd.DataFrame,
    preprocessing: Preprocessing,
    *,
    cache_dir: str | Path = CACHE_DIR,
    progress: Progress | None = None,
    share: ShareWork = in_threads,
) -> PreparedImages:
    """Prepare every image of a data set table, or open what was prepared before.

    The cache is keyed by the files' content and the preprocessing, never by name or time. An
    array enters it by renaming, with its list of errors written first, so a half-written one
    is never read. A file that changed after it was listed is left out: its pixels are never kept
    under the content that it had before.

    Args:
        table: DataFrame with `path`, `file` and `digest`, as `dataset.scan_dataset` makes it.
        preprocessing: what is done to each image.
        cache_dir: where arrays are kept; those of a visit's images are kept in its folder.
        progress: counts the images.
        share: who carries it out, 25 images at a time.

    Raises:
        ValueError: not one image could be decoded.
        OSError: a file went away while it was read; nothing is cached then.
    """
    reachable = table["path"].map(lambda path: os.access(path, os.R_OK)).to_numpy(bool)
    names = table["file"].where(~table["file"].duplicated(keep=False), table["path"])
    errors = dict.fromkeys(names[~reachable], "This file cannot be opened.")
    table = table.assign(_name=names)[reachable].reset_index(drop=True)
    folder = Path(visit_cache(table["path"]) or cache_dir) / "prepared"
    key = _cache_key(table, preprocessing)
    if len(table) and not is_cached(*_files_of(folder, key)):
        unchanged = _write_images(table, preprocessing, folder, progress, share)
        errors |= dict.fromkeys(table["_name"][~unchanged], CHANGED)
        table = table[unchanged].reset_index(drop=True)
        key = _cache_key(table, preprocessing)
    array_path, errors_path = _files_of(folder, key)
    failed = read_json(errors_path) if len(table) else {}
    good = np.ones(len(table), bool)
    good[[int(position) for position in failed]] = False
    if not good.any():
        first = f" The first: {next(iter(errors.values()))}" if errors else ""
        raise ValueError(f"Not one image of this data set could be decoded.{first}")
    errors |= {table["_name"].iloc[int(position)]: reason for position, reason in failed.items()}
    table = table[good].drop(columns="_name").reset_index(drop=True)
    return PreparedImages(open_array(array_path), table, errors, key)


def _files_of(folder: Path, key: str) -> tuple[Path, Path]:
    """Return the array of a key, and its list of images that cannot be decoded."""
    return folder / f"{key}.npy", folder / f"{key}.json"


def _cache_key(table: pd.DataFrame, preprocessing: Preprocessing) -> str:
    # The number changes when the file's layout does, or how pixels are read. Scaling comes later: it makes no others.
    steps = {name: value for name, value in preprocessing.to_dict().items() if name != "scaling"}
    settings = f"4 {json.dumps(steps, sort_keys=True)}"
    return hashlib.sha256("\n".join([settings, *table["digest"]]).encode()).hexdigest()[:32]


def read_images(images_u8: npt.NDArray[Pixel], rows: Sequence[int] | IntArray | range) -> npt.NDArray[Pixel]:
    """Copy some prepared images, without leaving the rest in memory as a memory map does.

    Args:
        images_u8: uint8 (N, size, size), memory-mapped or not; or rows of any other shape and dtype.
        rows: positions.

    Returns:
        uint8 (n, size, size), or rows as they are.
    """
    if not isinstance(images_u8, np.memmap):
        return images_u8[rows]
    images = np.empty((len(rows), *images_u8.shape[1:]), images_u8.dtype)
    assert images_u8.filename is not None
    with open(images_u8.filename, "rb") as file:
        for image, row in zip(images, rows, strict=True):
            file.seek(images_u8.offset + int(row) * image.nbytes)
            file.readinto(image)
    return images


def read_in_parts(images_u8: npt.NDArray[Pixel]) -> Iterator[tuple[range, npt.NDArray[Pixel]]]:
    """Yield (range of rows, images) from the first to the last, 128 at a time, each as `read_images` gives it."""
    for start in range(0, len(images_u8), _ROWS_AT_ONCE):
        rows = range(start, min(start + _ROWS_AT_ONCE, len(images_u8)))
        yield rows, read_images(images_u8, rows)


def prepare_files(paths: Sequence[str], preprocessing: Preprocessing) -> list[Prepared]:
    """Prepare images, one after the other.

    Returns:
        (SHA-256 of the content, uint8 (size, size), None) each, or (SHA-256, None, sentence) where an image cannot be
        decoded.
    """
    prepared: list[Prepared] = []
    for path in paths:
        data = Path(path).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        try:
            prepared.append((digest, preprocessing.image_u8(open_file(path, data).pixels), None))
        except UnreadableImage as error:
            prepared.append((digest, None, str(error)))
    return prepared


def _write_images(
    table: pd.DataFrame, preprocessing: Preprocessing, folder: Path, progress: Progress | None, share: ShareWork
) -> BoolArray:
    """Prepare the images of a table into the cache, under the key of those that have not changed.

    Returns:
        bool (N,), False where the file holds another content than the table says.
    """
    paths, side = table["path"].tolist(), preprocessing.size
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    unchanged: list[bool] = []
    failed: dict[str, str] = {}
    temporary = temporary_path(folder / "images.npy")
    try:
        with temporary.open("wb") as file:
            _write_header(file, (len(table), side, side))
            for prepared in share(partial(prepare_files, preprocessing=preprocessing), chunks):
                for digest, image, error in prepared:
                    is_listed = digest == table["digest"].iloc[len(unchanged)]
                    if is_listed and image is not None:
                        file.write(image.tobytes())
                    elif is_listed:
                        failed[str(sum(unchanged))] = error or ""
                    unchanged.append(is_listed)
                if progress:
                    progress(len(unchanged), len(table))
            file.seek(0)
            _write_header(file, (sum(unchanged) - len(failed), side, side))
        # The list first: whoever finds an array finds everything that belongs to it.
        array_path, errors_path = _files_of(folder, _cache_key(table[unchanged], preprocessing))
        write_json(errors_path, failed)
        os.replace(temporary, array_path)
        shrink_cache(folder.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return np.array(unchanged, bool)


def _write_header(file: IO[bytes], shape: tuple[int, int, int]) -> None:
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
