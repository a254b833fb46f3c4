"""How are figures and differences written?"""

from cxr_core.evaluation.confidence_intervals import Interval
from cxr_core.system import text

NOTHING = "–"


def percent(value: float | None, ends: Interval | None = None) -> str:
    """Write a proportion with its interval, such as "92.4 % (89.1 to 94.8)"; a dash where it is undefined."""
    if value is None:
        return NOTHING
    return text.percent(value) + (f" ({100 * ends[0]:.1f} to {100 * ends[1]:.1f})" if ends else "")


def whole_percent(value: float) -> str:
    """Write a proportion such as "62 %"."""
    return text.percent(value, 0)


def points(ours: float | None, claimed: float | None) -> str:
    """Write the difference of two proportions in percentage points, with its sign, such as "−1.1 points"."""
    if ours is None or claimed is None:
        return NOTHING
    return f"{signed(100 * (ours - claimed), 1)} points"


def signed(value: float, digits: int = 0) -> str:
    """Write a difference with its sign; one that rounds to zero has none."""
    rounded = round(value, digits)
    return f"{rounded:+,.{digits}f}".replace("-", "−") if rounded else f"{0:.{digits}f}"


def counted(n: int, noun: str) -> str:
    """Write a number of things, such as "1 epoch" or "1,234 images"."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def verdict(ours: float, ends: Interval | None, claimed: float) -> str:
    """Say whether a claimed proportion agrees with ours, as far as ours is known."""
    difference = f"{abs(100 * (ours - claimed)):.1f} percentage points {'lower' if ours < claimed else 'higher'}"
    if ends is None:
        return f"Ours is {difference}."
    if ends[0] <= claimed <= ends[1]:
        return f"Ours is {difference}, which these test images cannot tell from no difference."
    return f"Ours is {difference}, and the claim lies outside our 95 % interval."
