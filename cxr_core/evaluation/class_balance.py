"""Which shift of the logits makes the recalls equal."""

import numpy as np
from scipy.optimize import minimize

# How far from a line, in logits, an image still counts as partly right: smooths a small validation set.
_SOFTNESS = 0.5


def balancing_shifts(probabilities, targets):
    """Find what to add to the logits so that all classes are found equally well.

    The mean of the classes' recalls (balanced accuracy) is made as high as it gets, with every
    image counted by how clearly it is right or wrong.

    Args:
        probabilities: float (N, C), of images that training did not see.
        targets: int (N,), true classes; every class must be there.

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
    best = minimize(
        lambda free: -_soft_recall(logits + [0, *free], targets), np.zeros(n_classes - 1), method="Nelder-Mead"
    )
    return np.concatenate([[0.0], best.x])


def _soft_recall(logits, targets):
    rows = np.arange(len(targets))
    own, others = logits[rows, targets], logits.copy()
    others[rows, targets] = -np.inf
    right = 1 / (1 + np.exp((others.max(axis=1) - own) / _SOFTNESS))
    return np.mean([right[targets == k].mean() for k in range(logits.shape[1])])
