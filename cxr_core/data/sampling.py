"""Which rows are drawn when all would take too long?"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cxr_core.system.arrays import IntArray


def stratified_rows(class_names: ArrayLike, limit: int, rng: np.random.Generator) -> IntArray:
    """Draw row positions in proportion to class size.

    Args:
        class_names: str (N,).
        limit: about how many rows; each class keeps at least one, so many tiny classes may
            give a few more.
        rng: of the drawing.

    Returns:
        int64 (n,), sorted; all rows where there are at most `limit`.
    """
    names = np.asarray(class_names, object)
    if len(names) <= limit:
        return np.arange(len(names))
    codes = pd.factorize(names)[0]
    counts = np.bincount(codes)
    wanted = np.maximum(1, limit * counts // len(names))
    drawn = [rng.choice(np.flatnonzero(codes == c), n, replace=False) for c, n in enumerate(wanted)]
    return np.sort(np.concatenate(drawn))


def sample_rows(class_names: ArrayLike, per_class: int, rng: np.random.Generator) -> dict[str, IntArray]:
    """Draw row positions per class.

    Args:
        class_names: str (N,).
        per_class: how many of each class at most.
        rng: of the drawing.

    Returns:
        Positions per class name.
    """
    names = np.asarray(class_names)
    rows = {name: np.flatnonzero(names == name) for name in pd.unique(names)}
    return {name: rng.choice(r, min(per_class, len(r)), replace=False) for name, r in rows.items()}
