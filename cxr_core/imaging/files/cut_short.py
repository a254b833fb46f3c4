"""Was this file cut short, and its end filled with something else?

A download that stopped, or a disk that was full, leaves a file that begins as it should. What fills its end may be
nothing, zeros, or whatever lay there before.
"""

import io
import struct

import numpy as np
from PIL import Image

from cxr_core.imaging.files.many_parts import jpeg_reaches_its_end
from cxr_core.system.arrays import ImageArray

# What Pillow's decoders raise on broken data; UnidentifiedImageError is an OSError.
PIL_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, RuntimeError, struct.error)

# Compressed data do not hold so many zeros in a row; black areas come nearest.
_LONGEST_RUN = {"WEBP": 256, "AVIF": 256, "JPEG2000": 1024}
_END_RUN = 64
# Pixels that a JPEG or WebP decoder makes up come in blocks.
_BLOCKS = {"JPEG": (8, 16), "WEBP": (16,)}
_MOST = 0.9
_FEWEST_ROWS = 4
# Mean difference of neighbours, as a share of the range: a third where values are drawn at random.
_NOISE, _NO_NOISE = 0.25, 0.12
_NOISY_ROWS = 2


def is_whole(data: bytes, image_format: str, pil_formats: tuple[str, ...]) -> bool:
    """Return whether a file's structure is whole, without decoding a JPEG or PNG.

    A JPEG is followed from marker to marker to its end, a PNG's checksums are added up (OpenCV allocates as much memory
    as a chunk claims to need), and every other file is decoded by Pillow, which is strict, and its pixels are judged.

    Args:
        data: the whole file.
        image_format: Pillow's name of its format.
        pil_formats: names of the formats that Pillow may try.
    """
    if image_format == "JPEG" and jpeg_reaches_its_end(data):
        return True
    if has_run(data, image_format):
        return False
    try:
        with Image.open(io.BytesIO(data), formats=pil_formats) as image:
            if image_format == "PNG" and b"IEND" in data[-4096:]:
                image.verify()
                return True
            return not is_filled(np.asarray(image), image_format)
    except PIL_ERRORS:
        return False


def is_filled(pixels: ImageArray, image_format: str) -> bool:
    """Return whether decoded pixels end as if the file had been cut short and filled.

    That is the case where the last rows have a single value that begins in the middle of a row, under pixels that have
    others; a black border begins at an edge. Or where the last rows of a grey image are as if drawn at random, and the
    first are not. A PNG has checksums, and is not judged.

    Args:
        pixels: (H, W) or (H, W, 3), integers, in the order in which the file stores them from top to bottom.
        image_format: such as "JPEG", "BMP" or "DICOM".
    """
    if image_format == "PNG" or pixels.size == 0 or pixels.dtype.kind not in "ui":
        return False
    rows = pixels[::-1] if image_format == "BMP" else pixels
    if any(_ends_with_one_value(rows, side) for side in _BLOCKS.get(image_format, (1,))):
        return True
    return image_format not in _BLOCKS and _ends_in_noise(rows)


def has_run(data: bytes, image_format: str) -> bool:
    """Return whether a file holds more zeros in a row than its compression does, or ends with one byte many times."""
    if image_format not in _LONGEST_RUN:
        return False
    if bytes(_LONGEST_RUN[image_format]) in data:
        return True
    ending = data[-_END_RUN:]
    return len(ending) == _END_RUN and ending.count(ending[-1:]) == _END_RUN


def _ends_with_one_value(rows: ImageArray, side: int) -> bool:
    """Return whether the last pixels have one value, which begins inside a row; in blocks of `side` pixels."""
    last = rows[-1, -1]
    end = len(rows)
    # The lowest row of blocks may be cut off by the image's edge.
    start = (end - 1) // side * side
    n_full = 0
    while start >= 0 and (rows[start:end] == last).all():
        end, start, n_full = start, start - side, n_full + 1
    if n_full * side < _FEWEST_ROWS or start < side:
        return False
    differs = (rows[start - 1 : start + side] != last).reshape(1 + side, rows.shape[1], -1).any(axis=2)
    tail = int(np.argmax(differs[1:, ::-1].any(axis=0)))
    tail -= (tail - rows.shape[1]) % side
    if tail < 2 * side or rows.shape[1] - tail < 2 * side:
        return False
    # A slanted edge has the value in its blocks, too, and right above them.
    return bool(differs[1:, :-tail].mean() >= _MOST and differs[0, -tail:].mean() >= _MOST)


def _ends_in_noise(rows: ImageArray) -> bool:
    """Return whether the last rows are as rough as random numbers, and the first are not."""
    if len(rows) < 8 * _NOISY_ROWS or rows.shape[1] < 16 or rows.ndim == 3:
        return False
    end, start = rows[-_NOISY_ROWS:], rows[: len(rows) // 8]
    extent = float(end.max()) - float(end.min())
    return extent > 0 and _roughness(end) > _NOISE * extent and _roughness(start) < _NO_NOISE * extent


def _roughness(rows: ImageArray) -> float:
    return float(np.abs(np.diff(rows.astype(np.float32), axis=1)).mean())
