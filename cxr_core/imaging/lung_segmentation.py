"""Where the lungs are: an estimate from grey values alone, which says so where it finds none."""

from dataclasses import dataclass

import cv2
import numpy as np

# Shares of width and height: left, top, right, bottom of the box where no lungs are found. Wide enough
# to hold the lungs of nearly every frontal radiograph.
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
# One lung each: about where it lies in a frontal radiograph that shows the chest and little else.
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
        mask: bool (H, W), both lungs as convex shapes; the whole fallback box where none were found.
        box: (left, top, right, bottom) in pixels, right and bottom one past the last, around the mask.
        found: bool, False where the mask is the fallback box.
        reason: str, why no lungs were found, in a sentence; else "".
    """

    mask: np.ndarray
    box: tuple
    found: bool
    reason: str


def lung_region(image_u8):
    """Estimate where the lungs lie in a frontal chest radiograph.

    On a copy of 64 × 64 pixels, equalised and freed of slow changes of brightness, the darkest parts
    are taken at seven levels and smoothed at two. On either side of the brightest column near the
    middle (the spine) each connected part becomes a convex shape. A shape is judged by its overlap with
    where a lung usually lies, times the share of it that is dark; the pair that is best so and most
    symmetric is taken. If that is poor, the black air beside the body is taken away and all is done
    once more. No weights, no chance: the same image gives the same answer.

    The shapes are convex and follow what is dark: a lung made white by disease loses its white part or is not
    found, the heart's shadow is cut coarsely, and the parts of the lungs behind heart and
    diaphragm are never in. It is an estimate for asking where a classifier looks, no segmentation.

    Args:
        image_u8: uint8 (H, W), grey, white bones, at least 32 pixels a side; not changed.

    Returns:
        LungRegion. Not found where a side has no dark shape of a lung's size, where the two stand at
        different heights or differ in shape, or where they lie away from where lungs usually are.

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
    if reason:
        return _fallback(image_u8.shape, reason)
    height, width = image_u8.shape
    lungs = cv2.resize((pair[0] | pair[1]) * 255, (width, height), interpolation=cv2.INTER_LINEAR)
    mask = lungs > 127
    return LungRegion(mask, _box(mask), True, "")


def draw_outline(image_u8, region):
    """Draw a region's outline over its image: a solid line around found lungs, a dashed box where none were.

    Args:
        image_u8: uint8 (H, W); not changed.
        region: LungRegion of that image.

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


def _midline(smooth):
    """Return the column of the spine: the brightest near the middle at lung height."""
    profile = smooth[_SIDE // 5 : 3 * _SIDE // 4].mean(axis=0)
    profile = cv2.GaussianBlur(profile[None], (0, 0), 1.5)[0]
    first, last = int(0.38 * _SIDE), int(0.62 * _SIDE)
    return first + int(profile[first:last].argmax())


def _air(small):
    """Return bool (side, side): black that reaches the left or right edge, and what is next to it."""
    black = (cv2.GaussianBlur(small, (3, 3), 0) < _AIR_LEVEL).astype(np.uint8)
    _, labels = cv2.connectedComponents(black, connectivity=4)
    edge = np.unique(labels[:, [0, -1]])
    outside = np.isin(labels, edge[edge > 0]).astype(np.uint8)
    return cv2.dilate(outside, np.ones((5, 5), np.uint8)) > 0


def _lung_shapes(level, middle):
    """Return for left and right a list of (shape uint8 (side, side), fit in [0, 1])."""
    found = ([], [])
    for limit in np.quantile(level[5:-5, 5:-5], _DARKEST_SHARES):
        dark = (level < limit).astype(np.uint8)
        dark[:, middle - 1 : middle + 1] = 0
        for kernel in _KERNELS:
            opened = cv2.morphologyEx(dark, cv2.MORPH_OPEN, kernel)
            count, labels, boxes, centres = cv2.connectedComponentsWithStats(opened, connectivity=4)
            for i in range(1, count):
                x, y, width, height, area = boxes[i]
                if not _LEAST_AREA <= area / level.size <= _MOST_AREA or height < _LEAST_HEIGHT * _SIDE:
                    continue
                part = (labels[y : y + height, x : x + width] == i).view(np.uint8)
                hull = np.zeros(level.shape, np.uint8)
                cv2.fillConvexPoly(hull, cv2.convexHull(cv2.findNonZero(part)) + (x, y), 1)
                full = cv2.countNonZero(hull)
                on_rim = cv2.countNonZero(hull & _RIM)
                if full > _MOST_HULL * level.size or on_rim > _MOST_ON_RIM * full or cv2.countNonZero(hull & _CORNERS):
                    continue
                side = int(centres[i, 0] > middle)
                found[side].append((hull, _overlap(hull, _EXPECTED[side]) * area / full))
    return found


def _best_pair(shapes, middle):
    """Return ((left, right) or None, fit of the worse one, reason or "")."""
    left, right = (sorted(side, key=lambda s: -s[1])[:_KEPT] for side in shapes)
    if not left or not right:
        return None, 0.0, "No dark shape of a lung's size on one side of the spine."
    mirror = np.float32([[-1, 0, 2 * middle - 1], [0, 1, 0]])
    best, pair = -1.0, None
    for one, one_fit in left:
        mirrored = cv2.warpAffine(one, mirror, one.shape, flags=cv2.INTER_NEAREST)
        for other, other_fit in right:
            if not _level(one, other):
                continue
            symmetry = _overlap(mirrored, other)
            total = one_fit + other_fit + 0.5 * symmetry
            if total > best:
                best, pair = total, (one, other, min(one_fit, other_fit), symmetry)
    if pair is None:
        return None, 0.0, "The dark shapes left and right of the spine stand at different heights."
    *lungs, fit, symmetry = pair
    if fit < _LEAST_FIT:
        return lungs, fit, "The dark shapes do not lie where lungs do."
    if fit < _GOOD_FIT and any(cv2.countNonZero(lung & _RIM) for lung in lungs):
        return lungs, fit, "The dark shapes run into the edge of the image."
    if symmetry < _LEAST_SYMMETRY:
        return lungs, 0.0, "The dark shapes left and right of the spine differ too much."
    return lungs, fit, ""


def _level(one, other):
    (_, top, _, height), (_, other_top, _, other_height) = cv2.boundingRect(one), cv2.boundingRect(other)
    bottoms = top + height - other_top - other_height
    return abs(top - other_top) <= _TOPS_APART * _SIDE and abs(bottoms) <= _BOTTOMS_APART * _SIDE


def _overlap(a, b):
    """Return intersection over union of two uint8 masks."""
    return cv2.countNonZero(a & b) / cv2.countNonZero(a | b)


def _fallback(shape, reason):
    height, width = shape
    sides = (width, height, width, height)
    box = tuple(round(share * side) for share, side in zip(FALLBACK_BOX, sides, strict=True))
    mask = np.zeros(shape, bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return LungRegion(mask, box, False, reason)


def _box(mask):
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return x, y, x + width, y + height
