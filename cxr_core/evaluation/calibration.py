"""Whether a classifier's confidence means what it says, and one number that mends it."""

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from cxr_core.inference.temperature_scaling import logits_of

BINS = 15
_TEMPERATURES = (0.1, 10.0)


def reliability_bins(right, confidence, bins=BINS):
    """Compare confidence with how often it was right, in bins of equal width.

    Args:
        right: bool (N,).
        confidence: float (N,) in [0, 1], the highest probability.
        bins: int >= 1.

    Returns:
        DataFrame, one row per bin that has images: `low`, `high` (its ends), `images`, `confidence` (mean) and
        `accuracy` (share right). A bin holds its upper end, the first also 0.
    """
    right, confidence = np.asarray(right, bool), np.asarray(confidence, float)
    number = bin_numbers(confidence, bins)
    frame = pd.DataFrame({"bin": number, "right": right, "confidence": confidence})
    table = frame.groupby("bin").agg(
        images=("right", "size"), confidence=("confidence", "mean"), accuracy=("right", "mean")
    )
    table.insert(0, "low", table.index / bins)
    table.insert(1, "high", (table.index + 1) / bins)
    return table.reset_index(drop=True)


def bin_numbers(confidence, bins=BINS):
    """Return int (N,), which bin of `reliability_bins` each confidence falls into, from 0."""
    return np.clip(np.ceil(np.asarray(confidence, float) * bins).astype(int) - 1, 0, bins - 1)


def calibration_error(right, confidence, bins=BINS):
    """Return the expected calibration error, float in [0, 1]: the gap of `reliability_bins`, weighted by images.

    Source:
        Guo et al. 2017, arXiv:1706.04599, equation 3.
    """
    table = reliability_bins(right, confidence, bins)
    return float((table["images"] * (table["confidence"] - table["accuracy"]).abs()).sum() / table["images"].sum())


def fit_temperature(probabilities, targets):
    """Find the temperature that makes a classifier's probabilities likeliest on images it did not learn from.

    Args:
        probabilities: float (N, C).
        targets: int (N,), true classes.

    Returns:
        float in [0.1, 10]; above 1 it was too sure. 1 where there are no images.

    Source:
        Guo et al. 2017, arXiv:1706.04599, section 4.2: one number divides all logits, chosen by the
        likelihood on validation. The answers stay, only their confidence changes. As in Platt 1999, Probabilistic
        Outputs for Support Vector Machines, every image counts a little, 1 in n + 2, for the other classes, too: a few
        images that are all right would otherwise ask for certainty.
    """
    if not len(targets):
        return 1.0
    logits, rows = logits_of(probabilities), np.arange(len(targets))
    n_classes, doubt = logits.shape[1], 1 / (len(targets) + 2)
    shares = np.full(logits.shape, doubt / (n_classes - 1) if n_classes > 1 else 0.0)
    shares[rows, targets] = 1 - doubt

    def loss(log_temperature):
        scaled = logits / np.exp(log_temperature)
        return float((shares * (logsumexp(scaled, axis=1, keepdims=True) - scaled)).sum(axis=1).mean())

    best = minimize_scalar(loss, bounds=tuple(np.log(_TEMPERATURES)), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(best.x))
