"""How much does each training image count?"""

import numpy as np
import pandas as pd

from cxr_core.system.arrays import FloatArray, IntArray


def class_weights(targets: IntArray) -> dict[int, float]:
    """Weigh each class that occurs by the inverse of its frequency; 1 on average over the images."""
    classes, counts = np.unique(targets, return_counts=True)
    return {int(i): len(targets) / (len(classes) * n) for i, n in zip(classes, counts, strict=True)}


def source_weights(class_names: pd.Series, sources: pd.Series, *, balanced_classes: bool) -> FloatArray:
    """Weigh images so that no large source speaks for its class alone.

    Within a class, the images of a source count together like the root of their number, so that many small sources
    weigh more against a large one than they have images, but a handful of images not as much as a hospital. The classes
    count in the same way among each other, or alike.

    Args:
        class_names: of the N training images.
        sources: of the same images; see `sources.image_sources`.
        balanced_classes: whether all classes count alike; else each like the root of the number of its images.

    Returns:
        float32 (N,), 1 on average.
    """
    own = class_names.groupby([class_names, sources]).transform("size")
    weights = own**-0.5
    total = class_names.map(weights.groupby(class_names).sum())
    wanted = 1.0 if balanced_classes else class_names.map(class_names.value_counts()) ** 0.5
    weights = weights / total * wanted
    return (weights / weights.mean()).to_numpy(np.float32)
