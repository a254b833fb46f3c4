"""The Reading page: labels stay hidden until the end, answers stay in the visit, two readers do not see each other."""

import pandas as pd
import pytest

from cxr_core.config import NOTICE

from .test_pages import open_page, said, tables


def button(app, label):
    return next(b for b in app.button if b.label == label)


def begin(app, count=4, two=False):
    app.slider[0].set_value(count)
    app.toggle[0].set_value(two)
    button(app, "Begin").click().run()
    return app


def answer(app, *labels):
    for label in labels:
        button(app, label).click().run()
        assert not app.exception


@pytest.fixture
def reading():
    return begin(open_page("reading"))


def test_no_label_is_told_before_the_end(reading):
    alts = [image.alt for shown in reading.image for image in shown.proto.imgs]
    assert alts == ["Radiograph 1, its class is hidden"]
    assert not reading.table
    everything = said([*reading.markdown, *reading.caption])
    assert "guangzhou/" not in everything
    assert "hannover/" not in everything


def test_one_goes_on_where_one_was_after_another_page(reading):
    answer(reading, "Normal", "Normal")
    reading.switch_page("pages/splits.py").run()
    reading.switch_page("pages/reading.py").run()
    answer(reading, "Normal")
    button(reading, "One back").click().run()
    answer(reading, "Viral", "Viral")
    assert reading.session_state["reading"].answers["You"] == [
        ("normal", 0.75), ("normal", 0.75), ("virus", 0.75), ("virus", 0.75),
    ]  # fmt: skip


def test_the_end_shows_reader_and_classifier_with_every_image(reading):
    truth = reading.session_state["reading"].cases["class_name"]
    labels = {"normal": "Normal", "covid": "COVID\\-19", "virus": "Viral"}
    answer(reading, *truth.map(labels))
    figures = tables(reading)[0].set_index("who")
    assert figures.loc["You", "class named rightly"] == 100
    assert figures.loc["You", "sensitivity"] == 100
    assert set(figures.index) == {"You", "Classifier"}
    assert "You and the classifier: Cohen's kappa" in said(reading.caption)
    assert NOTICE in said(reading.warning)
    assert len(reading.image) == 4


def test_two_readers_are_compared_and_the_second_sees_no_answer_of_the_first():
    app = begin(open_page("reading"), two=True)
    answer(app, "I am ready", "Normal", "Normal", "Normal", "Normal")
    assert "Reader B reads 4 images" in said(app.info)
    assert not app.table
    answer(app, "I am ready", "Viral", "Normal", "Normal", "Normal")
    assert set(tables(app)[0]["who"]) == {"Reader A", "Reader B", "Classifier"}
    assert "Reader A and Reader B: Cohen's kappa 0.00" in said(app.caption)
    told = app.session_state["reading"].table()
    assert told.columns.tolist() == ["reader", "file", "truth", "answer", "confidence"]
    assert len(told) == 8


def test_classes_that_the_classifier_does_not_know_are_one_sentence(tmp_path, few):
    for name in ("normal", "fracture"):
        (tmp_path / name).mkdir()
        for path in list((few / "normal").iterdir())[: 4 if name == "normal" else 0]:
            (tmp_path / name / path.name).write_bytes(path.read_bytes())
    for path in list((few / "covid").iterdir())[:4]:
        (tmp_path / "fracture" / path.name).write_bytes(path.read_bytes())
    app = begin(open_page("reading", source_choice="folder", folders_choice=str(tmp_path)))
    answer(app, "Normal", "Normal", "Normal", "fracture")
    assert len(app.error) == 1
    assert "Choose another classifier" in said(app.error)


def test_every_answer_has_a_digit_of_its_own(reading):
    assert [b.proto.shortcut for b in reading.button if b.proto.shortcut] == ["1", "2", "3"]


def test_of_files_that_have_vanished_nothing_is_said(reading):
    study = reading.session_state["reading"]
    study.cases = study.cases.assign(path="/nowhere/x.png")
    reading.run()
    assert not reading.exception
    assert isinstance(study.table(), pd.DataFrame)
    assert "missing or broken" in said(reading.warning)
