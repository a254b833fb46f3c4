"""What the classes look like on average: mean images, grey histograms, samples and thumbnails."""

import numpy as np
import pandas as pd


def mean_images(images_u8, class_names):
    """Average the prepared images of each class.

    Args:
        images_u8: uint8 (N, size, size).
        class_names: sequence of str (N,).

    Returns:
        dict of class name to uint8 (size, size).
    """
    names = np.asarray(class_names)
    return {
        name: np.mean([images_u8[i] for i in np.flatnonzero(names == name)], axis=0).round().astype(np.uint8)
        for name in pd.unique(names)
    }


def grey_histograms(images_u8, class_names):
    """Count grey values per class.

    Args: as `mean_images`.

    Returns:
        DataFrame (256 rows, one column per class): share of pixels with that grey value.
    """
    names = np.asarray(class_names)
    shares = {}
    for name in pd.unique(names):
        counts = sum(np.bincount(images_u8[i].ravel(), minlength=256) for i in np.flatnonzero(names == name))
        shares[name] = counts / counts.sum()
    return pd.DataFrame(shares)
