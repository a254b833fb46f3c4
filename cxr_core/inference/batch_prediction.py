"""Many images at once: files, folders and ZIPs to one row each, the same that each would get alone."""

import os
import re
import zipfile
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxr_core.imaging.display import display_rgb, jpeg_bytes, shrink
from cxr_core.imaging.reader import UnreadableImage
from cxr_core.inference.image_sources import Source, read_source
from cxr_core.inference.prediction_rows import answer_row, error_row
from cxr_core.inference.selective_prediction import answer_upload

# What a page takes at once; the command line takes any number.
MAX_FILES = 2_000
_MAX_THREADS = 4


@dataclass(frozen=True)
class Item:
    """What became of one Source.

    Attributes:
        source: Source.
        row: dict, as `prediction_rows.answer_row` or `prediction_rows.error_row` makes it.
        kept: what `keep` returned; None where there was no answer to keep anything of.
    """

    source: Source
    row: dict
    kept: Any = None


def predict_batch(classifier, sources, *, layer=None, keep=None, progress=None):
    """Answer files, several at a time; see `iter_predictions`.

    Args:
        classifier, sources, layer, keep: as for `iter_predictions`.
        progress: callable(done, total) or None.

    Returns:
        list of Item, in the order of the sources.
    """
    items = []
    for item in iter_predictions(classifier, sources, layer=layer, keep=keep):
        items.append(item)
        if progress:
            progress(len(items), len(sources))
    return items


def iter_predictions(classifier, sources, *, layer=None, keep=None):
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


def write_overlays(target, classifier, sources, *, side, layer=None, alpha=0.4, colour_map="jet", progress=None):
    """Write a ZIP of overlays, each for the class that was answered; only a few images are in memory at a time.

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
        for number, item in enumerate(iter_predictions(classifier, sources, layer=layer, keep=draw), start=1):
            if item.kept is not None:
                # A fixed date: the same images give the same ZIP.
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


def image_thumbnail(answer, side):
    """Return an answered image as a small JPEG, bytes, whose longest side is at most `side` pixels."""
    return jpeg_bytes(display_rgb(shrink(answer.prediction.image, side)))


def _read_or_sentence(source):
    try:
        return read_source(source), None
    except UnreadableImage as error:
        return None, str(error)


def _answer(classifier, source, number, data, error, layer, keep):
    if error:
        return Item(source, error_row(source.name, error))
    try:
        answer = answer_upload(classifier, data, layer)
    except UnreadableImage as broken:
        return Item(source, error_row(source.name, str(broken)))
    return Item(source, answer_row(source.name, answer), keep(number, answer) if keep else None)
