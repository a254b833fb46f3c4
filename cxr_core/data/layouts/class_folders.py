"""Which images does a root with one folder per class hold?"""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from cxr_core.data.layouts.found_image import NOT_OPENED, VANISHED, FoundImage, Problem, found_image
from cxr_core.imaging.reader import is_image_file
from cxr_core.system.text import as_text, is_text

LABEL = "One folder per class"
# Notes, tables and annotations, one for each image in some data sets, and what Windows leaves behind.
_TEXT_ENDINGS = (".txt", ".csv", ".tsv", ".md", ".json", ".xml", ".html", ".log", ".ini", ".db")
# What public data sets call a folder of lung masks beside the images of a class, in small letters.
MASK_FOLDERS = {"mask", "masks", "lung mask", "lung masks", "lung_masks", "lungmasks"}


def folder_images(root: Path, problems: list[Problem]) -> Iterator[FoundImage]:
    """Find every file below the class folders of a root, and beside them; an image with its mask, where it has one.

    Links to folders are not followed.
    """
    mask_folders: dict[str, str] = {}
    images = list(_walk(root, mask_folders, problems))
    masks = {above: _files_by_stem(folder) for above, folder in mask_folders.items()}
    yield from (_with_mask(image, masks) for image in images) if masks else images


def _walk(root: Path, mask_folders: dict[str, str], problems: list[Problem]) -> Iterator[FoundImage]:
    """Find every file below the class folders, and beside them; folders of masks go into `mask_folders`."""
    waiting, class_names, filled = [("", str(root))], set(), set()
    named_like_text: dict[str, list[str]] = {}
    while waiting:
        inside, folder = waiting.pop()
        class_name = inside.partition("/")[0]
        class_names.add(class_name)
        for file, entry in _entries(folder, inside, problems):
            if not _is_folder(entry):
                # Whatever it is called, it is opened once, to be read or left out with a sentence.
                if image := _found_file(entry, file, class_name, problems):
                    if is_named_like_text(file):
                        named_like_text.setdefault(class_name, []).append(entry.path)
                    else:
                        filled.add(class_name)
                    yield image
            elif inside and entry.name.lower() in MASK_FOLDERS:
                mask_folders[inside] = entry.path
                problems.append((file, "The name says that these are masks; they are not read as images."))
            else:
                waiting.append((file, entry.path))
    told = {file.partition("/")[0] for file, _ in problems}
    for name in class_names - filled - told - {""}:
        if not any(map(_holds_image, named_like_text.get(name, []))):
            problems.append((name, "This folder holds no images."))


def loose_files(root: Path, problems: list[Problem]) -> Iterator[FoundImage]:
    """Find the files that lie in a root itself, each of no class."""
    for file, entry in _entries(str(root), "", problems):
        if not _is_folder(entry) and (image := _found_file(entry, file, "", problems)):
            yield image


def is_named_like_text(name: str) -> bool:
    """Return whether a file's name ends like that of a note, a table or an annotation; what it holds may be another."""
    return name.lower().endswith(_TEXT_ENDINGS)


def _holds_image(path: str) -> bool:
    try:
        return is_image_file(path)
    except OSError:
        return False


def _found_file(entry: os.DirEntry[str], file: str, class_name: str, problems: list[Problem]) -> FoundImage | None:
    """Return what the system knows of a file; None for what is none, and where a sentence says why it is left out."""
    try:
        facts = entry.stat()
    except FileNotFoundError:
        problems.append((file, "This is a link to a file that is not there." if entry.is_symlink() else VANISHED))
        return None
    except OSError:
        problems.append((file, NOT_OPENED))
        return None
    if stat.S_ISDIR(facts.st_mode):
        problems.append((file, "This folder is a link to elsewhere; links are not followed."))
    return found_image(file, entry.path, class_name, facts) if stat.S_ISREG(facts.st_mode) else None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _entries(folder: str, inside: str, problems: list[Problem]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """List what is not hidden in a folder and has a name that is text, each with its path below the root."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                file = f"{inside}/{entry.name}" if inside else entry.name
                if entry.name.isascii() or is_text(entry.name):
                    yield file, entry
                else:
                    problems.append((as_text(file), "This name is no readable text; rename it."))
    except OSError:
        problems.append((inside or os.path.basename(folder), "This folder cannot be opened."))


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
