"""One page about the answer to one scan, to print or keep: self-contained HTML, without anything of a DICOM header."""

import base64
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from cxr_core.classes import class_colours, class_label
from cxr_core.config import NOTICE
from cxr_core.evaluation.headline_metrics import card_figures, figure_words
from cxr_core.explain.overlay import colour_bar
from cxr_core.imaging.display import display_rgb, jpeg_bytes, shrink
from cxr_core.inference.selective_prediction import operating_sentence
from cxr_core.inference.track_record import confidence_sentence, load_track_record
from cxr_core.reporting.rendering import render_template

# Sharp on paper at half a page's width, and about 100 kB an image.
_IMAGE_SIDE = 900


@dataclass(frozen=True)
class ModelFacts:
    """What every report says of the classifier.

    Attributes:
        name: str, of its card.
        digest: str, `Classifier.digest`.
        record: as `track_record.load_track_record` returns it.
        figures: list of dict, as `headline_metrics.figure_words` makes them.
        limits: tuple of str, sentences.
    """

    name: str
    digest: str
    record: tuple
    figures: list
    limits: tuple


def model_facts(classifier):
    """Gather once what all reports of a classifier, opened from a folder, say of it; returns ModelFacts."""
    card = classifier.card
    labels = ", ".join(class_label(name) for name in card.classes)
    limits = [f"It knows {labels} and nothing else: whatever another disease looks like, it gets one of these names."]
    lab = card.metrics.get("shortcuts")
    limits += lab["verdict"]["sentences"] if lab else ["Whether it needs the lungs for its answers was not measured."]
    if not card.metrics.get("external"):
        limits.append("It was not tested on images from elsewhere.")
    figures = [figure_words(figure) for figure in card_figures(card)]
    record = load_track_record(classifier.path.parent)
    return ModelFacts(card.name, classifier.digest(), record, figures, tuple(limits))


def scan_report(name, answer, classifier, facts, *, made, with_numbers=None, alpha=0.4, colour_map="jet"):
    """Write the report of one answer.

    Args:
        name: str, the file's; its folders are left out. It is shown escaped.
        answer: selective_prediction.Answer.
        classifier: the classifier.Classifier that answered.
        facts: ModelFacts of it.
        made: datetime, with or without a time zone.
        with_numbers: bool, show probabilities and overlay; by default where there is an answer.
        alpha, colour_map: as for `overlay.overlay_map`.

    Returns:
        str, one HTML page that needs no network.
    """
    prediction = answer.prediction
    likeliest, sure = prediction.label, float(prediction.probabilities.max())
    with_numbers = answer.label is not None if with_numbers is None else with_numbers
    images = [("The image", display_rgb(shrink(prediction.image, _IMAGE_SIDE)))]
    if with_numbers:
        overlay = answer.overlay(classifier, likeliest, alpha=alpha, colour_map=colour_map)
        title = f"Where the classifier looked for {class_label(likeliest)} ({prediction.map_method})"
        images.append((title, shrink(overlay, _IMAGE_SIDE)))
    colours = class_colours(list(prediction.classes))
    return render_template(
        "scan_report.html.j2",
        {
            "notice": NOTICE,
            "name": Path(name).name,
            "label": class_label(answer.label) if answer.label else None,
            "words": answer.in_words,
            "sure": sure,
            "reasons": answer.reasons,
            "notes": answer.notes,
            "checked": _checked(answer),
            "images": [(title, _data_uri(image)) for title, image in images],
            "colour_bar": _data_uri(colour_bar(colour_map)),
            "with_numbers": with_numbers,
            "rows": [
                {"label": class_label(c), "share": float(p), "colour": colours[c]}
                for c, p in zip(prediction.classes, prediction.probabilities, strict=True)
            ],
            "record": confidence_sentence(sure, facts.record),
            "operating_point": operating_sentence(classifier.card, prediction),
            "nearest": [(class_label(n.class_name), n.similarity) for n in answer.neighbours],
            "model": facts,
            "made": made.strftime("%Y-%m-%d %H:%M %Z").strip(),
        },
    )


def _checked(answer):
    """Say what the gate and the file itself said of the image, in one sentence."""
    if answer.prediction.doubts:
        return "The file itself speaks against a frontal chest radiograph: see above."
    if answer.verdict is None:
        return "Nothing: this classifier has no gate, and answers whatever it is given."
    if answer.verdict.reasons:
        return "The image did not pass the gate: see above."
    return "It looks like a frontal chest radiograph, and like those the classifier learned from."


def _data_uri(image_rgb):
    return Markup("data:image/jpeg;base64," + base64.b64encode(jpeg_bytes(image_rgb)).decode())
