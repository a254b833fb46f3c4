"""Predict: an answer is marked as wrong, listed, taken back; not by visitors, unless the owner allows it."""

import json

import pytest

from cxr_core.cli.main import main
from cxr_core.inference.marked_answers import load_marked
from pages.test_pages import open_page, said
from pages.test_training import labels

EXAMPLE = {"example_choice": "Wrong answer"}


@pytest.fixture
def marked_dir(tmp_path, monkeypatch):
    """An empty list that the pages and the command use."""
    for name in ("mark_answer", "marked_answer", "load_marked", "take_back", "image_path"):
        function = f"cxr_core.inference.marked_answers.{name}"
        defaults = "__kwdefaults__" if name == "mark_answer" else "__defaults__"
        monkeypatch.setattr(f"{function}.{defaults}", {"folder": tmp_path} if name == "mark_answer" else (tmp_path,))
    return tmp_path


def press(app, label):
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception


def mark(app, truth):
    app.selectbox(key="marked_truth").set_value(truth).run()
    press(app, "Mark as wrong")


def test_an_answer_is_marked_listed_and_taken_back(marked_dir):
    app = open_page("predict", **EXAMPLE)
    assert not app.exception
    assert {"Other finding", "Don't know"} <= set(app.selectbox(key="marked_truth").options)
    mark(app, "normal")
    assert "Marked as wrong; right is: Normal" in said(app.success)
    assert [one.truth for one in load_marked(marked_dir)] == ["normal"]
    table = next(frame.value for frame in app.dataframe if "right" in frame.value)
    assert table["right"].tolist() == ["Normal"]
    assert [path.suffix for path in marked_dir.iterdir()] == [".json"]
    press(app, "Take it back")
    assert load_marked(marked_dir) == []
    assert "Mark as wrong" in labels(app.button)


def test_the_given_answer_is_not_offered_as_what_is_right(marked_dir):
    app = open_page("predict", **EXAMPLE)
    given = app.header[0].value.removeprefix("Prediction: ").split(" (")[0].replace("\\", "")
    assert given in ("COVID-19", "Viral", "Other finding")
    assert given not in app.selectbox(key="marked_truth").options


def test_the_image_is_kept_where_the_owner_allows_it_and_the_page_says_which(marked_dir, monkeypatch):
    app = open_page("predict", **EXAMPLE)
    assert "The image is not kept." in said(app.caption)
    monkeypatch.setenv("CXR_LAB_KEEP_IMAGES", "1")
    app.run()
    assert "The image is kept with it, without its name and header." in said(app.caption)
    mark(app, "normal")
    assert {path.suffix for path in marked_dir.iterdir()} == {".json", ".png"}


def test_visitors_are_told_that_it_is_off_and_see_no_list(marked_dir, monkeypatch):
    mark(open_page("predict", **EXAMPLE), "normal")
    monkeypatch.setenv("CXR_LAB_SHARED", "1")
    app = open_page("predict", **EXAMPLE)
    assert not app.exception
    assert "Visitors cannot mark answers as wrong here." in said(app.caption)
    assert "Mark as wrong" not in labels(app.button) and "Take it back" not in labels(app.button)
    assert not any("right" in frame.value for frame in app.dataframe)
    monkeypatch.setenv("CXR_LAB_ALLOW", "marking")
    assert "Take it back" in labels(open_page("predict", **EXAMPLE).button)


def test_a_broken_list_is_said_and_leaves_the_page_standing(marked_dir):
    (marked_dir / "odd.json").write_text("{")
    app = open_page("predict")
    assert not app.exception
    assert "odd.json holds no marked answer" in said(app.warning)


def test_the_command_prints_the_list_and_writes_a_table(marked_dir, tmp_path_factory, capsys):
    mark(open_page("predict", **EXAMPLE), "unknown")
    target = tmp_path_factory.mktemp("out") / "marked.csv"
    capsys.readouterr()
    assert main(["marked", "--json", "-", "--csv", str(target)]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["truth"] == "unknown"
    assert target.read_text().splitlines()[0] == "digest,classifier,answer,confidence,truth,date"
