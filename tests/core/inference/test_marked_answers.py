"""What is kept of an answer that somebody called wrong, and what never is."""

import csv
import errno
import io
import json
from dataclasses import replace
from hashlib import sha256

import cv2
import numpy as np
import pytest
from image_files import dicom

from cxr_core.data.phantoms import draw_phantom
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.marked_answers import (
    load_marked,
    mark_answer,
    marked_answer,
    marked_csv,
    take_back,
    truth_choices,
)
from cxr_core.inference.selective_prediction import answer_upload

DATA = dicom(draw_phantom("covid", np.random.default_rng(1)), PatientName="Zyxwv^Jane", PatientID="Zyxwv-7")


@pytest.fixture(scope="module")
def answer(ungated_model):
    """Whatever it answers, here it gave none."""
    return replace(answer_upload(load_classifier(ungated_model), DATA), status="abstain", label=None)


def mark(answer, folder, truth="unknown", keep_image=False, classifier="cxr"):
    return mark_answer(answer, DATA, truth=truth, classifier=classifier, keep_image=keep_image, folder=folder)


def test_what_may_be_right_is_a_class_another_finding_or_unknown():
    assert truth_choices(("normal", "covid")) == ("normal", "covid", "other", "unknown")
    assert truth_choices(("normal", "other")) == ("normal", "other", "unknown")


@pytest.mark.parametrize("truth", ["pneumothorax", "", "Normal", "=1+1", "../x"])
def test_a_label_that_is_no_class_is_refused(answer, tmp_path, truth):
    with pytest.raises(ValueError, match="What is right must be one of normal, covid, virus, other, unknown"):
        mark(answer, tmp_path, truth)
    assert list(tmp_path.iterdir()) == []


def test_the_answer_itself_is_not_what_is_right_in_its_place(answer, tmp_path):
    given = replace(answer, status="ok", label="covid")
    with pytest.raises(ValueError, match="The classifier answered covid"):
        mark(given, tmp_path, "covid")


def test_the_list_holds_content_answer_and_truth_and_nothing_of_the_patient(answer, tmp_path):
    marked = mark(answer, tmp_path, "virus")
    assert load_marked(tmp_path) == [marked] == [marked_answer(DATA, "cxr", tmp_path)]
    assert marked.digest == sha256(DATA).hexdigest()
    (file,) = tmp_path.iterdir()
    assert "Zyxwv" not in file.read_text() + file.name
    assert set(json.loads(file.read_text())) == {"digest", "classifier", "answer", "confidence", "truth", "date"}


def test_the_image_is_kept_as_pixels_alone_and_only_where_that_is_allowed(answer, tmp_path):
    mark(answer, tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]
    marked = mark(answer, tmp_path, keep_image=True)
    image = tmp_path / f"{marked.digest}.png"
    assert b"Zyxwv" not in image.read_bytes()
    kept = cv2.imread(str(image), cv2.IMREAD_GRAYSCALE)
    assert kept.shape == answer.prediction.image.shape[:2]


def test_a_second_mark_takes_the_place_of_the_first_and_another_classifier_has_its_own(answer, tmp_path):
    mark(answer, tmp_path, "virus")
    mark(answer, tmp_path, "normal")
    mark(answer, tmp_path, "other", classifier="another")
    assert {(one.classifier, one.truth) for one in load_marked(tmp_path)} == {("cxr", "normal"), ("another", "other")}


def test_what_is_taken_back_is_gone_and_the_image_goes_with_its_last_mark(answer, tmp_path):
    first = mark(answer, tmp_path, keep_image=True)
    second = mark(answer, tmp_path, keep_image=True, classifier="another")
    take_back(first, tmp_path)
    assert load_marked(tmp_path) == [second]
    assert len(list(tmp_path.glob("*.png"))) == 1
    take_back(second, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_image_does_not_stay_where_a_full_disk_has_no_room_for_its_mark(answer, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("cxr_core.inference.marked_answers.write_json", refuse)
    with pytest.raises(OSError, match="No space left"):
        mark(answer, tmp_path, keep_image=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["{", "[]", '{"digest": 7}', '{"truth": "covid"}'])
def test_a_broken_file_of_the_list_is_named(answer, tmp_path, text):
    mark(answer, tmp_path)
    (tmp_path / "odd.json").write_text(text)
    with pytest.raises(ValueError, match=r"odd\.json holds no marked answer"):
        load_marked(tmp_path)


def test_the_table_runs_no_formula(answer, tmp_path):
    marked = replace(mark(answer, tmp_path), classifier="=cmd|' /C calc'!A0")
    (row,) = csv.DictReader(io.StringIO(marked_csv([marked])))
    assert row["classifier"].startswith("'=")
    assert row["digest"] == marked.digest
