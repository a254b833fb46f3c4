"""Whether Grad-CAM maps mean anything: are they in the lungs, do they need the weights, do they name what counts?"""

import cv2
import numpy as np
import onnx
import onnxruntime
from scipy.stats import spearmanr

from cxr_core.explain.overlay import scale_maps
from cxr_core.system.onnx_session import run_graph

CHECKED_IMAGES = 24
STEPS = 10
_ATTENTION_PER_CLASS = 150
_CHUNK = 32
_LEAST_WEIGHTS = 64
_STAGES = {"head": "the head", "later": "the later half of the layers", "all": "all layers"}


def attention_in_lungs(classifier, images_u8, regions, class_names, *, progress=None):
    """Measure how much of the maps' weight lies inside the lungs, per true class.

    Each image's map is that of the class the classifier answers. A map without any weight is left out, and so is
    an image without found lungs.

    Args:
        classifier: classifier.Classifier.
        images_u8: uint8 (N, size, size).
        regions: list of N lung_segmentation.LungRegion.
        class_names: str (N,).
        progress: callable(done, total) or None.

    Returns:
        list of dicts, one per class that has images with lungs: `class_name`, `images`, `share` (of the maps'
        weight inside the lungs), `area` (the lungs' share of the image), `ratio` (share over area: 1 is what a map
        that is the same everywhere gives).
    """
    chosen = []
    for name in classifier.classes:
        rows = [i for i, n in enumerate(class_names) if n == name and regions[i].found]
        chosen += rows[:_ATTENTION_PER_CLASS]
    shares, areas = {}, {}
    for start in range(0, len(chosen), _CHUNK):
        part = chosen[start : start + _CHUNK]
        probabilities, maps = classifier.predict_with_maps(images_u8[part])
        for i, probability, of_classes in zip(part, probabilities, maps, strict=True):
            map_, mask = of_classes[probability.argmax()], regions[i].mask
            whole = cv2.resize(map_, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
            if whole.sum() > 0:
                shares.setdefault(class_names[i], []).append(float(whole[mask].sum() / whole.sum()))
                areas.setdefault(class_names[i], []).append(float(mask.mean()))
        if progress:
            progress(start + len(part), len(chosen))
    return [
        {
            "class_name": name,
            "images": len(shares[name]),
            "share": float(np.mean(shares[name])),
            "area": float(np.mean(areas[name])),
            "ratio": float(np.mean(shares[name]) / np.mean(areas[name])),
        }
        for name in classifier.classes
        if name in shares
    ]


def check_maps(classifier, images_u8, *, seed=0, phase=None):
    """Put the maps to two tests: do they need the trained weights, and do they point at what counts?

    Args:
        classifier: classifier.Classifier.
        images_u8: uint8 (N, size, size), of which at most 24 are used.
        seed: int.
        phase: callable(name) that returns a callable(done, total) to report to, or None.

    Returns:
        dict of `images`; `randomised`, a list of `layers` (in words) and `correlation` (mean Spearman rank
        correlation between maps of trained and shuffled weights; None where the classifier was not opened from a
        folder, and the list is empty); `deletion` and `insertion`, each with `shares` (of the image
        taken away or given back), `map` and `random` (mean probability of the class answered at each share) and
        `map_area`, `random_area` (means over the shares).

    Source:
        Adebayo et al. 2018, arXiv:1810.03292 (weights shuffled from the head downwards); Petsiuk et al. 2018,
        arXiv:1806.07421 (deletion to black, insertion into a blurred copy).
    """
    phase = phase or (lambda name: None)
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(images_u8), min(CHECKED_IMAGES, len(images_u8)), replace=False))
    images = np.ascontiguousarray(images_u8[rows])
    probabilities, maps = classifier.predict_with_maps(images)
    answers = probabilities.argmax(axis=1)
    own = maps[np.arange(len(images)), answers]
    return {
        "images": len(images),
        "randomised": _randomised(classifier, images, own, answers, rng, phase("Shuffling the weights")),
        **_removal_curves(classifier, images, own, answers, rng, phase("Taking away what the maps point at")),
    }


def _randomised(classifier, images, own, answers, rng, report):
    if classifier.path is None:
        return []
    found = []
    for done, (stage, layers) in enumerate(_STAGES.items(), start=1):
        session = _shuffled_session(classifier.path, stage, len(classifier.classes), rng)
        output = f"maps_{classifier.card.map_layers[0]}"
        (maps,) = run_graph(session, [output], images, classifier.card.preprocessing.scaled)
        other = scale_maps(maps)[np.arange(len(images)), answers]
        alike = [_correlation(a, b) for a, b in zip(own, other, strict=True)]
        found.append({"layers": layers, "correlation": float(np.mean(alike))})
        if report:
            report(done, len(_STAGES))
    return found


def _shuffled_session(path, stage, n_classes, rng):
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


def _correlation(a, b):
    """Return Spearman's rank correlation of two maps; 0 where one is the same everywhere."""
    if not np.ptp(a) or not np.ptp(b):
        return 0.0
    return float(spearmanr(a.ravel(), b.ravel()).statistic)


def _removal_curves(classifier, images, own, answers, rng, report):
    size = images.shape[1]
    shares = np.linspace(0, 1, STEPS + 1)
    curves = {kind: {order: np.zeros(STEPS + 1) for order in ("map", "random")} for kind in ("deletion", "insertion")}
    for done, (image, map_, answer) in enumerate(zip(images, own, answers, strict=True), start=1):
        whole = cv2.resize(map_, (size, size), interpolation=cv2.INTER_LINEAR)
        # Random in blocks as coarse as the map's own, so that only the order differs.
        coarse = rng.random(map_.shape).astype(np.float32)
        orders = {"map": whole, "random": cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)}
        bases = {"deletion": np.zeros_like(image), "insertion": cv2.GaussianBlur(image, (0, 0), size / 20)}
        stack = [
            _replaced(image, bases[kind], order, share, kind)
            for kind in curves
            for order in orders.values()
            for share in shares
        ]
        values = classifier.predict(np.stack(stack))[:, answer].reshape(2, 2, STEPS + 1)
        for k, kind in enumerate(curves):
            for o, order in enumerate(orders):
                curves[kind][order] += values[k, o] / len(images)
        if report:
            report(done, len(images))
    return {
        kind: {"shares": shares.tolist()}
        | {order: curve.tolist() for order, curve in of_kind.items()}
        | {f"{order}_area": float(curve.mean()) for order, curve in of_kind.items()}
        for kind, of_kind in curves.items()
    }


def _replaced(image, base, order, share, kind):
    """Take the share that comes first in `order` away (deletion), or put only it into the base (insertion)."""
    first = np.zeros(image.size, bool)
    first[np.argsort(-order.ravel(), kind="stable")[: round(share * image.size)]] = True
    first = first.reshape(image.shape)
    return np.where(first, base, image) if kind == "deletion" else np.where(first, image, base)
