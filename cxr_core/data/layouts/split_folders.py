"""Which images does a root hold whose folders are sides, and below them classes?"""

import os
from collections.abc import Iterator
from pathlib import Path

from cxr_core.data.layouts.class_folders import folder_images, loose_files
from cxr_core.data.layouts.found_image import FoundImage, Problem

LABEL = "Folders train, validation and test, with one folder per class"
# What public data sets call a side, in small letters.
SIDE_FOLDERS = {
    "train": "train", "training": "train", "training set": "train", "train_set": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "test": "test", "testing": "test", "test set": "test", "test_set": "test",
}  # fmt: skip


def is_split_root(root: Path) -> bool:
    """Return whether two sides of a split or more lie in a folder, each with folders of its own."""
    return len(_side_folders(root)) > 1


def split_images(root: Path, problems: list[Problem]) -> Iterator[FoundImage]:
    """Find every image of `root/<side>/<class>/…` with its side; what lies beside the sides is listed, not read."""
    sides = _side_folders(root)
    for folder, side in sides.items():
        found: list[Problem] = []
        for image in folder_images(root / folder, found):
            yield image._replace(file=f"{folder}/{image.file}", split=side)
        problems += [(f"{folder}/{file}", sentence) for file, sentence in found]
    yield from loose_files(root, problems)
    others = sorted(set(visible_folders(root)) - set(sides))
    problems += [(name, f"This folder lies beside {', '.join(sorted(sides))} and is passed over.") for name in others]


def _side_folders(root: Path) -> dict[str, str]:
    """Return {folder: side} of the folders that are called like a side and hold folders."""
    named = {name: SIDE_FOLDERS[name.lower()] for name in visible_folders(root) if name.lower() in SIDE_FOLDERS}
    return {name: side for name, side in named.items() if visible_folders(root / name)}


def visible_folders(folder: Path) -> list[str]:
    """Return the names of the visible folders in a folder; none where it cannot be opened."""
    try:
        with os.scandir(folder) as entries:
            return [e.name for e in entries if not e.name.startswith((".", "__")) and e.is_dir(follow_symlinks=False)]
    except OSError:
        return []
