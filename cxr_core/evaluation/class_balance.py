"""Which shift of the logits gives every class the same recall?"""

import numpy as np
from scipy.optimize import minimize

from cxr_core.system.arrays import FloatArray, IntArray

# How far from a decision boundary, in logits, an image still counts as partly right: smooths a small validation set.
_SOFTNESS = 0.5


def balancing_shifts(probabilities: FloatArray, targets: IntArray) -> FloatArray:
    """Find what to add to the logits so that every class is recognised equally well.

    Maximises the mean recall of the classes (balanced accuracy), in which each image counts by how clearly it is
    right or wrong.

    Args:
        probabilities: float (N, C), of images that the classifier was not trained on.
        targets: int (N,), the true classes; every class must occur.

    Returns:
        float64 (C,), the first one 0.

    Raises:
        ValueError: a class has no image.

    Source:
        Collell et al. 2018, doi:10.1016/j.neucom.2017.08.035 (moving the threshold to balance recalls).
    """
    targets = np.asarray(targets)
    n_classes = probabilities.shape[1]
    missing = sorted(set(range(n_classes)) - set(targets.tolist()))
    if missing:
        raise ValueError(f"Every class needs an image to balance on; class {missing[0]} has none.")
    logits = np.log(np.maximum(np.asarray(probabilities, float), 1e-12))

    def loss(free_shifts: FloatArray) -> float:
        return -_soft_recall(logits + np.concatenate([[0.0], free_shifts]), targets)

    best = minimize(loss, [0.0] * (n_classes - 1), method="Nelder-Mead")
    return np.concatenate([[0.0], best.x])


def _soft_recall(logits: FloatArray, targets: IntArray) -> float:
    rows = np.arange(len(targets))
    own, others = logits[rows, targets], logits.copy()
    others[rows, targets] = -np.inf
    right = 1 / (1 + np.exp((others.max(axis=1) - own) / _SOFTNESS))
    return float(np.mean([right[targets == k].mean() for k in range(logits.shape[1])]))
