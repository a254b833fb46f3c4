"""site.py on images of the teaching set and on drawings, as somebody at a hospital would give them."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cxr_core.cli.main import main
from cxr_core.config import SHIPPED_MODEL_DIR, TEACHING_DIR
from cxr_core.data.dataset import scan_dataset
from cxr_core.evaluation.hospitals.site import (
    SiteAnswers,
    SiteImage,
    answer_site,
    site_images,
    site_report,
    table_images,
    try_site,
)
from cxr_core.evaluation.hospitals.training_look import LOOKS
from cxr_core.inference.classifier import load_classifier


@pytest.fixture(scope="module")
def classifier():
    return load_classifier(SHIPPED_MODEL_DIR)


@pytest.fixture(scope="module")
def rows():
    """Twelve radiographs of each class of the teaching set."""
    return scan_dataset(TEACHING_DIR).table.groupby("class_name").head(12).reset_index(drop=True)


@pytest.fixture(scope="module")
def report(classifier, rows):
    return try_site(classifier, *table_images(classifier, rows))


def test_every_image_is_answered_or_not_and_the_shares_add_up(report, rows):
    assert report["images"] + report["unreadable"] == len(rows)
    assert sum(report["answers"].values()) == report["images"]
    assert report["coverage"] == pytest.approx(1 - report["answers"].get("no answer", 0) / report["images"])


def test_labels_give_sensitivity_false_alarms_and_a_threshold_with_its_false_alarms(report):
    score = report["labelled"]
    assert score["class_name"] == "covid"
    assert score["sensitivity"]["images"] + score["false_alarms"]["images"] == report["images"]
    assert score["threshold"]["images"] == score["sensitivity"]["images"]
    assert 0 < score["threshold"]["threshold"] < 1
    assert score["more_for_sensitivity"] > 100


def test_the_report_can_be_written_as_json_and_says_it_in_words(report):
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    told = " ".join(report["sentences"])
    for words in ("images.", "the training images", "get an answer", "Of COVID-19 it finds", "±5 points"):
        assert words in told


def test_the_same_images_give_the_same_report(classifier, rows, report):
    assert try_site(classifier, *table_images(classifier, rows)) == report


def test_without_labels_the_answers_are_counted_and_nothing_is_said_of_right_and_wrong(classifier, rows):
    files = table_images(classifier, rows)
    report = try_site(classifier, *files._replace(labels=[None] * len(rows)))
    assert report["labelled"] is None
    assert report["sentences"][-1] == "Without labels nobody knows how often it is right here."


def test_of_a_site_of_one_class_the_other_half_is_left_open(classifier, rows):
    files = table_images(classifier, pd.concat([rows[rows["class_name"] == "normal"]] * 3))
    score = try_site(classifier, *files)["labelled"]
    assert score["sensitivity"] == {"share": None, "ci95": None, "images": 0}
    assert score["threshold"] is None


class MadeGate:
    """A gate that knows 200 made feature vectors of one class, each of a patient of its own."""

    known_vectors = np.random.default_rng(0).normal(size=(200, 8))
    known_class = np.zeros(200, np.int8)
    classes = ("normal",)
    files = tuple(f"normal/person{i}_1.jpg" for i in range(200))

    def vectors(self, features):
        return features


def made_answers(patients, images):
    """Answers for feature vectors of the distribution that `MadeGate` knows: `images` nearly equal ones per patient."""
    rng = np.random.default_rng(1)
    vectors = np.repeat(rng.normal(size=(patients, 8)), images, axis=0) + rng.normal(0, 0.01, (patients * images, 8))
    rows = pd.DataFrame({"true": None, "group": np.repeat(np.arange(patients), images), "answer": None, "reason": None})
    looks = dict.fromkeys((*LOOKS, "side"), 1.0)
    return SiteAnswers(rows.astype({"true": object}), [SiteImage(vector, looks, False) for vector in vectors], 0)


def test_many_images_of_a_patient_are_no_difference_from_the_training_images(classifier):
    difference = site_report(replace(classifier, gate=MadeGate()), made_answers(20, 15))["difference"]
    assert difference["p_value"] > 0.1


def test_of_too_few_patients_nothing_is_said_of_a_difference(classifier):
    report = site_report(replace(classifier, gate=MadeGate()), made_answers(9, 15))
    assert report["difference"] is None
    assert not any("To the network" in sentence for sentence in report["sentences"])


def test_a_label_table_tells_whose_images_a_site_has(classifier, rows):
    one = table_images(classifier, rows.assign(patient="one"))
    assert set(answer_site(classifier, *one).rows["group"]) == {0}


def test_images_without_class_folders_have_no_labels(classifier, rows, tmp_path):
    for i, path in enumerate(rows["path"][:3]):
        shutil.copy(path, tmp_path / f"{i}.jpg")
    files = site_images(classifier, tmp_path)
    assert (len(files.sources), files.labels, files.patients) == (3, [None] * 3, [None] * 3)


def test_five_images_are_too_few_in_one_sentence(rows, tmp_path, capsys):
    for path in rows["path"][:5]:
        shutil.copy(path, tmp_path)
    assert main(["site", str(tmp_path)]) == 1
    assert (
        capsys.readouterr()
        .err.strip()
        .endswith(
            "Error: A site needs 30 images or more that can be read; received 5. Add further images of this site."
        )
    )


def test_a_folder_that_is_not_there_an_unknown_class_and_a_rate_are_one_sentence(classifier, rows, tmp_path, capsys):
    assert main(["site", str(tmp_path / "nowhere")]) == 1
    assert "There is no folder" in capsys.readouterr().err
    files = table_images(classifier, rows)
    with pytest.raises(ValueError, match=r"The class must be one of .*received 'asthma'"):
        try_site(classifier, *files, class_name="asthma")
    with pytest.raises(ValueError, match=r"must lie between 0 and 1; received 1\.5"):
        try_site(classifier, *files, miss_rate=1.5)
