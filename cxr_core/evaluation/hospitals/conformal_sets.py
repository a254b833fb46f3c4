"""Which classes can an image not be denied, if a true class is to be among them in nine of ten cases?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import pandas as pd

from cxr_core.data.sources import source_label
from cxr_core.evaluation.confidence_intervals import share_interval
from cxr_core.evaluation.hospitals.site_statistics import threshold_for_misses
from cxr_core.evaluation.hospitals.source_scores import Share, known_sources
from cxr_core.evaluation.predictions import prediction_groups
from cxr_core.evaluation.slices import LEAST_IMAGES
from cxr_core.runs.run import Run
from cxr_core.system.text import percent

MISS_RATE = 0.1


class SetCoverage(TypedDict):
    """How often the true class is in the set, and how large sets are, on the images of one source.

    Attributes:
        source: "" for all images.
        coverage: proportion of sets that hold the true class.
        mean_size: number of classes in a set.
    """

    source: str
    coverage: Share
    mean_size: float


def fit_sets(validation: pd.DataFrame, classes: Sequence[str], miss_rate: float = MISS_RATE) -> dict[str, float]:
    """Return the least probability with which each class is in a set, from the validation images of that class.

    Args:
        validation: a predictions table that took no part in training.
        classes: of the classifier.
        miss_rate: in (0, 1), how often the true class may be missing, on average for each class.

    Returns:
        0 for a class of too few images: it is then in every set.

    Source:
        Split conformal prediction by class with the score 1 - p (LAC): Sadinle, Lei & Wasserman 2019,
        doi:10.1080/01621459.2017.1395341. It holds for images that are exchangeable with the validation images.
    """
    limits = {}
    for name in classes:
        limit = threshold_for_misses(validation.loc[validation["true"] == name, f"p_{name}"], miss_rate)
        limits[name] = 0.0 if limit is None else limit
    return limits


def run_sets(folder: str | Path, classes: Sequence[str], miss_rate: float = MISS_RATE) -> dict[str, float] | None:
    """Return `fit_sets` of a classifier's own validation predictions; None where its folder has none."""
    predictions = Run(Path(folder)).predictions()
    if "split" not in predictions:
        return None
    validation = predictions[predictions["split"] == "validation"]
    return fit_sets(validation, classes, miss_rate) if len(validation) else None


def set_coverage(predictions: pd.DataFrame, limits: Mapping[str, float]) -> list[SetCoverage]:
    """Measure the sets on a predictions table: on all of its images, then at each source where several are known."""
    inside = pd.DataFrame({name: predictions[f"p_{name}"] >= limit for name, limit in limits.items()})
    held = pd.Series([bool(inside.at[i, true]) for i, true in predictions["true"].items()], index=predictions.index)
    groups = pd.Series(prediction_groups(predictions), index=predictions.index)
    sources = known_sources(predictions)
    parts = [("", predictions.index)]
    if sources is not None and sources.nunique() > 1:
        parts += [(str(name), rows.index) for name, rows in predictions.groupby(sources)]
    found: list[SetCoverage] = []
    for name, rows in parts:
        share: Share = {
            "share": float(held[rows].mean()), "ci95": share_interval(held[rows], groups[rows]), "images": len(rows),
        }  # fmt: skip
        found.append({"source": name, "coverage": share, "mean_size": float(inside.loc[rows].sum(axis=1).mean())})
    return found


def coverage_sentences(found: Sequence[SetCoverage], miss_rate: float = MISS_RATE) -> list[str]:
    """Say where the sets keep their promise, and where not: where the whole interval of the coverage lies below it."""
    if not found:
        return []
    overall, *at_sources = found
    promised = 1 - miss_rate
    sentences = [
        f"Sets that should hold the true class in {percent(promised, 0)} of images hold it in "
        f"{percent(overall['coverage']['share'] or 0.0)}, with {overall['mean_size']:.2f} classes on average."
    ]
    failing = [
        f"{source_label(row['source'])} ({percent(row['coverage']['share'] or 0.0)} of {row['coverage']['images']:,})"
        for row in at_sources
        if row["coverage"]["images"] >= LEAST_IMAGES
        and row["coverage"]["ci95"]
        and row["coverage"]["ci95"][1] < promised
    ]
    if failing:
        sentences.append(f"The promise fails at {', '.join(failing)}.")
    elif at_sources:
        sentences.append("At no source of enough images is it clearly broken.")
    return sentences
