"""The gate before an answer: is this a frontal chest radiograph, and like those the classifier learned from?

A gate lies beside its model as `gate.npz` (plain arrays) and `gate.json`; `gate_fitting.py` makes it.
"""

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from cxr_core.imaging.image_properties import COLOUR_SHARE, INVERTED_SCORE, measure_image
from cxr_core.system.files import atomic_path, read_json, write_json

GATE_FILES = ("gate.npz", "gate.json")
NEAREST = 5
# The measures that a gate weighs beside the network's features.
MEASURES = (
    "content_mean", "content_std", "grey_std", "two_valued", "sharpness", "colour", "black_frame", "white_frame",
    "inverted", "midline", "aspect",
)  # fmt: skip
_ARRAYS = ("mean", "scale", "weights", "centre", "components", "known", "known_class")

NO_CHEST = "This does not look like a frontal chest radiograph."
UNLIKE = "This is unlike anything that the classifier learned from: its answers were never tested on such images."
_COLOURED = "It is in colour, and radiographs are grey."
_NEGATIVE = "Black and white may be swapped: lungs should be dark."


@dataclass(frozen=True)
class Neighbour:
    """One training image that is near by the network's features.

    Attributes:
        file: str, the name in its data set.
        class_name: str, the class it was filed under.
        similarity: float in [-1, 1], cosine of the angle between the two images' features.
    """

    file: str
    class_name: str
    similarity: float


@dataclass(frozen=True)
class Verdict:
    """What a gate says of one image.

    Attributes:
        reasons: tuple of str, why no answer should be given; empty where one may be.
        chest: float, log odds of a frontal chest radiograph.
        distance: float in [0, 2], mean cosine distance to the nearest training images.
        neighbours: tuple of Neighbour, nearest first.
    """

    reasons: tuple
    chest: float
    distance: float
    neighbours: tuple


@dataclass(frozen=True)
class Gate:
    """A fitted gate.

    Attributes:
        mean, scale, weights: float32 (F + M,), of a logistic regression on standardised features and measures.
        intercept: float.
        chest_limit: float; log odds below it are refused.
        centre: float32 (F,) and components: float16 (F, D), where neighbours are looked for.
        known: float16 (N, D), unit vectors of the training images.
        known_class: int8 (N,), positions in `classes`.
        files: tuple of N str.
        classes: tuple of str.
        distance_limit: float; mean distances to the nearest above it are refused.
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    intercept: float
    chest_limit: float
    centre: np.ndarray
    components: np.ndarray
    known: np.ndarray
    known_class: np.ndarray
    files: tuple
    classes: tuple
    distance_limit: float

    def assess(self, features, measures):
        """Judge one image.

        Args:
            features: float32 (F,), as the classifier's network gives them.
            measures: float32 (M,), as `gate_measures` gives them.

        Returns:
            Verdict.

        Source:
            Nearest neighbours: Sun et al. 2022, arXiv:2204.06507, on principal components.
        """
        chest = float(self.chest_scores(features[None], measures[None])[0])
        similarity = self.similarities(features[None])[0]
        nearest = np.argsort(-similarity)[:NEAREST]
        neighbours = tuple(
            Neighbour(self.files[i], self.classes[self.known_class[i]], float(similarity[i])) for i in nearest
        )
        distance = float(1 - similarity[nearest].mean())
        reasons = []
        if chest < self.chest_limit:
            reasons.append(NO_CHEST)
            named = dict(zip(MEASURES, measures, strict=True))
            if named["colour"] >= COLOUR_SHARE:
                reasons.append(_COLOURED)
            elif named["inverted"] >= INVERTED_SCORE:
                reasons.append(_NEGATIVE)
        elif distance > self.distance_limit:
            reasons.append(UNLIKE)
        return Verdict(tuple(reasons), chest, distance, neighbours)

    def chest_scores(self, features, measures):
        """Return float (N,), log odds of a frontal chest radiograph; see `assess` for the arguments of one."""
        return ((gate_inputs(features, measures) - self.mean) / self.scale) @ self.weights + self.intercept

    def similarities(self, features):
        """Return float32 (N, number of training images): cosines between images' features."""
        return self.vectors(features) @ self.known_vectors.T

    def vectors(self, features):
        """Return float32 (N, D), unit vectors of images' features, to be compared with `known_vectors`."""
        return unit_vectors(features, self.centre, self._components)

    @cached_property
    def known_vectors(self):
        """`known` in float32; it is stored in half, which processors are slow to reckon with."""
        return self.known.astype(np.float32)

    @cached_property
    def _components(self):
        return self.components.astype(np.float32)


def gate_inputs(features, measures):
    """Return float32 (N, F + M): square roots of the features, which tame a few large ones, and the measures."""
    return np.concatenate([np.sqrt(np.maximum(features, 0)), measures], axis=1, dtype=np.float32)


def gate_measures(image):
    """Return float32 (M,), the `MEASURES` of a decoded image; `aspect` is |log(width / height)|."""
    measured = measure_image(image, with_text=False)
    measured["aspect"] = abs(np.log(image.shape[1] / image.shape[0]))
    return np.array([measured[name] for name in MEASURES], np.float32)


def unit_vectors(features, centre, components):
    """Project features on components, float32 (N, D), each row of length one.

    Args:
        features: float32 (N, F).
        centre: float32 (F,), of the square roots of training features.
        components: float32 (F, D).
    """
    vectors = (np.sqrt(np.maximum(features, 0)) - centre) @ components
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def save_gate(gate, folder):
    """Write a gate's two files into a model folder, atomically."""
    folder = Path(folder)
    stream = io.BytesIO()
    np.savez_compressed(stream, **{name: getattr(gate, name) for name in _ARRAYS})
    with atomic_path(folder / "gate.npz") as temporary:
        temporary.write_bytes(stream.getvalue())
    numbers = ("intercept", "chest_limit", "distance_limit", "classes", "files")
    write_json(folder / "gate.json", {name: getattr(gate, name) for name in numbers})


def load_gate(folder):
    """Read the gate of a model folder.

    Returns:
        Gate, or None where the model has none.

    Raises:
        ValueError: the two files do not belong to a gate of this version.
    """
    folder = Path(folder)
    if not (folder / "gate.npz").exists():
        return None
    try:
        numbers = read_json(folder / "gate.json")
        with np.load(folder / "gate.npz", allow_pickle=False) as arrays:
            values = {name: arrays[name] for name in _ARRAYS}
        return Gate(
            **values,
            intercept=float(numbers["intercept"]),
            chest_limit=float(numbers["chest_limit"]),
            distance_limit=float(numbers["distance_limit"]),
            classes=tuple(numbers["classes"]),
            files=tuple(numbers["files"]),
        )
    except (FileNotFoundError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"The gate in {folder} cannot be read; fit it again.") from error
