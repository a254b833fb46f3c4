"""Which images does a root with one folder per class hold?"""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from cxr_core.data.layouts.found_image import NOT_OPENED, VANISHED, FoundImage, Problem
from cxr_core.system.text import as_text, is_text

LABEL = "One folder per class"
# Notes, tables and annotations, one for each image in some data sets, and what Windows leaves behind.
_TEXT_ENDINGS = (".txt", ".csv", ".tsv", ".md", ".json", ".xml", ".html", ".log", ".ini", ".db")
# What public data sets call a folder of lung masks beside the images of a class, in small letters.
MASK_FOLDERS = {"mask", "masks", "lung mask", "lung masks", "lung_masks", "lungmasks"}


def folder_images(root: Path, problems: list[Problem]) -> Iterator[FoundImage]:
    """Find every image below the class folders of a root, with its mask where a folder of masks lies beside it.

    Links to folders are not followed.
    """
    mask_folders: dict[str, str] = {}
    images = list(_walk(root, mask_folders, problems))
    masks = {above: _files_by_stem(folder) for above, folder in mask_folders.items()}
    yield from (_with_mask(image, masks) for image in images) if masks else images


def _walk(root: Path, mask_folders: dict[str, str], problems: list[Problem]) -> Iterator[FoundImage]:
    """Find every image; folders of masks go into `mask_folders`, by the folder above them."""
    waiting, class_names, filled = [("", str(root))], set(), set()
    while waiting:
        inside, folder = waiting.pop()
        class_name = inside.partition("/")[0]
        class_names.add(class_name)
        for entry in _entries(folder, inside or root.name, problems):
            # This runs once per file at every rerun of a page; what can be told from the name is told from it.
            name = entry.name
            file = f"{inside}/{name}" if inside else name
            # What is not named like text is opened once, to be read or left out with a sentence.
            may_be_image = inside and not name.lower().endswith(_TEXT_ENDINGS)
            try:
                if name.startswith("."):
                    continue
                if not (name.isascii() or is_text(name)):
                    problems.append((as_text(file), "This name is no readable text; rename it."))
                elif entry.is_dir(follow_symlinks=False):
                    if inside and name.lower() in MASK_FOLDERS:
                        mask_folders[inside] = entry.path
                        problems.append((file, "The name says that these are masks; they are not read as images."))
                    else:
                        waiting.append((file, entry.path))
                elif may_be_image or entry.is_symlink():
                    facts = entry.stat()
                    if stat.S_ISDIR(facts.st_mode):
                        problems.append((file, "This folder is a link to elsewhere; links are not followed."))
                    elif may_be_image and stat.S_ISREG(facts.st_mode):
                        filled.add(class_name)
                        yield FoundImage(file, entry.path, class_name, facts.st_size, facts.st_mtime_ns)
            except FileNotFoundError:
                gone = "This is a link to a file that is not there." if entry.is_symlink() else VANISHED
                problems.append((file, gone))
            except OSError:
                problems.append((file, NOT_OPENED))
    told = {file.partition("/")[0] for file, _ in problems}
    problems += [(name, "This folder holds no images.") for name in class_names - filled - told - {""}]


def _entries(folder: str, name: str, problems: list[Problem]) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        problems.append((name, "This folder cannot be opened."))


def _files_by_stem(folder: str) -> dict[str, str]:
    """Return {name without its ending: path} of the files in a folder."""
    with suppress(OSError), os.scandir(folder) as entries:
        return {os.path.splitext(entry.name)[0]: entry.path for entry in entries if entry.is_file()}
    return {}


def _with_mask(image: FoundImage, masks: Mapping[str, Mapping[str, str]]) -> FoundImage:
    """Add the mask of the same name from the nearest folder that has masks."""
    stem = os.path.splitext(os.path.basename(image.file))[0]
    above = image.file
    while above := os.path.dirname(above):
        if above in masks:
            return image._replace(mask=masks[above].get(stem))
    return image
