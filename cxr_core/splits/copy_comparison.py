"""Where do two copies of a radiograph differ?"""

import cv2
import numpy as np

from cxr_core.splits.duplicates import copy_change
from cxr_core.system.arrays import UInt8Array

# Fewer than make two images copies: those of one group may each be a copy of a third, and agree less with each other.
_ENOUGH = 15


def lay_over(image_u8: UInt8Array, other_u8: UInt8Array) -> tuple[UInt8Array, bool]:
    """Move, stretch and mirror a copy so that it lies over the image that it is a copy of.

    Args:
        image_u8: uint8 (H, W).
        other_u8: uint8 (h, w).

    Returns:
        uint8 (H, W), black where the copy shows nothing of the image, and True; where the two are no copies of each
        other, the other one resized, and False.
    """
    height, width = image_u8.shape
    found = copy_change(image_u8, other_u8, at_least=_ENOUGH)
    if found is None:
        return cv2.resize(other_u8, (width, height), interpolation=cv2.INTER_AREA), False
    change, is_mirrored = found
    other = cv2.flip(other_u8, 1) if is_mirrored else other_u8
    pixels = np.diag([other.shape[1], other.shape[0]]) @ change @ np.diag([1 / width, 1 / height, 1])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(other, pixels, (width, height), flags=flags), True


def difference_u8(image_u8: UInt8Array, other_u8: UInt8Array) -> UInt8Array:
    """Return how far two images of one size differ, uint8 (H, W): black where they are equal."""
    return cv2.absdiff(image_u8, other_u8)
