"""How good is a classifier at each source, and at which is it worst?"""

from collections.abc import Sequence
from typing import Literal, TypedDict

import numpy as np
import pandas as pd

from cxr_core.classes import class_key, class_label
from cxr_core.data.sources import image_sources, source_label
from cxr_core.evaluation.confidence_intervals import Interval, share_interval
from cxr_core.evaluation.predictions import prediction_groups
from cxr_core.evaluation.slices import LEAST_IMAGES
from cxr_core.system.arrays import BoolArray, IntArray
from cxr_core.system.text import percent


class Share(TypedDict):
    """A proportion of `images`, with its 95 % interval; both None where there is no image, or one group of them."""

    share: float | None
    ci95: Interval | None
    images: int


class ClassAtSource(TypedDict):
    """One class at one source.

    Attributes:
        recall: proportion of its images that are given the class.
        false_alarms: proportion of the other images that are given the class.
    """

    recall: Share
    false_alarms: Share


class SourceScore(TypedDict):
    """How good a classifier is on the images of one source; `per_class` in class order."""

    source: str
    accuracy: Share
    per_class: dict[str, ClassAtSource]


def known_sources(predictions: pd.DataFrame) -> pd.Series | None:
    """Return the source of each image of a predictions table, or None where none is told and the paths are not known.

    Returns:
        str (N,), missing for an image of which nobody tells a source.
    """
    if "path" in predictions and predictions["path"].notna().all():
        return image_sources(predictions)
    return predictions["source"] if "source" in predictions and predictions["source"].notna().any() else None


def score_sources(predictions: pd.DataFrame, classes: Sequence[str]) -> list[SourceScore]:
    """Score each source of a predictions table by the likeliest class, abstaining from nothing.

    Args:
        predictions: a predictions table of N images.
        classes: of the classifier.

    Returns:
        Lowest accuracy first; sources of fewer than 10 images follow. Images without a source are left out. Empty where
        fewer than two sources are known.

    Source:
        Clopper & Pearson 1934; see `confidence_intervals.share_interval`. Worst-group accuracy: Sagawa et al. 2020,
        arXiv:1911.08731.
    """
    sources = known_sources(predictions)
    if sources is None or sources.nunique() < 2:
        return []
    groups = prediction_groups(predictions)
    scores = []
    for source, rows in predictions.groupby(sources.to_numpy(), sort=True):
        own = groups[predictions.index.get_indexer(rows.index)]
        scores.append(_score(str(source), rows, own, classes))
    return sorted(scores, key=lambda s: (_is_few(s["accuracy"]), s["accuracy"]["share"] or 0.0))


def worst_source_sentences(scores: Sequence[SourceScore]) -> list[str]:
    """Name the source with the lowest accuracy, the lowest recall and the most false alarms, in sentences.

    Called Normal wrongly is no alarm. Proportions of fewer than 10 images are passed over.

    Args:
        scores: as `score_sources` returns them.

    Returns:
        Up to three sentences; empty without scores.
    """
    if not scores:
        return []
    enough = [s for s in scores if not _is_few(s["accuracy"])]
    if not enough:
        return [f"No source has {LEAST_IMAGES} images, too few to say at which one it is worst."]
    worst = min(enough, key=lambda s: s["accuracy"]["share"] or 0.0)
    sentences = [f"Worst source: {source_label(worst['source'])}, accuracy {_words(worst['accuracy'])}."]
    lowest = _extreme(scores, "recall")
    if lowest:
        source, name, share = lowest
        sentences.append(f"Lowest recall: {class_label(name)} at {source_label(source)}, {_words(share)}.")
    highest = _extreme(scores, "false_alarms")
    if highest and highest[2]["share"]:
        source, name, share = highest
        sentences.append(
            f"Most false alarms: wrongly called {class_label(name)} at {source_label(source)}, {_words(share)}."
        )
    return sentences


def source_notes(scores: Sequence[SourceScore], images: int) -> list[str]:
    """Say what the table of sources does not show by itself.

    Args:
        scores: as `score_sources` returns them.
        images: N, of the predictions table.

    Returns:
        Sentences: which sources have too few images, which have images of one class, how many images have no source.
    """
    few = [source_label(s["source"]) for s in scores if _is_few(s["accuracy"])]
    one_class = [
        source_label(s["source"])
        for s in scores
        if sum(c["recall"]["images"] > 0 for c in s["per_class"].values()) == 1
    ]
    without = images - sum(s["accuracy"]["images"] for s in scores) if scores else 0
    notes = []
    if few:
        notes.append(f"Too few images (below {LEAST_IMAGES}) to judge: {', '.join(few)}.")
    if one_class:
        notes.append(
            f"One class only, so that accuracy is the recall of that class, and the source gives it away: "
            f"{', '.join(one_class)}."
        )
    if without:
        notes.append(f"{without:,} images without a source are left out here; a column source in a CSV file tells it.")
    return notes


def source_table(scores: Sequence[SourceScore]) -> pd.DataFrame:
    """Return the scores as texts, a row per source: `Source`, `Accuracy`, then recalls and false alarms.

    Behind each proportion stand its 95 % interval and its number of images; of fewer than 10, counts stand instead.
    False alarms are those of every class but Normal.
    """
    rows = []
    for score in scores:
        cells = {name: _cell(share) for name, share in named_shares(score).items()}
        rows.append({"Source": source_label(score["source"])} | cells)
    return pd.DataFrame(rows)


def source_shares(scores: Sequence[SourceScore], name: str) -> pd.DataFrame:
    """Return one proportion at each source that has enough images for it, for a figure.

    Args:
        scores: of the sources.
        name: a key of `named_shares`.

    Returns:
        `source` (as people know it), `share`, `low` and `high` (its 95 % interval, itself where none is known) and
        `images`, in the order of the scores.
    """
    told = [(source_label(score["source"]), named_shares(score)[name]) for score in scores]
    rows = [
        (source, share["share"], *(share["ci95"] or (share["share"], share["share"])), share["images"])
        for source, share in told
        if not _is_few(share)
    ]
    return pd.DataFrame(rows, columns=["source", "share", "low", "high", "images"])


def named_shares(score: SourceScore) -> dict[str, Share]:
    """Return {name for a person: proportion} of one source: accuracy, recalls, and false alarms of all but Normal."""
    classes = score["per_class"].items()
    found = {f"{class_label(name)} found": share["recall"] for name, share in classes}
    alarms = {
        f"Wrongly called {class_label(name)}": share["false_alarms"]
        for name, share in classes
        if class_key(name) != "normal"
    }
    return {"Accuracy": score["accuracy"]} | found | alarms


def _score(source: str, rows: pd.DataFrame, groups: IntArray, classes: Sequence[str]) -> SourceScore:
    true, predicted = rows["true"].to_numpy(), rows["predicted"].to_numpy()
    everywhere = np.ones(len(rows), bool)
    per_class: dict[str, ClassAtSource] = {}
    for name in classes:
        called = predicted == name
        per_class[name] = {
            "recall": _share(called, true == name, groups),
            "false_alarms": _share(called, true != name, groups),
        }
    return {"source": source, "accuracy": _share(true == predicted, everywhere, groups), "per_class": per_class}


def _share(flags: BoolArray, among: BoolArray, groups: IntArray) -> Share:
    n = int(among.sum())
    if not n:
        return {"share": None, "ci95": None, "images": 0}
    ends = share_interval(flags[among], groups[among])
    return {"share": float(flags[among].mean()), "ci95": ends, "images": n}


def _is_few(share: Share) -> bool:
    return share["images"] < LEAST_IMAGES


def _extreme(scores: Sequence[SourceScore], figure: Literal["recall", "false_alarms"]) -> tuple[str, str, Share] | None:
    """Return (source, class, share) of the lowest recall or the highest proportion of false alarms, or None."""
    found = [
        (score["source"], name, values[figure])
        for score in scores
        for name, values in score["per_class"].items()
        if not _is_few(values[figure]) and (figure == "recall" or class_key(name) != "normal")
    ]
    sign = 1 if figure == "recall" else -1
    return min(found, key=lambda row: sign * (row[2]["share"] or 0.0), default=None)


def _words(share: Share) -> str:
    """Return "53.3% of 45 images (95 %: 37.9% to 68.3%)"."""
    ends = share["ci95"]
    between = f" (95 %: {percent(ends[0])} to {percent(ends[1])})" if ends else ""
    return f"{percent(share['share'] or 0.0)} of {share['images']:,} images{between}"


def _cell(share: Share) -> str:
    """Return "53.3% (37.9 to 68.3), n = 45"; of a few images "2 of 3, too few", of none a dash."""
    n, value, ends = share["images"], share["share"], share["ci95"]
    if value is None:
        return "–"
    if _is_few(share):
        return f"{round(value * n)} of {n}, too few"
    between = f" ({100 * ends[0]:.1f} to {100 * ends[1]:.1f})" if ends else ""
    return f"{percent(value)}{between}, n = {n:,}"
