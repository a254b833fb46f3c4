"""Which images should a person look at? Too dark, blurred, inverted, no chest, another disease and more."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import pandas as pd

from cxr_core.audit.chest_distance import chest_distance
from cxr_core.audit.file_name_hints import other_disease, says_lateral
from cxr_core.imaging.image_properties import COLOUR_SHARE, INVERTED_SCORE, TEXT_MARKS
from cxr_core.system.arrays import FloatArray

# Chosen by looking at montages of 2,523 radiographs: see `flag_images`.
TWO_VALUED_SHARE = 0.8
DARK_MEAN = 0.3
BRIGHT_MEAN = 0.74
LOW_CONTRAST_STD = 0.085
BLURRED_SHARPNESS = 0.39
ELONGATION = 1.45
BLACK_FRAME_SHARE = 0.2
WHITE_FRAME_SHARE = 0.1
CHEST_DISTANCE = 4.0
LATERAL_MIDLINE = 1.0

_COLUMNS = ["row", "file", "flag", "value", "threshold"]


class FlagValues(Protocol):
    """Computes what a flag compares, where `property_table.measure_images` does not measure it."""

    def __call__(self, table: pd.DataFrame, measures: pd.DataFrame, features: FloatArray | None) -> FloatArray:
        """Return one value per image, float (N,); NaN is never flagged.

        Args:
            table: as for `flag_images`.
            measures: likewise, index 0…N-1.
            features: likewise.
        """


@dataclass(frozen=True)
class Flag:
    """One rule. An image is flagged at or beyond the threshold.

    Attributes:
        name: as in tables and on the command line.
        title: what a person reads.
        help: one sentence: why it matters.
        measure: the column of `flag_values` that is compared.
        low: flagged where the value is at most this.
        high: flagged where the value is at least this. Exactly one of the two is set.
        text: a format string for a value, such as "sharpness {:.2f}", or for 100 times it, such as "{percent:.0f} % of
            the image".
        values: computes the column; None where it is one of the measures.
    """

    name: str
    title: str
    help: str
    measure: str
    low: float | None = None
    high: float | None = None
    text: str = "{:.2f}"
    values: FlagValues | None = None

    def __post_init__(self) -> None:
        if (self.low is None) == (self.high is None):
            raise ValueError(f"A flag has either a low or a high threshold; received {self.low} and {self.high}.")

    @property
    def threshold(self) -> float:
        """The threshold, low or high."""
        threshold = self.high if self.low is None else self.low
        assert threshold is not None
        return threshold

    def describe(self, value: float) -> str:
        """Return a value as a person reads it."""
        return self.text.format(value, percent=100 * value)


def _class_distances(table: pd.DataFrame, measures: pd.DataFrame, features: FloatArray | None) -> FloatArray:
    return np.full(len(table), np.nan) if features is None else chest_distance(features, table["class_name"].tolist())


def _mentions_other_disease(table: pd.DataFrame, measures: pd.DataFrame, features: FloatArray | None) -> FloatArray:
    named = zip(_file_names(table), table["class_name"], strict=True)
    return np.array([float(other_disease(name, class_name) is not None) for name, class_name in named])


def _lateral_midlines(table: pd.DataFrame, measures: pd.DataFrame, features: FloatArray | None) -> FloatArray:
    lateral = np.array([says_lateral(name) for name in _file_names(table)], bool)
    return np.where(lateral, measures["midline"].to_numpy(float), np.nan)


def _elongations(table: pd.DataFrame, measures: pd.DataFrame, features: FloatArray | None) -> FloatArray:
    aspect = measures["aspect"].to_numpy(float)
    return np.maximum(aspect, 1 / aspect)


def _file_names(table: pd.DataFrame) -> list[str]:
    return [file.rpartition("/")[2] for file in table["file"]]


# The one that matters most comes first: a page opens on it. A new flag is one more entry; docs/extending.md shows how.
_ALL_FLAGS = (
    Flag(
        "other_disease", "File name mentions another disease",
        "An image filed under the wrong disease trains the classifier on a wrong label.",
        "other_disease", high=1.0, text="another disease in the name", values=_mentions_other_disease,
    ),
    Flag(
        "not_chest", "Unusual for its class",
        "It looks unlike the other images of its class: perhaps a CT slice or a photo, perhaps only a rare view.",
        "chest_distance", high=CHEST_DISTANCE, text="{:.1f} robust SDs from its class", values=_class_distances,
    ),
    Flag(
        "lateral", "Lateral view",
        "Every disease looks different in a lateral view; mix it with frontal views only on purpose.",
        "lateral_midline", low=LATERAL_MIDLINE, text="middle brighter than the sides by {:.1f}",
        values=_lateral_midlines,
    ),
    Flag(
        "two_valued", "Almost only black and white",
        "A thresholded copy has lost the grey values in which disease shows.",
        "two_valued", high=TWO_VALUED_SHARE, text="{percent:.0f} % darkest or brightest",
    ),
    Flag(
        "inverted", "Inverted: white lungs",
        "Black and white are swapped, so the classifier sees the negative of every other image.",
        "inverted", high=INVERTED_SCORE, text="{:.2f} like a negative",
    ),
    Flag(
        "too_dark", "Too dark",
        "Detail in dark areas is lost, and darkness itself can reveal the source.",
        "content_mean", low=DARK_MEAN, text="mean grey {percent:.0f} %",
    ),
    Flag(
        "too_bright", "Too bright",
        "Detail in bright areas is lost, and brightness itself can reveal the source.",
        "content_mean", high=BRIGHT_MEAN, text="mean grey {percent:.0f} %",
    ),
    Flag(
        "low_contrast", "Low contrast",
        "All grey values lie close together, so subtle findings are hard to tell from noise.",
        "content_std", low=LOW_CONTRAST_STD, text="standard deviation {percent:.1f} %",
    ),
    Flag(
        "blurred", "Blurred",
        "Fine detail is gone: motion during the exposure, or a small image that was enlarged.",
        "sharpness", low=BLURRED_SHARPNESS, text="sharpness {:.2f}",
    ),
    Flag(
        "colour", "Colour in the image",
        "Radiographs are grey; a tint, coloured arrows or letters come from whoever published the image.",
        "colour", high=COLOUR_SHARE, text="{percent:.1f} % coloured",
    ),
    Flag(
        "text", "Burned-in text or arrows",
        "A classifier can read letters and arrows instead of lungs.",
        "text", high=TEXT_MARKS, text="{:.0f} marks",
    ),
    Flag(
        "black_frame", "Large black frame",
        "The chest is smaller than in other images, and the frame itself can reveal the source.",
        "black_frame", high=BLACK_FRAME_SHARE, text="{percent:.0f} % of the image",
    ),
    Flag(
        "white_frame", "Large white frame",
        "The chest is smaller than in other images, and the frame itself can reveal the source.",
        "white_frame", high=WHITE_FRAME_SHARE, text="{percent:.0f} % of the image",
    ),
    Flag(
        "aspect", "Unusually long or wide",
        "Resized to a square for the classifier, such an image is strongly distorted.",
        "elongation", high=ELONGATION, text="{:.2f} times as long as wide", values=_elongations,
    ),
)  # fmt: skip

FLAGS = {flag.name: flag for flag in _ALL_FLAGS}
GalleryOrder = Literal["worst", "mildest", "class", "file"]
GALLERY_ORDERS: dict[GalleryOrder, str] = {
    "worst": "Worst first",
    "mildest": "Mildest first",
    "class": "Class",
    "file": "File name",
}


def flag_images(
    table: pd.DataFrame,
    measures: pd.DataFrame,
    features: FloatArray | None = None,
    *,
    thresholds: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Apply every rule to every image.

    The thresholds were chosen by looking at what they flag in six collections. Flagged there:

    ============= ======== ======= ======= ====== ======== ====
                  children viral   COVID   adults Hannover NIH
    images           662     618     492    505      139  107
    ============= ======== ======= ======= ====== ======== ====
    not_chest            0       2       1      2        0    0
    other_disease        0       0      43      0        0    0
    lateral              0       0       3      0        0    0
    inverted             0       0       0      0        1    0
    too_dark             0       0       2      0        0    0
    too_bright           0       0       5      0        0    1
    low_contrast         0       0       1      0       10    0
    blurred              0       0       1      0        0    0
    colour               0       0      23      0        0    0
    text                 5     111     108     10       12   14
    black_frame          2       0       7      0        0    1
    aspect               0       0       4      0        0    0
    ============= ======== ======= ======= ====== ======== ====

    None is thresholded or has a white frame. Of altered copies of all 2,523 are flagged: 2,523
    thresholded at the median and saved as JPEG, 2,518 inverted, 2,519 blurred by one pixel (of 224;
    by 0.7: 1,909). The one unaltered image that is called inverted is a half-exposed plate.

    Of 48 flagged for `text`, drawn at random, 46 hold words, dates or arrows. Of the 41 that are
    neither covid_cxr/covid nor virus, 35 do; side letters and a wire are the rest. Side letters are
    not to be flagged. Pale arrows, blurred letters and words of two letters are missed.

    Args:
        table: N rows with `file` and `class_name`.
        measures: as `property_table.measure_images(table)` returns it.
        features: float (N, F), at least 0, in the order of the table; without them nothing is flagged as
            `not_chest`. A row that begins with a NaN is passed over.
        thresholds: {name of the flag: threshold}, in place of the rule's own.

    Returns:
        `row` (position in the table), `file`, `flag`, `value`, `threshold`, sorted by
        flag in the order of `FLAGS`, then from worst to mildest. An image that could not be
        measured is flagged by its name alone.

    Raises:
        ValueError: lengths differ, or there is no flag of a threshold's name.
    """
    return apply_rules(table, flag_values(table, measures, features), thresholds=thresholds)


def apply_rules(
    table: pd.DataFrame, values: pd.DataFrame, *, thresholds: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Apply every rule to known values: `flag_images` without measuring again.

    Args:
        table: as for `flag_images`.
        values: as `flag_values` returns them for the same table.
        thresholds: as for `flag_images`.

    Returns:
        As `flag_images`.

    Raises:
        ValueError: as `flag_images`.
    """
    thresholds = thresholds or {}
    unknown = sorted(set(thresholds) - set(FLAGS))
    if unknown:
        raise ValueError(f"thresholds may name {', '.join(FLAGS)}; received {', '.join(unknown)}.")
    found = []
    for flag in FLAGS.values():
        value, threshold = values[flag.measure].to_numpy(float), float(thresholds.get(flag.name, flag.threshold))
        badness = value - threshold if flag.low is None else threshold - value
        rows = np.flatnonzero(badness >= 0)
        rows = rows[np.argsort(-badness[rows], kind="stable")]
        files = table["file"].to_numpy()[rows]
        columns = (rows, files, flag.name, value[rows], threshold)
        found.append(pd.DataFrame(dict(zip(_COLUMNS, columns, strict=True))))
    return pd.concat(found, ignore_index=True)


def gallery_of_flag(
    table: pd.DataFrame, values: pd.DataFrame, name: str, threshold: float, order: GalleryOrder = "worst"
) -> pd.DataFrame:
    """Return the images that one rule flags, in the order in which a person wants to review them.

    Args:
        table: as for `apply_rules`.
        values: as for `apply_rules`.
        name: one of `FLAGS`.
        threshold: in place of the rule's own.
        order: within a class, and among equal names, the worst comes first.

    Returns:
        As `apply_rules`, of that flag alone, index 0…M-1.

    Raises:
        ValueError: no such flag or order.
    """
    if order not in GALLERY_ORDERS:
        raise ValueError(f"order must be one of {', '.join(GALLERY_ORDERS)}; received {order!r}.")
    found = apply_rules(table, values, thresholds={name: threshold})
    found = found[found["flag"] == name]
    if order == "mildest":
        found = found[::-1]
    elif order == "class":
        found = found.iloc[np.argsort(table["class_name"].to_numpy()[found["row"]], kind="stable")]
    elif order == "file":
        found = found.iloc[np.argsort(found["file"].str.rpartition("/")[2].to_numpy(), kind="stable")]
    return found.reset_index(drop=True)


def flag_values(table: pd.DataFrame, measures: pd.DataFrame, features: FloatArray | None = None) -> pd.DataFrame:
    """Return what the rules compare: the measures, and what flags compute of names, sizes and features.

    Args:
        table: as for `flag_images`.
        measures: as for `flag_images`.
        features: as for `flag_images`.

    Returns:
        N rows, index 0…N-1: the columns of `measures` and
        `elongation`: longer side / shorter side;
        `other_disease`: 1.0 where the name mentions another disease than the class, else 0.0;
        `lateral_midline`: `midline` where the name mentions a lateral view, else NaN;
        `chest_distance`: see there; NaN without features.

    Raises:
        ValueError: lengths differ; both are named.
    """
    for name, length in (("measures", len(measures)), ("features", len(table if features is None else features))):
        if length != len(table):
            raise ValueError(f"{name} must have one row per image: {len(table)}; received {length}.")
    measures = measures.reset_index(drop=True)
    computed = {flag.measure: flag.values(table, measures, features) for flag in FLAGS.values() if flag.values}
    return measures.assign(**computed)
