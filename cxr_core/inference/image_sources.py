"""Which images an upload, a folder or a ZIP holds."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from cxr_core.imaging.reader import IMAGE_ENDINGS, UnreadableImage, check_file_size, is_image_file
from cxr_core.imaging.zip_archive import RefusedArchive, is_zip, list_images


@dataclass(frozen=True)
class Source:
    """One file to be answered.

    Attributes:
        name: str, only ever shown, never used as a path.
        read: callable that returns its bytes; raises OSError or `reader.UnreadableImage`.
    """

    name: str
    read: Callable


def bytes_sources(name, data):
    """Return the Sources in an upload: the file itself, or every image of a ZIP.

    Args:
        name: str.
        data: bytes.

    Returns:
        list of Source.

    Raises:
        zip_archive.RefusedArchive: a ZIP that is broken, too large or not honest, or holds no images.
    """
    if not is_zip(data):
        return [Source(name, lambda: data)]
    return _zip_sources(io.BytesIO(data), "")


def path_sources(path):
    """Return the Sources at a path: a file, all images in a folder and below it, or all of a ZIP.

    A file that is missing, a folder without images and a ZIP that is refused are one Source each, which
    raises when it is read.

    Args:
        path: Path.

    Returns:
        list of Source.
    """
    try:
        if path.is_dir():
            return _folder_sources(path)
        with path.open("rb") as file:
            is_archive = is_zip(file.read(4))
        if not is_archive:
            return [Source(str(path), partial(_read_file, path))]
        # It stays open until the last of its images is forgotten.
        return _zip_sources(path.open("rb"), f"{path}/")
    except (RefusedArchive, UnreadableImage, OSError) as error:
        return [failing_source(str(path), error)]


def failing_source(name, error):
    """Return a Source that raises `error` when it is read: one row with its sentence."""
    return Source(name, partial(_fail, error))


def read_source(source):
    """Return a Source's bytes; `reader.UnreadableImage` says in a sentence why they cannot be had."""
    try:
        return source.read()
    except RefusedArchive as error:
        raise UnreadableImage(str(error)) from error
    except OSError as error:
        raise UnreadableImage(f"The file cannot be opened: {error.strerror}.") from error


def _zip_sources(file, prefix):
    try:
        images = list_images(file)
        if not images:
            raise RefusedArchive(f"The ZIP holds no images ({' '.join(IMAGE_ENDINGS)}).")
    except RefusedArchive:
        file.close()
        raise
    return [Source(prefix + name, read) for name, read in images]


def _folder_sources(folder):
    images = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not _is_hidden(path.relative_to(folder)) and _may_be_image(path)
    ]
    if not images:
        raise UnreadableImage("There is no image in this folder.")
    return [Source(str(path), partial(_read_file, path)) for path in images]


def _is_hidden(path):
    return any(part.startswith(".") for part in path.parts)


def _may_be_image(path):
    try:
        return is_image_file(path)
    except OSError:
        return True  # it gets its own sentence when it is read


def _read_file(path):
    check_file_size(path.stat().st_size)
    return path.read_bytes()


def _fail(error):
    raise error
