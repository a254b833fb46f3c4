"""Which grey is shown for each value that a DICOM file stores?"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels import apply_windowing
from pydicom.uid import RLELossless

from cxr_core.imaging.dicom.header import integer_of, numbers_of, text_of
from cxr_core.imaging.dicom.lookup_tables import LookupTable, read_lookup_table
from cxr_core.imaging.grey_range import count_values
from cxr_core.system.arrays import BoolArray, FloatArray, IntArray

# Pixel cells as a file stores them: integers of up to 32 bits, or floats.
CellArray = npt.NDArray[Any]

WINDOW_NOTE = "The window in the DICOM header shows nothing of this image; its full range is shown."
_LARGEST_TABLE = 1 << 16
# Where all but so small a share of the pixels is white, or black, a window shows nothing. One for soft tissue in CT,
# left in the header of a radiograph, still reaches a few pixels.
_LEAST_SHOWN = 0.002
_WINDOW_BITS = 16
# Padding is written in words of 16 bits, also where pixels take eight.
_WORD = 16


def shown_greys(cells: CellArray, dataset: FileDataset) -> tuple[npt.NDArray[np.uint16], tuple[str, ...]]:
    """Turn one grey frame into what a workstation shows.

    Unused bits are dropped; then come the modality LUT or rescale, the VOI LUT or window, a stretch to the range of
    what is shown, and the inversion of MONOCHROME1 or of an inverse presentation. A table, window or rescale that is
    empty, broken or impossible (a width below 1, a slope of 0) is as if it were absent, and so is one beside the data,
    which would make the image all black or all white. Padding takes no part in the range, and becomes black.

    Args:
        cells: (H, W), integers or floats; padding and values that are no number included.
        dataset: the completed header.

    Returns:
        uint16 (H, W), and notes for the user.

    Raises:
        ValueError: no pixel is a number.

    Source:
        DICOM PS3.4 N.2 (order of the transformations), PS3.3 C.7.5.1.1.2, C.11.1, C.11.2 and C.11.6; PS3.5 8.1.1.
    """
    low, high = cells.min(), cells.max()
    if cells.dtype.kind == "f" or int(high) - int(low) >= _LARGEST_TABLE:
        return _greys_of(cells, np.ones(cells.shape, np.int64), dataset)
    # Every possible value is transformed once; each pixel is only looked up. Without a sign a difference that wraps
    # around is right.
    positions = (cells - low).astype(f"u{cells.itemsize}").astype(np.uint16)
    possible = np.arange(int(low), int(high) + 1).astype(cells.dtype)
    greys, notes = _greys_of(possible, count_values(positions)[: len(possible)], dataset)
    table = np.zeros(_LARGEST_TABLE, np.uint16)
    table[: len(greys)] = greys
    return cv2.LUT(positions, table), notes


def _greys_of(
    cells: CellArray, counts: IntArray, dataset: FileDataset
) -> tuple[npt.NDArray[np.uint16], tuple[str, ...]]:
    """Return the grey of every cell, uint16 of the same shape; `counts` says how often each occurs in the image."""
    stored = _stored_values(cells, dataset)
    is_number = np.isfinite(stored)
    padding = _is_padding(cells, stored, dataset)
    if not counts[is_number & ~padding].any():
        # An image that is padding throughout is shown.
        padding = np.zeros(cells.shape, bool)
    counts = np.where(is_number & ~padding, counts, 0)
    counted = counts > 0
    values, notes = _windowed(_modality_values(np.where(is_number, stored, 0), counted, dataset), counts, dataset)
    inverted = (
        text_of(dataset, "PhotometricInterpretation") == "MONOCHROME1"
        or text_of(dataset, "PresentationLUTShape") == "INVERSE"
    )
    greys = _stretch(values, counted, inverted)
    greys[padding | ~is_number] = 0
    return greys, notes


def _stored_values(cells: CellArray, dataset: FileDataset) -> CellArray:
    """Return the value in each cell: the bits up to the high bit alone, with their sign."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if cells.dtype.kind == "f" or (syntax.is_compressed and syntax != RLELossless):
        return cells
    n_bits = 8 * cells.dtype.itemsize
    # Shifts of a signed type keep the sign.
    return (cells << (n_bits - 1 - int(dataset.HighBit))) >> (n_bits - int(dataset.BitsStored))


def _is_padding(cells: CellArray, stored: CellArray, dataset: FileDataset) -> BoolArray:
    """Return which cells fill the area around the image, bool of the same shape."""
    if cells.dtype.kind == "f":
        kind = "Float" if cells.dtype.itemsize == 4 else "DoubleFloat"
        ends = [numbers_of(dataset, f"{kind}PixelPadding{end}") for end in ("Value", "RangeLimit")]
        value, limit = (numbers[0] if numbers else math.nan for numbers in ends)
        limits = (value, value if math.isnan(limit) else limit)
        return (stored >= min(limits)) & (stored <= max(limits))
    first = _padding_limit(dataset, "PixelPaddingValue")
    if first is None:
        return np.zeros(cells.shape, bool)
    last = _padding_limit(dataset, "PixelPaddingRangeLimit")
    low, high = sorted((first, first if last is None else last))
    padding = (stored >= low) & (stored <= high)
    least, greatest = _possible_values(dataset)
    if low < least or high > greatest:
        # Padding that does not fit into the stored bits stands in the whole cell.
        padding |= ((cells < least) | (cells > greatest)) & (cells >= low) & (cells <= high)
    return padding


def _padding_limit(dataset: FileDataset, keyword: str) -> int | None:
    """Return a padding value as the pixels would store it, whatever the sign that the header gives it."""
    found = integer_of(dataset, keyword)
    if found is None:
        return None
    value, n_bits = found
    if int(dataset.BitsAllocated) <= _WORD:
        n_bits = _WORD
    unsigned = value % (1 << n_bits)
    if not int(dataset.PixelRepresentation):
        return unsigned
    stored = int(dataset.BitsStored)
    if 1 << (stored - 1) <= unsigned < 1 << stored:
        return unsigned - (1 << stored)
    return unsigned - (1 << n_bits) if unsigned >= 1 << (n_bits - 1) else unsigned


def _possible_values(dataset: FileDataset) -> tuple[int, int]:
    """Return the least and the greatest value that the stored bits can hold."""
    bits = int(dataset.BitsStored)
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if int(dataset.PixelRepresentation) else (0, (1 << bits) - 1)


def _modality_values(stored: CellArray, counted: BoolArray, dataset: FileDataset) -> FloatArray | IntArray:
    """Apply the modality LUT, or else the rescale."""
    for table in _tables(dataset, "ModalityLUTSequence", signed=stored.dtype.kind == "i"):
        return table.apply(stored, stored[counted])
    slope, intercept = _rescale(dataset)
    return stored.astype(np.float64) * slope + intercept


def _rescale(dataset: FileDataset) -> tuple[float, float]:
    """Return slope and intercept; 1 and 0 where there is none, or one that would make all values equal."""
    slope, intercept = (
        next(iter(numbers_of(dataset, keyword)), math.nan) for keyword in ("RescaleSlope", "RescaleIntercept")
    )
    if slope == 0:
        return 1.0, 0.0
    return (1.0 if math.isnan(slope) else slope), (0.0 if math.isnan(intercept) else intercept)


def _windowed(
    values: FloatArray | IntArray, counts: IntArray, dataset: FileDataset
) -> tuple[FloatArray, tuple[str, ...]]:
    """Apply the first VOI LUT or window that shows anything."""
    plain = values.astype(np.float64)
    plain_share = _share_shown(plain, counts)
    if not plain_share:
        return plain, ()
    # An image that is nearly flat itself is not held to more than it has.
    least = _LEAST_SHOWN if plain_share >= _LEAST_SHOWN else np.finfo(float).tiny
    shows_nothing = False
    for transform in _transforms(dataset, values[counts > 0]):
        shown = transform(values).astype(np.float64)
        # Rounded, since a sigmoid has differences everywhere that nobody can see.
        if _share_shown(np.round(shown), counts) >= least:
            return shown, ()
        shows_nothing = True
    return plain, (WINDOW_NOTE,) if shows_nothing else ()


def _share_shown(values: FloatArray, counts: IntArray) -> float:
    """Return the share of pixels that are not of the image's commoner end, black or white, in [0, 1]."""
    used, n_pixels = values[counts > 0], counts[counts > 0]
    ends = [n_pixels[used == end].sum() for end in (used.min(), used.max())]
    return float(1 - max(ends) / n_pixels.sum())


def _transforms(
    dataset: FileDataset, used: FloatArray | IntArray
) -> Iterator[Callable[[FloatArray | IntArray], FloatArray | IntArray]]:
    """Yield what the VOI LUT module offers: tables first, then windows, each in the order of the file."""
    for table in _tables(dataset, "VOILUTSequence", signed=_voi_input_is_signed(dataset)):
        yield partial(table.apply, used=used)
    function = text_of(dataset, "VOILUTFunction")
    if function not in ("LINEAR_EXACT", "SIGMOID"):
        function = "LINEAR"
    centers, widths = numbers_of(dataset, "WindowCenter"), numbers_of(dataset, "WindowWidth")
    for center, width in zip(centers, widths, strict=False):
        if math.isfinite(center) and (width >= 1 if function == "LINEAR" else width > 0):
            yield partial(_apply_window, window=_window(center, width, function))


def _voi_input_is_signed(dataset: FileDataset) -> bool:
    """Return whether what enters a VOI LUT can be negative, as PS3.3 C.11.2.1.1 asks."""
    if dataset.get("ModalityLUTSequence"):
        return False
    if "BitsStored" not in dataset:
        return True  # floats
    slope, intercept = _rescale(dataset)
    return min(slope * value + intercept for value in _possible_values(dataset)) < 0


def _window(center: float, width: float, function: str) -> Dataset:
    """Return a header that holds a window and nothing that pydicom could stumble over."""
    window = Dataset()
    window.PhotometricInterpretation = "MONOCHROME2"
    window.BitsStored, window.PixelRepresentation = _WINDOW_BITS, 0
    window.WindowCenter, window.WindowWidth, window.VOILUTFunction = repr(center)[:16], repr(width)[:16], function
    return window


def _apply_window(values: FloatArray | IntArray, window: Dataset) -> FloatArray:
    with np.errstate(over="ignore"):
        return apply_windowing(values, window)


def _tables(dataset: FileDataset, keyword: str, *, signed: bool) -> Iterator[LookupTable]:
    for item in dataset.get(keyword) or ():
        table = read_lookup_table(item, signed=signed)
        if table is not None:
            yield table


def _stretch(values: FloatArray, counted: BoolArray, inverted: bool) -> npt.NDArray[np.uint16]:
    """Stretch values to 16 bits, between the lowest and highest of those that are `counted`."""
    low, high = values[counted].min(), values[counted].max()
    if high == low:
        return np.zeros(values.shape, np.uint16)
    shown = np.round(np.clip((values - low) / (high - low), 0, 1) * 65535).astype(np.uint16)
    return 65535 - shown if inverted else shown
