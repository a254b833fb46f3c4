"""How is a classifier's input gate fitted, and how often does it refuse?

It is fitted on the classifier's own training images and on images that are not frontal chest radiographs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import NotRequired, TypedDict, TypeVar

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from cxr_core.data.dataset import scan_dataset
from cxr_core.imaging.isolated_decoding import read_image
from cxr_core.imaging.lung_segmentation import look_at_chest, view_limits
from cxr_core.imaging.photo_detection import count_film_sides
from cxr_core.imaging.reader import UnreadableImage
from cxr_core.inference.classifier import Classifier, load_classifier
from cxr_core.inference.input_gate import (
    NEAREST,
    Gate,
    gate_inputs,
    gate_measures,
    save_gate,
    unit_vectors,
    view_flaw,
)
from cxr_core.inference.model_card import load_card, write_card
from cxr_core.robustness.held_out_images import UNCLEAR, known_sides
from cxr_core.robustness.negative_images import (
    ALTERATIONS,
    FITTED_ALTERATIONS,
    NegativeImage,
    Side,
    altered_radiographs,
    mild_copy,
    negative_images,
    small_grey,
)
from cxr_core.runs.run import Run
from cxr_core.runs.training_images import are_seen, seen_digests
from cxr_core.system.arrays import FloatArray, ImageArray, UInt8Array
from cxr_core.system.files import folder_names
from cxr_core.system.progress import Phase, Progress

COMPONENTS = 64
# Proportions of the validation images that two of the three questions may refuse; the lung network, which answers the
# third, has limits of its own, see `train_lungs`.
CHEST_SHARE, DISTANCE_SHARE = 0.005, 0.005
# Where the lung network would refuse more of the validation images than this, they are not what it knows as chests.
_MOST_VIEWS_REFUSED = 0.03
# Proportion of the validation images, rotated, inverted, cropped or put together, that the first question must refuse.
# Where they and the others leave room it is no stricter than that: whole radiographs of other hospitals lie between.
ALTERED_SHARE = 0.98
_STRANGE = 1_000
_ALTERED = 840
_MILD = 1_500
_KEPT = 1_000
# Altered external images of each kind.
_ELSEWHERE_PER_KIND = 100
_REGULARISATION = 0.1
_CHUNK = 64
_DRAWN_NAME = "drawing-"

Item = TypeVar("Item")


class Refusals(TypedDict):
    """How many images a gate refuses.

    Attributes:
        n: number of images.
        no_chest: refused as not a frontal chest radiograph.
        not_whole: refused as not one whole, upright chest; missing in cards of earlier versions.
        unlike: refused as unlike all training images.
        refused: any of them.
        kinds: the same per kind of image.
    """

    n: int
    no_chest: int
    not_whole: NotRequired[int]
    unlike: int
    refused: int
    kinds: NotRequired[dict[str, "Refusals"]]


class GateMeasurements(TypedDict):
    """What a gate refuses of images that it was not fitted on; stands in the card under `metrics.gate`.

    Attributes:
        test: of the test images, wrongly.
        validation: of the validation images, which its limits were set on.
        strange: of images that are not radiographs, kept out of the tuning, rightly.
        altered: of rotated, inverted, cropped or otherwise altered test images, rightly.
        elsewhere: {external data set: of its images}.
        altered_elsewhere: of altered images of all external data sets, rightly; missing where there are none.
        left_out: images that may or may not have been trained on, since the classifier is of an earlier version and
            names its images by files alone; missing where there are none.
    """

    test: Refusals
    validation: Refusals
    strange: Refusals
    altered: Refusals
    elsewhere: dict[str, Refusals]
    altered_elsewhere: NotRequired[Refusals]
    left_out: NotRequired[int]


class _Looks:
    """What a gate sees of many images.

    Attributes:
        features: float32 (N, F), of the classifier's network.
        measures: float32 (N, M), as `input_gate.gate_measures` returns them.
        flawed: bool (N,), which are not one whole, upright chest, see `input_gate.view_flaw`.
        kinds: what each image is, in words.
        readable: bool, one value per file; the others have no row.
    """

    def __init__(
        self, rows: Sequence[tuple[FloatArray, FloatArray, bool]], kinds: list[str], readable: Sequence[bool]
    ) -> None:
        self.features = np.array([features for features, _, _ in rows], np.float32)
        self.measures = np.array([measures for _, measures, _ in rows], np.float32)
        self.flawed = np.array([flawed for _, _, flawed in rows], bool)
        self.kinds = kinds
        self.readable = np.array(readable, bool)

    def of_kind(self, kind: str) -> "_Looks":
        """Return the part of one kind."""
        rows = [i for i, name in enumerate(self.kinds) if name == kind]
        parts = [(self.features[i], self.measures[i], bool(self.flawed[i])) for i in rows]
        return _Looks(parts, [kind] * len(rows), [True] * len(rows))

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True)
class _Material:
    """Makes the images that a gate is fitted and measured on, and looks at them with its classifier.

    Attributes:
        classifier: whose gate it is.
        rng: all random choices, in the order of the calls.
        drawings: whether phantoms are among the images that are not radiographs.
        phase: called with the name of each phase.
    """

    classifier: Classifier
    rng: np.random.Generator
    drawings: bool
    phase: Phase

    def mild(self, paths: pd.Series) -> _Looks:
        """Look at mildly altered training images."""
        copies = _mild_copies(paths, self.rng)
        return _look_at(self.classifier, copies, self.phase("Altering training images"), min(_MILD, len(paths)))

    def strange(self, side: Side, n: int, name: str) -> _Looks:
        """Look at images that are not radiographs."""
        images = negative_images(side, n, self.rng, drawings=self.drawings)
        return _look_at(self.classifier, images, self.phase(name), n)

    def altered(self, side: str, paths: pd.Series, n: int, kinds: Sequence[str] = tuple(ALTERATIONS)) -> _Looks:
        """Look at radiographs that were altered in these ways, by turns: at `n`, or at all where there are fewer."""
        altered = altered_radiographs(_some_images(paths, n, self.rng), self.rng, kinds)
        progress = self.phase(f"Rotating and cropping {side} images")
        return _look_at(self.classifier, altered, progress, min(n, len(paths)))


def fit_gate(
    folder: str | Path,
    roots: Sequence[str | Path],
    *,
    others: Sequence[str | Path] = (),
    seed: int = 0,
    phase: Phase | None = None,
) -> GateMeasurements:
    """Fit the gate of a classifier and measure it; writes both into its folder.

    Neither the test images nor the images kept for measuring are used before the limits are set.

    Args:
        folder: of a run or of a published classifier.
        roots: the data sets that it was trained on.
        others: external data sets, of which it is measured how many images are refused.
        seed: of all random choices.
        phase: called with the name of each phase.

    Raises:
        FileNotFoundError: there is no classifier, or a data set is not there.
        ValueError: no images, or none that took part in its training.
    """
    folder, phase = Path(folder), phase or (lambda _: None)
    classifier = load_classifier(folder, for_many=True)
    sides = _sides(folder, roots, phase("Listing the images"))
    unclear = sides.pop(UNCLEAR, ())
    seen = {
        side: _look_at_files(classifier, rows["path"], phase(f"Reading the {side} images"))
        for side, rows in sides.items()
    }
    learned = sides["train"][seen["train"].readable]
    drawings = not any(Path(file).name.startswith(_DRAWN_NAME) for file in learned["file"])
    material = _Material(classifier, np.random.default_rng(seed), drawings, phase)
    gate = _fit_on(material, learned, sides["validation"], seen)
    save_gate(gate, folder)
    measured = _measure(gate, material, sides["test"], seen, others)
    if len(unclear):
        measured["left_out"] = len(unclear)
    card = load_card(folder)
    write_card(replace(card, metrics=card.metrics | {"gate": measured}), folder)
    return measured


def _sides(folder: Path, roots: Sequence[str | Path], progress: Progress | None) -> dict[str, pd.DataFrame]:
    """Return {"train", "validation" and "test": data set table}, split as for the classifier's own training.

    Images whose side is unclear, see `held_out_images.known_sides`, stand under "unclear", where there are any.
    """
    table = scan_dataset(*roots, progress=progress).table
    run = Run(folder)
    if len(split := run.split()):
        side = known_sides(table, split)
    else:
        # A published classifier names its validation and test images, and lists the content of its training images; one
        # of an earlier version does not, and was trained on all others.
        side, seen = known_sides(table, run.predictions()), seen_digests(folder)
        trained = side.isna() if seen is None else side.isna() & are_seen(table, seen)
        side = side.mask(trained, "train")
    sides = {name: table[side == name].reset_index(drop=True) for name in ("train", "validation", "test")}
    unclear = table[side == UNCLEAR].reset_index(drop=True)
    if not all(len(rows) for rows in sides.values()):
        sentence = "These folders do not hold the images that this classifier was trained, validated and tested on."
        if len(unclear):
            sentence += f" Its images are named by their files alone, and {len(unclear):,} of them share a name here."
        raise ValueError(sentence)
    return sides | ({UNCLEAR: unclear} if len(unclear) else {})


def _look_at_files(classifier: Classifier, paths: pd.Series, progress: Progress | None) -> _Looks:
    def read(path: str) -> tuple[str, ImageArray] | None:
        try:
            return "", read_image(path)
        except (UnreadableImage, OSError):
            return None

    return _look(classifier, paths, read, progress, len(paths))


def _look_at(classifier: Classifier, images: Iterable[NegativeImage], progress: Progress | None, total: int) -> _Looks:
    return _look(classifier, images, lambda negative: (negative.kind, negative.pixels), progress, total)


def _look(
    classifier: Classifier,
    items: Iterable[Item],
    read: Callable[[Item], tuple[str, ImageArray] | None],
    progress: Progress | None,
    total: int,
) -> _Looks:
    """Read each item as a kind and an image, and compute what a gate sees of it; None counts as unreadable."""
    rows: list[tuple[FloatArray, FloatArray, bool]] = []
    kinds: list[str] = []
    readable: list[bool] = []

    limits = view_limits()

    def prepare(item: Item) -> tuple[str, UInt8Array, FloatArray, bool] | None:
        found = read(item)
        if found is None:
            return None
        kind, image = found
        flawed = view_flaw(look_at_chest(image), limits, count_film_sides(image)) is not None
        return kind, classifier.card.preprocessing.image_u8(image), gate_measures(image), flawed

    left = iter(items)
    with ThreadPoolExecutor(2) as pool:
        while chunk := list(islice(left, _CHUNK)):
            prepared = list(pool.map(prepare, chunk))
            readable += [one is not None for one in prepared]
            seen = [one for one in prepared if one is not None]
            if seen:
                features = classifier.features(np.stack([image for _, image, _, _ in seen]))
                rows += [(f, measures, flawed) for f, (_, _, measures, flawed) in zip(features, seen, strict=True)]
                kinds += [kind for kind, *_ in seen]
            if progress:
                progress(min(len(readable), total), total)
    return _Looks(rows, kinds, readable)


def _some_images(paths: pd.Series, n: int, rng: np.random.Generator) -> list[UInt8Array]:
    """Return at most `n` of the images at these paths, small and grey."""
    chosen = rng.choice(len(paths), min(n, len(paths)), replace=False)
    with ThreadPoolExecutor(2) as pool:
        images = pool.map(_read_small, paths.iloc[chosen])
        return [image for image in images if image is not None]


def _read_small(path: str) -> UInt8Array | None:
    try:
        return small_grey(read_image(path))
    except (UnreadableImage, OSError):
        return None


def _mild_copies(paths: pd.Series, rng: np.random.Generator) -> Iterator[NegativeImage]:
    for image in _some_images(paths, _MILD, rng):
        yield NegativeImage("", mild_copy(image, rng))


def _fit_on(material: _Material, learned: pd.DataFrame, validation: pd.DataFrame, seen: Mapping[str, _Looks]) -> Gate:
    """Make the altered and the strange images, and fit a gate on them and on the training images."""
    mild = material.mild(learned["path"])
    strange = material.strange("tuning", _STRANGE, "Making images that are not radiographs")
    altered = material.altered("training", learned["path"], _ALTERED, FITTED_ALTERATIONS)
    altered_validation = material.altered("validation", validation["path"], _ALTERED, FITTED_ALTERATIONS)
    return _fit(material.classifier.classes, learned, seen, mild, (strange, altered), altered_validation)


def _fit(
    classes: Sequence[str],
    table: pd.DataFrame,
    seen: Mapping[str, _Looks],
    mild: _Looks,
    negatives: tuple[_Looks, _Looks],
    altered_validation: _Looks,
) -> Gate:
    """Fit both questions on the training images, and set their limits on the validation images.

    Args:
        classes: of the classifier.
        table: the training images, rows of the data set table.
        seen: "train" (in the order of `table`) and "validation".
        mild: mildly altered training images, which must pass.
        negatives: images that must be refused.
        altered_validation: altered validation images, which must be refused.
    """
    train, validation = seen["train"], seen["validation"]
    inputs = np.concatenate([gate_inputs(looked.features, looked.measures) for looked in (train, mild, *negatives)])
    is_chest = np.arange(len(inputs)) < len(train) + len(mild)
    mean, scale = inputs.mean(axis=0), inputs.std(axis=0) + 1e-3
    model = LogisticRegression(C=_REGULARISATION, class_weight="balanced", max_iter=2_000)
    # The steps of the solver are so small that threads inside one only wait for each other.
    with threadpool_limits(1):
        model.fit((inputs - mean) / scale, is_chest)
    centre, components = _principal_components(train.features)
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
        digests=tuple(table["digest"]),
        classes=tuple(classes),
        distance_limit=np.inf,
        asks_view=bool(validation.flawed.mean() <= _MOST_VIEWS_REFUSED),
    )
    return _with_limits(gate, validation, altered_validation)


def _principal_components(features: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return centre, float32 (F,), and components, float16 (F, D), of the square roots of features (N, F)."""
    roots = np.sqrt(np.maximum(features, 0))
    pca = PCA(min(COMPONENTS, len(roots) - 1), svd_solver="randomized", random_state=0).fit(roots)
    return pca.mean_.astype(np.float32), pca.components_.T.astype(np.float16)


def _with_limits(gate: Gate, validation: _Looks, altered_validation: _Looks) -> Gate:
    chest = gate.chest_scores(validation.features, validation.measures)
    no_chest = gate.chest_scores(altered_validation.features, altered_validation.measures)
    distance = _distances(gate, validation.features)
    return replace(
        gate,
        chest_limit=float(min(np.quantile(chest, CHEST_SHARE), np.quantile(no_chest, ALTERED_SHARE))),
        distance_limit=float(np.quantile(distance, 1 - DISTANCE_SHARE)),
    )


def _distances(gate: Gate, features: FloatArray) -> FloatArray:
    """Return float (N,): mean cosine distance to the nearest training images."""
    similarities = gate.similarities(features)
    return 1 - np.sort(similarities, axis=1)[:, -NEAREST:].mean(axis=1)


def _measure(
    gate: Gate,
    material: _Material,
    test: pd.DataFrame,
    seen: Mapping[str, _Looks],
    others: Sequence[str | Path],
) -> GateMeasurements:
    strange = material.strange("kept", _KEPT, "Making other images that are not radiographs")
    altered = material.altered("test", test["path"], len(test))
    elsewhere, paths_elsewhere = {}, []
    for name, other in zip(folder_names(others), others, strict=True):
        paths = scan_dataset(other).table["path"]
        looked = _look_at_files(material.classifier, paths, material.phase(f"Reading {name}"))
        elsewhere[name] = _refusals(gate, looked)
        paths_elsewhere.append(paths)
    measured: GateMeasurements = {
        "test": _refusals(gate, seen["test"]),
        "validation": _refusals(gate, seen["validation"]),
        "strange": _refusals_by_kind(gate, strange),
        "altered": _refusals_by_kind(gate, altered),
        "elsewhere": elsewhere,
    }
    if paths_elsewhere:
        n, paths = _ELSEWHERE_PER_KIND * len(ALTERATIONS), pd.concat(paths_elsewhere)
        # Each image several times, altered in other ways, where there are few.
        often = pd.concat([paths] * -(-n // len(paths)))
        measured["altered_elsewhere"] = _refusals_by_kind(gate, material.altered("external", often, n))
    return measured


def _refusals(gate: Gate, looked: _Looks) -> Refusals:
    no_chest = gate.chest_scores(looked.features, looked.measures) < gate.chest_limit
    not_whole = ~no_chest & looked.flawed & gate.asks_view
    unlike = ~no_chest & ~not_whole & (_distances(gate, looked.features) > gate.distance_limit)
    return {
        "n": len(looked),
        "no_chest": int(no_chest.sum()),
        "not_whole": int(not_whole.sum()),
        "unlike": int(unlike.sum()),
        "refused": int((no_chest | not_whole | unlike).sum()),
    }


def _refusals_by_kind(gate: Gate, looked: _Looks) -> Refusals:
    """Return the refusals of all images, and under "kinds" those of each kind."""
    kinds = {kind: _refusals(gate, looked.of_kind(kind)) for kind in dict.fromkeys(looked.kinds)}
    return {**_refusals(gate, looked), "kinds": kinds}
