"""Where are the lungs, and is a whole, upright chest in the image? A small network tells both.

`training.lungs` trains it; its folder holds its card.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Literal

import cv2
import numpy as np
import onnxruntime

from cxr_core.config import LUNG_MODEL_DIR
from cxr_core.imaging.display import resize_area
from cxr_core.system.arrays import BoolArray, FloatArray, ImageArray, UInt8Array
from cxr_core.system.files import read_json
from cxr_core.system.onnx_session import open_session, run_scaled

# Left, top, right and bottom in pixels; right and bottom are one past the last.
Box = tuple[int, int, int, int]
View = Literal["whole", "part", "turned", "negative", "several"]
# What an image shows of a chest, in the order of the network's outputs.
VIEWS: tuple[View, ...] = ("whole", "part", "turned", "negative", "several")
# What the network's masks hold, in the order of its outputs: the lung fields beside the heart's shadow, and the lungs
# with their parts behind it.
CONVENTIONS = ("fields", "behind heart")

# The box that stands for the lungs where none are found: left, top, right and bottom as shares of width and height. It
# holds the lungs of nearly every frontal radiograph.
FALLBACK_BOX = (0.1, 0.08, 0.9, 0.82)

# Sides of what the network takes in, and of the masks that it gives.
NETWORK_SIDE, MASK_SIDE = 192, 96
_STRETCHED_FROM, _STRETCHED_TO = 0.5, 99.5
_LEAST_PART, _LEAST_LUNG, _LEAST_HEIGHT = 0.005, 0.012, 0.2
_LEAST_OF_OTHER = 0.12
# Of the height of the lower lung, that stands beside the other one.
_LEAST_BESIDE = 0.5
_LEAST_CERTAINTY = 0.8


@dataclass(frozen=True)
class LungRegion:
    """Where the lungs of one image lie.

    Attributes:
        mask: bool (H, W), the lung fields; the whole fallback box if none were found.
        whole: bool (H, W), the lungs with their parts behind the heart; likewise.
        box: around the mask.
        found: False if the mask is the fallback box.
        reason: why no lungs were found, in a sentence; else "".
    """

    mask: BoolArray
    whole: BoolArray
    box: Box
    found: bool
    reason: str


@dataclass(frozen=True)
class ChestView:
    """What the lung network tells of one image.

    Attributes:
        shape: (H, W) of the image.
        cells: float32 (MASK_SIDE, MASK_SIDE, 2), the probability that each cell is lung, by `CONVENTIONS`.
        likeliest: one of `VIEWS`.
        whole: log odds of a whole, upright radiograph of one chest.
    """

    shape: tuple[int, int]
    # Arrays are not compared: what they are equal to has no truth value.
    cells: FloatArray = field(compare=False)
    likeliest: View
    whole: float

    @cached_property
    def lungs(self) -> LungRegion:
        """Where the lungs are, at the image's size."""
        return _region(self.cells, self.shape)

    def at(self, shape: tuple[int, ...]) -> "ChestView":
        """Return the same for a copy of the image of another size, (H, W, ...)."""
        return replace(self, shape=(shape[0], shape[1]))

    @property
    def aspect(self) -> float | None:
        """Width / height of the box around both lungs, in pixels; None where no lungs were found."""
        parts = _large_parts(self.cells[..., 0] > 0.5)
        if _not_lungs(parts, self.cells[..., 0]):
            return None
        left, top, right, bottom = _box(parts)
        height, width = self.shape
        return (right - left) * width / ((bottom - top) * height)


@dataclass(frozen=True)
class ViewLimits:
    """Which images are not whole chests, as the lung network's card tells.

    Attributes:
        whole: least log odds.
        aspect: least and greatest width / height of the box around the lungs.
    """

    whole: float
    aspect: tuple[float, float]


def lung_region(image_u8: UInt8Array) -> LungRegion:
    """Find the lungs in a frontal chest radiograph; see `look_at_chest`."""
    return look_at_chest(image_u8).lungs


def look_at_chest(image: ImageArray) -> ChestView:
    """Find the lungs, and tell whether the image shows one whole, upright chest.

    The network sees a copy of 192 × 192 pixels whose greys are stretched from the 0.5th to the 99.5th percentile, so
    that neither size nor exposure matters. The same image gives the same answer.

    Args:
        image: uint8 or uint16, (H, W) with white bones or (H, W, 3) BGR; not changed.

    Returns:
        Lungs count as not found if the network sees none on one side, only pieces, or is not sure of what it sees.

    Raises:
        ValueError: the image has another shape or type.
    """
    if image.ndim not in (2, 3) or image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"image must be uint8 or uint16, (H, W) or (H, W, 3); received {image.dtype} {image.shape}.")
    session, _ = _network()
    small = network_input(squared(image, NETWORK_SIDE))
    lungs, views = run_scaled(session, ["lungs", "views"], small[None])
    height, width = image.shape[:2]
    return ChestView((height, width), lungs[0], VIEWS[int(views[0].argmax())], whole_log_odds(views)[0])


def view_limits() -> ViewLimits:
    """Return the limits that were set when the network was trained."""
    return _network()[1]


def squared(image: ImageArray, side: int) -> UInt8Array:
    """Return a decoded image as uint8 (side, side), grey, whatever its aspect.

    Args:
        image: uint8 or uint16, (H, W) or (H, W, 3) BGR.
        side: in pixels.
    """
    small = resize_area(image, (side, side))
    grey = small if small.ndim == 2 else cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    if grey.dtype == np.uint8:
        return grey.astype(np.uint8, copy=False)
    return np.round(grey / max(1, int(grey.max())) * 255).astype(np.uint8)


def network_input(grey_u8: UInt8Array) -> FloatArray:
    """Return float32 (S, S, 1) in [-1, 1] for a grey image, uint8 (S, S), its greys stretched."""
    low, high = np.percentile(grey_u8, (_STRETCHED_FROM, _STRETCHED_TO))
    stretched = (grey_u8.astype(np.float32) - np.float32(low)) / np.float32(max(high - low, 1.0))
    return np.clip(stretched * 2 - 1, -1, 1)[..., None]


def draw_outline(image_u8: UInt8Array, region: LungRegion) -> UInt8Array:
    """Draw a region's outline over its image: a solid line around the lungs, or a dashed box if none were found.

    Args:
        image_u8: uint8 (H, W) or (H, W, 3) RGB; not changed.
        region: of the same image.

    Returns:
        uint8 (H, W, 3) RGB.
    """
    image = cv2.cvtColor(image_u8, cv2.COLOR_GRAY2RGB) if image_u8.ndim == 2 else image_u8.copy()
    outlines, _ = cv2.findContours(region.mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    width = max(1, min(image_u8.shape[:2]) // 110)
    if region.found:
        cv2.drawContours(image, outlines, -1, (86, 180, 233), width, cv2.LINE_AA)
        return image
    for outline in outlines:
        points = outline[:, 0]
        for start in range(0, len(points), 12):
            cv2.polylines(image, [points[start : start + 7]], False, (230, 159, 0), width, cv2.LINE_AA)
    return image


def whole_log_odds(views: FloatArray) -> list[float]:
    """Return the log odds of "whole" against all other views for logits, float32 (N, V)."""
    return [float(row[0] - np.logaddexp.reduce(row[1:])) for row in views.astype(np.float64)]


@lru_cache(maxsize=1)
def _network() -> tuple[onnxruntime.InferenceSession, ViewLimits]:
    """Open the network and its limits, once per process."""
    limits = read_json(LUNG_MODEL_DIR / "card.json")["limits"]
    low, high = limits["aspect"]
    return open_session(LUNG_MODEL_DIR / "model.onnx"), ViewLimits(float(limits["whole"]), (float(low), float(high)))


def _region(lungs: FloatArray, shape: tuple[int, int]) -> LungRegion:
    """Return the region of an image (H, W) from the network's probabilities, float32 (MASK_SIDE, MASK_SIDE, 2)."""
    parts = _large_parts(lungs[..., 0] > 0.5)
    reason = _not_lungs(parts, lungs[..., 0])
    if reason:
        return _fallback(shape, reason)
    height, width = shape
    kept = np.stack([parts, _large_parts(lungs[..., 1] > 0.5) | parts], axis=-1)
    # Outside the parts that count nothing is left; their own edges stay soft, so that they fall between the cells.
    soft = np.where(cv2.dilate(kept.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0, lungs, 0)
    masks = cv2.resize(soft.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
    mask = masks[..., 0]
    return LungRegion(mask, mask | masks[..., 1], _box(mask), True, "")


def _large_parts(mask: BoolArray) -> BoolArray:
    """Return the connected parts of a mask that are no specks."""
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    large = boxes[:, cv2.CC_STAT_AREA] >= _LEAST_PART * mask.size
    large[0] = False
    return large[labels] if count > 1 else np.zeros_like(mask)


def _not_lungs(parts: BoolArray, certainty: FloatArray) -> str:
    """Return why a mask cannot be two lungs, or ""."""
    if not parts.any():
        return "Nothing in the image looks like lungs."
    _, _, boxes, _ = cv2.connectedComponentsWithStats(parts.astype(np.uint8), connectivity=4)
    largest = 1 + np.argsort(-boxes[1:, cv2.CC_STAT_AREA])[:2]
    first, *others = (boxes[i] for i in largest)
    if not others or others[0][cv2.CC_STAT_AREA] < max(_LEAST_LUNG * parts.size, _LEAST_OF_OTHER * first[-1]):
        return "Only one lung can be made out."
    tops, heights = boxes[largest, cv2.CC_STAT_TOP], boxes[largest, cv2.CC_STAT_HEIGHT]
    if min(tops + heights) - max(tops) < _LEAST_BESIDE * min(heights):
        return "The lungs are not beside each other."
    if max(heights) < _LEAST_HEIGHT * MASK_SIDE:
        return "The lungs are not wholly in the image."
    if float(certainty[parts].mean()) < _LEAST_CERTAINTY:
        return "The edges of the lungs cannot be made out."
    return ""


def _fallback(shape: tuple[int, int], reason: str) -> LungRegion:
    """Return the fallback box of an image's shape (H, W) as a region."""
    height, width = shape
    left, right = (round(share * width) for share in FALLBACK_BOX[::2])
    top, bottom = (round(share * height) for share in FALLBACK_BOX[1::2])
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    return LungRegion(mask, mask, (left, top, right, bottom), False, reason)


def _box(mask: BoolArray) -> Box:
    """Return the smallest box around a mask."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return x, y, x + width, y + height
