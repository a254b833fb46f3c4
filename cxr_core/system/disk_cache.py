"""How large may the caches become, and what goes first?

Whatever is written to a cache by content can be made again. Above the limit the entries that were used longest ago go,
never one that a process has open. An entry is all files of one kind with the same stem, such as `prepared/KEY.npy` and
`prepared/KEY.json`; its last use is the time of its newest file.

The caches hold memory-mapped arrays that are written piece by piece, so a store of values, such as diskcache (its last
release is of 2023, and it pickles), does not fit; this is the whole of what is needed of one.
"""

import os
import time
import weakref
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cxr_core.config import cache_limit_bytes
from cxr_core.system.files import atomic_path
from cxr_core.system.holds import hold, remove_unless_held

# One folder each; nothing else is ever evicted.
KINDS = (
    "prepared", "lungs", "measures", "duplicates", "features", "activations", "backbones", "maps", "shortcuts",
    "doubts", "correlations", "answers",
)  # fmt: skip
# The temporary file of a writer that was killed; nobody writes to one file for longer.
_ABANDONED_SECONDS = 24 * 3_600.0


@contextmanager
def new_entry(path: str | Path) -> Iterator[Path]:
    """Write a cache's file as `files.atomic_path` does, then shrink the cache where it has become too large.

    Args:
        path: the file, `CACHE/KIND/NAME` with one of `KINDS`.

    Yields:
        A path to write to.

    Raises:
        ValueError: it is of no such kind.
    """
    path = Path(path)
    if path.parent.name not in KINDS:
        raise ValueError(f"What is cached must be one of {', '.join(KINDS)}; received {path.parent.name!r}.")
    with atomic_path(path) as temporary:
        yield temporary
    shrink_cache(path.parent.parent)


def is_cached(*paths: str | Path) -> bool:
    """Return True if all files of an entry are there; they then count as just used."""
    try:
        for path in paths:
            os.utime(path)
    except FileNotFoundError:
        return False
    except OSError:
        # A cache that cannot be written, but perhaps read.
        return all(Path(path).exists() for path in paths)
    return True


def open_array(path: str | Path) -> npt.NDArray[Any]:
    """Open a cached array, memory-mapped and read-only; it cannot be evicted as long as it, or a part of it, exists.

    Raises:
        FileNotFoundError: it is not there.
    """
    held = hold(path)
    try:
        array = np.load(path, mmap_mode="r")
    except BaseException:
        held.close()
        raise
    # Every part of the array refers to the map itself.
    weakref.finalize(array.base, held.close)
    return array


def shrink_cache(folder: str | Path, limit_bytes: int | None = None) -> None:
    """Evict the entries that were used longest ago until a cache is no larger than its limit.

    The newest entry stays in any case, and so does whatever a process has open.

    Args:
        folder: of the cache, with a folder for each of `KINDS`.
        limit_bytes: by default that of the settings.
    """
    limit_bytes = cache_limit_bytes() if limit_bytes is None else limit_bytes
    entries = _entries(Path(folder))
    total = sum(size for _, size, _ in entries)
    for _, size, files in entries[:-1]:
        if total <= limit_bytes:
            return
        if _evict(files):
            total -= size


def _entries(folder: Path) -> list[tuple[float, int, list[Path]]]:
    """Return (time of last use, bytes, files) of each entry, the one used longest ago first."""
    files: dict[tuple[Path, str], list[tuple[Path, os.stat_result]]] = defaultdict(list)
    for path in (path for kind in KINDS for path in (folder / kind).glob("*")):
        with suppress(OSError):
            facts = path.stat()
            if not path.name.startswith("."):
                files[path.parent, path.stem].append((path, facts))
            elif time.time() - facts.st_mtime > _ABANDONED_SECONDS:
                path.unlink()
    entries = [
        (max(f.st_mtime for _, f in found), sum(f.st_size for _, f in found), [path for path, _ in found])
        for found in files.values()
    ]
    return sorted(entries, key=lambda entry: entry[0])


def _evict(files: list[Path]) -> bool:
    """Remove the files of an entry unless it is in use; where there is an array, that stands for all of them."""
    first, *others = sorted(files, key=lambda path: path.suffix != ".npy")
    if not remove_unless_held(first, first.unlink):
        return False
    for path in others:
        path.unlink(missing_ok=True)
    return True
