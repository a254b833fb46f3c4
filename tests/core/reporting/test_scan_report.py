"""One offline page that says what the answer says, and nothing of a patient."""

import base64
import re
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from image_files import dicom

from cxr_core.cli.main import main
from cxr_core.config import NOTICE, SHIPPED_MODEL_DIR
from cxr_core.data.phantoms import draw_phantom
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.selective_prediction import answer_upload, operating_sentence
from cxr_core.reporting.scan_report import model_facts, scan_report

MADE = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
DRAWING = cv2.imencode(".png", draw_phantom("covid", np.random.default_rng(1)))[1].tobytes()


class Page(HTMLParser):
    """Collects a page's words and what it would fetch."""

    def __init__(self, text):
        super().__init__()
        self.words, self.links, self.tags = "", [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.links += [value for key, value in attributes if key in ("src", "href")]

    def handle_data(self, data):
        self.words += data


@pytest.fixture(scope="module")
def classifier(ungated_model):
    return load_classifier(ungated_model)


@pytest.fixture(scope="module")
def facts(classifier):
    return model_facts(classifier)


def report(classifier, facts, data=DRAWING, name="scan.png", **options):
    answer = answer_upload(classifier, data)
    return Page(scan_report(name, answer, classifier, facts, made=MADE, **options)), answer


def test_the_page_says_label_words_model_weights_date_and_that_it_is_no_medical_device(classifier, facts):
    page, answer = report(classifier, facts)
    graph = (SHIPPED_MODEL_DIR / "model.onnx").read_bytes()
    expected = [f"COVID-19: {answer.in_words}" if answer.label == "covid" else answer.in_words, NOTICE]
    expected += ["cxr-mobilenetv2", sha256(graph).hexdigest()[:16], "2026-03-04 05:06 UTC", "own test split"]
    assert [text for text in expected if text not in page.words] == []


def test_every_probability_stands_in_percent(classifier, facts):
    page, answer = report(classifier, facts)
    shares = [f"{100 * p:.1f} %" for p in answer.prediction.probabilities]
    assert [share for share in shares if share not in page.words] == []


def test_the_page_fetches_nothing(classifier, facts):
    page, _ = report(classifier, facts)
    assert page.links
    assert all(link.startswith("data:image/jpeg;base64,") for link in page.links)
    assert "script" not in page.tags


def test_its_images_are_the_scan_and_the_overlay(classifier, facts):
    page, answer = report(classifier, facts)
    scan, overlay = (
        cv2.imdecode(np.frombuffer(base64.b64decode(link.split(",")[1]), np.uint8), cv2.IMREAD_COLOR)
        for link in page.links[:2]
    )
    expected = answer.overlay(classifier, answer.prediction.label)[..., ::-1]
    assert np.abs(overlay.astype(int) - expected).mean() < 4  # JPEG
    assert np.abs(scan[..., 0].astype(int) - answer.prediction.image).mean() < 4


def test_a_name_is_shown_without_its_folders_and_as_text(classifier, facts):
    page, _ = report(classifier, facts, name="/home/jane/<script>alert(1)<b>.png")
    assert page.tags.isdisjoint({"script", "b"})
    assert "<script>alert(1)<b>.png" in page.words
    assert "jane" not in page.words


def test_without_an_answer_it_gives_the_reason_and_no_numbers_unless_asked(classifier, facts):
    ct = dicom(draw_phantom("normal", np.random.default_rng(0)), Modality="CT")
    page, answer = report(classifier, facts, ct)
    assert "No answer" in page.words
    assert answer.reasons[0] in page.words
    assert "Probabilities" not in page.words
    assert len(page.links) == 1
    asked, _ = report(classifier, facts, ct, with_numbers=True)
    assert "Probabilities, which should not be trusted" in asked.words


def test_nothing_of_a_dicom_header_stands_in_it(classifier, facts):
    secrets = {"PatientName": "Zyxwv^Jane", "PatientID": "QQ4711QQ", "InstitutionName": "Saint Elsewhere"}
    page, _ = report(classifier, facts, dicom(draw_phantom("covid", np.random.default_rng(1)), **secrets))
    assert [word for value in secrets.values() for word in re.split(r"[\^ ]", value) if word in page.words] == []


def test_the_operating_point_says_on_which_side_the_scan_falls(classifier):
    prediction = replace(classifier.predict_image(DRAWING), probabilities=np.array([0.5, 0.3, 0.2], np.float32))
    point = {"class_name": "covid", "threshold": 0.25, "sensitivity": 0.9, "specificity": None}
    card = replace(classifier.card, operating_point=point)
    expected = "Operating point for COVID-19: 25.0 % (sensitivity 90 % on the images it was chosen on). "
    assert operating_sentence(card, prediction) == expected + "At 30.0 %, this scan is above it: an alarm."
    higher = replace(card, operating_point=point | {"threshold": 0.31})
    assert operating_sentence(higher, prediction).endswith("below it: no alarm.")


def test_a_classifier_without_an_operating_point_says_nothing_of_one(classifier):
    plain = replace(classifier.card, operating_point={})
    assert operating_sentence(plain, classifier.predict_image(DRAWING)) is None


def test_predict_writes_a_report_per_readable_file(ungated_model, tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(DRAWING)
    (tmp_path / "b.png").write_bytes(b"no image")
    words = [
        "predict",
        tmp_path / "a.png",
        tmp_path / "b.png",
        "--model",
        ungated_model,
        "--report-dir",
        tmp_path / "r",
    ]
    assert main([str(word) for word in words]) == 1
    (page,) = (tmp_path / "r").iterdir()
    assert page.name == "0001-a.html"
    assert "a.png" in Page(page.read_text()).words
