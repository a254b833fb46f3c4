"""Where does a data set begin that lies below a folder of its own, as unpacked archives do?"""

import os
from collections.abc import Iterator
from pathlib import Path

from cxr_core.classes import KNOWN_CLASSES, class_key
from cxr_core.data.layouts import class_folders, split_folders
from cxr_core.data.layouts.found_image import FoundImage, Problem
from cxr_core.data.layouts.split_folders import is_split_root, visible_folders
from cxr_core.data.layouts.tables.root_tables import has_table, table_description, table_images

_DEEPEST = 5


def is_wrapped(root: Path) -> bool:
    """Return whether a root holds a single folder, and a data set lies in that one or below.

    Class folders are told from the folders of a class, such as patients, by their names: one of `KNOWN_CLASSES`.
    """
    return _inner(root) is not None


def wrapped_images(root: Path, problems: list[Problem]) -> Iterator[FoundImage]:
    """Find the images of the data set inside; its folders stay part of their names."""
    inner = _inner(root)
    assert inner is not None
    above = inner.relative_to(root).as_posix()
    found: list[Problem] = []
    if has_table(inner):
        images = table_images(inner, found)
    elif is_split_root(inner):
        images = split_folders.split_images(inner, found)
    else:
        images = class_folders.folder_images(inner, found)
    for image in images:
        yield image if os.path.isabs(image.file) else image._replace(file=f"{above}/{image.file}")
    problems += [(f"{above}/{file}", sentence) for file, sentence in found]


def wrapped_description(root: Path) -> str:
    """Return what the data set inside is, in words, and in which folder it lies."""
    inner = _inner(root)
    assert inner is not None
    label = split_folders.LABEL if is_split_root(inner) else class_folders.LABEL
    return f"{table_description(inner) if has_table(inner) else label}, below {inner.relative_to(root).as_posix()}"


def _inner(root: Path) -> Path | None:
    """Return the folder in which a data set lies; None where that is the root itself, or nothing tells."""
    folder = root
    for _ in range(_DEEPEST):
        names = visible_folders(folder)
        if len(names) != 1:
            return None
        folder /= names[0]
        inside = visible_folders(folder)
        if (
            has_table(folder)
            or is_split_root(folder)
            or len({class_key(name) for name in inside} & set(KNOWN_CLASSES)) > 1
        ):
            return folder
    return None
