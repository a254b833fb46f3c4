"""Which images does a root with one folder per class hold?"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from cxr_core.classes import KNOWN_CLASSES, class_key
from cxr_core.data.layouts.found_image import NOT_OPENED, VANISHED, FoundImage, Problem, found_image
from cxr_core.data.layouts.mask_names import (
    holds_lung_masks,
    is_beside_images,
    is_mask_folder,
    is_of_lungs,
    masked_stem,
)
from cxr_core.imaging.reader import is_image_file
from cxr_core.system.text import as_text, is_text

LABEL = "One folder per class"
# Notes, tables and annotations, one for each image in some data sets, and what Windows leaves behind.
_TEXT_ENDINGS = (".txt", ".csv", ".tsv", ".md", ".json", ".xml", ".html", ".log", ".ini", ".db")
MASKS_FOLDER = "The name says that these are masks; they are not read as images."
MASK_FILE = "The name says that this is a mask or a drawing of an image beside it; it is not read as an image."


def folder_images(root: Path, problems: list[Problem]) -> Iterator[FoundImage]:
    """Find every file below the class folders of a root, and beside them; an image with its mask, where it has one.

    Links to folders are not followed.
    """
    mask_folders: dict[str, list[str]] = {}
    images, listing = _without_masks(list(_walk(root, mask_folders, problems)), problems), cache(files_by_stem)
    yield from (_with_mask(image, mask_folders, listing) for image in images) if mask_folders else images


def are_known_classes(names: Iterable[str]) -> bool:
    """Return whether two names or more are those of `KNOWN_CLASSES`, unlike patients, say."""
    return len({class_key(name) for name in names} & set(KNOWN_CLASSES)) > 1


def _walk(root: Path, mask_folders: dict[str, list[str]], problems: list[Problem]) -> Iterator[FoundImage]:
    """Find every file below the class folders, and beside them; folders of masks go into `mask_folders`."""
    waiting, class_names, filled = [("", str(root))], set(), set()
    named_like_text: dict[str, list[str]] = {}
    while waiting:
        inside, folder = waiting.pop()
        class_name = inside.partition("/")[0]
        class_names.add(class_name)
        entries = [(file, entry, _is_folder(entry)) for file, entry in _entries(folder, inside, problems)]
        folders = [entry.name for _, entry, is_folder in entries if is_folder]
        # Beside classes that nobody knows, masks may be one, but not beside "images".
        may_be_masks = bool(inside) or are_known_classes(folders)
        for file, entry, is_folder in entries:
            if not is_folder:
                # Whatever it is called, it is opened once, to be read or left out with a sentence.
                if image := _found_file(entry, file, class_name, problems):
                    if is_named_like_text(file):
                        named_like_text.setdefault(class_name, []).append(entry.path)
                    else:
                        filled.add(class_name)
                    yield image
            elif is_mask_folder(entry.name, folders) and (may_be_masks or is_beside_images(entry.name, folders)):
                problems.append((file, MASKS_FOLDER))
                if holds_lung_masks(entry.name):
                    mask_folders.setdefault(inside, []).append(entry.path)
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


def visible_folders(folder: Path) -> list[str]:
    """Return the names of the visible folders in a folder; none where it cannot be opened."""
    try:
        with os.scandir(folder) as entries:
            return [e.name for e in entries if not e.name.startswith((".", "__")) and e.is_dir(follow_symlinks=False)]
    except OSError:
        return []


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


def mask_of(file: str, folders: Iterable[str], listing: Callable[[str], Mapping[str, str]]) -> str | None:
    """Return the path of an image's mask, None where there is none.

    Args:
        file: the image's, relative to what lies beside the folders of masks, with "/".
        folders: of masks, in which the same folders may lie as beside them.
        listing: `files_by_stem`, or what remembers it.
    """
    below, stem = os.path.dirname(file), os.path.splitext(os.path.basename(file))[0]
    places = (place for folder in folders for place in dict.fromkeys((os.path.join(folder, below), folder)))
    return next((found[stem] for place in places if stem in (found := listing(place))), None)


def files_by_stem(folder: str) -> dict[str, str]:
    """Return {name of the image that a mask belongs to, without ending: path} of the files in a folder.

    It may be the mask's own name, whatever that says: that of `seg_1` may be called `seg_1`.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        stems = {os.path.splitext(entry.name)[0]: entry.path for entry in entries if entry.is_file()}
        return {masked_stem(stem) or stem: path for stem, path in stems.items()} | stems
    return {}


def _with_mask(
    image: FoundImage, mask_folders: Mapping[str, Sequence[str]], listing: Callable[[str], Mapping[str, str]]
) -> FoundImage:
    """Add the mask from the nearest folder that has masks beside it."""
    above = image.file
    while above:
        above = os.path.dirname(above)
        if above in mask_folders:
            return image._replace(mask=mask_of(image.file[len(above) :].lstrip("/"), mask_folders[above], listing))
    return image


def _without_masks(images: list[FoundImage], problems: list[Problem]) -> list[FoundImage]:
    """Leave out each `a_mask` that lies beside an `a`, which it then belongs to."""
    # Asked for at every rerun of a page, about every file.
    if not any(masked_stem(_stem(image)) for image in images):
        return images
    places = {(os.path.dirname(image.file), _stem(image)) for image in images}
    masks = {
        image: place
        for image in images
        if (stem := masked_stem(_stem(image))) and (place := (os.path.dirname(image.file), stem)) in places
    }
    problems += [(image.file, MASK_FILE) for image in masks]
    paths = {place: image.path for image, place in masks.items() if is_of_lungs(_stem(image), place[1])}
    kept = (image for image in images if image not in masks)
    return [image._replace(mask=paths.get((os.path.dirname(image.file), _stem(image)))) for image in kept]


def _stem(image: FoundImage) -> str:
    return os.path.splitext(os.path.basename(image.file))[0]
