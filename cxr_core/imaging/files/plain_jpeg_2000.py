"""How is an ordinary colour JPEG 2000 file decoded with less memory than Pillow takes?

By OpenJPEG through imagecodecs, which gives the same pixels: 15 bytes each where Pillow takes 19. Everything that
Pillow would convert, such as palettes, subsampled or 16-bit colours, is left to it.
"""

import re

import numpy as np

from cxr_core.system.arrays import UInt8Array

# The stream begins with its size, which ends with each component's depth and steps: three of 8 bits, none subsampled.
_PLAIN_SIZE = re.compile(rb"(?s)\xff\x4f\xff\x51\0\x2f.{34}\0\x03(?:\x07\x01\x01){3}")
_SRGB = re.compile(rb"(?s)colr\x01..\0\0\0\x10")


def is_plain_colour(data: bytes) -> bool:
    """Return whether a JPEG 2000 file, or a bare stream, holds red, green and blue of 8 bits in this order."""
    found = _PLAIN_SIZE.search(data)
    boxes = data[: found.start()] if found else b""
    in_order = not boxes or (_SRGB.search(boxes) is not None and b"pclr" not in boxes and b"cdef" not in boxes)
    return found is not None and in_order


def decode_plain_colour(data: bytes) -> UInt8Array:
    """Decode a file of `is_plain_colour`: uint8 (H, W, 3) RGB.

    Raises:
        RuntimeError: the stream is broken or cut short.
        ValueError: it holds something else.
    """
    import imagecodecs

    pixels = imagecodecs.jpeg2k_decode(data)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"Three colours of 8 bits were expected; received {pixels.dtype} {pixels.shape}.")
    return pixels
