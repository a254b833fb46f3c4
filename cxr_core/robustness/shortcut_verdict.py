"""What the shortcut lab's numbers mean, in words chosen by fixed rules."""

from cxr_core.classes import class_label
from cxr_core.evaluation.selective_classification import NOT_SURE

LEVELS = {
    "shortcut": "It takes a shortcut",
    "doubt": "There is reason to doubt it",
    "no sign": "No sign of a shortcut here",
    "unknown": "Too few images to tell",
}
# Share of the lead over chance that is left when something is taken away.
_KEPT_ALL, _KEPT_HALF = 0.75, 0.4
_MANY_FALSE_ALARMS = 0.2
_EVENLY = 1.15
_STILL_ALIKE = 0.5


def verdict_of(result):
    """Word a verdict.

    The rules, in order; "keeps" is the share of the whole image's lead over chance that a head retrained on the
    variant keeps, where its interval lies above chance:

    - whole image not above chance: unknown.
    - lungs hidden keeps at least 75 %: shortcut. At least 40 %: doubt.
    - only the frame keeps at least 40 %: doubt, or shortcut at 75 %.
    - file facts keep at least 75 % of that lead: doubt.
    - a data set of healthy people from elsewhere is called ill in at least 20 %: shortcut.
    - in some class the maps lie inside the lungs no more than 1.15 times what their area gives: doubt.
    - shuffled weights leave the maps alike (correlation at least 0.5): a warning about the maps.

    Args:
        result: dict as `shortcut_test.run_shortcut_test` returns it, with or without `verdict`.

    Returns:
        dict of `level` (a key of `LEVELS`) and `sentences`, the most important first, each with its numbers.
    """
    variants = {v["name"]: v for v in result["variants"]}
    chance, whole = result["chance"], variants["whole"]["retrained"]
    low = (variants["whole"]["retrained_ci95"] or [chance])[0]
    if low <= chance:
        sentence = (
            f"Even on whole images a retrained head is right in {_percent(whole)} of {result['tested']} cases, where "
            f"always answering {class_label(result['majority'])} is in {_percent(chance)}. Nothing can be said."
        )
        return {"level": "unknown", "sentences": [sentence]}
    found = [
        *_lungs_hidden(variants["lungs_hidden"], whole, chance),
        *_frame_only(variants["frame_only"], whole, chance),
        *_elsewhere(result["external"]),
        *_file_facts(result["giveaway"], whole, chance),
        *_attention(result["attention"]),
        *_maps(result["maps"]),
    ]
    levels = {level for level, _ in found}
    level = next((name for name in ("shortcut", "doubt") if name in levels), "no sign")
    end = {
        "shortcut": "Do not use it on patients from elsewhere.",
        "doubt": "Test it on patients from elsewhere before you believe its figures.",
        "no sign": "That is no proof: a test on patients from elsewhere is still needed.",
    }[level]
    return {"level": level, "sentences": [*(sentence for _, sentence in found), end]}


def share_kept(variant, whole, chance):
    """Return which share of the lead over chance a retrained head keeps on a variant; 0 where it may be chance."""
    low = (variant["retrained_ci95"] or [variant["retrained"]])[0]
    return 0.0 if low <= chance else (variant["retrained"] - chance) / (whole - chance)


def _lungs_hidden(variant, whole, chance):
    kept, score = share_kept(variant, whole, chance), _percent(variant["retrained"])
    against = f"(whole images {_percent(whole)}, chance {_percent(chance)})"
    if kept >= _KEPT_ALL:
        yield (
            "shortcut",
            f"With the lungs hidden it still scores {score} {against}: retrained, it does not need the lungs.",
        )
    elif kept >= _KEPT_HALF:
        yield "doubt", f"With the lungs hidden it scores {score} {against}: much of what it knows is not in the lungs."
    else:
        yield "fine", f"With the lungs hidden it falls to {score} {against}: it needs them."


def _frame_only(variant, whole, chance):
    kept = share_kept(variant, whole, chance)
    if kept >= _KEPT_HALF:
        level = "shortcut" if kept >= _KEPT_ALL else "doubt"
        yield level, f"From the frame of the image alone it scores {_percent(variant['retrained'])}."


def _elsewhere(external):
    for name, metrics in external.items():
        healthy = healthy_called_ill(metrics)
        if healthy is None:
            continue
        level = "shortcut" if healthy >= _MANY_FALSE_ALARMS else "fine"
        yield level, f"It calls {_percent(healthy)} of {metrics['n']} healthy people from {name} ill."


def healthy_called_ill(metrics):
    """Return the share of a healthy data set that is called ill, or None where it is no such data set.

    Where the classifier may abstain, "not sure" is not ill.
    """
    present = [name for name, row in metrics["per_class"].items() if row["support"]]
    if [name.lower() for name in present] != ["normal"]:
        return None
    if "answers" in metrics:
        answers = metrics["answers"]["per_class"][present[0]]
        return sum(cell["share"] for name, cell in answers.items() if name not in (present[0], NOT_SURE))
    return 1 - metrics["accuracy"]


def _file_facts(correlations, whole, chance):
    score = correlations["accuracy"]
    if score is not None and (score - chance) >= _KEPT_ALL * (whole - chance):
        yield "doubt", f"File facts and grey values alone, without any shape, predict the class in {_percent(score)}."


def _attention(attention):
    evenly = [row for row in attention if row["ratio"] <= _EVENLY]
    if evenly:
        told = ", ".join(
            f"{class_label(row['class_name'])} {_percent(row['share'])} of the weight on {_percent(row['area'])} of "
            "the image"
            for row in evenly
        )
        yield "doubt", f"Its maps do not favour the lungs: {told}."


def _maps(maps):
    if maps["randomised"] and maps["randomised"][-1]["correlation"] >= _STILL_ALIKE:
        value = maps["randomised"][-1]["correlation"]
        yield "fine", f"The maps stay alike with shuffled weights (correlation {value:.2f}): do not read them."


def _percent(share):
    return f"{100 * share:.1f} %"
