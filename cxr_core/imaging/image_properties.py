"""How bright, sharp, framed, coloured or lettered is this image?"""

import cv2
import numpy as np

from cxr_core.imaging.display import shrink
from cxr_core.imaging.grey_range import grey_u8
from cxr_core.system.arrays import BoolArray, FloatArray, ImageArray, UInt8Array

HISTOGRAM_BINS = 32
HISTOGRAM_COLUMNS = tuple(f"hist_{i:02d}" for i in range(HISTOGRAM_BINS))
PIXEL_COLUMNS = (
    "grey_mean", "grey_std", "content_mean", "content_std", "two_valued", "sharpness", "colour",
    "black_frame", "white_frame", "inverted", "midline", "text", *HISTOGRAM_COLUMNS,
)  # fmt: skip

# Thresholds shared by a data set's quality flags and the input gate; see `quality_flags.flag_images`.
INVERTED_SCORE = 0.15
COLOUR_SHARE = 0.005
TEXT_MARKS = 3

_SIDE = 512
_SHARPNESS_SIDE = 224
_BLACK, _WHITE = 16, 245
_COLOURED = 20
_BRIGHTER, _DARKER = 1, 2

# The left half of a frontal radiograph of 8 × 8 pixels; the right half is its mirror image. It is the standardised mean
# of 2,523 images from six collections of equal weight. Lungs and background are dark.
_HALF_CHEST = (
    (-1.8, -1.3, -0.8, 0.3), (-0.7, -0.2, -0.5, 0.1), (-0.5, -0.1, -1.1, 0.2), (-0.6, -0.2, -1.0, 0.7),
    (-0.7, -0.3, -0.4, 1.2), (-0.9, -0.2, 0.3, 1.5), (-1.0, 0.5, 1.3, 1.9), (-1.0, 1.2, 1.9, 2.2),
)  # fmt: skip


def measure_image(pixels: ImageArray, *, with_text: bool = True) -> dict[str, float]:
    """Measure one image, on a copy whose longest side has at most 512 pixels.

    The measures are:

    - `grey_mean`, `grey_std`: of all grey values, in [0, 1].
    - `content_mean`, `content_std`: the same without the black and white frame.
    - `two_valued`: share of pixels in the lowest or highest tenth of the image's own grey range (1st to 99th
      percentile); 1 for a thresholded copy, 0 for a flat image.
    - `sharpness`: ratio of fine to coarser detail at a common size (longest side 224): mean absolute difference
      between the image and its Gaussian blur of 1 pixel, divided by that between blurs of 1 and 3 pixels. It
      does not depend on contrast and original size. 0 for a flat image.
    - `colour`: share of pixels whose channels differ by more than 20 of 255.
    - `black_frame`, `white_frame`: share of the area in rows and columns at the edges that are black (at most 16
      of 255) or white (at least 245) in 97 % of their pixels.
    - `inverted`: in [-1, 1], minus the correlation with a coarse frontal chest.
    - `midline`: how much brighter the middle is than its left and its right at lung height, in standard
      deviations of the image; low where no spine lies between two lungs.
    - `text`: number of sharp, letter-sized marks in rows of three or more, plus three for each lone,
      near-saturated mark inside the body, such as an arrow. A side marker alone gives 0.
    - `hist_00` … `hist_31`: histogram of the grey values, sum 1.

    Args:
        pixels: uint8 or uint16, (H, W) or (H, W, 3) BGR; not changed. 16 bits as in `grey_range.full_range`.
        with_text: False leaves out `text`, which takes three quarters of the time.

    Returns:
        Every measure by its name in `PIXEL_COLUMNS`.
    """
    image_u8 = grey_u8(pixels)
    image = shrink(image_u8, _SIDE)
    grey = _grey(image)
    sampled = _grey(cv2.resize(image_u8, grey.shape[::-1], interpolation=cv2.INTER_NEAREST))
    histogram = _count_greys(sampled) / sampled.size
    mean, std = _moments(histogram)
    top, bottom, left, right, black, white = _frame_of(grey)
    content = _count_greys(grey[top:bottom, left:right])
    content_mean, content_std = _moments(content / content.sum())
    chest = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    bins = histogram.reshape(HISTOGRAM_BINS, -1).sum(axis=1)
    text = {"text": _text(grey)} if with_text else {}
    return {
        "grey_mean": mean, "grey_std": std, "content_mean": content_mean, "content_std": content_std,
        "two_valued": _two_valued(histogram), "sharpness": _sharpness(grey), "colour": _colour(image),
        "black_frame": black, "white_frame": white, "inverted": _inverted(chest), "midline": _midline(chest),
    } | text | dict(zip(HISTOGRAM_COLUMNS, bins, strict=True))  # fmt: skip


def _grey(image: UInt8Array) -> UInt8Array:
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def _scaled(image: UInt8Array, scale: float) -> tuple[int, int]:
    """Return width and height of a scaled image, at least one pixel each."""
    height, width = image.shape[:2]
    return max(1, round(width * scale)), max(1, round(height * scale))


def _count_greys(grey: UInt8Array) -> FloatArray:
    """Return the histogram of 256 grey values, float64 (256,)."""
    return cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel().astype(np.float64)


def _moments(histogram: FloatArray) -> tuple[float, float]:
    """Return mean and standard deviation in [0, 1] of a histogram that sums to 1."""
    values = np.arange(256) / 255
    mean = float(histogram @ values)
    return mean, float(np.sqrt(histogram @ (values - mean) ** 2))


def _two_valued(histogram: FloatArray) -> float:
    low, high = np.searchsorted(np.cumsum(histogram), (0.01, 0.99))
    if high - low < 10:
        return 0.0
    margin = (high - low) // 10
    return float(histogram[: low + margin + 1].sum() + histogram[high - margin :].sum())


def _sharpness(grey: UInt8Array) -> float:
    scale = _SHARPNESS_SIDE / max(grey.shape)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    image = cv2.resize(grey, _scaled(grey, scale), interpolation=interpolation).astype(np.float32)
    height, width = image.shape
    # Without the margin of the image, where frames and letters are.
    image = image[height // 10 : height - height // 10, width // 10 : width - width // 10]
    soft, softer = (cv2.GaussianBlur(image, (0, 0), sigma) for sigma in (1, 3))
    # A tenth of a grey value keeps the ratio of a flat image at 0.
    return float(np.abs(image - soft).mean() / (np.abs(soft - softer).mean() + 0.1))


def _colour(image: UInt8Array) -> float:
    if image.ndim == 2:
        return 0.0
    blue, green, red = cv2.split(image)
    spread = cv2.subtract(cv2.max(cv2.max(blue, green), red), cv2.min(cv2.min(blue, green), red))
    return float((spread > _COLOURED).mean())


def _frame_of(grey: UInt8Array) -> tuple[int, int, int, int, float, float]:
    """Return top, bottom, left and right of what lies inside the frame, and the frame's black and white share."""
    height, width = grey.shape
    inside, shares = [0, height, 0, width], []
    masks = cv2.inRange(grey, 0, _BLACK), cv2.inRange(grey, _WHITE, 255)
    for mask in masks:
        rows, columns = (cv2.reduce(mask, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel() / 255 for axis in (1, 0))
        edges = [*_edge(rows / width > 0.97), *_edge(columns / height > 0.97)]
        if edges[0] >= edges[1] or edges[2] >= edges[3]:  # all of it: nothing lies inside
            return 0, height, 0, width, *(float(cv2.countNonZero(m) / m.size > 0.97) for m in masks)
        shares.append(1 - (edges[1] - edges[0]) * (edges[3] - edges[2]) / grey.size)
        inside = [max(a, b) if i % 2 == 0 else min(a, b) for i, (a, b) in enumerate(zip(inside, edges, strict=True))]
    if inside[0] >= inside[1] or inside[2] >= inside[3]:
        inside = [0, height, 0, width]
    return *inside, *shares


def _edge(framed: BoolArray) -> tuple[int, int]:
    """Return the first line that does not belong to the frame, and one past the last."""
    free = np.flatnonzero(~framed)
    return (int(free[0]), int(free[-1]) + 1) if len(free) else (0, 0)


def _standardised(image: FloatArray) -> FloatArray:
    return (image - image.mean()) / (image.std() + 1e-3)


def _inverted(chest: FloatArray) -> float:
    half = np.array(_HALF_CHEST, np.float32)
    expected = _standardised(np.hstack([half, half[:, ::-1]]))
    image = _standardised(cv2.resize(chest, (8, 8), interpolation=cv2.INTER_AREA))
    return float(-(expected * image).mean())


def _midline(chest: FloatArray) -> float:
    profile = _standardised(chest)[8:22].mean(axis=0)
    middles = range(11, 21)
    return float(
        max(min(profile[x] - profile[x - 9 : x - 3].min(), profile[x] - profile[x + 4 : x + 10].min()) for x in middles)
    )


def _text(grey: UInt8Array) -> float:
    marks = np.vstack([_marks(grey, _BRIGHTER), _marks(cv2.bitwise_not(grey), _DARKER)])
    if not len(marks):
        return 0.0
    return float(_marks_in_rows(marks) + 3 * _lone_marks(marks, *grey.shape))


def _marks(grey: UInt8Array, tone: int) -> FloatArray:
    """Find small marks that are brighter than their surroundings, with a sharp edge.

    Returns:
        float (M, 8): x, y, width, height, mean grey inside, mean grey of a ring of two pixels around the mark, share of
        near-saturated pixels inside, `tone`.
    """
    hat = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, cv2.getStructuringElement(cv2.MORPH_RECT, (15, 15)))
    _, bright = cv2.threshold(hat, 50, 1, cv2.THRESH_BINARY)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(bright, connectivity=8, ltype=cv2.CV_16U)
    x, y, width, height, area = boxes.astype(np.int64).T
    filled = area / (width * height)
    sized = (height >= 5) & (height <= 48) & (width >= 2) & (width <= 60) & (area >= 8)
    sized &= (filled > 0.12) & (filled < 0.97)
    sized[0] = False
    if not sized.any():
        return np.empty((0, 8))
    square = np.ones((5, 5), np.uint8)
    near = np.flatnonzero(cv2.dilate(bright, square).view(bool))
    own, values = labels.ravel()[near], grey.ravel()[near]
    # Where two rings meet, the pixel belongs to the mark that was found last.
    ring = cv2.dilate(labels, square).ravel()[near]
    inside = own > 0
    inner = np.bincount(own[inside], values[inside], count) / np.maximum(area, 1)
    saturated = np.bincount(own[inside & (values >= _WHITE)], minlength=count) / np.maximum(area, 1)
    around = ring[~inside]
    outer = np.bincount(around, values[~inside], count) / np.maximum(np.bincount(around, minlength=count), 1)
    found = sized & (inner - outer > 40)
    columns = (x, y, width, height, inner, outer, saturated, np.full(count, tone))
    return np.column_stack(columns)[found]


def _marks_in_rows(marks: FloatArray) -> int:
    """Count the marks that stand beside others of their height and tone, in rows of at least three."""
    x, y, width, height, inner, outer, _, tone = marks[
        (marks[:, 4] - marks[:, 5] >= 60) & (marks[:, 2] <= 48) & (marks[:, 3] <= 40)
    ].T
    if len(x) < 3:
        return 0
    bottom, right = y + height, x + width
    lower, higher = np.minimum.outer(height, height), np.maximum.outer(height, height)
    overlap = np.minimum.outer(bottom, bottom) - np.maximum.outer(y, y)
    gap = np.maximum.outer(x, x) - np.minimum.outer(right, right)
    beside = (overlap >= 0.6 * lower) & (higher <= 1.6 * lower) & (gap >= -1) & (gap <= higher)
    beside &= np.abs(np.subtract.outer(bottom, bottom)) <= 0.3 * higher + 1
    beside &= np.equal.outer(tone, tone) & (np.abs(np.subtract.outer(inner, inner)) < 40)
    np.fill_diagonal(beside, False)
    # Imported late: only images with many marks need SciPy.
    from scipy.sparse.csgraph import connected_components

    _, row = connected_components(beside, directed=False)
    lengths = np.bincount(row)
    return int(lengths[lengths >= 3].sum())


def _lone_marks(marks: FloatArray, height: int, width: int) -> int:
    """Count near-saturated marks inside the body, where there is no side marker."""
    x, y, w, h, inner, outer, saturated, tone = marks.T
    # Rib ends of children are as bright as an arrow; nothing in a lung is as dark as one.
    contrast = np.where(tone == _DARKER, 90, 120)
    centre_x, centre_y = (x + w / 2) / width, (y + h / 2) / height
    inside = (centre_x > 0.15) & (centre_x < 0.85) & (centre_y > 0.2) & (centre_y < 0.95)
    shaped = (np.maximum(w, h) >= 8) & (np.minimum(w, h) >= 5)
    return int((inside & shaped & (saturated >= 0.4) & (inner - outer >= contrast)).sum())
