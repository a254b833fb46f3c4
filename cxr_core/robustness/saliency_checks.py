"""Do Grad-CAM maps mean anything? Are they in the lungs, do they need the weights, and do they point at what counts?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import onnx
import onnxruntime
from scipy.stats import spearmanr

from cxr_core.explain.overlay import scale_maps, share_inside
from cxr_core.imaging.lung_segmentation import LungRegion
from cxr_core.inference.classifier import Classifier
from cxr_core.robustness.shortcut_results import ClassAttention, MapChecks, Randomisation, RemovalCurve
from cxr_core.system.arrays import FloatArray, IntArray, UInt8Array
from cxr_core.system.onnx_session import run_graph
from cxr_core.system.progress import Phase, Progress

CHECKED_IMAGES = 24
STEPS = 10
_ATTENTION_PER_CLASS = 150
_CHUNK = 32
_LEAST_WEIGHTS = 64

Stage = Literal["head", "later", "all"]
Removal = Literal["deletion", "insertion"]
_STAGES: dict[Stage, str] = {"head": "the head", "later": "the later half of the layers", "all": "all layers"}
_REMOVALS: tuple[Removal, ...] = ("deletion", "insertion")


def attention_in_lungs(
    classifier: Classifier,
    images_u8: UInt8Array,
    regions: Sequence[LungRegion],
    class_names: Sequence[str],
    *,
    progress: Progress | None = None,
) -> list[ClassAttention]:
    """Measure how much of the maps' weight lies inside the lungs, per true class.

    Each image's map is that of the predicted class. A map without any weight is left out, and so is an image in which
    no lungs were found.

    Args:
        classifier: the classifier whose maps are measured.
        images_u8: uint8 (N, size, size).
        regions: the lungs of the N images.
        class_names: N true classes.
        progress: called after each part.

    Returns:
        One entry per class that has images with lungs, in class order.
    """
    chosen = []
    for name in classifier.classes:
        rows = [i for i, n in enumerate(class_names) if n == name and regions[i].found]
        chosen += rows[:_ATTENTION_PER_CLASS]
    shares: dict[str, list[float]] = {}
    areas: dict[str, list[float]] = {}
    for start in range(0, len(chosen), _CHUNK):
        part = chosen[start : start + _CHUNK]
        probabilities, maps = classifier.predict_with_maps(images_u8[part])
        for i, probability, of_classes in zip(part, probabilities, maps, strict=True):
            mask = regions[i].mask
            share = share_inside(classifier.map_on_image(of_classes[probability.argmax()], mask.shape), mask)
            if share is not None:
                shares.setdefault(class_names[i], []).append(share)
                areas.setdefault(class_names[i], []).append(float(mask.mean()))
        if progress:
            progress(start + len(part), len(chosen))
    return [_class_attention(name, shares[name], areas[name]) for name in classifier.classes if name in shares]


def _class_attention(name: str, shares: Sequence[float], areas: Sequence[float]) -> ClassAttention:
    return {
        "class_name": name,
        "images": len(shares),
        "share": float(np.mean(shares)),
        "area": float(np.mean(areas)),
        "ratio": float(np.mean(shares) / np.mean(areas)),
    }


def check_maps(
    classifier: Classifier, images_u8: UInt8Array, *, seed: int = 0, phase: Phase | None = None
) -> MapChecks:
    """Put the maps to two tests: do they need the trained weights, and do they point at what counts?

    Args:
        classifier: the classifier whose maps are tested.
        images_u8: uint8 (N, size, size), of which at most 24 are used.
        seed: of the choice of images, the shuffling and the random order.
        phase: called with the name of each phase.

    Returns:
        Correlations with the maps of shuffled weights, deletion and insertion curves.

    Source:
        Adebayo et al. 2018, arXiv:1810.03292 (weights shuffled from the head downwards); Petsiuk et al. 2018,
        arXiv:1806.07421 (deletion to black, insertion into a blurred copy).
    """
    phase = phase or (lambda _: None)
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(images_u8), min(CHECKED_IMAGES, len(images_u8)), replace=False))
    images = np.ascontiguousarray(images_u8[rows])
    probabilities, maps = classifier.predict_with_maps(images)
    predicted = probabilities.argmax(axis=1)
    own = maps[np.arange(len(images)), predicted]
    randomised = _randomised(classifier, images, own, predicted, rng, phase("Shuffling the weights"))
    curves = _removal_curves(classifier, images, own, predicted, rng, phase("Removing what the maps point at"))
    return {
        "images": len(images),
        "randomised": randomised,
        "deletion": curves["deletion"],
        "insertion": curves["insertion"],
    }


def _randomised(
    classifier: Classifier,
    images_u8: UInt8Array,
    own: FloatArray,
    predicted: IntArray,
    rng: np.random.Generator,
    progress: Progress | None,
) -> list[Randomisation]:
    if classifier.path is None:
        return []
    found: list[Randomisation] = []
    for done, (stage, layers) in enumerate(_STAGES.items(), start=1):
        session = _shuffled_session(classifier.path, stage, len(classifier.classes), rng)
        output = f"maps_{classifier.card.map_layers[0]}"
        (maps,) = run_graph(session, [output], images_u8, classifier.card.preprocessing.scaled)
        other = scale_maps(maps)[np.arange(len(images_u8)), predicted]
        alike = [_correlation(a, b) for a, b in zip(own, other, strict=True)]
        found.append({"layers": layers, "correlation": float(np.mean(alike))})
        if progress:
            progress(done, len(_STAGES))
    return found


def _shuffled_session(
    path: Path, stage: Stage, n_classes: int, rng: np.random.Generator
) -> onnxruntime.InferenceSession:
    """Open the graph with the weights of a stage shuffled among themselves: their spread stays, their meaning goes."""
    model = onnx.load(str(path))
    weights = {w.name: w for w in model.graph.initializer if np.prod(w.dims) >= _LEAST_WEIGHTS}
    in_order = list(dict.fromkeys(name for node in model.graph.node for name in node.input if name in weights))
    head = [name for name in in_order if n_classes in weights[name].dims and weights[name].data_type == 1]
    chosen = {"head": head, "later": head + in_order[len(in_order) // 2 :], "all": in_order}[stage]
    for name in dict.fromkeys(chosen):
        values = onnx.numpy_helper.to_array(weights[name])
        shuffled = rng.permutation(values.ravel()).reshape(values.shape)
        weights[name].CopyFrom(onnx.numpy_helper.from_array(shuffled, name))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _correlation(a: FloatArray, b: FloatArray) -> float:
    """Return Spearman's rank correlation of two maps; 0 where one is constant."""
    if not np.ptp(a) or not np.ptp(b):
        return 0.0
    return float(spearmanr(a.ravel(), b.ravel()).statistic)


def _removal_curves(
    classifier: Classifier,
    images_u8: UInt8Array,
    own: FloatArray,
    predicted: IntArray,
    rng: np.random.Generator,
    progress: Progress | None,
) -> dict[Removal, RemovalCurve]:
    total = np.zeros((len(_REMOVALS), 2, STEPS + 1))
    for done, (image, map_, class_number) in enumerate(zip(images_u8, own, predicted, strict=True), start=1):
        total += _removal_probabilities(classifier, image, map_, class_number, rng) / len(images_u8)
        if progress:
            progress(done, len(images_u8))
    shares = np.linspace(0, 1, STEPS + 1).tolist()
    return {
        kind: {
            "shares": shares,
            "map": by_map.tolist(),
            "random": at_random.tolist(),
            "map_area": float(by_map.mean()),
            "random_area": float(at_random.mean()),
        }
        for kind, (by_map, at_random) in zip(_REMOVALS, total, strict=True)
    }


def _removal_probabilities(
    classifier: Classifier, image_u8: UInt8Array, map_: FloatArray, class_number: int, rng: np.random.Generator
) -> FloatArray:
    """Return the probability of a class, float (2, 2, STEPS + 1): per removal, by map and at random, at each share."""
    size = image_u8.shape[0]
    # Random in blocks as coarse as the map's own, so that only the order differs.
    coarse = rng.random(map_.shape).astype(np.float32)
    orders = [classifier.map_on_image(order, (size, size)) for order in (map_, coarse)]
    bases = {"deletion": np.zeros_like(image_u8), "insertion": cv2.GaussianBlur(image_u8, (0, 0), size / 20)}
    stack = [
        _replaced(image_u8, bases[kind], order, share, kind)
        for kind in _REMOVALS
        for order in orders
        for share in np.linspace(0, 1, STEPS + 1)
    ]
    return classifier.predict(np.stack(stack))[:, class_number].reshape(len(_REMOVALS), 2, STEPS + 1)


def _replaced(image_u8: UInt8Array, base: UInt8Array, order: FloatArray, share: float, kind: Removal) -> UInt8Array:
    """Remove the share that comes first in `order` (deletion), or put only it into the base (insertion)."""
    flat = np.zeros(image_u8.size, bool)
    flat[np.argsort(-order.ravel(), kind="stable")[: round(share * image_u8.size)]] = True
    first = flat.reshape(image_u8.shape)
    return np.where(first, base, image_u8) if kind == "deletion" else np.where(first, image_u8, base)
