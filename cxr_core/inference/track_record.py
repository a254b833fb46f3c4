"""How often was the classifier right on its test images when it was about this confident?"""

import csv
from functools import lru_cache
from pathlib import Path

import numpy as np

from cxr_core.system.arrays import BoolArray, FloatArray
from cxr_core.system.files import file_stamp
from cxr_core.system.text import percent

# Confidence bands, and the fewest images in one that a share is given for.
_BANDS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
_FEW = 5

# Confidence (N,) in [0, 1], and whether the prediction was right, bool (N,).
TrackRecord = tuple[FloatArray, BoolArray]


def load_track_record(folder: str | Path) -> TrackRecord:
    """Read the confidence of each prediction on a classifier's own test images, and whether it was right.

    Args:
        folder: the model folder.

    Returns:
        Two empty arrays if the folder has no predictions.
    """
    path = Path(folder) / "predictions.csv"
    if not path.exists():
        return np.empty(0), np.empty(0, bool)
    return _record_in(path, file_stamp(path))


@lru_cache(8)
def _record_in(path: Path, _stamp: tuple[int, ...]) -> TrackRecord:
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    return np.array([float(r["confidence"]) for r in rows]), np.array([r["right"] == "True" for r in rows], bool)


def confidence_sentence(confidence: float, record: TrackRecord) -> str | None:
    """Say how often the classifier was right on test images of about the same confidence.

    Args:
        confidence: in [0, 1].
        record: from `load_track_record`.

    Returns:
        One sentence; None if there is no record.
    """
    known, right = record
    if not len(known):
        return None
    low, high = next((a, b) for a, b in zip(_BANDS, _BANDS[1:], strict=False) if confidence <= b)
    inside = (known > low) & (known <= high)
    if inside.sum() < _FEW:
        return (
            f"Its confidence was between {percent(low, 0)} and {percent(high, 0)} on only {inside.sum()} of its test "
            "images: too few to tell."
        )
    return (
        f"Of the {inside.sum()} test images with a confidence between {percent(low, 0)} and {percent(high, 0)}, "
        f"{right[inside].sum()} were right ({100 * right[inside].mean():.3g} %)."
    )
