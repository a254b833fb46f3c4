"""How is a radiograph altered, with its mask, so that the lung network learns what a whole, upright chest is?

All functions take and return images and masks of one size, uint8 (S, S), masks being None where there are none.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from cxr_core.system.arrays import FloatArray, UInt8Array

Pair = tuple[UInt8Array, UInt8Array | None]


def alter(kind: str, images: Sequence[UInt8Array], mask: UInt8Array | None, rng: np.random.Generator) -> Pair:
    """Alter a radiograph in one of the ways of `lung_segmentation.VIEWS`.

    Args:
        kind: one of them.
        images: four radiographs, of which the first is altered; the others stand beside it in "several".
        mask: of the first.
        rng: chooses how.

    Returns:
        The altered image and its mask; None for "several", whose lungs are not of one chest.
    """
    if kind == "several":
        image, mask = _several(images, rng), None
    elif kind == "part":
        image, mask = _part(images[0], mask, rng)
    elif kind == "turned":
        image, mask = _turned(images[0], mask, rng)
    else:
        image, mask = _whole(images[0], mask, rng)
    image = _other_greys(image, rng)
    if rng.random() < 0.6:
        image = _with_marks(image, rng)
    return 255 - image if kind == "negative" else image, mask


def _each(change: Callable[[UInt8Array], UInt8Array], image: UInt8Array, mask: UInt8Array | None) -> Pair:
    return change(image), None if mask is None else change(mask)


def _moved(
    image: UInt8Array,
    mask: UInt8Array | None,
    rng: np.random.Generator,
    *,
    degrees: float,
    scale: tuple[float, float],
) -> Pair:
    """Rotate, scale, shift and stretch a little; what comes into view is reflected, black, white or grey."""
    side = len(image)
    aspect = np.exp(rng.normal(0, 0.08))
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), degrees, rng.uniform(*scale))
    stretch = np.array([[aspect, 0, (1 - aspect) * side / 2], [0, 1 / aspect, (1 - 1 / aspect) * side / 2], [0, 0, 1]])
    matrix = turn @ stretch
    matrix[:, 2] += rng.uniform(-0.04, 0.04, 2) * side
    reflect, fill = rng.random() < 0.35, _any_grey(rng)
    border = cv2.BORDER_REFLECT_101 if reflect else cv2.BORDER_CONSTANT
    image = cv2.warpAffine(image, matrix, (side, side), borderMode=border, borderValue=fill)
    mask = None if mask is None else cv2.warpAffine(mask, matrix, (side, side))
    return _each(np.fliplr, image, mask) if rng.random() < 0.5 else (image, mask)


def _whole(image: UInt8Array, mask: UInt8Array | None, rng: np.random.Generator) -> Pair:
    """Change what differs from one whole radiograph to the next, a margin around some of them included."""
    image, mask = _moved(image, mask, rng, degrees=rng.uniform(-8, 8), scale=(0.86, 1.08))
    if rng.random() < 0.75:
        return image, mask
    side = len(image)
    top, bottom, left, right = (int(rng.uniform(0, 0.12) * side) if rng.random() < 0.6 else 0 for _ in range(4))

    def framed(part: UInt8Array, fill: int) -> UInt8Array:
        wide = cv2.copyMakeBorder(part, top, bottom, left, right, cv2.BORDER_CONSTANT, value=fill)
        return cv2.resize(wide, (side, side), interpolation=cv2.INTER_AREA)

    return framed(image, _any_grey(rng)), None if mask is None else framed(mask, 0)


def _part(image: UInt8Array, mask: UInt8Array | None, rng: np.random.Generator) -> Pair:
    """Cut off half of the chest, cover half of it, or cut a piece out of it."""
    image, mask = _whole(image, mask, rng)
    side, way = len(image), rng.integers(5)
    if way == 0:
        kept = int(rng.uniform(0.42, 0.6) * side)
        halves = (np.s_[:, :kept], np.s_[:, side - kept :], np.s_[:kept], np.s_[side - kept :])
        half = halves[int(rng.integers(4))]
        image, mask = image.copy(), None if mask is None else mask.copy()
        image[half] = _any_grey(rng)
        if mask is not None:
            mask[half] = 0
        return image, mask
    if way == 1:
        width, height = int(rng.uniform(0.3, 0.6) * side), side
    elif way == 2:
        width, height = side, int(rng.uniform(0.3, 0.58) * side)
    elif way == 3:
        width, height = (int(share * side) for share in rng.uniform(0.22, 0.55, 2))
    else:  # about one lung
        width, height = int(rng.uniform(0.3, 0.5) * side), int(rng.uniform(0.5, 0.85) * side)
    left = int(rng.choice([0, side - width])) if way == 1 else int(rng.integers(0, side - width + 1))
    top = int(rng.choice([0, side - height])) if way == 2 else int(rng.integers(0, side - height + 1))
    piece = np.s_[top : top + height, left : left + width]
    return _each(lambda part: cv2.resize(part[piece], (side, side), interpolation=cv2.INTER_AREA), image, mask)


def _turned(image: UInt8Array, mask: UInt8Array | None, rng: np.random.Generator) -> Pair:
    """Turn by more than patients lean: upside down, on its side, or by 15 degrees and more."""
    way = rng.random()
    if way < 0.2:
        return _each(np.flipud if rng.random() < 0.5 else lambda part: np.rot90(part, 2), image, mask)
    if way < 0.4:
        image, mask = _whole(image, mask, rng)
        quarters = int(rng.choice([1, 3]))
        return _each(lambda part: np.rot90(part, quarters), image, mask)
    degrees = rng.uniform(15, 40) if rng.random() < 0.6 else rng.uniform(40, 165)
    return _moved(image, mask, rng, degrees=degrees * rng.choice([-1, 1]), scale=(0.68, 1.1))


def _several(images: Sequence[UInt8Array], rng: np.random.Generator) -> UInt8Array:
    """Put two or four radiographs beside each other, or one small into something else."""
    side, way = len(images[0]), rng.integers(4)
    if way == 0:
        return _beside(images[:2], side)
    if way == 1:
        return np.vstack([_beside(images[:2], side)[::2], _beside(images[2:4], side)[::2]])
    if way == 2:
        gap, first = int(rng.integers(2, side // 12)), rng.uniform(0.35, 0.65)
        height = int(rng.uniform(0.5, 1) * side)
        left = int(first * (side - gap))
        pair = np.full((height, side), rng.choice([0, 255]), np.uint8)
        pair[:, :left] = cv2.resize(images[0], (left, height), interpolation=cv2.INTER_AREA)
        right = side - gap - left
        pair[:, left + gap :] = cv2.resize(images[1], (right, height), interpolation=cv2.INTER_AREA)
        page = np.full((side, side), pair[0, left], np.uint8)
        page[(side - height) // 2 : (side - height) // 2 + height] = pair
        return page
    return _small_in_a_scene(images[0], rng)


def _beside(images: Sequence[UInt8Array], side: int) -> UInt8Array:
    return np.hstack([cv2.resize(one, (side // 2, side), interpolation=cv2.INTER_AREA) for one in images])


def _small_in_a_scene(image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """Place a radiograph, slightly in perspective, on a plain or uneven ground with or without lines of digits."""
    side = len(image)
    if rng.random() < 0.5:
        scene = np.full((side, side), int(rng.choice([250, 20, int(rng.integers(256))])), np.uint8)
    else:
        patches = rng.integers(0, 256, rng.integers(1, 8, 2)).astype(np.uint8)
        scene = cv2.resize(patches, (side, side), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.5:
        size, ink = rng.uniform(0.2, 0.4), int(rng.integers(256))
        for y in range(int(rng.integers(8, 20)), side, int(rng.integers(7, 16))):
            line = " ".join(map(str, rng.integers(0, 9_999, 12)))
            cv2.putText(scene, line, (int(rng.integers(0, 20)), y), 0, size, ink, 1, cv2.LINE_AA)
    share = rng.uniform(0.3, 0.68)
    width, height = (min(side - 2, int(side * share * rng.uniform(0.8, 1.15))) for _ in range(2))
    left, top = int(rng.integers(0, side - width)), int(rng.integers(0, side - height))
    corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    placed = corners * np.array([width / side, height / side]) + np.array([left, top])
    placed = (placed + rng.normal(0, 0.023 * side, (4, 2))).astype(np.float32)
    perspective = cv2.getPerspectiveTransform(corners, placed)
    return cv2.warpPerspective(image, perspective, (side, side), dst=scene, borderMode=cv2.BORDER_TRANSPARENT)


def _other_greys(image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """Change gamma, contrast and brightness, blur, add noise, or equalise."""
    values: FloatArray = image.astype(np.float32) / 255
    values = values ** np.exp(rng.normal(0, 0.3))
    values = (values - 0.5) * rng.uniform(0.55, 1.35) + 0.5 + rng.uniform(-0.12, 0.12)
    if rng.random() < 0.3:
        values = cv2.GaussianBlur(values, (0, 0), rng.uniform(0.4, 1.4))
    if rng.random() < 0.3:
        values = values + rng.normal(0, rng.uniform(0.01, 0.05), values.shape)
    changed = np.clip(values * 255, 0, 255).astype(np.uint8)
    return cv2.createCLAHE(rng.uniform(1, 4), (8, 8)).apply(changed) if rng.random() < 0.15 else changed


def _with_marks(image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """Write letters and draw boxes, as side markers, captions and covered names."""
    image, side = np.ascontiguousarray(image), len(image)
    for _ in range(rng.integers(0, 3)):
        most = int(0.9 * side)
        left, top = int(rng.integers(0, most)), int(rng.integers(0, most if rng.random() < 0.5 else 40))
        if rng.random() < 0.5:
            end = left + int(rng.integers(8, 45)), top + int(rng.integers(6, 28))
            cv2.rectangle(image, (left, top), end, _any_grey(rng), -1)
        else:
            words = str(rng.choice(["L", "R", "AP", "SUPINE", "PORTABLE", "SX", "12:40"]))
            font, size = int(rng.integers(0, 4)), rng.uniform(0.3, 0.9)
            cv2.putText(image, words, (left, top + 12), font, size, _any_grey(rng), 1, cv2.LINE_AA)
    return image


def _any_grey(rng: np.random.Generator) -> int:
    return int(rng.choice([0, 0, 0, 255, int(rng.integers(256))]))
