"""Soften or sharpen probabilities by a temperature; apart from `calibration`, so that predicting stays light."""

import numpy as np

# Below this a probability counts as this: a float32 zero would have a logit of minus infinity.
_LEAST = 1e-7


def logits_of(probabilities):
    """Return float64 logits, up to a constant per row, of probabilities of any shape."""
    return np.log(np.maximum(np.asarray(probabilities, np.float64), _LEAST))


def apply_temperature(probabilities, temperature):
    """Divide the logits behind probabilities by a temperature; the answers stay, their confidence changes.

    Args:
        probabilities: float (N, C); not changed.
        temperature: float > 0; 1 changes nothing, more makes less sure.

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
