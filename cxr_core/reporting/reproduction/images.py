"""How are the page's photographs made? As small JPEGs, so that the whole page stays below 2 MB."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np

from cxr_core.imaging.display import display_bgr, shrink
from cxr_core.imaging.reader import read_image
from cxr_core.system.arrays import ImageArray, UInt8Array

TILE = 150
_QUALITY, _GAP = 72, 4
_WHITE, _PALE = 255, 225


def jpeg(image: ImageArray, side: int) -> bytes:
    """Return an image of at most `side` pixels as the bytes of a JPEG file; (H, W) grey or (H, W, 3) BGR."""
    small = shrink(display_bgr(image), side)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()


def tile(image: ImageArray) -> UInt8Array:
    """Return an image in the middle of a pale square, uint8 (TILE, TILE, 3) BGR, its aspect kept."""
    small = shrink(display_bgr(image), TILE)
    height, width = small.shape[:2]
    square = np.full((TILE, TILE, 3), _PALE, np.uint8)
    top, left = (TILE - height) // 2, (TILE - width) // 2
    square[top : top + height, left : left + width] = small
    return square


def contact_sheet(tiles: Sequence[UInt8Array], columns: int) -> UInt8Array:
    """Lay tiles of `tile` into rows, uint8 (H, W, 3) BGR."""
    rows = -(-len(tiles) // columns)
    step = TILE + _GAP
    sheet = np.full((rows * step - _GAP, min(columns, len(tiles)) * step - _GAP, 3), _WHITE, np.uint8)
    for number, one in enumerate(tiles):
        top, left = step * (number // columns), step * (number % columns)
        sheet[top : top + TILE, left : left + TILE] = one
    return sheet


def hidden_tile() -> UInt8Array:
    """Return what stands for an image that may not be shown, uint8 (TILE, TILE, 3) BGR."""
    square = np.full((TILE, TILE, 3), _PALE, np.uint8)
    cv2.putText(square, "not shown", (34, 80), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (90, 90, 90), 1, cv2.LINE_AA)
    return square


def read_tiles(paths: Iterable[str | Path]) -> list[UInt8Array]:
    """Return the tile of each image file."""
    return [tile(read_image(path)) for path in paths]
