"""What are the properties of every image of a data set: brightness, sharpness, frame, colour, burned-in text?"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cxr_core.config import CACHE_DIR
from cxr_core.data.prepared_images import CHANGED
from cxr_core.imaging.image_properties import PIXEL_COLUMNS, measure_image
from cxr_core.imaging.isolated_decoding import open_file
from cxr_core.imaging.reader import UnreadableImage
from cxr_core.system.disk_cache import is_cached, new_entry
from cxr_core.system.progress import Progress, ShareWork, in_threads
from cxr_core.system.visit_folders import visit_cache

COLUMNS = (*PIXEL_COLUMNS, "aspect", "bytes_per_pixel", "error")

# Raise it when a measure changes its meaning under the same name.
_METHOD = 2
_CHUNK = 25
_SAVE_EVERY = 10_000
# Digest, measures and error of an image; one of the latter two is None.
Measured = tuple[str, tuple[float, ...] | None, str | None]


def measure_images(
    table: pd.DataFrame,
    *,
    cache_dir: str | Path = CACHE_DIR,
    progress: Progress | None = None,
    share: ShareWork = in_threads,
) -> pd.DataFrame:
    """Measure every image of a data set table, or read what was measured before.

    What was measured is kept by content: only images whose digest is new are decoded. It is saved every 10,000 images,
    and when the pass is broken off, which then goes on where it was.

    Args:
        table: DataFrame with `path`, `digest`, `width`, `height` (pixels) and `bytes`.
        cache_dir: the measures lie in `measures/` below it; those of a visit's images in its folder.
        progress: counts the table's images.
        share: who carries it out, 25 images at a time.

    Returns:
        DataFrame of `len(table)` rows in the table's order, index 0…N-1, float32 but for `error`:
        what `measure_image` gives, `aspect` (width / height), `bytes_per_pixel`, and `error`
        (str, one sentence, or None). An image with an error has NaN everywhere else.
    """
    path = Path(visit_cache(table["path"]) or cache_dir) / "measures" / f"{_cache_version()}.parquet"
    known = _read_cache(path) if is_cached(path) else _frame([])
    wanted = table.drop_duplicates("digest")
    wanted = wanted[~wanted["digest"].isin(known.index)]
    passing: dict[str, str | None] = {}
    done, total = len(table) - len(wanted), len(table)
    if progress:
        progress(done, total)
    files = list(zip(wanted["path"], wanted["digest"], strict=True))
    chunks = [files[start : start + _CHUNK] for start in range(0, len(files), _CHUNK)]
    rows: list[Measured] = []
    try:
        for chunk, measured in zip(chunks, share(_measure_files, chunks), strict=True):
            for (_, digest), (values, error, lasting) in zip(chunk, measured, strict=True):
                if lasting:
                    rows.append((digest, values, error))
                else:
                    passing[digest] = error
            done += len(chunk)
            if progress:
                progress(done, total)
            if len(rows) >= _SAVE_EVERY:
                known, rows = pd.concat([known, _frame(rows)]), []
                _write_cache(known, path)
    finally:
        if rows:
            known = pd.concat([known, _frame(rows)])
            _write_cache(known, path)
    return _in_table_order(table, known, passing)


def _measure_files(files: Sequence[tuple[str, str]]) -> list[tuple[tuple[float, ...] | None, str | None, bool]]:
    """Measure files, each given by its path and digest, one after the other; see `_measure_file`."""
    return [_measure_file(path, digest) for path, digest in files]


def _measure_file(path: str, digest: str) -> tuple[tuple[float, ...] | None, str | None, bool]:
    """Return (values or None, error or None, whether this will be so at the next look, too)."""
    try:
        data = Path(path).read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            return None, CHANGED, False
        return tuple(measure_image(open_file(path, data).pixels).values()), None, True
    except UnreadableImage as error:
        return None, str(error), True
    except FileNotFoundError:
        return None, "This file vanished.", False
    except OSError:
        return None, "This file cannot be opened.", False


def _cache_version() -> str:
    return hashlib.sha256(f"{_METHOD}:{','.join(PIXEL_COLUMNS)}".encode()).hexdigest()[:12]


def _frame(rows: Sequence[Measured]) -> pd.DataFrame:
    nothing = (np.nan,) * len(PIXEL_COLUMNS)
    values = np.array([values or nothing for _, values, _ in rows], np.float32).reshape(-1, len(PIXEL_COLUMNS))
    frame = pd.DataFrame(values, columns=PIXEL_COLUMNS, index=pd.Index([d for d, _, _ in rows], dtype=object))
    return frame.assign(error=np.array([error for _, _, error in rows], object))


def _read_cache(path: Path) -> pd.DataFrame:
    try:
        cache = pd.read_parquet(path)
    except (OSError, ValueError):  # not there yet, or no Parquet: measured again
        return _frame([])
    return cache.astype({"error": object}).set_index(cache["digest"].astype(object)).drop(columns="digest")


def _write_cache(known: pd.DataFrame, path: Path) -> None:
    with new_entry(path) as temporary:
        known.rename_axis("digest").reset_index().astype({"digest": str}).to_parquet(temporary, index=False)


def _in_table_order(table: pd.DataFrame, known: pd.DataFrame, passing: Mapping[str, str | None]) -> pd.DataFrame:
    measures = known.reindex(table["digest"]).reset_index(drop=True)
    error = measures.pop("error").astype(object)
    error = error.where(error.notna(), table["digest"].map(passing).astype(object).to_numpy())
    area = np.maximum(table["width"].to_numpy(float) * table["height"].to_numpy(float), 1)
    readable = measures["grey_mean"].notna()
    aspect = table["width"].to_numpy(float) / np.maximum(table["height"].to_numpy(float), 1)
    measures["aspect"] = np.where(readable, aspect, np.nan).astype(np.float32)
    measures["bytes_per_pixel"] = np.where(readable, table["bytes"].to_numpy(float) / area, np.nan).astype(np.float32)
    measures["error"] = error.where(error.notna(), None)
    return measures
