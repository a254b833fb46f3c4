"""Is there an answer or an abstention, and what should a reader mind?"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cxr_core.classes import OTHER_FINDING, class_key, class_label
from cxr_core.explain.overlay import overlay_map, share_inside
from cxr_core.imaging.grey_range import grey_u8
from cxr_core.imaging.image_properties import TEXT_MARKS, measure_image
from cxr_core.imaging.isolated_decoding import open_isolated
from cxr_core.imaging.lung_segmentation import ChestView, look_at_chest
from cxr_core.imaging.photo_detection import FILM_SIDES, count_film_sides
from cxr_core.imaging.reader import open_image
from cxr_core.inference.classifier import Classifier, Prediction
from cxr_core.inference.input_gate import Neighbour, Verdict, chosen_measures
from cxr_core.inference.model_card import Card
from cxr_core.system.arrays import FloatArray, ImageArray, UInt8Array
from cxr_core.system.progress import Progress
from cxr_core.system.text import percent

# Least difference between the two highest probabilities, for a classifier whose card has no abstention threshold.
MARGIN = 0.2
# With more coloured pixels than this, a radiograph was photographed, or tinted by whoever published it.
TINTED_SHARE = 0.2

TEXT_NOTE = (
    "This image contains letters or arrows: a classifier may rely on them instead of the lungs, and they may identify "
    "the patient."
)
_TINTED = "This image is tinted, as a photograph of a film or a screen is; radiographs are greyscale."
_FILM = (
    "Straight edges surround the radiograph, as in a photograph of a film or a screen. The classifier was not trained "
    "on photographs."
)
_WORDS = (
    (0.95, "very high confidence"), (0.8, "high confidence"), (0.6, "moderate confidence"), (0.0, "low confidence"),
)  # fmt: skip


@dataclass(frozen=True)
class ImageLook:
    """What is seen of an image without the classifier.

    Attributes:
        measures: float32 (M,), for the gate.
        view: from the lung network.
        film_sides: from `photo_detection.count_film_sides`, for the gate.
        notes: sentences for the reader.
    """

    measures: FloatArray
    view: ChestView
    film_sides: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """A classifier's answer to one image, or its abstention.

    Attributes:
        status: "abstain" means that no label should be shown.
        label: the predicted class; None for an abstention.
        reasons: sentences why it abstains; empty for an answer.
        notes: sentences that a reader should mind in any case.
        prediction: the numbers behind it.
        verdict: the gate's assessment; None if the model has no gate.
        view: where the lungs are, as far as they were found.
    """

    status: Literal["ok", "abstain"]
    label: str | None
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    prediction: Prediction
    verdict: Verdict | None
    view: ChestView

    @property
    def neighbours(self) -> tuple[Neighbour, ...]:
        """The nearest training images; empty if the model has no gate."""
        return self.verdict.neighbours if self.verdict else ()

    @property
    def in_words(self) -> str:
        """The confidence in the likeliest class, in words."""
        sure = float(self.prediction.probabilities.max())
        return next(words for least, words in _WORDS if sure >= least)

    def lungs_sentence(self, classifier: Classifier, class_name: str) -> str:
        """Say how much of a class's map lies in the lungs, or why that cannot be said.

        Args:
            classifier: the classifier that answered.
            class_name: one of its classes.
        """
        lungs, map_ = self.view.lungs, self._map_on_image(classifier, class_name)
        share = share_inside(map_, lungs.mask)
        if not lungs.found:
            return f"No lungs found: {lungs.reason}"
        if share is None:
            return "This map is empty: nothing in the image speaks for the class."
        area = percent(lungs.mask.mean(), 0)
        return f"{percent(share, 0)} of the map's weight lies in the lungs, which fill {area} of the image."

    def _map_on_image(self, classifier: Classifier, class_name: str) -> FloatArray:
        prediction = self.prediction
        map_ = prediction.maps[prediction.classes.index(class_name)]
        return classifier.map_on_image(map_, prediction.image.shape, prediction.map_layer)

    def overlay(
        self, classifier: Classifier, class_name: str, *, alpha: float = 0.4, colour_map: str = "jet"
    ) -> UInt8Array:
        """Lay the map of one class over the image.

        Args:
            classifier: the classifier that answered.
            class_name: one of its classes.
            alpha: opacity of the map, as for `overlay.overlay_map`.
            colour_map: as for `overlay.overlay_map`.

        Returns:
            uint8 (H, W, 3) RGB at the image's own size.
        """
        map_ = self._map_on_image(classifier, class_name)
        return overlay_map(self.prediction.image, map_, alpha=alpha, colour_map=colour_map)


def answer_upload(
    classifier: Classifier,
    data: bytes,
    layer: str | None = None,
    method: str = "Grad-CAM",
    *,
    progress: Progress | None = None,
    isolated: bool = False,
) -> Answer:
    """Answer an image file.

    Args:
        classifier: answers.
        data: contents of the file.
        layer: as for `Classifier.predict_image`.
        method: as for `Classifier.predict_image`.
        progress: as for `Classifier.predict_image`.
        isolated: decode in a worker process, as what strangers send is; see `isolated_decoding.open_isolated`.

    Raises:
        reader.UnreadableImage: the file is not an image, too large or broken.
        overlay.MapUnavailable: as for `Classifier.predict_image`.
        ValueError: likewise.
    """
    with open_isolated(data) if isolated else nullcontext(open_image(data)) as opened:
        # The image is measured while the network runs.
        with ThreadPoolExecutor(1) as beside:
            looked = beside.submit(look_at, opened.pixels)
            prediction = classifier.predict_opened(opened, layer, method, progress=progress)
        return assess_prediction(classifier, prediction, looked.result())


def assess_prediction(classifier: Classifier, prediction: Prediction, looked: ImageLook) -> Answer:
    """Decide whether a prediction may be shown as an answer.

    Args:
        classifier: what predicted.
        prediction: what it predicted.
        looked: what was seen of its image.
    """
    gate = classifier.gate
    verdict = gate.assess(prediction.features, looked.measures, looked.view, looked.film_sides) if gate else None
    reasons = [*prediction.doubts, *(verdict.reasons if verdict else ())]
    if not reasons:
        reasons += _another_finding(prediction) or _doubt_of_confidence(prediction, classifier.card.abstain_below)
    notes = [*prediction.notes]
    if not (verdict and verdict.reasons):  # on an image that is no radiograph no further note is needed
        notes += looked.notes
        notes += _site_note(classifier.card, prediction)
    label = None if reasons else prediction.label
    return Answer("abstain" if reasons else "ok", label, tuple(reasons), tuple(notes), prediction, verdict, looked.view)


def operating_sentence(card: Card, prediction: Prediction) -> str | None:
    """Say whether an image raises an alarm at the classifier's operating point; None if none was chosen.

    A site's threshold stands among the notes of each answer instead.
    """
    point = card.operating_point
    if not point or "site" in point:
        return None
    score = float(prediction.probabilities[prediction.classes.index(point["class_name"])])
    known = [(name, point[name]) for name in ("sensitivity", "specificity") if point.get(name) is not None]
    measured = ", ".join(f"{name} {percent(value, 0)}" for name, value in known)
    alarm = score >= point["threshold"]
    return (
        f"Operating point for {class_label(point['class_name'])}: {percent(point['threshold'])}"
        + (f" ({measured} on the images it was chosen on)" if measured else "")
        + f". At {percent(score)}, this scan is {'above it: an alarm' if alarm else 'below it: no alarm'}."
    )


def _site_note(card: Card, prediction: Prediction) -> list[str]:
    """Say whether an image reaches the threshold of the site in use; nothing where none is."""
    point = card.operating_point
    if "site" not in point:
        return []
    name = class_label(point["class_name"])
    alarm = prediction.probabilities[prediction.classes.index(point["class_name"])] >= point["threshold"]
    return [
        f"Threshold of {point['site']} for {name}: {'reached, an alarm' if alarm else 'not reached, no alarm'}. It was "
        f"chosen on {point['images']} images of {name} to miss at most {percent(point['miss_rate'], 0)} of them on "
        "average."
    ]


def _another_finding(prediction: Prediction) -> list[str]:
    """Return a reason where the likeliest class is that of all other findings."""
    if class_key(prediction.label) != OTHER_FINDING:
        return []
    answers = ", ".join(class_label(name) for name in prediction.classes if class_key(name) != OTHER_FINDING)
    return [f"None of {answers}: it looks like another finding."]


def _doubt_of_confidence(prediction: Prediction, abstain_below: float) -> list[str]:
    first, second = np.argsort(-prediction.probabilities)[:2]
    confidence = float(prediction.probabilities[first])
    names = [class_label(prediction.classes[i]) for i in (first, second)]
    if abstain_below:
        if confidence >= abstain_below:
            return []
        limit = f"Its confidence in {names[0]} is {percent(confidence)}; it abstains below {percent(abstain_below)}."
        return [f"The classifier is not sure. {limit}"]
    if confidence - prediction.probabilities[second] >= MARGIN:
        return []
    return [f"The classifier is not sure: {names[0]} and {names[1]} are almost equally likely."]


def look_at(image: ImageArray) -> ImageLook:
    """Measure a decoded image and look for its lungs."""
    image_u8 = grey_u8(image)
    measured, film_sides, notes = measure_image(image_u8), count_film_sides(image_u8), []
    if measured["text"] >= TEXT_MARKS:
        notes.append(TEXT_NOTE)
    if measured["colour"] >= TINTED_SHARE:
        notes.append(_TINTED)
    if film_sides >= FILM_SIDES:
        notes.append(_FILM)
    return ImageLook(chosen_measures(measured, image.shape), look_at_chest(image_u8), film_sides, tuple(notes))
