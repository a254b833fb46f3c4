"""Which images does a root hold whose folders are sides, and below them classes, or the other way round?"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from cxr_core.data.layouts.class_folders import folder_images, loose_files
from cxr_core.data.layouts.found_image import FoundImage, Problem

LABEL = "Folders train, validation and test, with one folder per class"
LABEL_BELOW = "One folder per class, with folders train, validation and test"
# What public data sets call a side: `train`, `Training Set`, `test_images`, `ValData`.
_SIDE = re.compile(
    r"(?:(train|training)|(val|valid|validation|dev)|(test|testing))"
    r"(?:[-_ ]?(?:set|data|dataset|images?|imgs?|folder|split|cxrs?|x[-_ ]?rays?))?",
    re.IGNORECASE,
)
_SIDES = ("train", "validation", "test")
# A folder between a side and its classes, in small letters.
_BETWEEN = {"images", "image", "imgs", "img", "data", "classes"}


def is_split_root(root: Path) -> bool:
    """Return whether two sides of a split or more lie in a folder, each with folders of its own."""
    return len(_side_folders(root)) > 1


def split_images(root: Path, problems: list[Problem]) -> Iterator[FoundImage]:
    """Find every image of `root/<side>/<class>/…` with its side; what lies beside the sides is listed, not read."""
    sides = _side_folders(root)
    for name, side in sides.items():
        folder, found = _class_root(root, name), list[Problem]()
        for image in folder_images(root / folder, found):
            yield image._replace(file=f"{folder}/{image.file}", split=side)
        problems += [(f"{folder}/{file}", sentence) for file, sentence in found]
    yield from loose_files(root, problems)
    others = sorted(set(visible_folders(root)) - set(sides))
    problems += [(name, f"This folder lies beside {', '.join(sorted(sides))} and is passed over.") for name in others]


def is_split_below_classes(root: Path) -> bool:
    """Return whether each of two or more folders holds two sides of a split or more."""
    return sum(len(_sides_in(root / name)) > 1 for name in visible_folders(root)) > 1


def images_split_below_classes(root: Path, problems: list[Problem]) -> Iterator[FoundImage]:
    """Find every image of `root/<class>/…` with its side, where it lies in `root/<class>/<side>/…`."""
    sides = {
        f"{name}/{inner}": side for name in visible_folders(root) for inner, side in _sides_in(root / name).items()
    }
    for image in folder_images(root, problems):
        yield image._replace(split=sides.get("/".join(image.file.split("/", 2)[:2])))


def _sides_in(folder: Path) -> dict[str, str]:
    """Return {folder: side} of the folders that are called like a side."""
    matches = {name: _SIDE.fullmatch(name) for name in visible_folders(folder)}
    return {name: _SIDES[(match.lastindex or 0) - 1] for name, match in matches.items() if match}


def _side_folders(root: Path) -> dict[str, str]:
    """Return {folder: side} of the folders that are called like a side and hold folders."""
    return {name: side for name, side in _sides_in(root).items() if visible_folders(root / name)}


def _class_root(root: Path, side: str) -> str:
    """Return the folder, relative to the root and with "/", that holds the classes of a side."""
    inside = visible_folders(root / side)
    if len(inside) == 1 and inside[0].lower() in _BETWEEN and visible_folders(root / side / inside[0]):
        return f"{side}/{inside[0]}"
    return side


def visible_folders(folder: Path) -> list[str]:
    """Return the names of the visible folders in a folder; none where it cannot be opened."""
    try:
        with os.scandir(folder) as entries:
            return [e.name for e in entries if not e.name.startswith((".", "__")) and e.is_dir(follow_symlinks=False)]
    except OSError:
        return []
