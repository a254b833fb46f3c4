"""Which further steps can prepare an image?

White balance, CLAHE and resizing are settings of Preprocessing itself, under the names that stored model cards have.
Whatever is added stands here, and comes after them.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cxr_core.system.arrays import UInt8Array


@dataclass(frozen=True, kw_only=True)
class PreprocessingStep:
    """One further step, which works on the prepared square, with one number for a setting.

    Attributes:
        label: what people call it.
        help: one sentence: what it does, and what the setting means.
        apply: from uint8 (size, size) and the setting to a new array of that shape and dtype. What is seen at a pixel
            must stay at that pixel, since maps are laid over the original image.
        low: the least setting.
        high: the greatest setting.
        off: the setting in [low, high] that leaves every image as it is; no model card stores it.
    """

    label: str
    help: str
    apply: Callable[[UInt8Array, float], UInt8Array]
    low: float
    high: float
    off: float


# A new step is one entry; docs/extending.md shows how.
PREPROCESSING_STEPS: dict[str, PreprocessingStep] = {}


def check_further_steps(further_steps: tuple[tuple[str, float], ...]) -> None:
    """Refuse steps that are not there, or settings outside their range.

    Raises:
        ValueError: the rule and the value are named.
    """
    names = [name for name, _ in further_steps]
    unknown = [name for name in names if name not in PREPROCESSING_STEPS]
    if unknown:
        known = ", ".join(PREPROCESSING_STEPS) or "none"
        raise ValueError(f"further_steps may name {known}; received {unknown[0]!r}.")
    if len(set(names)) < len(names):
        raise ValueError(f"further_steps may name each step once; received {', '.join(names)}.")
    for name, value in further_steps:
        step = PREPROCESSING_STEPS[name]
        if not step.low <= value <= step.high:
            raise ValueError(f"{name} must lie in [{step.low:g}, {step.high:g}]; received {value}.")


def apply_further_steps(square: UInt8Array, further_steps: tuple[tuple[str, float], ...]) -> UInt8Array:
    """Apply steps in their order to a prepared image, uint8 (size, size)."""
    for name, value in further_steps:
        square = PREPROCESSING_STEPS[name].apply(square, value)
    return square
