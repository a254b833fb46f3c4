"""What does a classifier need of an image? It is tested, and retrained, with parts of the image removed.

1. The classifier predicts the test images with something removed (`image_variants.VARIANTS`).
2. A linear head on its frozen features is retrained on every variant and tested on the test images: only this shows
   what information is left, since a network may merely be confused by a black box.
3. Properties of the files alone predict the class; see `audit.spurious_correlations`.
4. The proportion of Grad-CAM inside the lungs, and 5. whether the maps mean anything; see `saliency_checks`.
6. External data sets.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from cxr_core.audit.spurious_correlations import find_spurious_correlations
from cxr_core.config import CACHE_DIR
from cxr_core.data.dataset import folder_stamp
from cxr_core.data.prepared_images import prepare_images, read_images
from cxr_core.data.property_table import measure_images
from cxr_core.data.sampling import stratified_rows
from cxr_core.data.sources import source_label
from cxr_core.evaluation.confidence_intervals import share_interval
from cxr_core.evaluation.metrics import Metrics, evaluate_predictions
from cxr_core.evaluation.scoring import score_folders
from cxr_core.imaging.lung_segmentation import LungRegion, lung_region
from cxr_core.inference.classifier import Classifier
from cxr_core.robustness.image_variants import VARIANTS, Variant, hidden_box
from cxr_core.robustness.saliency_checks import attention_in_lungs, check_maps
from cxr_core.robustness.shortcut_results import (
    FileFacts,
    LungsFound,
    ShortcutMeasurements,
    ShortcutResult,
    VariantScores,
)
from cxr_core.robustness.shortcut_verdict import LEVELS, healthy_called_ill, judge_again, verdict_of
from cxr_core.system.arrays import BoolArray, FloatArray, IntArray, ObjectArray, UInt8Array
from cxr_core.system.disk_cache import is_cached
from cxr_core.system.files import folder_names, read_json, write_json
from cxr_core.system.onnx_session import run_graph
from cxr_core.system.progress import Phase, Progress
from cxr_core.system.text import percent
from cxr_core.system.visit_folders import visit_cache

MAX_IMAGES = 1_000
_CHUNK = 128
# Raise it when a metric changes its meaning.
_METHOD = 4


@dataclass(frozen=True)
class _Sample:
    """The images of the test, in one order.

    Attributes:
        images_u8: uint8 (N, size, size), prepared.
        rows: of the data set table, N rows, with `group` and `side`.
        regions: N lungs.
        total: number of images that the sample was drawn from.
    """

    images_u8: UInt8Array
    rows: pd.DataFrame
    regions: Sequence[LungRegion]
    total: int

    @property
    def tested(self) -> BoolArray:
        """Which images the classifier was not trained on, bool (N,)."""
        return self.rows["side"].to_numpy() == "test"


def run_shortcut_test(
    classifier: Classifier,
    table: pd.DataFrame,
    groups: IntArray,
    sides: ObjectArray,
    *,
    external: Sequence[str | Path] = (),
    limit: int = MAX_IMAGES,
    seed: int = 0,
    cache_dir: str | Path = CACHE_DIR,
    phase: Phase | None = None,
) -> ShortcutResult:
    """Find out what a classifier, and any classifier of its kind, takes from these images.

    Args:
        classifier: the classifier to test.
        table: N rows of a data set table.
        groups: int (N,), images that must not be separated.
        sides: str (N,), "test" for images that the classifier was not trained on; see `held_out_images`.
        external: folders of external data sets.
        limit: about how many images are used, sampled in proportion to classes and sides.
        seed: of all that is random.
        cache_dir: where results are kept by content, model and settings.
        phase: called with the name of each phase.

    Raises:
        ValueError: fewer than two classes on either side, or a class that the classifier does not know.
        OSError: a file went away.
    """
    phase = phase or (lambda _: None)
    path = result_path(classifier, table, groups, sides, external=external, limit=limit, seed=seed, cache_dir=cache_dir)
    if is_cached(path):
        return judge_again(read_json(path))
    facts = _file_facts(table, groups, seed, cache_dir, phase)
    sample = _draw_sample(classifier, table.assign(group=groups, side=sides), limit, seed, cache_dir, phase)
    measured = _measure(classifier, sample, facts, external, seed, phase)
    result: ShortcutResult = {**measured, "verdict": verdict_of(measured)}
    write_json(path, result)
    return result


def shortcut_summary(result: ShortcutResult) -> str:
    """Return a result as a text for a terminal."""
    lines = [LEVELS[result["verdict"]["level"]].upper(), *result["verdict"]["sentences"], ""]
    lines.append(variants_table(result).to_string(index=False, float_format=lambda v: f"{v:.3f}"))
    return "\n".join([*lines, "", *result["notes"]])


def variants_table(result: ShortcutResult) -> pd.DataFrame:
    """Return the variants as a table for people: what is shown, as trained and retrained, with 95 % intervals."""
    rows = []
    for variant in result["variants"]:
        low, high = variant["accuracy_ci95"] or (np.nan, np.nan)
        retrained_low, retrained_high = variant["retrained_ci95"] or (np.nan, np.nan)
        rows.append(
            {
                "image": variant["title"],
                "as trained": variant["accuracy"],
                "as trained, from": low,
                "as trained, to": high,
                "retrained": variant["retrained"],
                "retrained, from": retrained_low,
                "retrained, to": retrained_high,
            }
        )
    return pd.DataFrame(rows)


def external_table(result: ShortcutResult) -> pd.DataFrame:
    """Return a table for people: each external data set with images, accuracy and false alarms of healthy people."""
    rows = [
        {
            "data set": source_label(name),
            "images": metrics["n"],
            "accuracy": metrics["accuracy"],
            "healthy classified as ill": healthy_called_ill(metrics),
        }
        for name, metrics in result["external"].items()
    ]
    return pd.DataFrame(rows)


def retrained_answers(
    features: FloatArray, names: npt.ArrayLike, test_features: FloatArray, *, seed: int = 0
) -> ObjectArray:
    """Train a logistic regression on features and return its predictions for others, str (M,).

    Args:
        features: float (N, F).
        names: str (N,), the true classes, at least two different ones.
        test_features: float (M, F).
        seed: of the solver.
    """
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300, random_state=seed))
    # The steps of the solver are so small that threads inside one only wait for each other.
    with threadpool_limits(1):
        return head.fit(features, names).predict(test_features)


def result_path(
    classifier: Classifier,
    table: pd.DataFrame,
    groups: IntArray,
    sides: ObjectArray,
    *,
    external: Sequence[str | Path] = (),
    limit: int = MAX_IMAGES,
    seed: int = 0,
    cache_dir: str | Path = CACHE_DIR,
) -> Path:
    """Return where the result of `run_shortcut_test` with the same arguments is kept; it may not exist yet."""
    settings = {
        "method": _METHOD,
        "card": classifier.card.name,
        "classes": classifier.classes,
        "preprocessing": classifier.card.preprocessing.to_dict(),
        "temperature": classifier.card.temperature,
        "abstain_below": classifier.card.abstain_below,
        "measured_elsewhere": classifier.card.metrics.get("external", {}),
        "model": _model_digest(classifier),
        "external": [(str(Path(f).resolve()), folder_stamp(f)) for f in external],
        "limit": limit,
        "seed": seed,
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for values in (table["digest"], table["class_name"], sides, groups):
        digest.update("\n".join(map(str, values)).encode())
    folder = Path(visit_cache(table.get("path", ())) or cache_dir)
    return folder / "shortcuts" / f"{digest.hexdigest()[:32]}.json"


def _model_digest(classifier: Classifier) -> str:
    """Identify a classifier by its whole graph, or, where it was not opened from a folder, by all outputs of it."""
    if classifier.path is not None:
        return classifier.digest()
    size = classifier.card.preprocessing.size
    fixed = np.random.default_rng(0).integers(0, 256, (1, size, size), np.uint8)
    outputs = [output.name for output in classifier.session.get_outputs()]
    digest = hashlib.sha256()
    for values in run_graph(classifier.session, outputs, fixed, classifier.card.preprocessing.scaled):
        digest.update(np.round(values, 4).tobytes())
    return digest.hexdigest()[:16]


def _file_facts(table: pd.DataFrame, groups: IntArray, seed: int, cache_dir: str | Path, phase: Phase) -> FileFacts:
    measured = measure_images(table, cache_dir=cache_dir, progress=phase("Measuring the images"))
    return cast(FileFacts, find_spurious_correlations(table, measured, groups, seed=seed).to_dict())


def _draw_sample(
    classifier: Classifier, table: pd.DataFrame, limit: int, seed: int, cache_dir: str | Path, phase: Phase
) -> _Sample:
    """Prepare the images of a table with `group` and `side`, draw some of them and find their lungs."""
    prepared = prepare_images(
        table, classifier.card.preprocessing, cache_dir=cache_dir, progress=phase("Preparing the images")
    )
    rows = prepared.table
    used = stratified_rows(rows["class_name"] + " " + rows["side"], limit, np.random.default_rng(seed))
    images, rows = read_images(prepared.images_u8, used), rows.iloc[used].reset_index(drop=True)
    _check_sides(rows, classifier.classes)
    return _Sample(images, rows, _regions(images, phase("Looking for the lungs")), len(table))


def _measure(
    classifier: Classifier,
    sample: _Sample,
    facts: FileFacts,
    external: Sequence[str | Path],
    seed: int,
    phase: Phase,
) -> ShortcutMeasurements:
    variants = [_ask(classifier, name, sample, seed, phase) for name in VARIANTS]
    tested = np.flatnonzero(sample.tested)
    images, class_names = sample.images_u8[tested], sample.rows["class_name"].iloc[tested]
    counts = class_names.value_counts()
    attention = attention_in_lungs(
        classifier,
        images,
        [sample.regions[i] for i in tested.tolist()],
        class_names.tolist(),
        progress=phase("Comparing the maps with the lungs"),
    )
    return {
        "classes": list(classifier.classes),
        "images": len(sample.rows),
        "tested": len(tested),
        "chance": float(counts.iloc[0] / counts.sum()),
        "majority": str(counts.index[0]),
        "lungs": _lungs_found(sample.regions, sample.rows["class_name"]),
        "variants": variants,
        "giveaway": facts,
        "attention": attention,
        "maps": check_maps(classifier, images, seed=seed, phase=phase),
        "external": _external_metrics(classifier, external, phase),
        "notes": _notes(sample),
    }


def _external_metrics(classifier: Classifier, folders: Sequence[str | Path], phase: Phase) -> dict[str, Metrics]:
    """Return {data set: metrics}, those of the classifier's card and of these folders."""
    named = zip(folder_names(folders), folders, strict=True)
    scored = {name: score_folders(classifier, folder, progress=phase)[0] for name, folder in named}
    return classifier.card.metrics.get("external", {}) | scored


def _ask(classifier: Classifier, name: str, sample: _Sample, seed: int, phase: Phase) -> VariantScores:
    """Return the scores on one variant of the test images: the classifier's own and a retrained head's."""
    variant, tested = VARIANTS[name], sample.tested
    probabilities, features = _predict_variant(
        classifier, variant, sample, phase(f"Testing again: {variant.title.lower()}")
    )
    names, groups = sample.rows["class_name"].to_numpy(object), sample.rows["group"].to_numpy()
    scores = evaluate_predictions(names[tested], probabilities[tested], classifier.classes, groups[tested])
    right = retrained_answers(features[~tested], names[~tested], features[tested], seed=seed) == names[tested]
    return {
        "name": name,
        "title": variant.title,
        "question": variant.question,
        "accuracy": scores["accuracy"],
        "accuracy_ci95": scores["ci95"]["accuracy"],
        "recall": {c: row["recall"] for c, row in scores["per_class"].items()},
        "retrained": float(right.mean()),
        "retrained_ci95": share_interval(right, groups[tested]),
    }


def _predict_variant(
    classifier: Classifier, variant: Variant, sample: _Sample, progress: Progress | None
) -> tuple[FloatArray, FloatArray]:
    """Return the probabilities (N, C) and features (N, F) of one variant of all images."""
    images, regions = sample.images_u8, sample.regions
    probabilities, features = [], []
    for start in range(0, len(images), _CHUNK):
        stop = min(start + _CHUNK, len(images))
        part = np.stack([variant.make(images[i], regions[i]) for i in range(start, stop)])
        some = classifier.predict_with_features(part)
        probabilities.append(some[0])
        features.append(some[1])
        if progress:
            progress(stop, len(images))
    return np.concatenate(probabilities), np.concatenate(features)


def _regions(images_u8: UInt8Array, progress: Progress | None) -> list[LungRegion]:
    regions = []
    for i, image in enumerate(images_u8, start=1):
        regions.append(lung_region(image))
        if progress and (i % 50 == 0 or i == len(images_u8)):
            progress(i, len(images_u8))
    return regions


def _lungs_found(regions: Sequence[LungRegion], class_names: pd.Series) -> LungsFound:
    found = pd.Series([region.found for region in regions])
    per_class = found.groupby(class_names.to_numpy()).mean()
    return {
        "found": int(found.sum()),
        "images": len(found),
        "per_class": {str(name): float(share) for name, share in per_class.items()},
        "hidden": _share_hidden(regions),
    }


def _share_hidden(regions: Sequence[LungRegion]) -> float | None:
    """Return the mean proportion of the lungs' area that the box of `hide_lungs` covers; None where none were found."""
    masks = [region.mask for region in regions if region.found]
    if not masks:
        return None
    left, top, right, bottom = hidden_box(masks[0].shape)
    return float(np.mean([mask[top:bottom, left:right].sum() / mask.sum() for mask in masks]))


def _check_sides(rows: pd.DataFrame, classes: Sequence[str]) -> None:
    unknown = sorted(set(rows["class_name"]) - set(classes))
    if unknown:
        raise ValueError(f"The classifier knows {', '.join(classes)}; the data set also has {', '.join(unknown)}.")
    for side, part in rows.groupby("side"):
        if part["class_name"].nunique() < 2:
            raise ValueError(
                "The shortcut test needs at least two classes to train on and to test on; the images to "
                f"{'train on' if side == 'learn' else 'test on'} are of {part['class_name'].nunique()}."
            )
    if rows["side"].nunique() < 2:
        raise ValueError("The shortcut test needs images to train on and others to test on; received only one kind.")


def _notes(sample: _Sample) -> list[str]:
    n, notes = len(sample.rows), []
    if n < sample.total:
        notes.append(f"Measured on {n:,} of {sample.total:,} images, sampled in proportion to class size.")
    lost = sum(not region.found for region in sample.regions)
    if lost:
        notes.append(f"In {lost:,} of {n:,} images no lungs were found; a fixed box takes their place.")
    hidden = _share_hidden(sample.regions)
    if hidden is not None:
        notes.append(
            f"The box that hides the lungs is the same in every image and covers {percent(hidden, 0)} of their area."
        )
    return notes
