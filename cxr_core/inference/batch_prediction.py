"""How are hundreds of files answered, none stopping the rest? Each gets the row that it would get alone."""

import os
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Generic, TypeVar

from cxr_core.imaging.display import display_rgb, jpeg_bytes, shrink
from cxr_core.imaging.reader import UnreadableImage
from cxr_core.inference.classifier import Classifier
from cxr_core.inference.image_sources import Source, read_source
from cxr_core.inference.prediction_rows import PredictionRow, answer_row, error_row, margin
from cxr_core.inference.selective_prediction import Answer, answer_upload
from cxr_core.system.progress import Progress, in_threads

# What a page takes at once; the command line takes any number.
MAX_FILES = 2_000
_MAX_THREADS = 4
Kept = TypeVar("Kept")


@dataclass(frozen=True)
class Item(Generic[Kept]):
    """One file and its answer.

    Attributes:
        source: the file.
        row: the answer or the error, for JSON or CSV.
        kept: what `keep` returned; None without `keep`, and for a file that could not be read.
    """

    source: Source
    row: PredictionRow
    kept: Kept | None = None


def predict_batch(
    classifier: Classifier,
    sources: Sequence[Source],
    *,
    layer: str | None = None,
    keep: Callable[[int, Answer], Kept] | None = None,
    progress: Progress | None = None,
    isolated: bool = False,
) -> list[Item[Kept]]:
    """Answer files, several at a time; see `iter_predictions`.

    Args:
        classifier: as for `iter_predictions`.
        sources: as for `iter_predictions`.
        layer: as for `iter_predictions`.
        keep: as for `iter_predictions`.
        progress: called after each file.
        isolated: as for `iter_predictions`.

    Returns:
        In the order of the sources.
    """
    items = []
    for item in iter_predictions(classifier, sources, layer=layer, keep=keep, isolated=isolated):
        items.append(item)
        if progress:
            progress(len(items), len(sources))
    return items


def iter_predictions(
    classifier: Classifier,
    sources: Iterable[Source],
    *,
    layer: str | None = None,
    keep: Callable[[int, Answer], Kept] | None = None,
    isolated: bool = False,
) -> Iterator[Item[Kept]]:
    """Answer files, several at a time; one that cannot be read never stops the rest.

    Every row is the one that the file gets alone: gate, temperature and abstention are those of
    `selective_prediction.answer_upload`. Only the few files that are being answered are in memory.

    Args:
        classifier: answers.
        sources: the files.
        layer: as for `selective_prediction.answer_upload`.
        keep: called with the file's number, counted from 1, and its answer; the result is stored in the item. It is
            called from several threads.
        isolated: as for `selective_prediction.answer_upload`.

    Yields:
        Items in the order of the sources.
    """

    def answer(numbered: tuple[int, Source, bytes | UnreadableImage]) -> Item[Kept]:
        number, source, data = numbered
        return _answer(classifier, source, number, data, layer, keep, isolated)

    # Reading stays in this thread: two threads cannot read one archive at a time.
    read = ((number, source, _read_or_error(source)) for number, source in enumerate(sources, start=1))
    yield from in_threads(answer, read, min(_MAX_THREADS, os.cpu_count() or 1))


def sort_items(items: Iterable[Item[Kept]], by: str, *, only_answered: bool = False) -> list[Item[Kept]]:
    """Return items in another order; those that could not be read come last.

    Args:
        items: from `predict_batch`.
        by: a class name for the most probable first, or "doubt" for the smallest margin first.
        only_answered: put abstentions behind the answers, in the order given: their numbers are not shown.
    """

    def key(item: Item[Kept]) -> tuple[int, float]:
        probabilities = item.row["probabilities"]
        if not probabilities:
            return 2, 0.0
        if only_answered and item.row["status"] == "abstain":
            return 1, 0.0
        return 0, margin(probabilities) if by == "doubt" else -probabilities[by]

    return sorted(items, key=key)


def write_overlays(
    target: IO[bytes],
    classifier: Classifier,
    sources: Sequence[Source],
    *,
    side: int,
    layer: str | None = None,
    alpha: float = 0.4,
    colour_map: str = "jet",
    progress: Progress | None = None,
    isolated: bool = False,
) -> int:
    """Write a ZIP of overlays, each for the predicted class; only a few images are in memory at a time.

    Args:
        target: file to write the ZIP to.
        classifier: answers.
        sources: the files; those that get no answer are left out.
        side: longest side of an overlay in pixels.
        layer: as for `selective_prediction.answer_upload`.
        alpha: opacity of the map, as for `overlay.overlay_map`.
        colour_map: as for `overlay.overlay_map`.
        progress: called after each file.
        isolated: as for `selective_prediction.answer_upload`.

    Returns:
        How many overlays were written.
    """

    def draw(_number: int, answer: Answer) -> bytes | None:
        if answer.label is None:
            return None
        return jpeg_bytes(shrink(answer.overlay(classifier, answer.label, alpha=alpha, colour_map=colour_map), side))

    written = 0
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        items = iter_predictions(classifier, sources, layer=layer, keep=draw, isolated=isolated)
        for number, item in enumerate(items, start=1):
            if item.kept is not None:
                # ZipInfo's fixed date: the same images give the same ZIP.
                archive.writestr(zipfile.ZipInfo(numbered_name(number, item.source.name, ".jpg")), item.kept)
                written += 1
            if progress:
                progress(number, len(sources))
    return written


def numbered_name(number: int, name: str, ending: str) -> str:
    """Return a file name that is valid on every file system and unique within a batch, such as `0001-scan.png`.

    Args:
        number: the file's position in the batch.
        name: the file's own name.
        ending: with its dot.
    """
    return f"{number:04d}-{safe_stem(name)}{ending}"


def safe_stem(name: str) -> str:
    """Return the stem of a file name, at most 80 characters, with `_` for what some file system does not allow."""
    return re.sub(r"[^\w.-]+", "_", Path(name).stem)[:80]


def image_thumbnail(answer: Answer, side: int) -> bytes:
    """Return an answered image as a small JPEG whose longest side is at most `side` pixels."""
    return jpeg_bytes(display_rgb(shrink(answer.prediction.image, side)))


def _read_or_error(source: Source) -> bytes | UnreadableImage:
    try:
        return read_source(source)
    except UnreadableImage as error:
        return error


def _answer(
    classifier: Classifier,
    source: Source,
    number: int,
    data: bytes | UnreadableImage,
    layer: str | None,
    keep: Callable[[int, Answer], Kept] | None,
    isolated: bool,
) -> Item[Kept]:
    if isinstance(data, UnreadableImage):
        return Item(source, error_row(source.name, str(data)))
    try:
        answer = answer_upload(classifier, data, layer, isolated=isolated)
    except UnreadableImage as error:
        return Item(source, error_row(source.name, str(error)))
    return Item(source, answer_row(source.name, answer), keep(number, answer) if keep else None)
