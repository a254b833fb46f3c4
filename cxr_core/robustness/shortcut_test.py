"""What a classifier needs of an image: it is asked, and retrained, with parts of the image taken away."""

import hashlib
import json
from pathlib import Path

import numpy as np
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
from cxr_core.evaluation.confidence_intervals import share_interval
from cxr_core.evaluation.metrics import evaluate_predictions
from cxr_core.evaluation.scoring import score_folders
from cxr_core.imaging.lung_segmentation import lung_region
from cxr_core.robustness.image_variants import VARIANTS, hidden_box
from cxr_core.robustness.saliency_checks import attention_in_lungs, check_maps
from cxr_core.robustness.shortcut_verdict import LEVELS, verdict_of
from cxr_core.system.files import read_json, write_json

MAX_IMAGES = 1_000
_CHUNK = 128
# Raise it when a figure changes its meaning.
_METHOD = 2


def run_shortcut_test(
    classifier, table, groups, sides, *, external=(), limit=MAX_IMAGES, seed=0, cache_dir=CACHE_DIR, phase=None
):
    """Find out what a classifier, and any classifier of its kind, takes from these images.

    1. The classifier answers the test images with something taken away (`VARIANTS`).
    2. A linear head on its frozen features is trained anew on every variant and tested on the test images: only
       this shows what information is left, since a network may merely be confused by a black box.
    3. File facts alone; see `correlations`.
    4. Share of Grad-CAM inside the lungs, and 5. whether the maps mean anything; see `map_checks`.
    6. Data sets from elsewhere.

    Args:
        classifier: classifier.Classifier.
        table: DataFrame (N rows) with `path`, `file`, `class_name`, `digest`, `width`, `height`, `format`, `bytes`.
        groups: int (N,), images that must not be parted.
        sides: str (N,), "test" for images that the classifier did not learn from; see `held_out_table`.
        external: folders of data sets from elsewhere.
        limit: int, about how many images are used, drawn so that classes and sides keep their shares.
        seed: int.
        cache_dir: str or Path; a result is kept by content, model and settings.
        phase: callable(name) that returns a callable(done, total) to report to, or None.

    Returns:
        dict of plain values, as JSON has them:
        `classes`, `images`, `tested`, `chance` (share of the largest class among the tested), `majority`,
        `lungs` (`found`, `images`, `per_class`, `hidden`: mean share of their area that is hidden), `variants` (a
        list of `name`, `title`, `question`, `accuracy`, `recall` {class: share or None}, `retrained`, each accuracy
        with its `…_ci95`), `correlations`, `attention`, `maps`, `external` {name: metrics, the card's own and those
        of `external`}, `notes` and `verdict` (`level`, `sentences`).

    Raises:
        ValueError: fewer than two classes on either side, or a class the classifier does not know.
        OSError: an image went away.
    """
    phase = phase or (lambda name: None)
    groups, sides = np.asarray(groups), np.asarray(sides, object)
    path = result_path(classifier, table, groups, sides, external=external, limit=limit, seed=seed, cache_dir=cache_dir)
    if path.exists():
        return read_json(path)
    facts = _file_facts(table, groups, seed, cache_dir, phase)
    prepared = prepare_images(
        table.assign(group=groups, side=sides),
        classifier.card.preprocessing,
        cache_dir=cache_dir,
        progress=phase("Preparing the images"),
    )
    rows = prepared.table
    used = stratified_rows(rows["class_name"] + " " + rows["side"], limit, np.random.default_rng(seed))
    images, rows = read_images(prepared.images_u8, used), rows.iloc[used].reset_index(drop=True)
    _check_sides(rows, classifier.classes)
    regions = _regions(images, phase("Looking for the lungs"))
    tested = rows["side"].to_numpy() == "test"
    variants = [_ask(classifier, name, images, regions, rows, tested, seed, phase) for name in VARIANTS]
    counts = rows.loc[tested, "class_name"].value_counts()
    test_rows = np.flatnonzero(tested)
    result = {
        "classes": list(classifier.classes),
        "images": len(rows),
        "tested": int(tested.sum()),
        "chance": float(counts.iloc[0] / counts.sum()),
        "majority": str(counts.index[0]),
        "lungs": _lungs_found(regions, rows["class_name"]),
        "variants": variants,
        "giveaway": facts,
        "attention": attention_in_lungs(
            classifier,
            images[test_rows],
            [regions[i] for i in test_rows],
            rows["class_name"].to_numpy()[test_rows],
            progress=phase("Laying the maps over the lungs"),
        ),
        "maps": check_maps(classifier, images[test_rows], seed=seed, phase=phase),
        "external": classifier.card.metrics.get("external", {})
        | {Path(folder).name: score_folders(classifier, folder, progress=phase)[0] for folder in external},
        "notes": _notes(rows, len(table), regions),
    }
    result["verdict"] = verdict_of(result)
    write_json(path, result)
    return result


def shortcut_summary(result):
    """Return the lab's result as a text for a terminal."""
    lines = [LEVELS[result["verdict"]["level"]].upper(), *result["verdict"]["sentences"], ""]
    lines.append(variants_table(result).to_string(index=False, float_format=lambda v: f"{v:.3f}"))
    return "\n".join([*lines, "", *result["notes"]])


def variants_table(result):
    """Return the variants as a DataFrame for people: image, as trained and retrained with intervals."""
    rows = []
    for variant in result["variants"]:
        row = {"image": variant["title"]}
        for key, title in (("accuracy", "as trained"), ("retrained", "retrained")):
            low, high = variant[f"{key}_ci95"] or (np.nan, np.nan)
            row |= {title: variant[key], f"{title}, from": low, f"{title}, to": high}
        rows.append(row)
    return pd.DataFrame(rows)


def _ask(classifier, name, images, regions, rows, tested, seed, phase):
    """Return one variant's scores: the classifier's own and a retrained head's, on the tested rows."""
    variant = VARIANTS[name]
    report = phase(f"Asking again: {variant.title.lower()}")
    probabilities, features = [], []
    for start in range(0, len(images), _CHUNK):
        stop = min(start + _CHUNK, len(images))
        part = np.stack([variant.make(images[i], regions[i]) for i in range(start, stop)])
        some = classifier.predict_with_features(part)
        probabilities.append(some[0])
        features.append(some[1])
        if report:
            report(stop, len(images))
    probabilities, features = np.concatenate(probabilities)[tested], np.concatenate(features)
    names, groups = rows["class_name"].to_numpy(object), rows["group"].to_numpy()
    scores = evaluate_predictions(names[tested], probabilities, classifier.classes, groups[tested])
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


def retrained_answers(features, names, test_features, *, seed=0):
    """Train a logistic regression on features and return its answers to others, str (M,).

    Args:
        features: float (N, F).
        names: str (N,), at least two different ones.
        test_features: float (M, F).
        seed: int.
    """
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300, random_state=seed))
    # More threads than cores only compete.
    with threadpool_limits(2):
        return head.fit(features, names).predict(test_features)


def _regions(images, report):
    regions = []
    for i, image in enumerate(images, start=1):
        regions.append(lung_region(image))
        if report and (i % 50 == 0 or i == len(images)):
            report(i, len(images))
    return regions


def _lungs_found(regions, class_names):
    found = pd.Series([region.found for region in regions])
    per_class = found.groupby(class_names.to_numpy()).mean()
    return {
        "found": int(found.sum()),
        "images": len(found),
        "per_class": {name: float(share) for name, share in per_class.items()},
        "hidden": _share_hidden([region.mask for region in regions if region.found]),
    }


def _share_hidden(masks):
    if not masks:
        return None
    left, top, right, bottom = hidden_box(masks[0].shape)
    return float(np.mean([mask[top:bottom, left:right].sum() / mask.sum() for mask in masks]))


def _file_facts(table, groups, seed, cache_dir, phase):
    measured = measure_images(table, cache_dir=cache_dir, progress=phase("Measuring the images"))
    return find_spurious_correlations(table, measured, groups, seed=seed).to_dict()


def _check_sides(rows, classes):
    unknown = sorted(set(rows["class_name"]) - set(classes))
    if unknown:
        raise ValueError(f"The classifier knows {', '.join(classes)}; the data set also has {', '.join(unknown)}.")
    for side, part in rows.groupby("side"):
        if part["class_name"].nunique() < 2:
            raise ValueError(
                f"The lab needs at least two classes to learn from and to test on; the {side} side has "
                f"{part['class_name'].nunique()}."
            )
    if rows["side"].nunique() < 2:
        raise ValueError("The lab needs images to learn from and others to test on; all are on one side.")


def _notes(rows, total, regions):
    notes = []
    if len(rows) < total:
        notes.append(f"Measured on {len(rows):,} of {total:,} images, drawn so that every class keeps its share.")
    lost = sum(not region.found for region in regions)
    if lost:
        notes.append(f"In {lost:,} of {len(rows):,} images no lungs were found; a fixed box stands for them.")
    hidden = _share_hidden([region.mask for region in regions if region.found])
    if hidden is not None:
        notes.append(f"The box that hides the lungs is the same in every image and holds {hidden:.0%} of their area.")
    return notes


def result_path(classifier, table, groups, sides, *, external=(), limit=MAX_IMAGES, seed=0, cache_dir=CACHE_DIR):
    """Return where the result of `run_shortcut_test` with the same arguments is kept, Path; it may not exist yet."""
    settings = {
        "method": _METHOD,
        "card": classifier.card.name,
        "preprocessing": classifier.card.preprocessing.to_dict(),
        "temperature": classifier.card.temperature,
        "measured_elsewhere": classifier.card.metrics.get("external", {}),
        "model": _model_digest(classifier),
        "external": [(str(Path(f).resolve()), folder_stamp(f)) for f in external],
        "limit": limit,
        "seed": seed,
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for values in (table["digest"], table["class_name"], sides, groups):
        digest.update("\n".join(map(str, values)).encode())
    return Path(cache_dir) / "shortcuts" / f"{digest.hexdigest()[:32]}.json"


def _model_digest(classifier):
    """Tell classifiers apart by what they answer to one fixed image."""
    size = classifier.card.preprocessing.size
    fixed = np.random.default_rng(0).integers(0, 256, (1, size, size), np.uint8)
    return hashlib.sha256(np.round(classifier.features(fixed), 4).tobytes()).hexdigest()[:16]
