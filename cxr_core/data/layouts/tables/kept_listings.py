"""What do label tables list? Read once, and again only where a table, what was said of it, or a file's name changed.

A page asks at every rerun, and a table may have some 100,000 rows.
"""

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from cxr_core.data.layouts.tables.adapters import TableKind
from cxr_core.data.layouts.tables.companions import read_companions, split_of
from cxr_core.data.layouts.tables.image_search import file_names
from cxr_core.data.layouts.tables.listing import Listed, Listing
from cxr_core.data.layouts.tables.table_file import read_table, table_bytes

# So many data sets with tables are kept; one of 200,000 rows takes some 70 MB.
_MOST_KEPT = 8


class TableVersion(NamedTuple):
    """A table as it stood when it was asked for; equal as long as it was not written or replaced."""

    path: Path
    mtime_ns: int
    ctime_ns: int
    inode: int
    bytes: int


class TablesAsked(NamedTuple):
    """What makes a listing the same one as last time, but for the names of the image files.

    Attributes:
        folder: that images are looked for in.
        is_root: whether the folder was opened, and not one table in it: then its further images are counted.
        kind: of all tables.
        tables: those that list images.
        beside: those that tell more of them; see `companions`.
        classes: what was said of findings, as `label_mapping.LabelMapping.classes` has it.
    """

    folder: Path
    is_root: bool
    kind: TableKind
    tables: tuple[TableVersion, ...]
    beside: tuple[TableVersion, ...]
    classes: tuple[tuple[str, str], ...]


class _Place:
    """Where one listing is kept; who comes while it is read waits for it."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.listed: Listed | None = None


def table_versions(paths: Iterable[Path]) -> tuple[TableVersion, ...]:
    """Return the present versions of tables; ValueError where one cannot be opened."""
    versions = []
    for path in paths:
        try:
            facts = os.stat(path)
        except OSError as error:
            raise ValueError(f"The file {path.name} cannot be opened.") from error
        versions.append(TableVersion(path, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino, facts.st_size))
    return tuple(versions)


def kept_listing(asked: TablesAsked, *, anew: bool = False) -> Listed:
    """Return what tables list.

    Args:
        asked: the tables.
        anew: read them even where they are the same, as an image has moved.

    Raises:
        ValueError: a table cannot be opened or read, or lists nothing.
    """
    place = _place_of(asked)
    with place.lock:
        listed = place.listed
        if anew or listed is None or (listed.files is not None and listed.files != file_names(asked.folder)):
            listed = place.listed = _read(asked)
    return listed


@lru_cache(maxsize=_MOST_KEPT)
def _place_of(_asked: TablesAsked) -> _Place:
    return _Place()


def _read(asked: TablesAsked) -> Listed:
    listing = Listing(asked.folder, asked.kind, dict(asked.classes), read_companions(v.path for v in asked.beside))
    for path in (version.path for version in asked.tables):
        try:
            table = read_table(table_bytes(path), path.name)
        except OSError as error:
            raise ValueError(f"The file {path.name} cannot be opened.") from error
        if not table.rows and not table.odd:
            raise ValueError(f"{path.name} lists no images.")
        listing.add(table, split_of(path) if len(asked.tables) > 1 else "")
    return listing.read_to_end(count_unlisted=asked.is_root)
