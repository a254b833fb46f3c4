"""Many pictures at once: files, folders and ZIPs to one row each, the same that each would get alone."""

import csv
import io
import os
import re
import zipfile
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cxr_core.imaging.display import display_rgb, jpeg_bytes, shrink
from cxr_core.imaging.reader import PICTURE_ENDINGS, UnreadablePicture, check_file_size, is_picture_file
from cxr_core.imaging.zip_archive import RefusedArchive, is_zip, list_pictures
from cxr_core.inference.selective_prediction import answer_row, answer_upload, error_row

# What a page takes at once; the command line takes any number.
MAX_FILES = 2_000
_MAX_THREADS = 4
# What a spreadsheet would take for a formula at the beginning of a cell.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Source:
    """One file to be answered.

    Attributes:
        name: str, only ever shown, never used as a path.
        read: callable that returns its bytes; raises OSError or `reader.UnreadablePicture`.
    """

    name: str
    read: Callable


@dataclass(frozen=True)
class Item:
    """What became of one Source.

    Attributes:
        source: Source.
        row: dict, as `selective_prediction.answer_row` or `selective_prediction.error_row` makes it.
        kept: what `keep` returned; None where there was no answer to keep anything of.
    """

    source: Source
    row: dict
    kept: Any = None


def bytes_sources(name, data):
    """Return the Sources in an upload: the file itself, or every picture of a ZIP.

    Args:
        name: str.
        data: bytes.

    Returns:
        list of Source.

    Raises:
        zip_archive.RefusedArchive: a ZIP that is broken, too large or not honest, or holds no pictures.
    """
    if not is_zip(data):
        return [Source(name, lambda: data)]
    return _zip_sources(io.BytesIO(data), "")


def path_sources(path):
    """Return the Sources at a path: a file, all pictures in a folder and below it, or all of a ZIP.

    A file that is missing, a folder without pictures and a ZIP that is refused are one Source each, which
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
        # It stays open until the last of its pictures is forgotten.
        return _zip_sources(path.open("rb"), f"{path}/")
    except (RefusedArchive, UnreadablePicture, OSError) as error:
        return [failing_source(str(path), error)]


def failing_source(name, error):
    """Return a Source that raises `error` when it is read: one row with its sentence."""
    return Source(name, partial(_fail, error))


def read_source(source):
    """Return a Source's bytes; `reader.UnreadablePicture` says in a sentence why they cannot be had."""
    try:
        return source.read()
    except RefusedArchive as error:
        raise UnreadablePicture(str(error)) from error
    except OSError as error:
        raise UnreadablePicture(f"The file cannot be opened: {error.strerror}.") from error


def answer_many(classifier, sources, *, layer=None, keep=None, progress=None):
    """Answer files, several at a time; see `iter_answers`.

    Args:
        classifier, sources, layer, keep: as for `iter_answers`.
        progress: callable(done, total) or None.

    Returns:
        list of Item, in the order of the sources.
    """
    items = []
    for item in iter_answers(classifier, sources, layer=layer, keep=keep):
        items.append(item)
        if progress:
            progress(len(items), len(sources))
    return items


def iter_answers(classifier, sources, *, layer=None, keep=None):
    """Answer files, several at a time; a bad one never stops the rest.

    Every row is the one that the file gets alone: gate, temperature and abstention are those of
    `selective_prediction.answer_upload`. Only the few files that are being answered are in memory.

    Args:
        classifier: classifier.Classifier.
        sources: iterable of Source.
        layer: as for `selective_prediction.answer_upload`.
        keep: callable(number, answer) whose result stays with the Item, or None. Numbers count from 1. It is
            called from several threads.

    Yields:
        Item, in the order of the sources.
    """
    waiting, threads = deque(), min(_MAX_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        for number, source in enumerate(sources, start=1):
            # Reading stays in this thread: an archive is one file, and cannot be read at two places at once.
            data, error = _read_or_sentence(source)
            waiting.append(pool.submit(_answer, classifier, source, number, data, error, layer, keep))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def flat_row(row, classes):
    """Return a row as one line of a table.

    Args:
        row: dict as `selective_prediction.answer_row` makes it.
        classes: sequence of str.

    Returns:
        dict of `file`, `status`, `label`, `p_<class>` for every class, `confidence` (the highest probability),
        `margin` (highest less second: the smaller, the more doubt), `reasons`, `notes` and `error`; None where a
        value is missing.
    """
    probabilities = [row["probabilities"].get(name) for name in classes]
    known = row["status"] != "error"
    return {
        "file": row["file"],
        "status": row["status"],
        "label": row["label"],
        **{f"p_{name}": p for name, p in zip(classes, probabilities, strict=True)},
        "confidence": max(probabilities) if known else None,
        "margin": _margin(probabilities) if known else None,
        "reasons": " ".join(row["reasons"]),
        "notes": " ".join(row["notes"]),
        "error": row["error"],
    }


def sort_items(items, by):
    """Return Items in another order; those that could not be read come last.

    Args:
        items: list of Item.
        by: a class name, the most probable first, or "doubt", the smallest margin first.
    """

    def key(item):
        probabilities = item.row["probabilities"]
        if not probabilities:
            return (1, 0.0)
        return (0, _margin(probabilities.values()) if by == "doubt" else -probabilities[by])

    return sorted(items, key=key)


def rows_csv(rows, classes):
    """Return rows as the text of a CSV file, str; a file name that a spreadsheet would calculate gets an apostrophe.

    Args:
        rows: list of dict, as `selective_prediction.answer_row` makes them.
        classes: sequence of str.
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, flat_row(error_row("", ""), classes), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        name = f"'{row['file']}" if row["file"].startswith(_FORMULA) else row["file"]
        writer.writerow(flat_row(row | {"file": name}, classes))
    return stream.getvalue()


def write_overlays(target, classifier, sources, *, side, layer=None, alpha=0.4, colour_map="jet", progress=None):
    """Write a ZIP of overlays, each for the class that was answered; only a few pictures are in memory at a time.

    Args:
        target: a binary file to write the ZIP to.
        classifier: classifier.Classifier.
        sources: sequence of Source; those that get no answer are left out.
        side: int, longest side of an overlay in pixels.
        layer: as for `selective_prediction.answer_upload`.
        alpha, colour_map: as for `overlay.overlay_map`.
        progress: callable(done, total) or None.

    Returns:
        int, how many were written.
    """

    def draw(number, answer):
        if answer.label is None:
            return None
        return jpeg_bytes(shrink(answer.overlay(classifier, answer.label, alpha=alpha, colour_map=colour_map), side))

    written = 0
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for number, item in enumerate(iter_answers(classifier, sources, layer=layer, keep=draw), start=1):
            if item.kept is not None:
                # A fixed date: the same pictures give the same ZIP.
                archive.writestr(zipfile.ZipInfo(numbered_name(number, item.source.name, ".jpg")), item.kept)
                written += 1
            if progress:
                progress(number, len(sources))
    return written


def numbered_name(number, name, ending):
    """Return a file name that any file system takes and no other of the batch has: `0001-scan.png`.

    Args:
        number: int, the file's place in the batch.
        name: str, the file's own.
        ending: str with its dot.
    """
    return f"{number:04d}-{safe_stem(name)}{ending}"


def safe_stem(name):
    """Return what of a file's name any file system takes: of its stem letters, digits, `_`, `.` and `-`, at most 80."""
    return re.sub(r"[^\w.-]+", "_", Path(name).stem)[:80]


def picture_thumbnail(answer, side):
    """Return an answered picture as a small JPEG, bytes, whose longest side is at most `side` pixels."""
    return jpeg_bytes(display_rgb(shrink(answer.prediction.picture, side)))


def _margin(probabilities):
    second, first = sorted(probabilities)[-2:]
    return first - second


def _read_or_sentence(source):
    try:
        return read_source(source), None
    except UnreadablePicture as error:
        return None, str(error)


def _answer(classifier, source, number, data, error, layer, keep):
    if error:
        return Item(source, error_row(source.name, error))
    try:
        answer = answer_upload(classifier, data, layer)
    except UnreadablePicture as broken:
        return Item(source, error_row(source.name, str(broken)))
    return Item(source, answer_row(source.name, answer), keep(number, answer) if keep else None)


def _zip_sources(file, prefix):
    try:
        pictures = list_pictures(file)
        if not pictures:
            raise RefusedArchive(f"The ZIP holds no pictures ({' '.join(PICTURE_ENDINGS)}).")
    except RefusedArchive:
        file.close()
        raise
    return [Source(prefix + name, read) for name, read in pictures]


def _folder_sources(folder):
    pictures = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not _is_hidden(path.relative_to(folder)) and _may_be_picture(path)
    ]
    if not pictures:
        raise UnreadablePicture("There is no picture in this folder.")
    return [Source(str(path), partial(_read_file, path)) for path in pictures]


def _is_hidden(path):
    return any(part.startswith(".") for part in path.parts)


def _may_be_picture(path):
    try:
        return is_picture_file(path)
    except OSError:
        return True  # it gets its own sentence when it is read


def _read_file(path):
    check_file_size(path.stat().st_size)
    return path.read_bytes()


def _fail(error):
    raise error
