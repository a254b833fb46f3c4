"""Does the confidence mean what it says, and which temperature corrects it?"""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from cxr_core.inference.temperature_scaling import logits_of
from cxr_core.system.arrays import BoolArray, FloatArray, IntArray

BINS = 15
_TEMPERATURES = (0.1, 10.0)


def reliability_bins(right: npt.ArrayLike, confidence: npt.ArrayLike, bins: int = BINS) -> pd.DataFrame:
    """Compare the confidence with the accuracy in bins of equal width: the table of a reliability diagram.

    Args:
        right: bool (N,), whether each prediction was right.
        confidence: float (N,) in [0, 1], the highest probability.
        bins: at least 1.

    Returns:
        One row per bin that has images: `low` and `high` (its ends), `images`, `confidence` (their mean) and
        `accuracy`. A bin includes its upper end; the first also includes 0.
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


def bin_numbers(confidence: npt.ArrayLike, bins: int = BINS) -> IntArray:
    """Return int (N,), the bin of `reliability_bins` that each confidence falls into, counted from 0."""
    return np.clip(np.ceil(np.asarray(confidence, float) * bins).astype(int) - 1, 0, bins - 1)


def in_confidence_bin(confidence: npt.ArrayLike, low: float, high: float, bins: int = BINS) -> BoolArray:
    """Return bool (N,): which confidences fall into the bin of `reliability_bins` with these ends."""
    return bin_numbers(confidence, bins) == bin_numbers([(low + high) / 2], bins)[0]


def calibration_error(right: npt.ArrayLike, confidence: npt.ArrayLike, bins: int = BINS) -> float:
    """Return the expected calibration error in [0, 1]: the gaps of `reliability_bins`, weighted by their images.

    Source:
        Guo et al. 2017, arXiv:1706.04599, equation 3.
    """
    table = reliability_bins(right, confidence, bins)
    return float((table["images"] * (table["confidence"] - table["accuracy"]).abs()).sum() / table["images"].sum())


def fit_temperature(probabilities: FloatArray, targets: IntArray) -> float:
    """Fit the temperature with the highest likelihood on images that the classifier was not trained on.

    Args:
        probabilities: float (N, C).
        targets: int (N,), the true classes.

    Returns:
        Temperature in [0.1, 10]; above 1 the classifier was overconfident. 1 where there are no images.

    Source:
        Guo et al. 2017, arXiv:1706.04599, section 4.2: one number divides all logits, chosen by the likelihood on
        the validation images. The predicted classes stay the same, only their confidence changes. As in Platt 1999,
        Probabilistic Outputs for Support Vector Machines, every image counts a little, 1 in n + 2, for the other
        classes, too: a few images that are all right would otherwise ask for certainty.
    """
    if not len(targets):
        return 1.0
    logits, rows = logits_of(probabilities), np.arange(len(targets))
    n_classes, doubt = logits.shape[1], 1 / (len(targets) + 2)
    shares = np.full(logits.shape, doubt / (n_classes - 1) if n_classes > 1 else 0.0)
    shares[rows, targets] = 1 - doubt

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float((shares * (logsumexp(scaled, axis=1, keepdims=True) - scaled)).sum(axis=1).mean())

    best = minimize_scalar(loss, bounds=tuple(np.log(_TEMPERATURES)), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(best.x))
