"""May this image be answered at all: is it a frontal chest radiograph, whole and upright, and similar to the training
images?

A gate is stored beside its model as `gate.npz` (plain arrays) and `gate.json`; `gate_fitting.py` fits it.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from cxr_core.imaging.image_properties import COLOUR_SHARE, INVERTED_SCORE, measure_image
from cxr_core.imaging.lung_segmentation import ChestView, View, ViewLimits, view_limits
from cxr_core.imaging.photo_detection import FILM_SIDES
from cxr_core.system.arrays import FloatArray, ImageArray, IntArray
from cxr_core.system.files import atomic_path, read_json, write_json

GATE_FILES = ("gate.npz", "gate.json")
NEAREST = 5
# Image properties that a gate uses beside the network's features.
MEASURES = (
    "content_mean", "content_std", "grey_std", "two_valued", "sharpness", "colour", "black_frame", "white_frame",
    "inverted", "midline", "aspect",
)  # fmt: skip
_ARRAYS = ("mean", "scale", "weights", "centre", "components", "known", "known_class")

NO_CHEST = "This does not look like a frontal chest radiograph."
NOT_WHOLE = "This is not one whole, upright frontal chest radiograph."
UNLIKE = "This image is unlike all training images: the classifier was never tested on such images."
_COLOURED = "It is in colour; radiographs are greyscale."
_NEGATIVE = "Black and white may be swapped: lungs should be dark."
_STRETCHED = "The image seems stretched; save it with its own proportions."
_PHOTOGRAPHED = (
    "Straight edges surround it, as in a photograph of a film or a screen; cut out the radiograph, or better send the "
    "file itself."
)
_VIEW_REASONS: dict[View, str] = {
    "whole": "It is not clear that both lungs are in it.",
    "part": "A part of the chest seems to be cut off or covered; both lungs must be in the image.",
    "turned": "It seems to be turned or upside down; turn it upright first.",
    "negative": _NEGATIVE,
    "several": "There seems to be more than one image in it, or much beside the radiograph; cut out the one first.",
}


@dataclass(frozen=True)
class Neighbour:
    """One training image with similar features.

    Attributes:
        file: path inside its data set, such as "covid/a.png".
        class_name: its labelled class.
        similarity: cosine similarity of the two images' features, in [-1, 1].
        digest: SHA-256 of its file's content; "" where the gate is of an earlier version, which kept names alone.
        row: its position among the images that the gate knows; None where that is not known.
    """

    file: str
    class_name: str
    similarity: float
    digest: str = ""
    row: int | None = None


@dataclass(frozen=True)
class Verdict:
    """A gate's assessment of one image.

    Attributes:
        reasons: sentences why no answer should be given; empty if the image passes.
        chest: log odds of a frontal chest radiograph.
        distance: mean cosine distance to the nearest training images, in [0, 2].
        neighbours: nearest first.
    """

    reasons: tuple[str, ...]
    chest: float
    distance: float
    neighbours: tuple[Neighbour, ...]


@dataclass(frozen=True)
class Gate:
    """A fitted gate: logistic regression for "is a frontal chest radiograph", the lung network for "is whole and
    upright", nearest neighbours for "is similar".

    Attributes:
        mean: float32 (F + M,), of the F features and M measures of the images it was fitted on.
        scale: float32 (F + M,), their standard deviations.
        weights: float32 (F + M,), of the logistic regression on the standardised inputs.
        intercept: of the logistic regression.
        chest_limit: images with lower log odds are refused.
        centre: float32 (F,), subtracted before the projection.
        components: float16 (F, D), principal components, in which neighbours are searched.
        known: float16 (N, D), unit vectors of the training images.
        known_class: int8 (N,), the class of each as a position in `classes`.
        files: N paths inside the data set.
        classes: class names.
        distance_limit: images with a higher mean distance to their nearest neighbours are refused.
        digests: SHA-256 of the content of each of the N files; empty for a gate of an earlier version.
        asks_view: whether the lung network is asked, and whether the image is a photograph of a film or a screen. Not
            by a gate of an earlier version, nor where it would refuse the classifier's own validation images, such as
            drawings.
    """

    mean: FloatArray
    scale: FloatArray
    weights: FloatArray
    intercept: float
    chest_limit: float
    centre: FloatArray
    components: FloatArray
    known: FloatArray
    known_class: IntArray
    files: tuple[str, ...]
    classes: tuple[str, ...]
    distance_limit: float
    digests: tuple[str, ...] = ()
    asks_view: bool = False

    def assess(self, features: FloatArray, measures: FloatArray, view: ChestView, film_sides: int = 0) -> Verdict:
        """Decide whether one image may be answered.

        Args:
            features: float32 (F,), from the classifier's network.
            measures: float32 (M,), from `gate_measures`.
            view: from `lung_segmentation.look_at_chest`.
            film_sides: from `photo_detection.count_film_sides`, 0 to 4.

        Source:
            Nearest neighbours: Sun et al. 2022, arXiv:2204.06507, on principal components.
        """
        chest = float(self.chest_scores(features[None], measures[None])[0])
        similarity = self.similarities(features[None])[0]
        nearest = np.argsort(-similarity)[:NEAREST]
        neighbours = tuple(self._neighbour(int(i), float(similarity[i])) for i in nearest)
        distance = float(1 - similarity[nearest].mean())
        flaw = view_flaw(view, view_limits(), film_sides) if self.asks_view else None
        return Verdict(self._reasons(chest, distance, measures, flaw), chest, distance, neighbours)

    def _neighbour(self, row: int, similarity: float) -> Neighbour:
        digest = self.digests[row] if self.digests else ""
        return Neighbour(self.files[row], self.classes[self.known_class[row]], similarity, digest, row)

    def chest_scores(self, features: FloatArray, measures: FloatArray) -> FloatArray:
        """Return float (N,), log odds of a frontal chest radiograph.

        Args:
            features: float32 (N, F).
            measures: float32 (N, M).
        """
        return ((gate_inputs(features, measures) - self.mean) / self.scale) @ self.weights + self.intercept

    def similarities(self, features: FloatArray) -> FloatArray:
        """Return float32 (N, number of training images), cosine similarities to each of them.

        Args:
            features: float32 (N, F).
        """
        return self.vectors(features) @ self.known_vectors.T

    def vectors(self, features: FloatArray) -> FloatArray:
        """Return float32 (N, D), unit vectors of images' features, to be compared with `known_vectors`."""
        return unit_vectors(features, self.centre, self._components)

    @cached_property
    def known_vectors(self) -> FloatArray:
        """`known` as float32: it is stored as float16, which processors compute with slowly."""
        return self.known.astype(np.float32)

    @cached_property
    def _components(self) -> FloatArray:
        return self.components.astype(np.float32)

    def _reasons(self, chest: float, distance: float, measures: FloatArray, flaw: str | None) -> tuple[str, ...]:
        if chest >= self.chest_limit:
            if flaw:
                return NOT_WHOLE, flaw
            return (UNLIKE,) if distance > self.distance_limit else ()
        named = dict(zip(MEASURES, measures, strict=True))
        if named["colour"] >= COLOUR_SHARE:
            return (NO_CHEST, _COLOURED)
        if named["inverted"] >= INVERTED_SCORE:
            return (NO_CHEST, _NEGATIVE)
        return (NO_CHEST,)


def view_flaw(view: ChestView, limits: ViewLimits, film_sides: int) -> str | None:
    """Say in a sentence why an image is not one whole, upright chest that fills it; None if it is."""
    if film_sides >= FILM_SIDES:
        return _PHOTOGRAPHED
    if view.whole < limits.whole:
        return _VIEW_REASONS[view.likeliest]
    low, high = limits.aspect
    return _STRETCHED if view.aspect is not None and not low <= view.aspect <= high else None


def gate_inputs(features: FloatArray, measures: FloatArray) -> npt.NDArray[np.float32]:
    """Return float32 (N, F + M): square roots of the features, which dampen a few large ones, and the measures.

    Args:
        features: float32 (N, F).
        measures: float32 (N, M).
    """
    return np.concatenate([np.sqrt(np.maximum(features, 0)), measures], axis=1, dtype=np.float32)


def gate_measures(image: ImageArray) -> FloatArray:
    """Return float32 (M,), the `MEASURES` of a decoded image; `aspect` is |log(width / height)|."""
    return chosen_measures(measure_image(image, with_text=False), image.shape)


def chosen_measures(measured: Mapping[str, float], shape: tuple[int, ...]) -> FloatArray:
    """Return float32 (M,), the `MEASURES` among those of `measure_image`, for an image of a shape (H, W, ...)."""
    named = {**measured, "aspect": abs(np.log(shape[1] / shape[0]))}
    return np.array([named[name] for name in MEASURES], np.float32)


def unit_vectors(features: FloatArray, centre: FloatArray, components: FloatArray) -> FloatArray:
    """Project the square roots of features on principal components, and scale each row to length one.

    Args:
        features: float32 (N, F).
        centre: float32 (F,), mean of the square roots of the training images' features.
        components: float32 (F, D).

    Returns:
        float32 (N, D).
    """
    vectors = (np.sqrt(np.maximum(features, 0)) - centre) @ components
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def save_gate(gate: Gate, folder: str | Path) -> None:
    """Write a gate's two files into a model folder, atomically."""
    folder = Path(folder)
    stream = io.BytesIO()
    np.savez_compressed(stream, **{name: getattr(gate, name) for name in _ARRAYS})
    with atomic_path(folder / "gate.npz") as temporary:
        temporary.write_bytes(stream.getvalue())
    numbers = ("intercept", "chest_limit", "distance_limit", "classes", "files", "digests", "asks_view")
    write_json(folder / "gate.json", {name: getattr(gate, name) for name in numbers})


def load_gate(folder: str | Path) -> Gate | None:
    """Read the gate of a model folder; None if the model has none.

    Raises:
        ValueError: the two files are not those of a gate of this version.
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
            digests=tuple(numbers.get("digests", ())),
            asks_view=bool(numbers.get("asks_view", False)),
        )
    except (FileNotFoundError, KeyError, TypeError, ValueError, EOFError, BadZipFile, MemoryError) as error:
        raise ValueError(f"The gate in {folder} cannot be read; fit it again.") from error
