"""Which greys do the values of a 16-bit image stand for? The range that they use decides, not the type they lie in.

A file of 16 bits holds 10, 12 or 14 bits, or percent, more often than 16. Images of 8 bits are never touched, nor are
those that use the whole range, as all that come from DICOM do.
"""

import cv2
import numpy as np
import numpy.typing as npt

from cxr_core.system.arrays import ImageArray, IntArray, UInt8Array

_HIGHEST = 65535
# Letters are burned in with the highest value of the file, however few bits the image has: 14 bits end at a quarter.
_LETTER_SHARE, _LETTER_FACTOR, _FEWEST_VALUES = 0.01, 4, 16


def full_range(pixels: ImageArray) -> ImageArray:
    """Return an image whose values stand for greys from black, 0, to white, the highest value of its type.

    16-bit values are stretched from the image's lowest to its highest, over all channels together. If each is a value
    of 8 bits times 256 or 257, the image has 8 bits, and is as dark as those say.

    Args:
        pixels: uint8 or uint16, (H, W) or (H, W, 3); not changed.

    Returns:
        The same shape and type; `pixels` itself for uint8 and wherever nothing is to be done. A flat image of 16 bits
        is black.
    """
    table = _range_table(pixels)
    return pixels if table is None else cv2.LUT(pixels, table)


def grey_u8(pixels: ImageArray) -> UInt8Array:
    """Return an image as uint8 of the same shape; see `full_range`. An image of 8 bits is returned as it is."""
    if pixels.dtype == np.uint8 or pixels.size == 0:
        return pixels.astype(np.uint8, copy=False)
    table = _range_table(pixels)
    greys = (np.arange(_HIGHEST + 1) if table is None else table) // 257
    return cv2.LUT(pixels, greys.astype(np.uint8))


def count_values(pixels: ImageArray) -> IntArray:
    """Return how often each value occurs in an image, uint8 or uint16, as int64 (256,) or (65536,)."""
    levels = np.iinfo(pixels.dtype).max + 1
    # OpenCV counts several times as fast as NumPy, but in float32, which is exact up to 2**24 pixels.
    if 0 < pixels.size < 2**24:
        return (
            cv2.calcHist([pixels.reshape(len(pixels), -1)], [0], None, [levels], [0, levels]).ravel().astype(np.int64)
        )
    return np.bincount(pixels.ravel(), minlength=levels)


def without_bright_letters(pixels: ImageArray) -> ImageArray:
    """Bring letters down to the highest value of the image that they were burned into.

    They are at most a hundredth of the pixels, and no value lies between the image's and four times as much.

    Args:
        pixels: uint8 or uint16, (H, W) or (H, W, 3); not changed.

    Returns:
        The same shape and type; `pixels` itself for uint8 and where there are no such letters.
    """
    if pixels.dtype == np.uint8 or pixels.size == 0:
        return pixels
    counts = count_values(pixels)
    values = np.flatnonzero(counts)
    below = np.cumsum(counts[values])[:-1]
    gaps = (values[1:] >= _LETTER_FACTOR * values[:-1]) & (below >= (1 - _LETTER_SHARE) * pixels.size)
    gaps[: _FEWEST_VALUES - 1] = False
    if not gaps.any():
        return pixels
    return np.minimum(pixels, np.uint16(values[:-1][gaps][0]))


def _range_table(pixels: ImageArray) -> npt.NDArray[np.uint16] | None:
    """Return what `full_range` makes of each value, uint16 (65536,); None where it leaves the image as it is."""
    if pixels.dtype == np.uint8 or pixels.size == 0:
        return None
    low, high = int(pixels.min()), int(pixels.max())
    if (low, high) == (0, _HIGHEST) or _all_multiples(pixels, 257, low, high):
        return None
    values = np.arange(_HIGHEST + 1, dtype=np.int64)
    if _all_multiples(pixels, 256, low, high):
        return (values // 256 * 257).astype(np.uint16)
    return (np.clip(values - low, 0, high - low) * _HIGHEST // max(1, high - low)).astype(np.uint16)


def _all_multiples(pixels: ImageArray, factor: int, low: int, high: int) -> bool:
    # Most images that are none are told by two of their values.
    return low % factor == 0 and high % factor == 0 and not (pixels % factor).any()
