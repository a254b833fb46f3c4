"""What do a classifier's training images look like, and in which way do others look different?"""

from collections.abc import Mapping
from typing import TypedDict

import numpy as np
import pandas as pd

from cxr_core.data.property_table import measure_images
from cxr_core.data.sampling import stratified_rows
from cxr_core.system.progress import Progress

# Enough for quartiles to two digits, measured in under a minute.
MOST_IMAGES = 1_000
# {measure: (what it is, in words, where a value is lower, where it is higher)}
LOOKS = {
    "content_mean": ("brightness", "darker", "brighter"),
    "content_std": ("contrast", "lower in contrast", "higher in contrast"),
    "sharpness": ("sharpness", "smoother", "sharper"),
    "black_frame": ("black frame", "with less black frame", "with more black frame"),
    "side": ("longest side in pixels", "smaller", "larger"),
}


class Quartiles(TypedDict):
    """The quartiles of a measure over images."""

    low: float
    median: float
    high: float


class Difference(TypedDict):
    """One measure of images from elsewhere beside the training images.

    Attributes:
        measure: a key of `LOOKS`.
        words: "" where the site's median lies between the training images' quartiles.
        site: quartiles at the site.
        training: quartiles of the training images.
    """

    measure: str
    words: str
    site: Quartiles
    training: Quartiles


def measure_look(table: pd.DataFrame, *, progress: Progress | None = None) -> dict[str, Quartiles]:
    """Measure up to 1,000 images of a data set table, drawn with a fixed seed; returns quartiles by measure."""
    rows = table.iloc[stratified_rows(table["class_name"], MOST_IMAGES, np.random.default_rng(0))]
    measures = measure_images(rows, progress=progress).assign(side=rows[["width", "height"]].max(axis=1).to_numpy())
    return quartiles(measures[measures["grey_mean"].notna()])


def quartiles(measures: pd.DataFrame) -> dict[str, Quartiles]:
    """Return the quartiles of each of `LOOKS` over the rows of a table of measures, at least one."""
    found: dict[str, Quartiles] = {}
    for name in LOOKS:
        low, median, high = (round(float(v), 5) for v in np.quantile(measures[name], (0.25, 0.5, 0.75)))
        found[name] = {"low": low, "median": median, "high": high}
    return found


def compare_looks(site: Mapping[str, Quartiles], training: Mapping[str, Quartiles]) -> list[Difference]:
    """Set the looks of images from elsewhere beside those of the training images, in the order of `LOOKS`."""
    rows: list[Difference] = []
    for name, (_, lower, higher) in LOOKS.items():
        here, there = site[name], training[name]
        words = lower if here["median"] < there["low"] else higher if here["median"] > there["high"] else ""
        rows.append({"measure": name, "words": words, "site": here, "training": there})
    return rows
