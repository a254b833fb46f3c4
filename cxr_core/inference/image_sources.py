"""Which images are in an upload, a folder or a ZIP?"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, NoReturn

from cxr_core.config import MAX_FILE_BYTES
from cxr_core.imaging.reader import IMAGE_ENDINGS, UnreadableImage, check_file_size, is_image_file, left_out_reason
from cxr_core.imaging.zip_archive import RefusedArchive, is_zip, list_images


@dataclass(frozen=True)
class Source:
    """One file to classify.

    Attributes:
        name: for display only, never used as a path.
        read: returns the contents; raises OSError, `reader.UnreadableImage` or `zip_archive.RefusedArchive`.
    """

    name: str
    read: Callable[[], bytes]


def bytes_sources(name: str, data: bytes) -> list[Source]:
    """Return the files in an upload: the file itself, or every image of a ZIP.

    Raises:
        zip_archive.RefusedArchive: the ZIP is broken, too large, suspicious or holds no images.
    """
    if not is_zip(data):
        return [Source(name, lambda: data)]
    return _zip_sources(io.BytesIO(data), "")


def path_sources(path: Path) -> list[Source]:
    """Return the files at a path: a single file, all images in a folder and its subfolders, or all images of a ZIP.

    What is left out for a reason worth telling is a source that raises it when it is read.

    A missing file, a folder without images and a refused ZIP are one source each, which raises when it is read.
    """
    try:
        if path.is_dir():
            return _folder_sources(path)
        with path.open("rb") as file:
            is_archive = is_zip(file.read(4))
        if not is_archive:
            return [Source(str(path), partial(_read_file, path))]
        # The archive stays open as long as one of its sources exists.
        return _zip_sources(path.open("rb"), f"{path}/")
    except (RefusedArchive, UnreadableImage, OSError) as error:
        return [failing_source(str(path), error)]


def failing_source(name: str, error: Exception) -> Source:
    """Return a source that raises `error` when it is read: a row of its own that says what is wrong."""
    return Source(name, partial(_fail, error))


def read_source(source: Source) -> bytes:
    """Return the contents of a file.

    Raises:
        reader.UnreadableImage: the file cannot be read; the message is one sentence.
    """
    try:
        return source.read()
    except RefusedArchive as error:
        raise UnreadableImage(str(error)) from error
    except OSError as error:
        raise UnreadableImage(f"The file cannot be opened: {error.strerror}.") from error


def _zip_sources(file: BinaryIO, prefix: str) -> list[Source]:
    try:
        images = list_images(file)
        if not images:
            raise RefusedArchive(f"The ZIP holds no images ({' '.join(IMAGE_ENDINGS)}).")
    except RefusedArchive:
        file.close()
        raise
    return [Source(prefix + name, read) for name, read in images]


def _folder_sources(folder: Path) -> list[Source]:
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and not _is_hidden(p.relative_to(folder))]
    sources = [source for path in files if (source := _file_source(path))]
    if not sources:
        raise UnreadableImage("This folder holds no images.")
    return sources


def _file_source(path: Path) -> Source | None:
    """Return an image, or what says why another file is left out; None where that goes without saying."""
    try:
        reason = None if is_image_file(path) else left_out_reason(path)
    except OSError:
        reason = None  # reading it later says what is wrong
    if reason:
        return failing_source(str(path), UnreadableImage(reason))
    return Source(str(path), partial(_read_file, path)) if reason is None else None


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _read_file(path: Path) -> bytes:
    check_file_size(path.stat().st_size)
    with path.open("rb") as file:
        # A device has no size, and a file may grow.
        return file.read(MAX_FILE_BYTES + 1)


def _fail(error: Exception) -> NoReturn:
    raise error
