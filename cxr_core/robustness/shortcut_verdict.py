"""What do the numbers of the shortcut test mean, in words chosen by fixed rules?"""

from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Literal

from cxr_core.classes import class_label
from cxr_core.data.sources import source_label
from cxr_core.evaluation.confidence_intervals import Interval
from cxr_core.evaluation.metrics import Metrics
from cxr_core.evaluation.selective_classification import NOT_SURE
from cxr_core.inference.model_card import Card
from cxr_core.robustness.shortcut_results import (
    SHORTCUTS_FILE,
    ClassAttention,
    FileFacts,
    MapChecks,
    ShortcutMeasurements,
    ShortcutResult,
    ShortcutSummary,
    ShortcutVerdict,
    VerdictLevel,
)
from cxr_core.system.files import read_json

LEVELS: dict[VerdictLevel, str] = {
    "shortcut": "It takes a shortcut",
    "doubt": "There is reason to doubt it",
    "invitation": "These data invite a shortcut",
    "no sign": "No sign of a shortcut here",
    "chance": "It does not beat chance",
    "unknown": "Too few images to tell",
}
_ENDS: dict[VerdictLevel, str] = {
    "shortcut": "Do not use it on patients from elsewhere.",
    "doubt": "Test it on patients from elsewhere before you believe its figures.",
    "invitation": "That this classifier takes one is not shown: test it on patients from elsewhere.",
    "no sign": "That is no proof: a test on patients from elsewhere is still needed.",
    "chance": "Nothing can be said about what it uses.",
    "unknown": "Nothing can be said about what it uses until it is tested on more images.",
}
# Raised when a rule changes: verdicts stored under earlier rules are then reached anew from their numbers.
_RULES = 2
# Proportion of the lead over chance that is left when something is removed.
_KEPT_ALL, _KEPT_HALF = 0.75, 0.4
_MANY_FALSE_ALARMS = 0.2
_EVENLY = 1.15
_STILL_ALIKE = 0.5
_ROUNDING = 1e-9
_JUDGED_VARIANTS = {"whole", "lungs_hidden", "frame_only"}

# What a rule found: how much it weighs, and a sentence. "elsewhere" is a doubt that needs no further test.
Weight = Literal["shortcut", "elsewhere", "doubt", "invitation", "fine"]
Finding = tuple[Weight, str]
# An accuracy and its 95 % interval.
Score = tuple[float, Interval | None]


def verdict_of(result: ShortcutMeasurements | ShortcutSummary) -> ShortcutVerdict:
    """Choose the verdict and its sentences.

    Three questions are answered apart and in this order: what does this classifier do, as trained, when the lungs are
    hidden; does it beat chance at all; and what do the data give away without lungs, to any head that is retrained on
    its frozen features? Only the first shows that this classifier takes a shortcut. "Keeps" is the proportion of the
    whole image's lead over chance that is left, where the interval lies above chance:

    - it is right no more often than the largest class is frequent: it does not beat chance; where only its interval
      reaches down to chance: unknown.
    - lungs hidden, or only the frame, the classifier keeps at least 75 %: shortcut. At least 40 %: doubt.
    - at least 20 % of an external data set of healthy people are classified as ill: doubt.
    - in some class the maps lie inside the lungs no more than 1.15 times what their area gives: doubt.
    - lungs hidden, or only the frame, a retrained head keeps at least 40 %: the data invite a shortcut.
    - file properties keep at least 75 % of a retrained head's lead: the data invite a shortcut.
    - shuffled weights leave the maps alike (correlation at least 0.5): a warning about the maps.

    Args:
        result: what the shortcut test measured; a verdict that it already has does not count. The summary in a card
            lacks external data, file properties and checks of the maps; their rules then say nothing.

    Returns:
        The level, and sentences with their numbers, in the order of the questions.
    """
    chance, variants = result["chance"], {v["name"]: v for v in result["variants"]}
    as_trained = {name: (v["accuracy"], v["accuracy_ci95"]) for name, v in variants.items()}
    retrained = {name: (v["retrained"], v["retrained_ci95"]) for name, v in variants.items()}
    external = _external(result.get("external", {}))
    data = _data(retrained, result.get("giveaway"), chance)
    low = _low(as_trained["whole"], chance)
    if low <= chance:
        value = as_trained["whole"][0]
        level: VerdictLevel = "chance" if value <= chance + _ROUNDING else "unknown"
        hidden: Finding = ("fine", f"With the lungs hidden, this classifier scores {_against(as_trained, chance)}.")
        found = [hidden, _beats_chance(result, as_trained["whole"]), *data, *external]
        return _verdict(level, found, _ENDS[level])
    found = [
        *_as_trained(as_trained, chance),
        _beats_chance(result, as_trained["whole"]),
        *data,
        *external,
        *_attention(result["attention"]),
        *_maps(result.get("maps")),
    ]
    weights = {weight for weight, _ in found}
    level = _level(weights)
    return _verdict(level, found, _ENDS["shortcut" if "elsewhere" in weights else level])


def load_shortcut_result(folder: str | Path) -> ShortcutResult | None:
    """Return the result that a run's or a classifier's folder holds, with the verdict of the present rules, or None."""
    path = Path(folder) / SHORTCUTS_FILE
    return judge_again(read_json(path)) if path.exists() else None


def judge_again(result: ShortcutResult) -> ShortcutResult:
    """Return a stored result with the verdict of the present rules, reached from its own numbers."""
    return {**result, "verdict": verdict_of(result)} if _is_outdated(result) else result


def card_shortcuts(card: Card) -> ShortcutSummary | None:
    """Return what a card holds of the shortcut test, with the verdict of the present rules; None where nothing."""
    summary: ShortcutSummary | None = card.metrics.get("shortcuts")
    if not summary or not _is_outdated(summary):
        return summary
    with_external: ShortcutSummary = {**summary, "external": card.metrics.get("external", {})}
    return {**summary, "verdict": verdict_of(with_external)}


def share_kept(score: Score, whole: float, chance: float) -> float:
    """Return the proportion of the lead over chance that is left on a variant; 0 where it may be chance.

    Args:
        score: accuracy on the variant in [0, 1], and its 95 % interval.
        whole: accuracy on whole images, above chance.
        chance: in [0, 1].
    """
    value, _ = score
    return 0.0 if _low(score, value) <= chance else (value - chance) / (whole - chance)


def _is_outdated(result: ShortcutResult | ShortcutSummary) -> bool:
    """Whether a verdict was reached by earlier rules, and the numbers for the present ones are there."""
    names = {variant.get("name") for variant in result["variants"]}
    return result["verdict"].get("rules") != _RULES and names >= _JUDGED_VARIANTS


def _verdict(level: VerdictLevel, found: Sequence[Finding], end: str) -> ShortcutVerdict:
    return {"rules": _RULES, "level": level, "sentences": [*(sentence for _, sentence in found), end]}


def _level(weights: Set[Weight]) -> VerdictLevel:
    if "shortcut" in weights:
        return "shortcut"
    if weights & {"doubt", "elsewhere"}:
        return "doubt"
    return "invitation" if "invitation" in weights else "no sign"


def _low(score: Score, otherwise: float) -> float:
    """Return the lower end of a score's interval, or another value where it has none."""
    return score[1][0] if score[1] else otherwise


def _against(scores: Mapping[str, Score], chance: float) -> str:
    """Write the score with the lungs hidden beside that on whole images and chance."""
    hidden, whole = scores["lungs_hidden"][0], scores["whole"][0]
    return f"{_percent(hidden)} (whole images {_percent(whole)}, chance {_percent(chance)})"


def _as_trained(scores: Mapping[str, Score], chance: float) -> Iterator[Finding]:
    """Say what the classifier itself does without the lungs, where it beats chance with them."""
    whole, told = scores["whole"][0], _against(scores, chance)
    kept = share_kept(scores["lungs_hidden"], whole, chance)
    if kept >= _KEPT_ALL:
        yield "shortcut", f"With the lungs hidden, this classifier still scores {told}: it does not need the lungs."
    elif kept >= _KEPT_HALF:
        yield (
            "doubt",
            f"With the lungs hidden, this classifier falls to {told}: much of what it uses is not in the lungs.",
        )
    elif kept > 0:
        yield "fine", f"With the lungs hidden, this classifier falls to {told}: for most of its answers it needs them."
    else:
        yield (
            "fine",
            f"With the lungs hidden, this classifier falls to {told}, no better than chance: it needs them, or the "
            "black box confuses it.",
        )
    kept = share_kept(scores["frame_only"], whole, chance)
    if kept >= _KEPT_HALF:
        weight: Weight = "shortcut" if kept >= _KEPT_ALL else "doubt"
        yield weight, f"From the frame of the image alone, this classifier scores {_percent(scores['frame_only'][0])}."


def _beats_chance(result: ShortcutMeasurements | ShortcutSummary, whole: Score) -> Finding:
    value, chance = whole[0], result["chance"]
    told = (
        f"on whole images it is right in {_percent(value)} of {result['tested']} cases; always answering "
        f"{class_label(result['majority'])} is right in {_percent(chance)}."
    )
    if _low(whole, chance) > chance:
        return "fine", f"It beats chance: {told}"
    verb = "does not beat" if value <= chance + _ROUNDING else "may not beat"
    return "fine", f"It {verb} chance: {told}"


def _data(retrained: Mapping[str, Score], facts: FileFacts | None, chance: float) -> Iterator[Finding]:
    """Say what the data give away without lungs, to any head."""
    whole = retrained["whole"][0]
    if _low(retrained["whole"], chance) <= chance:
        yield (
            "fine",
            f"A head retrained on whole images scores {_percent(whole)} (chance {_percent(chance)}), so this test "
            "cannot tell what the data give away.",
        )
        return
    told = f"{_against(retrained, chance)}: these data"
    kept = share_kept(retrained["lungs_hidden"], whole, chance)
    if kept >= _KEPT_ALL:
        yield "invitation", f"With the lungs hidden, a retrained head still scores {told} invite a shortcut."
    elif kept >= _KEPT_HALF:
        yield "invitation", f"With the lungs hidden, a retrained head scores {told} invite a shortcut in part."
    else:
        yield "fine", f"With the lungs hidden, a retrained head falls to {told} need the lungs."
    if share_kept(retrained["frame_only"], whole, chance) >= _KEPT_HALF:
        score = _percent(retrained["frame_only"][0])
        yield "invitation", f"From the frame of the image alone, a retrained head scores {score}."
    yield from _file_facts(facts, whole, chance)


def _external(external: Mapping[str, Metrics]) -> Iterator[Finding]:
    for name, metrics in external.items():
        healthy = healthy_called_ill(metrics)
        if healthy is None:
            continue
        weight: Weight = "elsewhere" if healthy >= _MANY_FALSE_ALARMS else "fine"
        people = f"{metrics['n']} healthy people ({source_label(name)})"
        yield weight, f"The classifier called {_percent(healthy)} of {people} ill."


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


def _file_facts(facts: FileFacts | None, whole: float, chance: float) -> Iterator[Finding]:
    score = facts["accuracy"] if facts else None
    if score is not None and (score - chance) >= _KEPT_ALL * (whole - chance):
        yield (
            "invitation",
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


def _maps(maps: MapChecks | None) -> Iterator[Finding]:
    if maps and maps["randomised"] and maps["randomised"][-1]["correlation"] >= _STILL_ALIKE:
        value = maps["randomised"][-1]["correlation"]
        yield "fine", f"The maps stay alike when the weights are shuffled (correlation {value:.2f}): do not read them."


def maps_sentence(maps: MapChecks | None) -> str | None:
    """Say whether a classifier's maps depend on what it learned (Adebayo et al. 2018); None where it was not tested."""
    if not maps or not maps["randomised"]:
        return None
    value = maps["randomised"][-1]["correlation"]
    if value >= _STILL_ALIKE:
        return f"Its maps stay alike when its weights are shuffled (correlation {value:.2f}): do not read them."
    return f"Its maps change when its weights are shuffled (correlation {value:.2f}): they depend on what it learned."


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
