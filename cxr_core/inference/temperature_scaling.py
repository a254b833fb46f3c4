"""How does a temperature make probabilities more or less confident?

Fitting the temperature is in `evaluation.calibration`, so that predicting needs neither SciPy nor pandas.
"""

import numpy as np
import numpy.typing as npt

from cxr_core.system.arrays import FloatArray

# Smaller probabilities are raised to this: the logit of a float32 zero would be minus infinity.
_LEAST = 1e-7


def logits_of(probabilities: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return float64 logits, up to a constant per row, of probabilities of any shape."""
    return np.log(np.maximum(np.asarray(probabilities, np.float64), _LEAST))


def apply_temperature(probabilities: FloatArray, temperature: float) -> FloatArray:
    """Divide the logits behind probabilities by a temperature: the predicted classes stay, their confidence changes.

    Args:
        probabilities: float (N, C); not changed.
        temperature: above 0. 1 changes nothing, a higher one makes the classifier less confident.

    Returns:
        float (N, C) of the same dtype, rows summing to one.

    Raises:
        ValueError: the temperature is not above 0.

    Source:
        Guo et al. 2017, arXiv:1706.04599, section 4.2.
    """
    if not temperature > 0:
        raise ValueError(f"A temperature must be above 0; received {temperature}.")
    if temperature == 1:
        return probabilities
    scaled = logits_of(probabilities) / temperature
    scores = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return (scores / scores.sum(axis=1, keepdims=True)).astype(np.asarray(probabilities).dtype)
