"""Which rows are drawn when all would take too long, and on which does a change show best?"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cxr_core.imaging.isolated_decoding import read_image
from cxr_core.imaging.reader import UnreadableImage
from cxr_core.system.arrays import ImageArray, IntArray


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


def most_changed_row(table: pd.DataFrame, change: Callable[[ImageArray], float], *, limit: int = 36) -> int:
    """Find the image on which a change shows best, among a few of each class.

    Args:
        table: N rows, at least one, with `path` and `class_name`.
        change: how much an image changes, in any unit.
        limit: about how many images are read.

    Returns:
        Its row position; 0 where none of these images can be read.
    """
    best, most = 0, -np.inf
    for row in stratified_rows(table["class_name"], limit, np.random.default_rng(0)).tolist():
        try:
            amount = change(read_image(table["path"].iloc[row]))
        except (UnreadableImage, OSError):
            continue
        if amount > most:
            best, most = row, amount
    return best
