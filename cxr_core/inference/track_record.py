"""How often the classifier was right when it was about this confident."""

import csv
from functools import lru_cache
from pathlib import Path

import numpy as np

# How wide a band of confidence may be asked for its record, and how few images are too few to tell.
_BANDS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
_FEW = 5


def load_track_record(folder):
    """Read how sure a classifier was of its own test images, and whether it was right.

    Args:
        folder: str or Path of a model folder.

    Returns:
        (confidence, right): float and bool arrays (N,); empty where nothing was kept.
    """
    path = Path(folder) / "predictions.csv"
    if not path.exists():
        return np.empty(0), np.empty(0, bool)
    return _record_in(path, path.stat().st_mtime_ns)


@lru_cache(8)
def _record_in(path, _mtime_ns):
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    return np.array([float(r["confidence"]) for r in rows]), np.array([r["right"] == "True" for r in rows], bool)


def confidence_sentence(confidence, record):
    """Say how often the classifier was right when it was about as sure as this.

    Args:
        confidence: float in [0, 1].
        record: as `load_track_record` returns it.

    Returns:
        str, one sentence; None where there is no record.
    """
    known, right = record
    if not len(known):
        return None
    low, high = next((a, b) for a, b in zip(_BANDS, _BANDS[1:], strict=False) if confidence <= b)
    inside = (known > low) & (known <= high)
    if inside.sum() < _FEW:
        return (
            f"It was between {low:.0%} and {high:.0%} sure of only {inside.sum()} of its test images: too few to tell."
        )
    return (
        f"Of the {inside.sum()} test images it was between {low:.0%} and {high:.0%} sure of, "
        f"{right[inside].sum()} were right ({100 * right[inside].mean():.3g}%)."
    )
