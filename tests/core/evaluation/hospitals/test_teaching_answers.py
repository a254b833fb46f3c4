"""The kept answers of a classifier on the teaching set."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cxr_core.config import SHIPPED_MODEL_DIR, TEACHING_DIR
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.teaching_set import keep_shipped_analysis
from cxr_core.evaluation.hospitals import teaching_answers as tried
from cxr_core.evaluation.hospitals.site import answer_site, site_report, table_images
from cxr_core.inference.classifier import load_classifier


@pytest.fixture(scope="module")
def table():
    return scan_dataset(TEACHING_DIR).table


@pytest.fixture(scope="module")
def few(table):
    """Ten radiographs of each class."""
    return table.groupby("class_name").head(10).reset_index(drop=True)


@pytest.fixture(scope="module")
def classifier():
    return load_classifier(SHIPPED_MODEL_DIR)


@pytest.fixture(scope="module")
def answers(classifier, few):
    return answer_site(classifier, *table_images(classifier, few))


@pytest.fixture
def asked(monkeypatch, answers):
    """The classifiers that were asked for answers; all give those of the built-in one."""
    asked = []

    def answer(classifier, *files, progress=None):
        asked.append(classifier)
        return answers

    monkeypatch.setattr(tried, "answer_site", answer)
    return asked


def test_kept_answers_are_the_same_and_nobody_is_asked_again(classifier, few, answers, asked, tmp_path):
    first, again = (tried.teaching_answers(classifier, few, cache_dir=tmp_path) for _ in range(2))
    assert first is answers and len(asked) == 1
    pd.testing.assert_frame_equal(again.rows, answers.rows)
    assert site_report(classifier, again) == site_report(classifier, answers)


def test_without_a_gate_nothing_is_compared_and_answers_are_kept_all_the_same(classifier, few, tmp_path):
    ungated = replace(classifier, gate=None)
    answers = answer_site(ungated, *table_images(ungated, few))
    tried._write(answers, tmp_path / "kept.parquet")
    again = tried._read(tmp_path / "kept.parquet")
    assert {image.vector.shape for image in again.kept} == {(0,)}
    assert site_report(ungated, again) == site_report(ungated, answers)


@pytest.mark.parametrize("change", [{"temperature": 2.0}, {"abstain_below": 0.9}, {"classes": tuple("abcd")}])
def test_a_classifier_that_answers_otherwise_is_asked_itself(classifier, few, asked, tmp_path, change):
    other = replace(classifier, card=replace(classifier.card, **change))
    for one in (classifier, other):
        tried.teaching_answers(one, few, cache_dir=tmp_path)
    assert asked == [classifier, other]


def test_other_images_and_labels_are_answered_anew(classifier, few, asked, tmp_path):
    for table in (few, few.assign(digest=few["digest"][::-1].tolist()), few.assign(class_name="covid")):
        tried.teaching_answers(classifier, table, cache_dir=tmp_path)
    assert len(asked) == 3


def test_answers_are_not_kept_where_a_file_could_not_be_read(classifier, few, answers, monkeypatch, tmp_path):
    monkeypatch.setattr(tried, "answer_site", lambda *_, **__: answers._replace(unreadable=1))
    tried.teaching_answers(classifier, few, cache_dir=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_cache_that_cannot_be_written_is_no_error(classifier, few, answers, asked, tmp_path):
    (tmp_path / "cache").write_text("a file in its place")
    assert tried.teaching_answers(classifier, few, cache_dir=tmp_path / "cache") is answers


def test_answers_that_travel_with_the_teaching_set_are_those_of_the_built_in_classifier(
    classifier, table, few, answers, asked, tmp_path
):
    keep_shipped_analysis(cache_dir=tmp_path)
    kept = tried.teaching_answers(classifier, table, cache_dir=tmp_path)
    assert not asked, "computed anew: run python -m benchmarks.teaching_set"
    assert kept.rows["file"].tolist() == table["file"].tolist()
    places = pd.Index(table["file"]).get_indexer(few["file"])
    named = ["file", "true", "answer", "reason", "refused"]
    pd.testing.assert_frame_equal(kept.rows.loc[places, named].reset_index(drop=True), answers.rows[named])
    shares = [f"p_{name}" for name in classifier.classes]
    np.testing.assert_allclose(kept.rows.loc[places, shares], answers.rows[shares], atol=0.01)
    for place, image in zip(places, answers.kept, strict=True):
        np.testing.assert_allclose(kept.kept[place].vector, image.vector, atol=0.01)
        assert kept.kept[place].measures == pytest.approx(image.measures, rel=0.01)
