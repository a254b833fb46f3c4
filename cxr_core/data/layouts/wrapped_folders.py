"""Where does a data set begin that lies below a folder of its own, as unpacked archives do?"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from cxr_core.classes import KNOWN_CLASSES, class_key
from cxr_core.data.layouts.data_layout import DataLayout
from cxr_core.data.layouts.found_image import FoundImage, Problem
from cxr_core.data.layouts.split_folders import visible_folders

_DEEPEST = 5


def has_known_classes(folder: Path) -> bool:
    """Return whether two folders or more in a folder are called as `KNOWN_CLASSES` are, unlike patients, say."""
    return len({class_key(name) for name in visible_folders(folder)} & set(KNOWN_CLASSES)) > 1


def inner_layout(root: Path, layout_of: Callable[[Path], DataLayout | None]) -> tuple[str, DataLayout] | None:
    """Look for the data set in the single folder that a root holds, or below.

    Args:
        root: a folder.
        layout_of: the layout of a folder; None where nothing tells.

    Returns:
        The folder that the data set lies in, relative to the root and with "/", and its layout; None where none is
        found, or the root holds several folders.
    """
    for folder in folders_above_data(root)[1:]:
        if layout := layout_of(folder):
            return folder.relative_to(root).as_posix(), layout
    return None


def folders_above_data(root: Path) -> list[Path]:
    """Return a root and, as long as each holds a single folder, the folders below; a data set may begin in any."""
    folders = [root]
    while len(folders) <= _DEEPEST and len(names := visible_folders(folders[-1])) == 1:
        folders.append(folders[-1] / names[0])
    return folders


def wrapped_layout(above: str, inner: DataLayout) -> DataLayout:
    """Return the layout of a root whose folder `above` is laid out as `inner`; that folder stays part of the names."""

    def images(root: Path, problems: list[Problem]) -> Iterator[FoundImage]:
        found: list[Problem] = []
        for image in inner.images(root / above, found):
            yield image if os.path.isabs(image.file) else image._replace(file=f"{above}/{image.file}")
        problems += [(f"{above}/{file}", sentence) for file, sentence in found]

    def describe(root: Path) -> str:
        return f"{inner.description(root / above)}, below {above}"

    return DataLayout(inner.label, lambda root: inner.recognises(root / above), images, describe)
