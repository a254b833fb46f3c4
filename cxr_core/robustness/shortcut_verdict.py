"""What do the numbers of the shortcut test mean, in words chosen by fixed rules?"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from cxr_core.classes import class_label
from cxr_core.evaluation.metrics import Metrics
from cxr_core.evaluation.selective_classification import NOT_SURE
from cxr_core.robustness.shortcut_results import (
    ClassAttention,
    FileFacts,
    MapChecks,
    ShortcutMeasurements,
    ShortcutVerdict,
    VariantScores,
    VerdictLevel,
)

LEVELS: dict[VerdictLevel, str] = {
    "shortcut": "It takes a shortcut",
    "doubt": "There is reason to doubt it",
    "no sign": "No sign of a shortcut here",
    "unknown": "Too few images to tell",
}
_ENDS: dict[VerdictLevel, str] = {
    "shortcut": "Do not use it on patients from elsewhere.",
    "doubt": "Test it on patients from elsewhere before you believe its figures.",
    "no sign": "That is no proof: a test on patients from elsewhere is still needed.",
}
# Proportion of the lead over chance that is left when something is removed.
_KEPT_ALL, _KEPT_HALF = 0.75, 0.4
_MANY_FALSE_ALARMS = 0.2
_EVENLY = 1.15
_STILL_ALIKE = 0.5

# What a rule found: how much it weighs, and a sentence.
Weight = Literal["shortcut", "doubt", "fine"]
Finding = tuple[Weight, str]


def verdict_of(result: ShortcutMeasurements) -> ShortcutVerdict:
    """Choose the verdict and its sentences.

    The rules, in order; "keeps" is the proportion of the whole image's lead over chance that a head retrained on the
    variant keeps, where its interval lies above chance:

    - whole image not above chance: unknown.
    - lungs hidden keeps at least 75 %: shortcut. At least 40 %: doubt.
    - only the frame keeps at least 40 %: doubt, or shortcut at 75 %.
    - file properties keep at least 75 % of that lead: doubt.
    - at least 20 % of an external data set of healthy people are classified as ill: shortcut.
    - in some class the maps lie inside the lungs no more than 1.15 times what their area gives: doubt.
    - shuffled weights leave the maps alike (correlation at least 0.5): a warning about the maps.

    Args:
        result: what the shortcut test measured; a verdict that it already has does not count.

    Returns:
        The level, and sentences with their numbers, the most important first.
    """
    variants = {v["name"]: v for v in result["variants"]}
    chance, whole = result["chance"], variants["whole"]["retrained"]
    low = (variants["whole"]["retrained_ci95"] or [chance])[0]
    if low <= chance:
        sentence = (
            f"Even on whole images, a retrained head is right in {_percent(whole)} of {result['tested']} cases; always "
            f"answering {class_label(result['majority'])} is right in {_percent(chance)}. Nothing can be concluded."
        )
        return {"level": "unknown", "sentences": [sentence]}
    found = [
        *_lungs_hidden(variants["lungs_hidden"], whole, chance),
        *_frame_only(variants["frame_only"], whole, chance),
        *_external(result["external"]),
        *_file_facts(result["giveaway"], whole, chance),
        *_attention(result["attention"]),
        *_maps(result["maps"]),
    ]
    weights = {weight for weight, _ in found}
    level: VerdictLevel = "shortcut" if "shortcut" in weights else "doubt" if "doubt" in weights else "no sign"
    return {"level": level, "sentences": [*(sentence for _, sentence in found), _ENDS[level]]}


def share_kept(variant: VariantScores, whole: float, chance: float) -> float:
    """Return the proportion of the lead over chance that a retrained head keeps on a variant; 0 where it may be chance.

    Args:
        variant: the scores on the variant.
        whole: accuracy of a retrained head on whole images, above chance.
        chance: in [0, 1].
    """
    low = (variant["retrained_ci95"] or [variant["retrained"]])[0]
    return 0.0 if low <= chance else (variant["retrained"] - chance) / (whole - chance)


def _lungs_hidden(variant: VariantScores, whole: float, chance: float) -> Iterator[Finding]:
    kept, score = share_kept(variant, whole, chance), _percent(variant["retrained"])
    against = f"(whole images {_percent(whole)}, chance {_percent(chance)})"
    if kept >= _KEPT_ALL:
        yield (
            "shortcut",
            f"With the lungs hidden, a retrained head still scores {score} {against}: it does not need the lungs.",
        )
    elif kept >= _KEPT_HALF:
        yield (
            "doubt",
            f"With the lungs hidden, a retrained head scores {score} {against}: much of what it uses is not in the "
            "lungs.",
        )
    else:
        yield "fine", f"With the lungs hidden, a retrained head falls to {score} {against}: it needs them."


def _frame_only(variant: VariantScores, whole: float, chance: float) -> Iterator[Finding]:
    kept = share_kept(variant, whole, chance)
    if kept >= _KEPT_HALF:
        weight: Weight = "shortcut" if kept >= _KEPT_ALL else "doubt"
        yield weight, f"From the frame of the image alone, it scores {_percent(variant['retrained'])}."


def _external(external: Mapping[str, Metrics]) -> Iterator[Finding]:
    for name, metrics in external.items():
        healthy = healthy_called_ill(metrics)
        if healthy is None:
            continue
        weight: Weight = "shortcut" if healthy >= _MANY_FALSE_ALARMS else "fine"
        yield weight, f"It called {_percent(healthy)} of {metrics['n']} healthy people ({name}) ill."


def healthy_called_ill(metrics: Metrics) -> float | None:
    """Return the proportion of a healthy data set that is classified as ill, or None where it is no such data set.

    Where the classifier may abstain, "not sure" is not ill.
    """
    present = [name for name, row in metrics["per_class"].items() if row["support"]]
    if [name.lower() for name in present] != ["normal"]:
        return None
    if "answers" in metrics:
        answers = metrics["answers"]["per_class"][present[0]]
        return sum(cell["share"] for name, cell in answers.items() if name not in (present[0], NOT_SURE))
    return 1 - metrics["accuracy"]


def _file_facts(facts: FileFacts, whole: float, chance: float) -> Iterator[Finding]:
    score = facts["accuracy"]
    if score is not None and (score - chance) >= _KEPT_ALL * (whole - chance):
        yield (
            "doubt",
            f"File properties and grey values alone, without any shape, predict the class correctly {_percent(score)} "
            "of the time.",
        )


def _attention(attention: Sequence[ClassAttention]) -> Iterator[Finding]:
    evenly = [row for row in attention if row["ratio"] <= _EVENLY]
    if evenly:
        told = ", ".join(
            f"{class_label(row['class_name'])} {_percent(row['share'])} of the weight on {_percent(row['area'])} of "
            "the image"
            for row in evenly
        )
        yield "doubt", f"Its maps do not favour the lungs: {told}."


def _maps(maps: MapChecks) -> Iterator[Finding]:
    if maps["randomised"] and maps["randomised"][-1]["correlation"] >= _STILL_ALIKE:
        value = maps["randomised"][-1]["correlation"]
        yield "fine", f"The maps stay alike when the weights are shuffled (correlation {value:.2f}): do not read them."


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
