"""Which label tables does a root hold, and which of them counts?"""

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from cxr_core.data.layouts.class_folders import are_known_classes, visible_folders
from cxr_core.data.layouts.found_image import FoundImage, Problem, find_listed
from cxr_core.data.layouts.split_folders import is_split_root
from cxr_core.data.layouts.tables.adapters import TABLE_KINDS, TableKind, Told, find_kind
from cxr_core.data.layouts.tables.companions import is_companion, split_of
from cxr_core.data.layouts.tables.kept_listings import TablesAsked, TableVersion, kept_listing, table_versions
from cxr_core.data.layouts.tables.label_mapping import (
    COLUMN_FIELDS,
    LabelMapping,
    load_mapping,
    mapped_kind,
    usual_kind,
)
from cxr_core.data.layouts.tables.one_hot import one_hot_kind
from cxr_core.data.layouts.tables.table_file import (
    HEAD_BYTES,
    TABLE_ENDINGS,
    first_columns,
    parse_table,
    plain_name,
    read_table,
    read_text,
    table_bytes,
)
from cxr_core.imaging.reader import IMAGE_ENDINGS

_PLAIN = TABLE_KINDS["plain"]
_SPREADSHEETS = (".xlsx", ".xls", ".ods")
_FIRST_ROWS, _LONGEST_LABEL = 20, 80
_MOST_NAMED = 5
# What looks like the name of a column, and not like a value, which may be a person's.
_NAME = re.compile(r"[A-Za-z_][\w .,:()\[\]/#%-]{0,60}")


class UnknownColumns(ValueError):
    """A table whose columns are those of no known kind; a person can say what they tell.

    Attributes:
        root: that was to be opened.
        columns: of the table, in small letters; none where its first line does not look like column names.
    """

    def __init__(self, root: Path, table: Path) -> None:
        self.root, self.columns = root, column_names(table)
        super().__init__(
            f"{table.name} has the columns {', '.join(self.columns)[:200] or '(none)'}, which are those "
            "of no known label table. Rename the column that names the image file to path, and the one that names its "
            "class to label, once each (patient, split, view, age, sex, source and mask may follow), or say which they "
            "are: --map path=COLUMN,label=COLUMN."
        )


def has_table(root: Path) -> bool:
    """Return whether a root is a table, or a folder with a table in it that is of a known kind, or was explained."""
    if os.path.isfile(root):
        return root.name.lower().endswith(TABLE_ENDINGS)
    return os.path.isdir(root) and bool(_known_tables(root, load_mapping(root)))


def fits(root: Path, mapping: LabelMapping) -> bool:
    """Return whether a root holds a table with all columns of a mapping; any table of a known kind, if it has none."""
    if not mapping.columns:
        return has_table(root)
    paths = [root] if os.path.isfile(root) else _table_files(root)
    return any(set(mapping.columns.values()) <= set(column_names(path)) for path in paths)


def table_images(root: Path, problems: list[Problem]) -> Iterator[FoundImage]:
    """Find the images that the label table of a root lists.

    Args:
        root: a table, or a folder with one or more tables of one kind in it. Of several kinds the most particular
            counts, and one that a person explained before all others.
        problems: takes each row that is passed over and each value that is not understood, with its line and why.

    Raises:
        UnknownColumns: the table has no columns that are known.
        ValueError: it lists nothing, or it is open which of several counts.
    """
    asked = _asked(root)
    listed, gone = kept_listing(asked), list[Problem]()
    names = " and ".join(listed.names)
    images = list(find_listed(listed.images, asked.folder, names, gone))
    if gone and listed.files is None:
        # What lay where the table says may lie elsewhere by now.
        listed, gone = kept_listing(asked, anew=True), []
        images = list(find_listed(listed.images, asked.folder, names, gone))
    problems += [*listed.problems, *gone]
    yield from images


def table_description(root: Path) -> str:
    """Return what the tables of a root are, in words, how they are called, and which others are not read."""
    asked = _asked(root)
    names = kept_listing(asked).names
    unread = []
    if asked.is_root:
        others = _known_tables(root, load_mapping(root)).items()
        unread = [f"{path.name} ({kind.label})" for path, kind in others if path.name not in names]
        unread += unread_tables(root)
    return f"{asked.kind.label} ({' and '.join(names)})" + (f"; not read: {', '.join(unread)}" if unread else "")


def unread_tables(root: Path) -> list[str]:
    """Return the names of the tables in a folder that are no label tables, each with what it holds."""
    told = [f"{name} (columns {', '.join(columns)[:100]})" for name, columns in unknown_tables(root).items()]
    return told + [f"{path.name} (answers to be filled in)" for path in _files_called_tables(root) if _is_form(path)]


def finding_counts(root: Path) -> dict[str, tuple[int, str | None]]:
    """Count the images with each finding that a root's tables tell of.

    Returns:
        {finding, as first spelt: (images, the class that an image with this finding alone belongs to; None where it is
        left out)}, the most frequent first.

    Raises:
        ValueError: as for `table_images`.
    """
    return dict(kept_listing(_asked(root)).findings)


def unknown_tables(root: Path) -> dict[str, tuple[str, ...]]:
    """Return {name: columns} of the tables in a folder that are of no known kind, and have column names."""
    known = _known_tables(root, load_mapping(root))
    named = {
        path.name: column_names(path)
        for path in _table_files(root)
        if path not in known and not (known and is_companion(path))
    }
    return {name: columns for name, columns in named.items() if len(columns) > 1}


def is_note(path: Path) -> bool:
    """Return whether a table that is called a text is a note: its lines do not all have the same number of values."""
    if not plain_name(path).lower().endswith(".txt"):
        return False
    text = read_text(path)
    separator = first_columns(text).separator
    lines = [line for line in text.splitlines()[:_FIRST_ROWS] if line.strip()]
    return len(lines) < 2 or len({line.count(separator) for line in lines}) > 1


def spreadsheets(root: Path) -> list[str]:
    """Return the names of the spreadsheets in a folder, which are no text and not read."""
    names = os.listdir(root) if os.path.isdir(root) else []
    return sorted(name for name in names if name.lower().endswith(_SPREADSHEETS))


def column_names(path: Path) -> tuple[str, ...]:
    """Return a table's column names in small letters; none where its first line looks like anything else."""
    try:
        columns = _columns(path)
    except OSError:
        return ()
    # Tables that pandas wrote number their rows in a column without a name.
    named = columns[1:] if columns[:1] == ("",) else columns
    are_names = all(map(_NAME.fullmatch, named)) and not any(name.endswith(IMAGE_ENDINGS) for name in named)
    return columns if are_names else ()


def _asked(root: Path) -> TablesAsked:
    """Return what makes the listing of a root."""
    mapping = load_mapping(root)
    folder, paths, kind = _tables_of(root, mapping)
    beside = [path for path in sorted(_table_files(folder)) if path not in paths and is_companion(path)]
    classes = tuple(mapping.classes.items())
    return TablesAsked(folder, folder == root, kind, table_versions(paths), table_versions(beside), classes)


def _tables_of(root: Path, mapping: LabelMapping) -> tuple[Path, list[Path], TableKind]:
    """Return the folder that images are looked for in, and the tables of the kind that counts."""
    if os.path.isfile(root):
        kind = _kind_of(root, _explained(mapping)) or _usual_kind(root)
        if kind is None:
            raise UnknownColumns(root, root)
        return root.parent, [root], kind
    tables = _known_tables(root, mapping)
    order = list(TABLE_KINDS.values())
    explained = _explained(mapping)
    kind = max(
        tables.values(),
        key=lambda kind: len(order) if kind is explained else order.index(kind) if kind in order else -1,
    )
    paths = sorted(path for path, other in tables.items() if other is kind)
    # Those that are called after the sides of a split are one.
    are_sides = len({split for path in paths if (split := split_of(path))}) == len(paths)
    if (kind is _PLAIN or kind not in (*order, explained)) and len(paths) > 1 and not are_sides:
        names = ", ".join(path.name for path in paths[:_MOST_NAMED]) + (", …" if len(paths) > _MOST_NAMED else "")
        raise ValueError(f"{root.name} holds {len(paths)} tables of images ({names}); name the one to open.")
    return root, paths, kind


def _known_tables(folder: Path, mapping: LabelMapping) -> dict[Path, TableKind]:
    """Return the tables that lie in a folder itself and are of a known kind, or were explained."""
    explained, tables = _explained(mapping), _table_files(folder)
    kinds = {path: _kind_of(path, explained) for path in tables}
    known = {path: kind for path, kind in kinds.items() if kind is not None}
    if known or not tables:
        return known
    if are_known_classes(visible_folders(folder)) or is_split_root(folder):
        # Whatever lies beside folders that tell the class does not take their place.
        return {}
    usual = {path: _usual_kind(path) for path in tables}
    return {path: kind for path, kind in usual.items() if kind is not None}


def _usual_kind(path: Path) -> TableKind | None:
    """Return the kind of a table whose columns are called as such columns are and whose first rows hold such values."""
    try:
        (version,) = table_versions([path])
        return _usual_kind_of(version)
    except (OSError, ValueError):
        return None


@lru_cache
def _usual_kind_of(version: TableVersion) -> TableKind | None:
    columns = column_names(version.path)
    kind = usual_kind(columns)
    head = read_text(version.path)
    # Of a longer table the last line that was read may be a part of one.
    whole = head if len(head) < HEAD_BYTES // 2 else head[: head.rfind("\n")]
    rows = [row for _, row in parse_table(whole, version.path.name).rows]
    if kind is None and one_hot_kind(columns, rows):
        # What holds for the first rows has to hold for all.
        rows = [row for _, row in read_table(table_bytes(version.path), version.path.name).rows]
        kind = one_hot_kind(columns, rows)
    if kind is None:
        return None
    told = [kind.read(row) for row in rows[:_FIRST_ROWS]]
    return kind if told and all(_may_be_listed(row) for row in told if row.image and row.findings) else None


def _may_be_listed(row: Told) -> bool:
    """Return whether what a row tells may be an image and its class, and no text about it."""
    is_file = row.image.lower().endswith(IMAGE_ENDINGS) or not any(map(str.isspace, row.image))
    return is_file and all(len(finding) <= _LONGEST_LABEL for finding in row.findings)


def _table_files(folder: Path) -> list[Path]:
    """Return the tables that lie in a folder itself, but for those whose labels are none."""
    return [path for path in _files_called_tables(folder) if not _is_form(path)]


def _is_form(path: Path) -> bool:
    """Return whether a table is what a contest hands out to be filled in; its labels are examples, such as 0."""
    return "submission" in path.name.lower()


def _files_called_tables(folder: Path) -> list[Path]:
    try:
        paths = [folder / name for name in os.listdir(folder) if name.lower().endswith(TABLE_ENDINGS)]
    except OSError:
        return []
    names = {path.name for path in paths}
    # A packed table beside the unpacked one is the same.
    paths = [path for path in paths if plain_name(path) == path.name or plain_name(path) not in names]
    return [path for path in paths if not path.name.startswith(".") and path.is_file()]


def _explained(mapping: LabelMapping) -> TableKind | None:
    return mapped_kind(mapping.columns) if mapping.columns else None


def _kind_of(path: Path, explained: TableKind | None) -> TableKind | None:
    """Return the kind of a table; None where its columns, or a file that cannot be opened, tell none."""
    try:
        columns = _columns(path)
    except OSError:
        return None
    if explained and explained.columns <= set(columns):
        return explained
    kind = find_kind(columns)
    usual = usual_kind(columns) if kind is _PLAIN else None
    # Beside path and label, what else is told may be called as it usually is.
    return usual if usual and not usual.columns <= set(COLUMN_FIELDS) else kind


def _columns(path: Path) -> tuple[str, ...]:
    return first_columns(read_text(path))[0]
