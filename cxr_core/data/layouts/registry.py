"""Which layouts are recognised, and how is each read?"""

import os
from collections.abc import Iterator
from pathlib import Path

from cxr_core.data.layouts import class_folders, split_folders
from cxr_core.data.layouts.data_layout import DataLayout
from cxr_core.data.layouts.found_image import FoundImage, Problem
from cxr_core.data.layouts.source_folders import source_layout
from cxr_core.data.layouts.tables.root_tables import (
    UnknownColumns,
    has_table,
    is_note,
    spreadsheets,
    table_description,
    table_images,
    unknown_tables,
    unread_tables,
)
from cxr_core.data.layouts.wrapped_folders import folders_above_data, inner_layout, wrapped_layout
from cxr_core.imaging.reader import IMAGE_ENDINGS


def _class_folders_description(root: Path) -> str:
    """Say which tables beside class folders are not read, and which spreadsheets where the names tell no class."""
    unread = unread_tables(root)
    if not _has_known_classes(root):
        unread += [f"{name} (saved as CSV it can be the label table)" for name in spreadsheets(root)]
    return class_folders.LABEL + (f"; not read: {', '.join(unread)}" if unread else "")


def _may_label(root: Path) -> list[str]:
    """Return the names of the tables in a root that are not read and may label its images."""
    return [name for name in unknown_tables(root) if not is_note(root / name)]


def _are_sides_beside_table(root: Path) -> bool:
    """Return whether images lie in sides of a split alone, beside a table that may label them and is not read."""
    return split_folders.are_sides_alone(root) and bool(_may_label(root))


def _ask_for_columns(root: Path, problems: list[Problem]) -> Iterator[FoundImage]:
    """Say that nothing that is read tells a class, but a table may.

    Raises:
        UnknownColumns: always.
    """
    raise UnknownColumns(root, root / _may_label(root)[0])


def _are_loose_beside_table(root: Path) -> bool:
    """Return whether images lie in no folder at all, beside a table that may label them and is not read."""
    if class_folders.visible_folders(root) or not _may_label(root):
        return False
    return any(name.lower().endswith(IMAGE_ENDINGS) for name in os.listdir(root))


CLASS_FOLDERS = DataLayout(class_folders.LABEL, os.path.isdir, class_folders.folder_images, _class_folders_description)
_LOOSE = DataLayout("Images in no folder, beside a table that is not read", _are_loose_beside_table, _ask_for_columns)
# From the general to the particular: where several recognise a root, the last one reads it.
# A new layout is one more entry; docs/extending.md shows how.
LAYOUTS = {
    "class_folders": CLASS_FOLDERS,
    "class_split_folders": DataLayout(
        split_folders.LABEL_BELOW, split_folders.is_split_below_classes, split_folders.images_split_below_classes
    ),
    "class_split_names": DataLayout(
        split_folders.LABEL_IN_NAMES, split_folders.is_split_in_names, split_folders.images_split_in_names
    ),
    "sides_beside_table": DataLayout(
        "Folders train, validation and test beside a table that is not read", _are_sides_beside_table, _ask_for_columns
    ),
    "split_folders": DataLayout(split_folders.LABEL, split_folders.is_split_root, split_folders.split_images),
    "table": DataLayout("Label table", has_table, table_images, table_description),
}


def find_layout(root: Path) -> DataLayout | None:
    """Return the layout that reads a root; None where none recognises it, or it is not there.

    A data set that lies below a folder of its own is read by the layout of that folder, and several data sets in one
    folder each by its own.
    """
    layout = _most_particular(root)
    if layout is CLASS_FOLDERS and (inner := inner_layout(root, _surely)):
        return wrapped_layout(*inner)
    # Not as the layout of a folder within another, which may be a class with a table of notes.
    return _LOOSE if layout is CLASS_FOLDERS and _are_loose_beside_table(root) else layout


def _most_particular(root: Path) -> DataLayout | None:
    layout = next((layout for layout in reversed(LAYOUTS.values()) if layout.recognises(root)), None)
    # Both say of folders within that nobody knows that they are classes.
    if layout in (CLASS_FOLDERS, LAYOUTS["class_split_folders"]):
        return source_layout(root, _with_told_classes) or layout
    return layout


def _surely(folder: Path) -> DataLayout | None:
    """Return the layout of a folder; None where nothing but its being a folder speaks for one."""
    layout = _most_particular(folder)
    return None if layout is CLASS_FOLDERS and not _has_known_classes(folder) else layout


def _with_told_classes(folder: Path) -> DataLayout | None:
    """Return the layout of a folder; None where neither a table nor names of known classes tell its classes."""
    above = folders_above_data(folder) if class_folders.visible_folders(folder) else []
    places = (place for inner in above for place in (inner, *split_folders.class_roots(inner)))
    return find_layout(folder) if has_table(folder) or any(map(_has_known_classes, places)) else None


def _has_known_classes(folder: Path) -> bool:
    return class_folders.are_known_classes(class_folders.visible_folders(folder))
