"""What is removed from an image to see whether a classifier needed it?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from cxr_core.imaging.lung_segmentation import LungRegion, lung_region
from cxr_core.system.arrays import UInt8Array

_FRAME_SHARE = 0.125
# Proportions of width and height: left, top, right, bottom. On radiographs of six collections it covers 97 to 99 % of
# the lungs' area.
HIDDEN_BOX = (0.07, 0.05, 0.93, 0.88)


@dataclass(frozen=True)
class Variant:
    """One way of removing something from an image.

    Attributes:
        title: what is shown, for a person.
        question: what a good score on it would mean.
        make: from an image, uint8 (H, W), and its lungs makes the variant, uint8 (H, W).
    """

    title: str
    question: str
    make: Callable[[UInt8Array, LungRegion], UInt8Array]


def hidden_box(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return (left, top, right, bottom) in pixels of the box that `hide_lungs` blacks out in an image (H, W)."""
    height, width = shape
    left, top, right, bottom = HIDDEN_BOX
    return round(left * width), round(top * height), round(right * width), round(bottom * height)


def hide_lungs(image_u8: UInt8Array, _region: LungRegion) -> UInt8Array:
    """Black out a box around the lungs, the same in every image.

    It does not follow each image's own lungs: their size and position differ between children and adults, and a hole
    in their shape would tell what it was to hide.
    """
    left, top, right, bottom = hidden_box(image_u8.shape)
    hidden = image_u8.copy()
    hidden[top:bottom, left:right] = 0
    return hidden


def hide_own_lungs(image_u8: UInt8Array, region: LungRegion) -> UInt8Array:
    """Black out each image's own lungs, the parts behind the heart included, and a thirtieth of the side around them.

    Nothing of the lungs is left but their outline, which tells size and position.
    """
    reach = 2 * round(max(image_u8.shape) / 30) + 1
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    return np.where(cv2.dilate(region.whole.astype(np.uint8), around) > 0, 0, image_u8).astype(np.uint8)


def keep_frame(image_u8: UInt8Array, _region: LungRegion) -> UInt8Array:
    """Keep an eighth of the side along each edge; the rest becomes black."""
    height, width = image_u8.shape
    y, x = round(_FRAME_SHARE * height), round(_FRAME_SHARE * width)
    frame = image_u8.copy()
    frame[y : height - y, x : width - x] = 0
    return frame


def keep_lungs(image_u8: UInt8Array, region: LungRegion) -> UInt8Array:
    """Keep the lungs, the parts behind the heart included; the rest becomes black. Size and position stay visible."""
    return np.where(region.whole, image_u8, 0).astype(np.uint8)


def blur(image_u8: UInt8Array, _region: LungRegion) -> UInt8Array:
    """Blur with a Gaussian of a fiftieth of the side: fine texture is lost."""
    return cv2.GaussianBlur(image_u8, (0, 0), max(image_u8.shape) / 50)


def downsample(image_u8: UInt8Array, _region: LungRegion) -> UInt8Array:
    """Shrink to a quarter of the side and enlarge again."""
    height, width = image_u8.shape
    small = cv2.resize(image_u8, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def recompress(image_u8: UInt8Array, _region: LungRegion) -> UInt8Array:
    """Save as JPEG of quality 15 and read again: artefacts of earlier compression are drowned out."""
    _, coded = cv2.imencode(".jpg", image_u8, [cv2.IMWRITE_JPEG_QUALITY, 15])
    return cast(UInt8Array, cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE))


def mirror(image_u8: UInt8Array, _region: LungRegion) -> UInt8Array:
    """Swap left and right."""
    return np.ascontiguousarray(image_u8[:, ::-1])


def mask_marks(image_u8: UInt8Array, region: LungRegion) -> UInt8Array:
    """Inpaint small bright marks outside the lungs: letters, side markers, arrows.

    A mark is brighter by 50 of 255 than an opening of a fifteenth of the side leaves, and at most a tenth of the
    side high and a fifth wide. Edges of bones that look the same are painted over, too.
    """
    side = max(image_u8.shape)
    window = cv2.getStructuringElement(cv2.MORPH_RECT, (side // 15, side // 15))
    bright = (cv2.morphologyEx(image_u8, cv2.MORPH_TOPHAT, window) > 50).astype(np.uint8)
    if region.found:
        bright[region.mask] = 0
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(bright, connectivity=8)
    small = (boxes[:, cv2.CC_STAT_HEIGHT] <= side / 10) & (boxes[:, cv2.CC_STAT_WIDTH] <= side / 5)
    small[0] = False
    marks = cv2.dilate(small[labels].astype(np.uint8), np.ones((3, 3), np.uint8))
    return cv2.inpaint(image_u8, marks, 3, cv2.INPAINT_TELEA) if count > 1 else image_u8.copy()


VARIANTS = {
    "whole": Variant("The whole image", "The score to compare the others with.", lambda image, _region: image),
    "lungs_hidden": Variant("Lungs blacked out", "It does not need the lungs.", hide_lungs),
    "own_lungs_hidden": Variant(
        "Each image's own lungs blacked out", "It does not need the lungs; their outline is left.", hide_own_lungs
    ),
    "frame_only": Variant("Only the frame", "The edge of the image gives the class away.", keep_frame),
    "lungs_only": Variant("Only the lungs", "The lungs alone are enough, as they should be.", keep_lungs),
    "blurred": Variant("Blurred", "It does not need fine texture.", blur),
    "downsampled": Variant("A quarter of the resolution", "It does not need fine texture.", downsample),
    "recompressed": Variant("Compressed again", "It does not rely on compression artefacts.", recompress),
    "mirrored": Variant("Left and right swapped", "It does not rely on which side the heart is on.", mirror),
    "marks_masked": Variant("Text and markers masked", "It does not rely on letters and markers.", mask_marks),
}


def preview(image_u8: UInt8Array) -> tuple[LungRegion, dict[str, UInt8Array]]:
    """Return the lungs of one image, uint8 (H, W), and {name: image} of all its variants."""
    region = lung_region(image_u8)
    return region, {name: variant.make(image_u8, region) for name, variant in VARIANTS.items()}
