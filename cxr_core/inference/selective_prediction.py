"""An answer as a careful colleague would give it: a label, or none with the reasons, and what to mind."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from cxr_core.classes import class_label
from cxr_core.explain.overlay import overlay_map
from cxr_core.imaging.image_properties import TEXT_MARKS, count_text_marks
from cxr_core.imaging.photo_detection import FILM_SIDES, count_film_sides
from cxr_core.imaging.reader import open_image
from cxr_core.inference.classifier import Prediction
from cxr_core.inference.input_gate import MEASURES, Verdict, gate_measures

# Below this difference between the two highest probabilities a classifier is not sure whose card names no limit.
MARGIN = 0.2
# Above this share of coloured pixels a radiograph was photographed, or dyed by whoever published it.
TINTED_SHARE = 0.2

TEXT_NOTE = (
    "Letters or arrows stand in this image: a classifier can read them instead of lungs, and they may name a person."
)
_TINTED = "This image has a tint, as a photograph of a film or a screen has; radiographs are grey."
_FILM = (
    "Straight edges surround what this image shows, as those of a film or a screen in a photograph. Photographs are "
    "not what the classifier learned from."
)
_WORDS = ((0.95, "almost certain"), (0.8, "fairly sure"), (0.6, "leaning towards it"), (0.0, "a guess"))


@dataclass(frozen=True)
class Answer:
    """What is said of one image.

    Attributes:
        status: "ok", or "abstain" where no label should be shown.
        label: str, the class answered; None when abstaining.
        reasons: tuple of str, why there is no answer; empty when there is one.
        notes: tuple of str, what to mind all the same.
        prediction: classifier.Prediction, the numbers behind it, for an expert.
        verdict: input_gate.Verdict, or None where the model has no gate.
    """

    status: str
    label: str | None
    reasons: tuple
    notes: tuple
    prediction: Prediction
    verdict: Verdict | None

    @property
    def neighbours(self):
        """The nearest training images, tuple of input_gate.Neighbour; empty where the model has no gate."""
        return self.verdict.neighbours if self.verdict else ()

    @property
    def in_words(self):
        """How sure the classifier is of its highest class, in words."""
        sure = float(self.prediction.probabilities.max())
        return next(words for least, words in _WORDS if sure >= least)

    def overlay(self, classifier, class_name, *, alpha=0.4, colour_map="jet"):
        """Lay the map of one class over the image.

        Args:
            classifier: the classifier.Classifier that answered.
            class_name: str, one of its classes.
            alpha, colour_map: as for `overlay.overlay_map`.

        Returns:
            uint8 (H, W, 3) RGB at the image's own size.
        """
        prediction = self.prediction
        map_ = prediction.maps[prediction.classes.index(class_name)]
        map_ = classifier.card.preprocessing.map_on_image(map_, prediction.image.shape)
        return overlay_map(prediction.image, map_, alpha=alpha, colour_map=colour_map)


def answer_upload(classifier, data, layer=None, method="Grad-CAM", *, progress=None):
    """Answer a whole image file.

    Args:
        classifier: classifier.Classifier.
        data: bytes of the file.
        layer, method, progress: as for `Classifier.predict_image`.

    Returns:
        Answer.

    Raises:
        reader.UnreadableImage: the bytes are no image, too large or broken.
        overlay.MapUnavailable, ValueError: as `Classifier.predict_image`.
    """
    opened = open_image(data)
    # The image is looked at while the network runs: neither waits for the other.
    with ThreadPoolExecutor(1) as beside:
        looked = beside.submit(look_at, opened.pixels)
        prediction = classifier.predict_opened(opened, layer, method, progress=progress)
    return assess_prediction(classifier, prediction, *looked.result())


def assess_prediction(classifier, prediction, measures, image_notes):
    """Decide whether a Prediction may be shown as an answer.

    Args:
        classifier: classifier.Classifier.
        prediction: classifier.Prediction.
        measures, image_notes: what `look_at` tells of its image.

    Returns:
        Answer.
    """
    verdict = classifier.gate.assess(prediction.features, measures) if classifier.gate else None
    reasons = [*prediction.doubts, *(verdict.reasons if verdict else ())]
    if not reasons:
        reasons += _doubt_of_confidence(prediction, classifier.card.abstain_below)
    notes = [*prediction.notes]
    if not (verdict and verdict.reasons):  # of an image that is no radiograph nothing more need be said
        notes += image_notes
    label = None if reasons else prediction.label
    return Answer("abstain" if reasons else "ok", label, tuple(reasons), tuple(notes), prediction, verdict)


def operating_sentence(card, prediction):
    """Say on which side of the classifier's operating point an image falls.

    Args:
        card: model_card.Card.
        prediction: classifier.Prediction.

    Returns:
        str, or None where no operating point was chosen for the classifier.
    """
    point = card.operating_point
    if not point:
        return None
    score = float(prediction.probabilities[prediction.classes.index(point["class_name"])])
    shares = [(point.get("sensitivity"), "of them found"), (point.get("specificity"), "of the others left alone")]
    measured = ", ".join(f"{share:.0%} {words}" for share, words in shares if share is not None)
    name, alarm = class_label(point["class_name"]), score >= point["threshold"]
    return (
        f"Operating point: {name} is called from {point['threshold']:.1%} on"
        + (f" (where it was chosen: {measured})" if measured else "")
        + f". With {score:.1%} this scan lies {'above it: an alarm' if alarm else 'below it: no alarm'}."
    )


def _doubt_of_confidence(prediction, abstain_below):
    first, second = np.argsort(-prediction.probabilities)[:2]
    sure = float(prediction.probabilities[first])
    if abstain_below:
        limit = f"It is {sure:.1%} sure of {class_label(prediction.classes[first])}; its answers count from"
        return [f"The classifier is not sure. {limit} {abstain_below:.1%} on."] if sure < abstain_below else []
    if sure - prediction.probabilities[second] >= MARGIN:
        return []
    names = [class_label(prediction.classes[i]) for i in (first, second)]
    return [f"The classifier is not sure: {names[0]} and {names[1]} are nearly as likely."]


def look_at(image):
    """Return (measures, notes): what the gate measures of a decoded image, and sentences on what stands in it."""
    measures, notes = gate_measures(image), []
    if count_text_marks(image) >= TEXT_MARKS:
        notes.append(TEXT_NOTE)
    if measures[MEASURES.index("colour")] >= TINTED_SHARE:
        notes.append(_TINTED)
    if count_film_sides(image) >= FILM_SIDES:
        notes.append(_FILM)
    return measures, notes
