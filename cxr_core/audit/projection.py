"""Where does each image stand on a two-dimensional map, so that similar images lie close together?"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from cxr_core.data.sampling import stratified_rows
from cxr_core.system.arrays import FloatArray, IntArray
from cxr_core.system.disk_cache import is_cached
from cxr_core.system.files import atomic_path

_COMPONENTS = 50
_PERPLEXITY = 20
# Measured on 2,277 radiographs: 1,000 steps keep no more of an image's ten nearest neighbours (35 %).
_STEPS = 500
_FEWEST_FOR_TSNE = 5


def project_embeddings(
    values: FloatArray,
    *,
    class_names: Sequence[str] | pd.Series | None = None,
    seed: int = 0,
    limit: int = 5000,
    cache_path: str | Path | None = None,
) -> tuple[IntArray, FloatArray]:
    """Lay out images by their embeddings: points close together look alike to the network; far apart says little.

    Args:
        values: float (N, F), such as `embeddings.Embeddings.values`.
        class_names: (N,); a sample is then drawn in proportion to class size.
        seed: of sample and layout.
        limit: above which that many rows are drawn.
        cache_path: ends in `.npz`. Opened where it exists, so its name must
            stand for the values, the seed and the limit.

    Returns:
        (rows, xy): int64 (n,), sorted positions in `values`; float32 (n, 2), finite. Fewer than
        five rows are laid out by their principal components; rows that are all equal lie at 0.

    Raises:
        ValueError: `class_names` and `values` differ in length.

    Source:
        PCA to 50 numbers, then t-SNE begun at the first two (van der Maaten & Hinton 2008, JMLR 9).
    """
    if class_names is not None and len(class_names) != len(values):
        raise ValueError(f"One class name per row is needed; received {len(class_names)} for {len(values)}.")
    if cache_path is not None and is_cached(cache_path):
        with np.load(cache_path) as saved:
            return saved["rows"], saved["xy"]
    names = np.zeros(len(values), int) if class_names is None else class_names
    rows = stratified_rows(names, limit, np.random.default_rng(seed))
    xy = _layout(np.asarray(values[rows], np.float32), seed)
    if cache_path is not None:
        with atomic_path(cache_path) as temporary:
            np.savez(temporary, rows=rows, xy=xy)
    return rows, xy


def _layout(values: FloatArray, seed: int) -> FloatArray:
    if len(values) == 0 or (values == values[0]).all():
        return np.zeros((len(values), 2), np.float32)
    components = PCA(min(_COMPONENTS, *values.shape), random_state=seed).fit_transform(values)
    # Few rows or features may give one component only.
    components = np.pad(components, ((0, 0), (0, max(0, 2 - components.shape[1]))))
    if len(values) < _FEWEST_FOR_TSNE:
        return components[:, :2].astype(np.float32)
    perplexity = min(_PERPLEXITY, (len(values) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, max_iter=_STEPS, init=_start(components), random_state=seed)
    xy: FloatArray = tsne.fit_transform(components).astype(np.float32)
    return xy


def _start(components: FloatArray) -> FloatArray:
    """Return the first two components, as small as t-SNE wants its start to be."""
    start = components[:, :2]
    return (1e-4 * start / start[:, 0].std()).astype(np.float32)


def nearest_points(xy: FloatArray, row: int, n: int) -> IntArray:
    """Return the n points of a map nearest to one of them, int (n,), that one first; all where there are fewer.

    Args:
        xy: float (M, 2), as `project_embeddings` returns it.
        row: position of the point.
        n: how many.
    """
    distances = np.linalg.norm(xy - xy[row], axis=1)
    # Another image may lie at the very same place.
    distances[row] = -1
    return np.argsort(distances, kind="stable")[:n]
