"""What does the shortcut test find, and where is its result stored?"""

import json
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

from cxr_core.evaluation.confidence_intervals import Interval
from cxr_core.evaluation.metrics import Metrics
from cxr_core.system.files import write_text

SHORTCUTS_FILE = "shortcuts.json"
VerdictLevel = Literal["shortcut", "doubt", "invitation", "no sign", "chance", "unknown"]


class VariantScores(TypedDict):
    """How well the class is recognised when something is removed from every image.

    Attributes:
        name: a key of `image_variants.VARIANTS`.
        title: of the variant, for a person.
        question: what a good score on it would mean.
        accuracy: of the classifier as it is, in [0, 1].
        accuracy_ci95: its 95 % interval.
        recall: {class: recall of the classifier, None without images of the class}.
        retrained: accuracy of a head that was retrained on such images.
        retrained_ci95: its 95 % interval.
    """

    name: str
    title: str
    question: str
    accuracy: float
    accuracy_ci95: Interval | None
    recall: dict[str, float | None]
    retrained: float
    retrained_ci95: Interval | None


class LungsFound(TypedDict):
    """In how many images lungs were found.

    Attributes:
        found: number of images with lungs.
        images: number of images.
        per_class: {class: proportion of its images with lungs}.
        hidden: mean proportion of the lungs' area that `image_variants.hide_lungs` covers; None without lungs.
    """

    found: int
    images: int
    per_class: dict[str, float]
    hidden: float | None


class ClassAttention(TypedDict):
    """How much of the maps' weight lies inside the lungs, for one true class.

    Attributes:
        class_name: the true class.
        images: number of images with lungs and a map.
        share: proportion of the weight inside the lungs.
        area: proportion of the image that the lungs cover.
        ratio: share over area; 1 is what a map without any contrast gives.
    """

    class_name: str
    images: int
    share: float
    area: float
    ratio: float


class Randomisation(TypedDict):
    """How alike maps are to those of the same network with shuffled weights.

    Attributes:
        layers: whose weights were shuffled, in words.
        correlation: mean Spearman rank correlation.
    """

    layers: str
    correlation: float


class RemovalCurve(TypedDict):
    """A deletion or an insertion curve.

    Attributes:
        shares: proportions of the image removed, or given back.
        map: mean probability of the predicted class at each, in the order of the map.
        random: the same in random order.
        map_area: mean over the shares, in the order of the map.
        random_area: the same in random order.
    """

    shares: list[float]
    map: list[float]
    random: list[float]
    map_area: float
    random_area: float


class MapChecks(TypedDict):
    """Whether Grad-CAM maps depend on the trained weights, and whether they point at what counts.

    Attributes:
        images: number of images.
        randomised: one entry per set of shuffled layers; empty where the classifier was not opened from a folder.
        deletion: blacking out, in the order of the map.
        insertion: restoring a blurred image, in the order of the map.
    """

    images: int
    randomised: list[Randomisation]
    deletion: RemovalCurve
    insertion: RemovalCurve


class FactAccuracy(TypedDict):
    """How often one property of the files predicts the class correctly, in [0, 1]."""

    fact: str
    title: str
    accuracy: float


class FileFacts(TypedDict):
    """How often properties of the files predict the class, as `spurious_correlations.SpuriousCorrelations` says.

    Attributes:
        accuracy: of all properties together, in [0, 1]; None where it is undefined.
        chance: proportion of the largest class; None without images.
        top: each property alone, most telling first.
        sentences: the answer in words.
        notes: what was left out or sampled.
    """

    accuracy: float | None
    chance: float | None
    top: list[FactAccuracy]
    sentences: list[str]
    notes: list[str]


class ShortcutVerdict(TypedDict):
    """What the numbers mean.

    Attributes:
        rules: number of the rules that it follows; verdicts of earlier versions lack it.
        level: a key of `shortcut_verdict.LEVELS`.
        sentences: about this classifier first, then about the data.
    """

    rules: NotRequired[int]
    level: VerdictLevel
    sentences: list[str]


class ShortcutMeasurements(TypedDict):
    """What the shortcut test measures.

    Attributes:
        classes: of the classifier, in its order.
        images: number of images used.
        tested: number of those that the classifier was not trained on.
        chance: proportion of the largest class among the tested, in [0, 1].
        majority: that class.
        lungs: in how many images lungs were found.
        variants: scores with something removed from the images; "whole" is the first.
        giveaway: how often properties of the files alone predict the class.
        attention: where the maps lie, per true class.
        maps: checks of the maps themselves.
        external: {data set: metrics}, those of the card and those of the folders given.
        notes: sentences on samples and limits.
    """

    classes: list[str]
    images: int
    tested: int
    chance: float
    majority: str
    lungs: LungsFound
    variants: list[VariantScores]
    giveaway: FileFacts
    attention: list[ClassAttention]
    maps: MapChecks
    external: dict[str, Metrics]
    notes: list[str]


class ShortcutResult(ShortcutMeasurements):
    """The measurements and what they mean; stored as `shortcuts.json` and kept in the cache."""

    verdict: ShortcutVerdict


class ShortcutSummary(TypedDict):
    """The part of a result that a card holds; for the keys see `ShortcutMeasurements`.

    The last three are those that a card does not hold; `external` stands elsewhere in it.
    """

    images: int
    tested: int
    chance: float
    majority: str
    lungs: LungsFound
    variants: list[VariantScores]
    attention: list[ClassAttention]
    notes: list[str]
    verdict: ShortcutVerdict
    giveaway: NotRequired[FileFacts]
    maps: NotRequired[MapChecks]
    external: NotRequired[dict[str, Metrics]]


def save_shortcut_result(folder: str | Path, result: ShortcutResult) -> None:
    """Write a result of the shortcut test into a classifier's folder."""
    write_text(Path(folder) / SHORTCUTS_FILE, json.dumps(result, indent=2, ensure_ascii=False) + "\n")


def keep_shortcut_result(folder: str | Path, result: ShortcutResult) -> None:
    """Save a result if the folder is a run's; a published classifier keeps the one that it came with."""
    if (Path(folder) / "config.json").exists():
        save_shortcut_result(folder, result)
