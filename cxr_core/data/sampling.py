"""Draw fewer rows where a method would take too long on all of them."""

import numpy as np
import pandas as pd


def stratified_rows(class_names, limit, rng):
    """Draw row positions so that every class keeps its share.

    Args:
        class_names: sequence of str (N,).
        limit: int, about how many rows; each class keeps at least one, so many tiny classes may
            give a few more.
        rng: numpy.random.Generator.

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


def sample_rows(class_names, per_class, rng):
    """Draw row positions per class.

    Args:
        class_names: sequence of str (N,).
        per_class: int, how many of each class at most.
        rng: numpy.random.Generator.

    Returns:
        dict of class name to int array of positions.
    """
    names = np.asarray(class_names)
    rows = {name: np.flatnonzero(names == name) for name in pd.unique(names)}
    return {name: rng.choice(r, min(per_class, len(r)), replace=False) for name, r in rows.items()}
