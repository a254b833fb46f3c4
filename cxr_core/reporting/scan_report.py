"""What does the report of one scan say? One self-contained HTML page, without anything of a DICOM header."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from cxr_core.classes import class_colours, class_label
from cxr_core.config import NOTICE
from cxr_core.evaluation.headline_metrics import FigureWords, card_figures, figure_words
from cxr_core.explain.overlay import colour_bar
from cxr_core.imaging.display import data_url, display_rgb, jpeg_bytes, shrink
from cxr_core.inference.classifier import Classifier
from cxr_core.inference.selective_prediction import Answer, operating_sentence
from cxr_core.inference.track_record import TrackRecord, confidence_sentence, load_track_record
from cxr_core.reporting.rendering import render_template
from cxr_core.robustness.shortcut_verdict import card_shortcuts
from cxr_core.system.arrays import UInt8Array

# Sharp on paper at half a page's width, and about 100 kB an image.
_IMAGE_SIDE = 900


@dataclass(frozen=True)
class ModelFacts:
    """What every report says about the classifier.

    Attributes:
        name: of its card.
        digest: identifies its weights, see `Classifier.digest`.
        record: confidence and right or wrong on its test images.
        figures: headline metrics.
        limits: sentences.
    """

    name: str
    digest: str
    record: TrackRecord
    figures: list[FigureWords]
    limits: tuple[str, ...]


def model_facts(classifier: Classifier) -> ModelFacts:
    """Gather once what all reports of a classifier say about it.

    Args:
        classifier: opened from a folder.
    """
    card = classifier.card
    labels = ", ".join(class_label(name) for name in card.classes)
    limits = [f"It knows {labels} and nothing else: an image of any other disease gets one of these labels, too."]
    shortcuts = card_shortcuts(card)
    if shortcuts:
        limits += shortcuts["verdict"]["sentences"]
    else:
        limits.append("Whether it needs the lungs for its answers was not measured.")
    if not card.metrics.get("external"):
        limits.append("It was not tested on external data.")
    figures = [figure_words(figure) for figure in card_figures(card)]
    assert classifier.path is not None, "the classifier was opened from a folder"
    record = load_track_record(classifier.path.parent)
    return ModelFacts(card.name, classifier.digest(), record, figures, tuple(limits))


def scan_report(
    name: str,
    answer: Answer,
    classifier: Classifier,
    facts: ModelFacts,
    *,
    made: datetime,
    with_numbers: bool | None = None,
    alpha: float = 0.4,
    colour_map: str = "jet",
) -> str:
    """Write the report of one answer, an HTML page that needs no network.

    Args:
        name: of the file; its folders are left out. It is shown escaped.
        answer: what is said of the image.
        classifier: that gave the answer.
        facts: about the classifier.
        made: date and time to state, with or without a time zone.
        with_numbers: show probabilities and overlay; by default where there is an answer.
        alpha: as for `overlay.overlay_map`.
        colour_map: as for `overlay.overlay_map`.
    """
    if with_numbers is None:
        with_numbers = answer.label is not None
    images = [("The image", display_rgb(shrink(answer.prediction.image, _IMAGE_SIDE)))]
    if with_numbers:
        images.append(_overlay(answer, classifier, alpha, colour_map))
    shown = {
        "with_numbers": with_numbers,
        "images": [(title, _data_uri(image)) for title, image in images],
        "colour_bar": _data_uri(colour_bar(colour_map)),
        "made": made.strftime("%Y-%m-%d %H:%M %Z").strip(),
    }
    return render_template("scan_report.html.j2", shown | _answer_facts(name, answer, classifier, facts))


def _overlay(answer: Answer, classifier: Classifier, alpha: float, colour_map: str) -> tuple[str, UInt8Array]:
    """Return the title of the likeliest class's map, and the map over the image."""
    prediction = answer.prediction
    overlay = answer.overlay(classifier, prediction.label, alpha=alpha, colour_map=colour_map)
    title = f"Where the classifier looked for {class_label(prediction.label)} ({prediction.map_method})"
    return title, shrink(overlay, _IMAGE_SIDE)


def _answer_facts(name: str, answer: Answer, classifier: Classifier, facts: ModelFacts) -> dict[str, Any]:
    """Return what the template says in words and numbers."""
    prediction = answer.prediction
    confidence, colours = float(prediction.probabilities.max()), class_colours(list(prediction.classes))
    return {
        "notice": NOTICE,
        "name": Path(name).name,
        "label": class_label(answer.label) if answer.label else None,
        "words": answer.in_words,
        "sure": confidence,
        "reasons": answer.reasons,
        "notes": answer.notes,
        "checked": _checked(answer),
        "rows": [
            {"label": class_label(c), "share": float(p), "colour": colours[c]}
            for c, p in zip(prediction.classes, prediction.probabilities, strict=True)
        ],
        "record": confidence_sentence(confidence, facts.record),
        "operating_point": operating_sentence(classifier.card, prediction),
        "nearest": [(class_label(n.class_name), n.similarity) for n in answer.neighbours],
        "model": facts,
    }


def _checked(answer: Answer) -> str:
    """Sum up in a sentence what the gate and the file itself said of the image."""
    if answer.prediction.doubts:
        return "According to its DICOM header, this is not a frontal chest radiograph: see above."
    if answer.verdict is None:
        return "Nothing: this classifier has no gate, and answers whatever it is given."
    if answer.verdict.reasons:
        return "The image did not pass the gate: see above."
    return "It looks like a frontal chest radiograph, and is similar to the training images."


def _data_uri(image_rgb: UInt8Array) -> Markup:
    return Markup(data_url("jpeg", jpeg_bytes(image_rgb)))
