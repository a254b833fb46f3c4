"""How far does an image lie from the other images of its class?"""

from collections.abc import Sequence

import numpy as np
from sklearn.decomposition import PCA

from cxr_core.system.arrays import FloatArray, IntArray

_COMPONENTS = 20
_SMALLEST_CLASS = 40
_LARGEST_FIT = 2_000
_BLOCK = 8_192


def chest_distance(features: FloatArray, classes: Sequence[str]) -> FloatArray:
    """Say how far each image lies from its class, in robust standard deviations.

    The square roots of a class's features are split into two halves (every second image).
    Each half is described by its mean and 20 principal components; the distance of an image is
    what the other half's components leave unexplained, so an outlier never helps to describe itself.
    The logarithms of the distances are centred on the class's median and divided by its median
    absolute deviation × 1.4826.

    Measured with the built-in classifier's features: 16 images that show no chest (photos, crops
    of them, a CT and an MR slice, a page, noise, drawings) and nine thresholded chests, put one by
    one into each of six collections, all lie beyond 4.3; of the 2,523 radiographs 99 % lie below
    3.1. Distances to the class's median, or within the components, do not tell them apart. Outliers
    that resemble each other are missed where they are many: of the 16 at once, one or
    two among 500 and seven among 107. A CT scout or half a radiograph looks too much like a chest.

    Args:
        features: float (N, F), at least 0; a row that begins with a NaN gives NaN.
        classes: the N class names. A class of fewer than 40 images gives NaN.

    Returns:
        float64 (N,).
    """
    names, distances = np.asarray(classes, object), np.full(len(classes), np.nan)
    for name in dict.fromkeys(classes):
        rows = np.flatnonzero(names == name)
        rows = rows[np.isfinite(features[rows, 0])]
        if len(rows) >= _SMALLEST_CLASS:
            own = np.empty(len(rows))
            own[::2] = _unexplained(features, rows[1::2], rows[::2])
            own[1::2] = _unexplained(features, rows[::2], rows[1::2])
            distances[rows] = _robust_score(np.log(own + 1e-6))
    return distances


def _unexplained(features: FloatArray, described: IntArray, measured: IntArray) -> FloatArray:
    """Fit on the rows `described` (at most 2,000 of them, evenly spaced), and return the residual of `measured`."""
    fitted = described[np.linspace(0, len(described) - 1, min(len(described), _LARGEST_FIT)).astype(int)]
    components = min(_COMPONENTS, len(fitted) // 4)
    with np.errstate(invalid="ignore"):  # images that are all the same have no variance to share out
        model = PCA(components, svd_solver="randomized", random_state=0).fit(_roots(features, fitted))
    parts = []
    for block in _blocks(measured):
        centred = _roots(features, block) - model.mean_
        # Pythagoras: what the components explain, taken from the whole.
        explained = ((centred @ model.components_.T) ** 2).sum(axis=1)
        parts.append(np.sqrt(np.maximum((centred**2).sum(axis=1) - explained, 0)))
    return np.concatenate(parts)


def _roots(features: FloatArray, rows: IntArray) -> FloatArray:
    return np.sqrt(np.maximum(np.asarray(features[rows], np.float32), 0))


def _blocks(rows: IntArray) -> list[IntArray]:
    return [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]


def _robust_score(values: FloatArray) -> FloatArray:
    """Centre on the median and divide by the median absolute deviation, scaled to a standard deviation."""
    centred = values - np.median(values)
    spread = 1.4826 * np.median(np.abs(centred))
    return centred / spread if spread > 1e-6 else np.zeros_like(centred)
