"""What does the mean image of a class look like, and which grey values has it?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cxr_core.system.arrays import UInt8Array


def mean_images(images_u8: UInt8Array, class_names: Sequence[str] | pd.Series) -> dict[str, UInt8Array]:
    """Average the prepared images of each class.

    Args:
        images_u8: uint8 (N, size, size).
        class_names: (N,).

    Returns:
        uint8 (size, size) of every class.
    """
    names = np.asarray(class_names)
    return {
        name: np.mean([images_u8[i] for i in np.flatnonzero(names == name)], axis=0).round().astype(np.uint8)
        for name in pd.unique(names)
    }


def grey_histograms(images_u8: UInt8Array, class_names: Sequence[str] | pd.Series) -> pd.DataFrame:
    """Count grey values per class.

    Args:
        images_u8: as for `mean_images`.
        class_names: as for `mean_images`.

    Returns:
        DataFrame (256 rows, one column per class): share of pixels with that grey value.
    """
    names = np.asarray(class_names)
    shares = {}
    for name in pd.unique(names):
        rows = np.flatnonzero(names == name)
        counts = np.sum([np.bincount(images_u8[i].ravel(), minlength=256) for i in rows], axis=0)
        shares[name] = counts / counts.sum()
    return pd.DataFrame(shares)
