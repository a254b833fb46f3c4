"""Flag images that a person should look at: too dark, blurred, inverted, no chest, another disease and more."""

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from cxr_core.imaging.image_properties import COLOUR_SHARE, INVERTED_SCORE, TEXT_MARKS

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
_COMPONENTS = 20
_SMALLEST_CLASS = 40
_LARGEST_FIT = 2_000
_BLOCK = 8_192


@dataclass(frozen=True)
class Flag:
    """One rule. An image is flagged at or beyond the threshold.

    Attributes:
        name: str, as in tables and on the command line.
        title: str, what a person reads.
        help: str, one sentence: why it matters.
        measure: str, the column of `flag_values` that is compared.
        low: float or None; flagged where the value is at most this.
        high: float or None; flagged where the value is at least this. Exactly one of the two is set.
        text: str, a format string for a value, such as "{:.0%} of the image".
    """

    name: str
    title: str
    help: str
    measure: str
    low: float | None = None
    high: float | None = None
    text: str = "{:.2f}"

    def __post_init__(self):
        if (self.low is None) == (self.high is None):
            raise ValueError(f"A flag has either a low or a high threshold; received {self.low} and {self.high}.")

    @property
    def threshold(self):
        """The threshold, low or high."""
        return self.high if self.low is None else self.low

    def describe(self, value):
        """Return a value as a person reads it."""
        return self.text.format(value)


_ALL_FLAGS = (
    Flag(
        "not_chest", "Perhaps not a chest radiograph",
        "It looks unlike the other images of its class; a CT slice, a photo or a page teaches nothing about chests.",
        "chest_distance", high=CHEST_DISTANCE, text="{:.1f} spreads from its class",
    ),
    Flag(
        "other_disease", "File name speaks of another disease",
        "An image filed under the wrong disease teaches the wrong answer.",
        "other_disease", high=1.0, text="another disease in the name",
    ),
    Flag(
        "lateral", "Side view",
        "A view from the side looks different for every disease; mix it with frontal views only on purpose.",
        "lateral_midline", low=LATERAL_MIDLINE, text="middle brighter than the sides by {:.1f}",
    ),
    Flag(
        "two_valued", "Almost only black and white",
        "A thresholded copy has lost the greys in which the disease shows.",
        "two_valued", high=TWO_VALUED_SHARE, text="{:.0%} darkest or brightest",
    ),
    Flag(
        "inverted", "Inverted: lungs white",
        "Black and white are swapped, so the classifier sees the opposite of every other image.",
        "inverted", high=INVERTED_SCORE, text="{:.2f} like a negative",
    ),
    Flag(
        "too_dark", "Too dark",
        "Detail in dark areas is lost, and darkness itself can give the source away.",
        "content_mean", low=DARK_MEAN, text="mean grey {:.0%}",
    ),
    Flag(
        "too_bright", "Too bright",
        "Detail in bright areas is lost, and brightness itself can give the source away.",
        "content_mean", high=BRIGHT_MEAN, text="mean grey {:.0%}",
    ),
    Flag(
        "low_contrast", "Low contrast",
        "All greys lie close together, so fine findings are hard to tell from noise.",
        "content_std", low=LOW_CONTRAST_STD, text="grey spread {:.1%}",
    ),
    Flag(
        "blurred", "Blurred",
        "Fine detail is gone: a shaky exposure, or a small image blown up.",
        "sharpness", low=BLURRED_SHARPNESS, text="sharpness {:.2f}",
    ),
    Flag(
        "colour", "Colour in the image",
        "Radiographs are grey; a tint, coloured arrows or letters come from whoever published the image.",
        "colour", high=COLOUR_SHARE, text="{:.1%} coloured",
    ),
    Flag(
        "text", "Burned-in text or arrows",
        "A classifier can read letters and arrows instead of lungs.",
        "text", high=TEXT_MARKS, text="{:.0f} marks",
    ),
    Flag(
        "black_frame", "Large black frame",
        "The chest is smaller than in other images, and the frame itself can give the source away.",
        "black_frame", high=BLACK_FRAME_SHARE, text="{:.0%} of the image",
    ),
    Flag(
        "white_frame", "Large white frame",
        "The chest is smaller than in other images, and the frame itself can give the source away.",
        "white_frame", high=WHITE_FRAME_SHARE, text="{:.0%} of the image",
    ),
    Flag(
        "aspect", "Unusually long or wide",
        "Made square for the classifier, such an image is strongly distorted.",
        "elongation", high=ELONGATION, text="{:.2f} times as long as wide",
    ),
)  # fmt: skip

FLAGS = {flag.name: flag for flag in _ALL_FLAGS}
GALLERY_ORDERS = {"worst": "Worst first", "mildest": "Mildest first", "class": "Class", "file": "File name"}


def flag_images(table, measures, features=None, *, thresholds=None):
    """Apply every rule to every image.

    The thresholds were chosen by looking at what they catch in six collections. Flagged there:

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
    by 0.7: 1,909). The one image called inverted as it is, is a half-exposed plate.

    Of 48 flagged for `text`, drawn at random, 46 hold words, dates or arrows. Of the 41 that are
    neither covid_cxr/covid nor virus, 35 do; side letters and a wire are the rest. Side letters are
    meant to pass. Pale arrows, blurred letters and words of two letters are missed.

    Args:
        table: DataFrame with `file` and `class_name`.
        measures: DataFrame as `property_table.measure_images(table)` gives it.
        features: float (N, F), aligned with the table's rows, none of them negative, or None: then
            `not_chest` is not judged. A row that begins with a NaN is passed over.
        thresholds: dict of flag name to threshold, in place of the rule's own.

    Returns:
        DataFrame of `row` (position in the table), `file`, `flag`, `value`, `threshold`, sorted by
        flag in the order of `FLAGS`, then from worst to mildest. An image that could not be
        measured is flagged by its name alone.

    Raises:
        ValueError: lengths differ, or a threshold names no flag.
    """
    return apply_rules(table, flag_values(table, measures, features), thresholds=thresholds)


def apply_rules(table, values, *, thresholds=None):
    """Apply every rule to values that are known already: `flag_images` without measuring again.

    Args:
        table, thresholds: as for `flag_images`.
        values: DataFrame as `flag_values` gives it for the same table.

    Returns, Raises: as `flag_images`.
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


def gallery_of_flag(table, values, name, threshold, order="worst"):
    """Return the images one rule catches, in the order a person wants to look at them.

    Args:
        table, values: as for `apply_rules`.
        name: str, one of `FLAGS`.
        threshold: float, in place of the rule's own.
        order: one of `GALLERY_ORDERS`. Within a class, and among equal names, the worst comes first.

    Returns:
        DataFrame as `apply_rules` gives it, of that flag alone, index 0…M-1.

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


def flag_values(table, measures, features=None):
    """Return what the rules compare: the measures and what follows from names and features.

    Args:
        table, measures, features: as for `flag_images`.

    Returns:
        DataFrame of N rows, index 0…N-1: the columns of `measures` and
        `elongation`: longer side / shorter side;
        `other_disease`: 1.0 where the name speaks of another disease than the class, else 0.0;
        `lateral_midline`: `midline` where the name speaks of a side view, else NaN;
        `chest_distance`: see `chest_distance`; NaN without features.

    Raises:
        ValueError: lengths differ; both are named.
    """
    for name, length in (("measures", len(measures)), ("features", len(table if features is None else features))):
        if length != len(table):
            raise ValueError(f"{name} must have one row per image: {len(table)}; received {length}.")
    names = [file.rpartition("/")[2] for file in table["file"]]
    classes = table["class_name"].tolist()
    lateral = np.array([says_lateral(name) for name in names], bool)
    aspect = measures["aspect"].to_numpy(float)
    return measures.reset_index(drop=True).assign(
        elongation=np.maximum(aspect, 1 / aspect),
        other_disease=[float(other_disease(n, c) is not None) for n, c in zip(names, classes, strict=True)],
        lateral_midline=np.where(lateral, measures["midline"].to_numpy(float), np.nan),
        chest_distance=np.nan if features is None else chest_distance(features, classes),
    )


def chest_distance(features, classes):
    """Say how far each image lies from its class, in robust spreads.

    The square roots of a class's features are split into two halves (every second image).
    Each half is described by its mean and 20 principal components; the distance of an image is
    what the other half's components cannot explain of it. So a strange image never helps to
    describe itself. The logarithms of the distances are centred on the class's median and
    divided by its median absolute deviation × 1.4826.

    Measured with the shipped classifier's features: 16 images that are no chest (photos, crops
    of them, a CT and an MR slice, a page, noise, drawings) and nine thresholded chests, put one by
    one into each of six collections, all lie beyond 4.3; of the 2,523 radiographs 99 % lie below
    3.1. Distances to the class's median, or within the components, do not tell them apart. Strange
    images that resemble each other are missed where they are many: of the 16 at once, one or
    two among 500 and seven among 107. A CT scout or half a radiograph is too much of a chest.

    Args:
        features: float (N, F), at least 0; a row that begins with a NaN gives NaN.
        classes: sequence of N class names. A class of fewer than 40 images gives NaN.

    Returns:
        float64 (N,).
    """
    classes, distances = np.asarray(classes, object), np.full(len(classes), np.nan)
    for name in dict.fromkeys(classes):
        rows = np.flatnonzero(classes == name)
        rows = rows[np.isfinite(features[rows, 0])]
        if len(rows) >= _SMALLEST_CLASS:
            own = np.empty(len(rows))
            own[::2] = _unexplained(features, rows[1::2], rows[::2])
            own[1::2] = _unexplained(features, rows[::2], rows[1::2])
            distances[rows] = _robust_score(np.log(own + 1e-6))
    return distances


def _unexplained(features, described, judged):
    """Fit on the rows `described` (at most 2,000 of them, evenly spread), return the residual of `judged`."""
    fitted = described[np.linspace(0, len(described) - 1, min(len(described), _LARGEST_FIT)).astype(int)]
    components = min(_COMPONENTS, len(fitted) // 4)
    with np.errstate(invalid="ignore"):  # images that are all the same have no variance to share out
        model = PCA(components, svd_solver="randomized", random_state=0).fit(_roots(features, fitted))
    parts = []
    for block in _blocks(judged):
        centred = _roots(features, block) - model.mean_
        # Pythagoras: what the components explain, taken from the whole.
        explained = ((centred @ model.components_.T) ** 2).sum(axis=1)
        parts.append(np.sqrt(np.maximum((centred**2).sum(axis=1) - explained, 0)))
    return np.concatenate(parts)


def _roots(features, rows):
    return np.sqrt(np.maximum(np.asarray(features[rows], np.float32), 0))


def _blocks(rows):
    return [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]


def _robust_score(values):
    centred = values - np.median(values)
    spread = 1.4826 * np.median(np.abs(centred))
    return centred / spread if spread > 1e-6 else np.zeros_like(centred)


_VIRAL, _BACTERIAL, _OTHER = "viral", "bacterial", "other"
# Disease: (its kind, words in a file name). A word starts where no letter or digit stands before it.
_DISEASES = {
    "COVID-19": (_VIRAL, r"covid|sars[-_ .]?cov[-_ .]?2|n[-_ ]?cov(?![a-z])|coronavirus"),
    "SARS": (_VIRAL, r"sars(?![-_ .]?cov[-_ .]?2)"),
    "MERS": (_VIRAL, r"mers(?![a-z])"),
    "influenza": (_VIRAL, r"influenza|h[1357]n[1-9](?![a-z0-9])|flu(?![a-z])"),
    "varicella": (_VIRAL, r"varicella|chicken[-_ ]?pox"),
    "measles": (_VIRAL, r"measles"),
    "adenovirus": (_VIRAL, r"adenovir"),
    "RSV": (_VIRAL, r"rsv(?![a-z])|respiratory[-_ ]syncytial"),
    "viral pneumonia": (_VIRAL, r"viral|virus"),
    "bacterial pneumonia": (_BACTERIAL, r"bacteria"),
    "pneumococcus": (_BACTERIAL, r"pneumococc"),
    "streptococcus": (_BACTERIAL, r"streptococc"),
    "staphylococcus": (_BACTERIAL, r"staphylococc"),
    "klebsiella": (_BACTERIAL, r"klebsiella"),
    "legionella": (_BACTERIAL, r"legionell"),
    "mycoplasma": (_BACTERIAL, r"mycoplasma"),
    "chlamydophila": (_BACTERIAL, r"chlamyd"),
    "E. coli": (_BACTERIAL, r"e[-_. ]{0,2}coli(?![a-z])|escherichia"),
    "nocardia": (_BACTERIAL, r"nocardia"),
    "tuberculosis": (_OTHER, r"tubercul|tb(?![a-z0-9])"),
    "pneumocystis": (_OTHER, r"pneumocystis|pcp(?![a-z0-9])"),
    "aspergillosis": (_OTHER, r"aspergill"),
    "aspiration": (_OTHER, r"aspiration"),
    "snake bite": (_OTHER, r"(?:[a-z]+[-_ ])?snake[-_ ]?bite"),
    "ARDS": (_OTHER, r"acute[-_ ]respiratory[-_ ]distress|ards"),
}  # fmt: skip


def _word_pattern(words):
    return re.compile(rf"(?<![a-z0-9])(?:{words})", re.IGNORECASE)


_DISEASE_PATTERNS = {disease: _word_pattern(words) for disease, (_, words) in _DISEASES.items()}
_ANY_DISEASE = _word_pattern("|".join(words for _, words in _DISEASES.values()))
# Kinds of class by the folder's name: which diseases are its own.
_CLASS_KINDS = (
    (re.compile(r"vir(?:us|al)", re.IGNORECASE), _VIRAL),
    (re.compile(r"bacteri", re.IGNORECASE), _BACTERIAL),
)
_HEALTHY = re.compile(r"^(?:normal|healthy|no[-_ ]?findings?|negative|control)", re.IGNORECASE)
_LATERAL = re.compile(r"(?<![a-z])lat(?:eral)?(?![a-z])|[-_. ]L(?:\.[a-z]{3,5})*$", re.IGNORECASE)


def other_disease(name, class_name):
    """Return the disease a file name speaks of where it is another than its class's, or None.

    A name that also speaks of the class's own disease is no contradiction (`covid-19-…-ards`), and
    of a class whose disease is not known here nothing is said. In
    covid_cxr/covid this finds the 43 such names that reading them all found, and no other.

    Args:
        name: str, a file name, with or without ending.
        class_name: str, its class folder.

    Returns:
        str, such as "SARS", or None.
    """
    own = _own_diseases(class_name)
    if own is None or not _ANY_DISEASE.search(name):
        return None
    named = [disease for disease, pattern in _DISEASE_PATTERNS.items() if pattern.search(name)]
    return None if not named or own & set(named) else named[0]


def says_lateral(name):
    """Return True if a file name speaks of a side view: the word `lateral`, `lat`, or a final `-L`.

    Pixels alone do not tell side views apart: in the six collections three images are side
    views, all named so, and about fifteen frontal ones (whited-out lungs, turned patients) have as
    faint a spine between two lungs. Such a name counts only together with a low `midline`, so that
    a final `-L` on a frontal image is passed over; a side view with another name is not found.
    """
    return _LATERAL.search(name) is not None


@lru_cache(maxsize=1024)
def _own_diseases(class_name):
    """Return the set of diseases that belong to a class; empty for healthy, None where unknown."""
    if _HEALTHY.search(class_name):
        return set()
    own = {disease for disease, pattern in _DISEASE_PATTERNS.items() if pattern.search(class_name)}
    for pattern, kind in _CLASS_KINDS:
        # "Coronavirus" is one virus, "viral pneumonia" is all of them.
        if pattern.search(class_name) and not own - {"viral pneumonia", "bacterial pneumonia"}:
            own |= {disease for disease, (its_kind, _) in _DISEASES.items() if its_kind == kind}
    return own or None
