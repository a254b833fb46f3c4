"""Fit a model's gate from its own training images and from images that are no frontal chest radiographs."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from cxr_core.data.dataset import scan_dataset
from cxr_core.imaging.reader import UnreadableImage, decode_image
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.input_gate import NEAREST, Gate, gate_inputs, gate_measures, save_gate, unit_vectors
from cxr_core.inference.model_card import load_card, write_card
from cxr_core.robustness.negative_images import (
    NegativeImage,
    altered_radiographs,
    mild_copy,
    negative_images,
    small_grey,
)

COMPONENTS = 64
# Shares of the validation split that each of the two questions may refuse.
CHEST_SHARE, DISTANCE_SHARE = 0.005, 0.015
# Share of the validation images, turned, inverted, cut or put together, that the first question must refuse. Where
# they and the others leave room it is no stricter than that: whole radiographs of other hospitals lie between them.
ALTERED_SHARE = 0.98
_STRANGE = 1_000
_ALTERED = 720
_MILD = 1_500
_KEPT = 1_000
_REGULARISATION = 0.1
_CHUNK = 64
_DRAWN_NAME = "drawing-"


def fit_gate(folder, roots, *, others=(), seed=0, phase=lambda name: None):
    """Fit the gate of a model folder and measure it; writes both into the folder.

    Neither question is asked of the test split, nor of the kept images, before the limits stand.

    Args:
        folder: str or Path of a run, or of a published model.
        roots: str or Path of the data sets that the model was trained on.
        others: str or Path of data sets from elsewhere, of which it is told what share is refused.
        seed: int.
        phase: callable(name) that returns a callable(done, total) to report to, or None.

    Returns:
        dict of what was measured, as it stands in the card under `metrics.gate`.

    Raises:
        FileNotFoundError, ValueError: no model, no images, or none that took part in its training.
    """
    folder, rng = Path(folder), np.random.default_rng(seed)
    classifier = load_classifier(folder)
    sides = _sides(folder, roots, phase("Looking through the images"))
    seen = {}
    for side in ("train", "validation", "test"):
        seen[side] = _look_at_files(classifier, sides[side]["path"], phase(f"Reading the {side} images"))
    table = sides["train"][seen["train"].readable]
    drawings = not any(Path(file).name.startswith(_DRAWN_NAME) for file in table["file"])

    def strange(side, n):
        return negative_images(side, n, rng, drawings=drawings)

    n_mild = min(_MILD, len(table))
    mild = _look_at(classifier, _mild_copies(table["path"], rng), phase("Altering training images"), n_mild)
    tuning = _look_at(classifier, strange("tuning", _STRANGE), phase("Making strange images"), _STRANGE)

    def altered(side, paths, n):
        images = altered_radiographs(_some_images(paths, n, rng), rng)
        return _look_at(classifier, images, phase(f"Turning and cutting {side} images"), min(n, len(paths)))

    negatives = tuning, altered("training", table["path"], _ALTERED)
    turned = altered("validation", sides["validation"]["path"], _ALTERED)
    gate = _fit(classifier.classes, table, seen, mild, negatives, turned)
    save_gate(gate, folder)

    kept = _look_at(classifier, strange("kept", _KEPT), phase("Making strange images that were kept out"), _KEPT)
    turned = altered("test", sides["test"]["path"], len(sides["test"]))
    measured = {
        "test": _refusals(gate, seen["test"]),
        "validation": _refusals(gate, seen["validation"]),
        "strange": _refusals(gate, kept) | {"kinds": _by_kind(gate, kept)},
        "altered": _refusals(gate, turned) | {"kinds": _by_kind(gate, turned)},
        "elsewhere": {},
    }
    for other in others:
        paths = scan_dataset(other).table["path"]
        looked = _look_at_files(classifier, paths, phase(f"Reading {Path(other).name}"))
        measured["elsewhere"][Path(other).name] = _refusals(gate, looked)
    card = load_card(folder)
    write_card(replace(card, metrics=card.metrics | {"gate": measured}), folder)
    return measured


class _Looks:
    """What a gate sees of many images: features (N, F), measures (N, M), kinds (N,), readable (bool, per input)."""

    def __init__(self, rows, kinds, readable):
        self.features = np.array([features for features, _ in rows], np.float32)
        self.measures = np.array([measures for _, measures in rows], np.float32)
        self.kinds = kinds
        self.readable = np.array(readable, bool)

    def __len__(self):
        return len(self.features)


def _sides(folder, roots, report):
    """Return dict of side to DataFrame (file, path, class_name), as the model's own training had them."""
    table = scan_dataset(*roots, progress=report).table
    if (folder / "split.csv").exists():
        named = pd.read_csv(folder / "split.csv").set_index("file")["split"]
    else:
        # A published model names its validation and test images; all others taught.
        named = pd.read_csv(folder / "predictions.csv").set_index("file")["split"]
        named = named.reindex(table["file"]).fillna("train")
    side = table["file"].map(named[~named.index.duplicated()])
    sides = {name: table[side == name].reset_index(drop=True) for name in ("train", "validation", "test")}
    if not all(len(rows) for rows in sides.values()):
        raise ValueError("These folders do not hold the images of this model's training, validation and test splits.")
    return sides


def _look_at_files(classifier, paths, report):
    def read(path):
        try:
            return "", decode_image(Path(path).read_bytes())
        except (UnreadableImage, OSError):
            return None

    return _look(classifier, paths, read, report, len(paths))


def _look_at(classifier, images, report, total):
    """Look at an iterable of NegativeImage."""
    return _look(classifier, images, lambda negative: (negative.kind, negative.pixels), report, total)


def _look(classifier, items, read, report, total):
    preprocessing = classifier.card.preprocessing
    rows, kinds, readable, waiting = [], [], [], []

    def prepare(item):
        found = read(item)
        return found and (found[0], preprocessing.image_u8(found[1]), gate_measures(found[1]))

    def run():
        if waiting:
            features = classifier.features(np.stack([image for _, image, _ in waiting]))
            rows.extend((f, measures) for f, (_, _, measures) in zip(features, waiting, strict=True))
            kinds.extend(kind for kind, _, _ in waiting)
            waiting.clear()

    items = iter(items)
    with ThreadPoolExecutor(2) as pool:
        while chunk := list(islice(items, _CHUNK)):
            for found in pool.map(prepare, chunk):
                readable.append(found is not None)
                if found:
                    waiting.append(found)
            run()
            if report:
                report(min(len(readable), total), total)
    return _Looks(rows, kinds, readable)


def _some_images(paths, n, rng):
    """Return at most `n` of the images at these paths, small and grey."""
    chosen = rng.choice(len(paths), min(n, len(paths)), replace=False)
    with ThreadPoolExecutor(2) as pool:
        images = pool.map(_read_small, paths.iloc[chosen])
        return [image for image in images if image is not None]


def _read_small(path):
    try:
        return small_grey(decode_image(Path(path).read_bytes()))
    except (UnreadableImage, OSError):
        return None


def _mild_copies(paths, rng):
    for image in _some_images(paths, _MILD, rng):
        yield NegativeImage("", mild_copy(image, rng))


def _fit(classes, table, seen, mild, negatives, altered_validation):
    """Fit both questions on the training side, and set their limits on the validation side."""
    train, validation = seen["train"], seen["validation"]
    inputs = np.concatenate([gate_inputs(looked.features, looked.measures) for looked in (train, mild, *negatives)])
    is_chest = np.arange(len(inputs)) < len(train) + len(mild)
    mean, scale = inputs.mean(axis=0), inputs.std(axis=0) + 1e-3
    model = LogisticRegression(C=_REGULARISATION, class_weight="balanced", max_iter=2_000)
    model.fit((inputs - mean) / scale, is_chest)
    roots = np.sqrt(np.maximum(train.features, 0))
    parts = min(COMPONENTS, len(roots) - 1)
    pca = PCA(parts, svd_solver="randomized", random_state=0).fit(roots)
    components = pca.components_.T.astype(np.float16)
    centre = pca.mean_.astype(np.float32)
    known = unit_vectors(train.features, centre, components.astype(np.float32)).astype(np.float16)
    gate = Gate(
        mean=mean.astype(np.float32),
        scale=scale.astype(np.float32),
        weights=model.coef_[0].astype(np.float32),
        intercept=float(model.intercept_[0]),
        chest_limit=-np.inf,
        centre=centre,
        components=components,
        known=known,
        known_class=np.array([classes.index(name) for name in table["class_name"]], np.int8),
        files=tuple(table["file"]),
        classes=tuple(classes),
        distance_limit=np.inf,
    )
    chest = gate.chest_scores(validation.features, validation.measures)
    no_chest = gate.chest_scores(altered_validation.features, altered_validation.measures)
    distance = _distances(gate, validation.features)
    return replace(
        gate,
        chest_limit=float(min(np.quantile(chest, CHEST_SHARE), np.quantile(no_chest, ALTERED_SHARE))),
        distance_limit=float(np.quantile(distance, 1 - DISTANCE_SHARE)),
    )


def _distances(gate, features):
    """Return float (N,): mean cosine distance to the nearest training images."""
    similarities = gate.similarities(features)
    return 1 - np.sort(similarities, axis=1)[:, -NEAREST:].mean(axis=1)


def _refusals(gate, looked):
    """Count what a gate refuses: n, no_chest, unlike, refused (either)."""
    no_chest = gate.chest_scores(looked.features, looked.measures) < gate.chest_limit
    unlike = ~no_chest & (_distances(gate, looked.features) > gate.distance_limit)
    refused = int((no_chest | unlike).sum())
    return {"n": len(looked), "no_chest": int(no_chest.sum()), "unlike": int(unlike.sum()), "refused": refused}


def _by_kind(gate, looked):
    """Return dict of kind to what `_refusals` counts of it."""
    kinds = np.array(looked.kinds)
    counts = {}
    for kind in dict.fromkeys(looked.kinds):
        rows = np.flatnonzero(kinds == kind)
        part = _Looks([(looked.features[i], looked.measures[i]) for i in rows], [kind] * len(rows), [True] * len(rows))
        counts[kind] = _refusals(gate, part)
    return counts
