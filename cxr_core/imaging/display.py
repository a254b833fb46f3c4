"""How is an image shown: eight bits, smaller, as PNG or JPEG?"""

import base64
from typing import cast

import cv2
import numpy as np

from cxr_core.imaging.grey_range import grey_u8
from cxr_core.system.arrays import AnyImage, FloatArray, ImageArray, IntArray, UInt8Array

SCREEN_SIDE = 1000
_JPEG_QUALITY = 88
# A fifth faster than OpenCV's own choice on an overlay of a film, and its file is as small.
_FAST_PNG = [
    cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP,
]  # fmt: skip
# A thumbnail's file is as small as at Pillow's own level, in a quarter of the time.
_SMALL_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 3, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]
# Grey images of so many pixels are shrunk by sums over areas: smaller ones are shrunk as fast without, and the sums of
# larger ones may not fit into 32 bits.
_FEWEST_SUMMED, _MOST_SUMMED = 1 << 21, (2**31 - 1) // 255


def display_bgr(image: ImageArray) -> UInt8Array:
    """Return a decoded image as uint8 (H, W, 3) BGR; 16 bits as in `grey_range.full_range`."""
    image_u8 = grey_u8(image)
    return cv2.cvtColor(image_u8, cv2.COLOR_GRAY2BGR) if image_u8.ndim == 2 else image_u8


def display_rgb(image: ImageArray) -> UInt8Array:
    """Return a decoded image as uint8 (H, W, 3) RGB for a screen."""
    return cv2.cvtColor(display_bgr(image), cv2.COLOR_BGR2RGB)


def shrink(image: AnyImage, side: int) -> AnyImage:
    """Return an image whose longest side is at most `side` pixels; a smaller one is returned unchanged."""
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return resize_area(image, size)


def resize_area(image: AnyImage, size: tuple[int, int]) -> AnyImage:
    """Resize an image as `cv2.resize` with `INTER_AREA` does, a large grey one in a quarter of its time.

    Args:
        image: uint8 or uint16, (H, W) or (H, W, 3); not changed.
        size: width and height in pixels.

    Returns:
        The means of the areas that each pixel covers, of the same dtype. They may differ from OpenCV's by one where a
        large image's mean lies half-way between two greys: a few pixels of an image.

    Source:
        Crow 1984, doi:10.1145/800031.808600 (summed-area tables).
    """
    height, width = image.shape[:2]
    is_smaller = size[0] <= width and size[1] <= height
    if image.dtype != np.uint8 or image.ndim == 3 or not is_smaller or not _FEWEST_SUMMED <= image.size <= _MOST_SUMMED:
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    sums = cv2.integral(image)
    (left, beside), (top, below) = _edges(width, size[0]), _edges(height, size[1])
    # The sum up to an edge inside a pixel lies between those up to its two sides.
    above, under = (_between(sums[rows][:, left], sums[rows][:, left + 1], beside) for rows in (top, top + 1))
    at_edges = _between(above, under, below[:, None])
    means = np.diff(np.diff(at_edges, axis=0), axis=1) * (size[0] * size[1] / image.size)
    return cast(AnyImage, np.round(means).astype(np.uint8))


def _edges(pixels: int, parts: int) -> tuple[IntArray, FloatArray]:
    """Return where `parts` equal parts of a side begin and end: the pixel, and how far inside it, in [0, 1]."""
    edges = np.arange(parts + 1) * (pixels / parts)
    whole = np.minimum(edges.astype(np.int64), pixels - 1)
    return whole, edges - whole


def _between(first: FloatArray | IntArray, second: FloatArray | IntArray, share: FloatArray) -> FloatArray:
    return first + (second - first) * share


def png_bytes(image_rgb: UInt8Array) -> bytes:
    """Return uint8 (H, W, 3) RGB, or (H, W) grey, as the bytes of a PNG file."""
    image = image_rgb if image_rgb.ndim == 2 else cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", image, _FAST_PNG)[1].tobytes()


def jpeg_bytes(image_rgb: UInt8Array) -> bytes:
    """Return uint8 (H, W, 3) RGB as the bytes of a JPEG file."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    return cv2.imencode(".jpg", cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def data_url(kind: str, content: bytes) -> str:
    """Return an image file as an address that a browser can show; `kind` is "png", "jpeg" or "svg+xml"."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def thumbnail(image: ImageArray, side: int = 224) -> UInt8Array:
    """Shrink an image for a grid.

    Args:
        image: uint8 or uint16, (H, W) or (H, W, 3) BGR, as `reader.decode_image` returns it.
        side: longest side in pixels.

    Returns:
        uint8 (h, w, 3) RGB with the image's own aspect ratio.
    """
    return display_rgb(shrink(display_bgr(image), side))


def square_png(image_rgb: UInt8Array) -> bytes:
    """Return uint8 (h, w, 3) RGB in the middle of a transparent square of side max(h, w), as bytes of a PNG file."""
    height, width = image_rgb.shape[:2]
    side = max(height, width)
    square = np.zeros((side, side, 4), np.uint8)
    rows, columns = slice((side - height) // 2, (side + height) // 2), slice((side - width) // 2, (side + width) // 2)
    square[rows, columns] = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGRA)
    return cv2.imencode(".png", square, _SMALL_PNG)[1].tobytes()
