"""Where are the lungs, as far as grey values tell?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cxr_core.system.arrays import BoolArray, FloatArray, UInt8Array

# A convex shape, uint8 (side, side), and how well it fits a lung, in [0, 1].
Shape = tuple[UInt8Array, float]
# Left, top, right and bottom in pixels; right and bottom are one past the last.
Box = tuple[int, int, int, int]

# The box that stands for the lungs where none are found: left, top, right and bottom as shares of width and height. It
# holds the lungs of nearly every frontal radiograph.
FALLBACK_BOX = (0.1, 0.08, 0.9, 0.82)

_SIDE = 64
_DARKEST_SHARES = (0.15, 0.22, 0.29, 0.36, 0.43, 0.5, 0.57)
_KERNELS = [cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)) for side in (3, 7)]
_LEAST_AREA, _MOST_AREA, _MOST_HULL = 0.02, 0.22, 0.25
_LEAST_HEIGHT = 0.2
_MOST_ON_RIM = 0.05
_GOOD_FIT, _LEAST_FIT, _LEAST_SYMMETRY = 0.3, 0.2, 0.3
_TOPS_APART, _BOTTOMS_APART = 0.16, 0.25
_AIR_LEVEL = 24
_KEPT = 5

_Y, _X = np.mgrid[0:_SIDE, 0:_SIDE]
# Where each lung is expected in a frontal radiograph that shows little more than the chest.
_EXPECTED = [
    (np.hypot(((_X + 0.5) / _SIDE - centre) / 0.18, ((_Y + 0.5) / _SIDE - 0.44) / 0.34) <= 1).astype(np.uint8)
    for centre in (0.28, 0.72)
]
_FROM_SIDES, _FROM_ENDS = np.minimum(_X, _SIDE - 1 - _X), np.minimum(_Y, _SIDE - 1 - _Y)
_RIM = (np.minimum(_FROM_SIDES, _FROM_ENDS) == 0).astype(np.uint8)
_CORNERS = (_FROM_SIDES + _FROM_ENDS < 0.12 * _SIDE).astype(np.uint8)


@dataclass(frozen=True)
class LungRegion:
    """Where the lungs of one image are estimated to lie.

    Attributes:
        mask: bool (H, W), both lungs as convex shapes; the whole fallback box if none were found.
        box: around the mask.
        found: False if the mask is the fallback box.
        reason: why no lungs were found, in a sentence; else "".
    """

    mask: BoolArray
    box: Box
    found: bool
    reason: str


def lung_region(image_u8: UInt8Array) -> LungRegion:
    """Estimate where the lungs lie in a frontal chest radiograph.

    A copy of 64 × 64 pixels is equalised and high-pass filtered; its darkest parts are taken at seven thresholds and
    smoothed at two scales. On either side of the spine, the brightest column near the middle, each connected part
    becomes a convex shape. The fit of a shape is its overlap with the expected lung, times its dark share. The pair
    with the best fit and symmetry is taken; if it fits poorly, the search is repeated without the black air beside the
    body. Nothing is learned or random: the same image gives the same answer.

    This is an estimate for asking where a classifier looks, not a segmentation. The shapes are convex and follow what
    is dark: a lung that disease has made white loses its white part or is not found, the heart's shadow is cut
    coarsely, and the parts of the lungs behind heart and diaphragm are never included.

    Args:
        image_u8: uint8 (H, W), grey with white bones, at least 32 pixels a side; not changed.

    Returns:
        The region. Lungs count as not found if one side has no dark shape of a lung's size, if the two shapes lie at
        different heights or differ in shape, or if they lie away from the expected place.

    Raises:
        ValueError: the image is not grey, not uint8 or smaller than 32 pixels.
    """
    if image_u8.ndim != 2 or image_u8.dtype != np.uint8 or min(image_u8.shape) < 32:
        raise ValueError(
            f"image_u8 must be uint8 (H, W) of at least 32 pixels a side; received {image_u8.dtype} {image_u8.shape}."
        )
    small = cv2.resize(image_u8, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(cv2.equalizeHist(small).astype(np.float32), (0, 0), 1.2)
    level, middle = smooth - cv2.GaussianBlur(smooth, (0, 0), 12), _midline(smooth)
    shapes = _lung_shapes(level, middle)
    pair, fit, reason = _best_pair(shapes, middle)
    if fit < _GOOD_FIT:
        air = _air(small)
        if air.any():
            without_air = _lung_shapes(np.where(air, level.max(), level), middle)
            both = [a + b for a, b in zip(shapes, without_air, strict=True)]
            pair, fit, reason = _best_pair(both, middle)
    if pair is None or reason:
        return _fallback(image_u8.shape, reason)
    height, width = image_u8.shape
    lungs = cv2.resize((pair[0] | pair[1]) * 255, (width, height), interpolation=cv2.INTER_LINEAR)
    mask = lungs > 127
    return LungRegion(mask, _box(mask), True, "")


def draw_outline(image_u8: UInt8Array, region: LungRegion) -> UInt8Array:
    """Draw a region's outline over its image: a solid line around the lungs, or a dashed box if none were found.

    Args:
        image_u8: uint8 (H, W); not changed.
        region: of the same image.

    Returns:
        uint8 (H, W, 3) RGB.
    """
    image = cv2.cvtColor(image_u8, cv2.COLOR_GRAY2RGB)
    outlines, _ = cv2.findContours(region.mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    width = max(1, min(image_u8.shape) // 110)
    if region.found:
        cv2.drawContours(image, outlines, -1, (86, 180, 233), width, cv2.LINE_AA)
        return image
    for outline in outlines:
        points = outline[:, 0]
        for start in range(0, len(points), 12):
            cv2.polylines(image, [points[start : start + 7]], False, (230, 159, 0), width, cv2.LINE_AA)
    return image


def _midline(smooth: FloatArray) -> int:
    """Return the column of the spine: the brightest near the middle at lung height."""
    profile = smooth[_SIDE // 5 : 3 * _SIDE // 4].mean(axis=0)
    profile = cv2.GaussianBlur(profile[None], (0, 0), 1.5)[0]
    first, last = int(0.38 * _SIDE), int(0.62 * _SIDE)
    return first + int(profile[first:last].argmax())


def _air(small: UInt8Array) -> BoolArray:
    """Return bool (side, side): black areas that reach the left or right edge, with a margin."""
    black = (cv2.GaussianBlur(small, (3, 3), 0) < _AIR_LEVEL).astype(np.uint8)
    _, labels = cv2.connectedComponents(black, connectivity=4)
    edge = np.unique(labels[:, [0, -1]])
    outside = np.isin(labels, edge[edge > 0]).astype(np.uint8)
    return cv2.dilate(outside, np.ones((5, 5), np.uint8)) > 0


def _lung_shapes(level: FloatArray, middle: int) -> tuple[list[Shape], list[Shape]]:
    """Return the shapes left and right of the spine, at every threshold and scale."""
    found: tuple[list[Shape], list[Shape]] = ([], [])
    for limit in np.quantile(level[5:-5, 5:-5], _DARKEST_SHARES):
        dark = (level < limit).astype(np.uint8)
        dark[:, middle - 1 : middle + 1] = 0
        for kernel in _KERNELS:
            for side, shape in _shapes_of_a_lungs_size(cv2.morphologyEx(dark, cv2.MORPH_OPEN, kernel), middle):
                found[side].append(shape)
    return found


def _shapes_of_a_lungs_size(dark: UInt8Array, middle: int) -> Iterator[tuple[int, Shape]]:
    """Yield each connected part of a mask that may be a lung, as a shape with its side: 0 left, 1 right."""
    count, labels, boxes, centres = cv2.connectedComponentsWithStats(dark, connectivity=4)
    for i in range(1, count):
        x, y, width, height, area = boxes[i]
        if not _LEAST_AREA <= area / dark.size <= _MOST_AREA or height < _LEAST_HEIGHT * _SIDE:
            continue
        part = (labels[y : y + height, x : x + width] == i).view(np.uint8)
        hull = np.zeros(dark.shape, np.uint8)
        cv2.fillConvexPoly(hull, cv2.convexHull(cv2.findNonZero(part)) + (x, y), 1)
        full = cv2.countNonZero(hull)
        on_rim = cv2.countNonZero(hull & _RIM)
        if full > _MOST_HULL * dark.size or on_rim > _MOST_ON_RIM * full or cv2.countNonZero(hull & _CORNERS):
            continue
        side = int(centres[i, 0] > middle)
        yield side, (hull, _overlap(hull, _EXPECTED[side]) * area / full)


def _best_pair(shapes: Sequence[list[Shape]], middle: int) -> tuple[tuple[UInt8Array, UInt8Array] | None, float, str]:
    """Return the best pair of lungs or None, the fit of the worse of the two, and why it is refused or ""."""
    left, right = (sorted(side, key=lambda s: -s[1])[:_KEPT] for side in shapes)
    if not left or not right:
        return None, 0.0, "No dark shape of a lung's size on one side of the spine."
    mirror = np.array([[-1, 0, 2 * middle - 1], [0, 1, 0]], np.float32)
    best, pair = -1.0, None
    for one, one_fit in left:
        mirrored = cv2.warpAffine(one, mirror, one.shape, flags=cv2.INTER_NEAREST)
        for other, other_fit in right:
            if not _at_one_height(one, other):
                continue
            symmetry = _overlap(mirrored, other)
            total = one_fit + other_fit + 0.5 * symmetry
            if total > best:
                best, pair = total, ((one, other), min(one_fit, other_fit), symmetry)
    if pair is None:
        return None, 0.0, "The dark shapes left and right of the spine lie at different heights."
    lungs, fit, symmetry = pair
    if fit < _LEAST_FIT:
        return lungs, fit, "The dark shapes do not lie where lungs do."
    if fit < _GOOD_FIT and any(cv2.countNonZero(lung & _RIM) for lung in lungs):
        return lungs, fit, "The dark shapes run into the edge of the image."
    if symmetry < _LEAST_SYMMETRY:
        return lungs, 0.0, "The dark shapes left and right of the spine differ too much."
    return lungs, fit, ""


def _at_one_height(one: UInt8Array, other: UInt8Array) -> bool:
    """Return True if two shapes begin and end at about the same height."""
    (_, top, _, height), (_, other_top, _, other_height) = cv2.boundingRect(one), cv2.boundingRect(other)
    bottoms = top + height - other_top - other_height
    return abs(top - other_top) <= _TOPS_APART * _SIDE and abs(bottoms) <= _BOTTOMS_APART * _SIDE


def _overlap(a: UInt8Array, b: UInt8Array) -> float:
    """Return intersection over union of two uint8 masks."""
    return cv2.countNonZero(a & b) / cv2.countNonZero(a | b)


def _fallback(shape: tuple[int, int], reason: str) -> LungRegion:
    """Return the fallback box of an image's shape (H, W) as a region."""
    height, width = shape
    left, right = (round(share * width) for share in FALLBACK_BOX[::2])
    top, bottom = (round(share * height) for share in FALLBACK_BOX[1::2])
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    return LungRegion(mask, (left, top, right, bottom), False, reason)


def _box(mask: BoolArray) -> Box:
    """Return the smallest box around a mask."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return x, y, x + width, y + height
