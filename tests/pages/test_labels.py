"""The Labels page: the most doubtful label first, decisions that hold for the image, and undo."""

import pytest

from .test_pages import open_page, said, tables


def button(app, label):
    return next(b for b in app.button if b.label.startswith(label))


def tiles(app):
    return dict(zip((m.label for m in app.metric), (m.value for m in app.metric), strict=True))


@pytest.fixture
def labels():
    return open_page("labels")


def test_the_planted_wrong_labels_stand_among_the_first(labels):
    shown = tables(labels)[0]
    assert {"guangzhou/scan-021.jpg", "guangzhou/scan-153.jpg"} <= set(shown["file"].head(5))
    assert "trained on none of these images" in said(labels.caption)


def test_a_corrected_label_counts_on_other_pages_and_is_taken_back(labels):
    assert tables(labels)[0]["label"].iloc[0] == "Normal"
    button(labels, "It is Viral").click().run()
    assert not labels.exception
    assert "is Viral from now on" in said(labels.success)
    assert tiles(labels)["Labels looked at"] == "1"
    labels.switch_page("pages/dataset.py").run()
    assert labels.dataframe[-1].value["class"].value_counts()["Normal"] == 62
    labels.switch_page("pages/labels.py").run()
    button(labels, "Undo").click().run()
    assert tiles(labels)["Labels looked at"] == "0"
    labels.switch_page("pages/dataset.py").run()
    assert labels.dataframe[-1].value["class"].value_counts()["Normal"] == 63


def test_a_kept_label_leaves_the_queue_and_changes_nothing(labels):
    first, second = tables(labels)[0]["file"].head(2)
    button(labels, "Keep").click().run()
    assert tables(labels)[0]["file"].iloc[0] == second
    assert "stays Normal" in said(labels.success)
    button(labels, "Ask again").click().run()
    assert first not in set(tables(labels)[0]["file"])


def test_a_skipped_image_comes_back_last_and_an_excluded_one_not_at_all(labels):
    first, second, third = tables(labels)[0]["file"].head(3)
    button(labels, "Skip").click().run()
    assert tables(labels)[0]["file"].iloc[0] == second
    button(labels, "Leave out").click().run()
    assert tables(labels)[0]["file"].iloc[0] == third
    assert tiles(labels)["Images in total"] == "188"


def test_each_decision_has_a_key_of_its_own(labels):
    keys = [b.proto.shortcut for b in labels.button if b.proto.shortcut]
    assert sorted(keys) == ["k", "l", "s", "x"]


def test_a_data_set_that_cannot_be_reviewed_says_why(tmp_path, few):
    (tmp_path / "normal").mkdir()
    for path in list((few / "normal").iterdir())[:3]:
        (tmp_path / "normal" / path.name).write_bytes(path.read_bytes())
    app = open_page("labels", source_choice="folder", folders_choice=str(tmp_path))
    assert not app.exception
    assert "two classes or more" in said(app.error)


def test_a_visitor_of_a_shared_installation_decides_for_the_visit_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("CXR_LAB_SHARED", "1")
    app = open_page("labels")
    button(app, "Keep").click().run()
    assert tiles(app)["Labels looked at"] == "1"
    assert tiles(open_page("labels"))["Labels looked at"] == "0"
