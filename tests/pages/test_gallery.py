"""Galleries: a file's name under each image, the whole image on a click, and a decision about many at once."""

import cv2
import numpy as np
import pytest
from conftest import draw_texture

from .test_pages import open_page, said


@pytest.fixture
def copied(tmp_path):
    """Two radiographs, each with one smaller copy, and three far too dark images."""
    for name in ("normal", "covid"):
        (tmp_path / name).mkdir()
    for i, name in enumerate(("normal", "covid")):
        image = draw_texture(i)
        cv2.imwrite(str(tmp_path / name / "first.png"), image)
        cv2.imwrite(str(tmp_path / name / "second.png"), cv2.resize(image, (200, 200), interpolation=cv2.INTER_AREA))
    for i in range(3):
        cv2.imwrite(str(tmp_path / "normal" / f"dark{i}.png"), draw_texture(i + 10) // 12)
    return tmp_path


def open_on(folder, page):
    app = open_page(page, source_kept="folder", folders_kept=str(folder))
    assert not app.exception
    return app


def button(app, label):
    return next(b for b in app.button if b.label == label)


def choose_flag(app, name):
    next(s for s in app.selectbox if s.label == "Flag").select(name).run()
    assert not app.exception


def test_a_caption_has_the_files_name_and_then_a_fact(copied):
    images = [image for shown in open_on(copied, "duplicates").image for image in shown.proto.imgs]
    assert "first\\.png  \nhighest resolution" in [image.caption for image in images]
    assert "Normal: first.png" in [image.alt for image in images]


def test_many_are_selected_and_excluded_with_one_click_which_one_undo_takes_back(copied):
    app = open_on(copied, "quality")
    choose_flag(app, "too_dark")
    assert button(app, "Exclude selected").disabled
    for box in app.checkbox[:2]:
        box.check()
    app.run()
    assert "2 of 3 images selected" in said(app.caption)
    button(app, "Exclude selected").click().run()
    assert not app.exception
    assert said(app.success) == "2 images excluded."
    assert [box.value for box in app.checkbox] == [False] * 3
    assert [b.label for b in app.button].count("Include") == 2
    button(app, "Undo").click().run()
    assert "Include" not in [b.label for b in app.button]


def test_a_whole_page_is_selected_with_one_click(copied):
    app = open_on(copied, "quality")
    choose_flag(app, "too_dark")
    button(app, "Select this page").click().run()
    assert [box.value for box in app.checkbox] == [True] * 3
    button(app, "Select none").click().run()
    assert [box.value for box in app.checkbox] == [False] * 3


def test_a_click_shows_the_whole_image_with_its_facts(copied):
    app = open_on(copied, "duplicates")
    next(b for b in app.button if (b.key or "").startswith("enlarge_group")).click().run()
    assert not app.exception
    assert "320 × 320 pixels, PNG" in said(app.caption)


def test_the_lungs_of_a_whole_image_are_outlined_and_where_none_are_found_it_is_said(tmp_path):
    app = open_page("dataset")
    next(b for b in app.button if (b.key or "").startswith("enlarge_sample")).click().run()
    plain = app.image[-1].proto.imgs[0].url
    next(t for t in app.toggle if t.label == "Lungs").set_value(True).run()
    assert not app.exception
    assert app.image[-1].proto.imgs[0].url != plain
    assert "No lungs found" not in said(app.caption)
    for name in ("normal", "covid"):
        (tmp_path / name).mkdir()
        for i in range(3):
            cv2.imwrite(str(tmp_path / name / f"{i}.png"), draw_texture(i + len(name)))
    app = open_page("dataset", source_choice="folder", folders_choice=str(tmp_path), whole_lungs_kept=True)
    next(b for b in app.button if (b.key or "").startswith("enlarge_sample")).click().run()
    assert "No lungs found" in said(app.caption)


def test_two_copies_are_compared_in_turns_and_by_their_difference(copied):
    app = open_on(copied, "duplicates")
    button(app, "Compare").click().run()
    assert not app.exception
    assert next(s for s in app.segmented_control if s.label == "View").value == "In turns"
    app.session_state["compare_view_choice"] = "Difference"
    button(app, "Compare").click().run()
    assert not app.exception
    difference = next(c.value for c in app.caption if c.value.startswith("Black where both are equal"))
    assert float(difference.split("differ by ")[1].split()[0]) < 10


def test_the_map_selects_an_image_and_its_neighbours_without_a_mouse_and_excludes_all(copied):
    app = open_on(copied, "map")
    box = next(s for s in app.selectbox if s.label == "Or select an image and its neighbours")
    box.select_index(0).run()
    assert not app.exception
    assert said(app.header) == "7 selected: 5 Normal, 2 COVID-19"
    button(app, "Exclude all 7").click().run()
    assert not app.exception
    assert said(app.success) == "7 images excluded."


def test_groups_are_paged_by_numbered_buttons(tmp_path):
    for name in ("normal", "covid"):
        (tmp_path / name).mkdir()
    for i in range(7):
        for copy in "ab":
            cv2.imwrite(str(tmp_path / "normal" / f"{i}{copy}.png"), np.full((64, 64), 20 * i, np.uint8))
    cv2.imwrite(str(tmp_path / "covid" / "other.png"), draw_texture(3))
    app = open_on(tmp_path, "duplicates")
    assert app.pagination[0].num_pages == 2
    before = [b.key for b in app.button if b.label == "Keep all"]
    app.pagination[0].set_value(2).run()
    assert not app.exception
    assert len(before) == 6 and len([b for b in app.button if b.label == "Keep all"]) == 1
