"""kept_listings.py: what tables list is read once, and again as soon as it would be another."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_core.data.layouts.tables import kept_listings, label_mapping
from cxr_core.data.layouts.tables.label_mapping import LabelMapping, save_mapping
from cxr_core.data.layouts.tables.root_tables import finding_counts, table_images

NIH = "Image Index,Finding Labels,Patient ID,Patient Age\n"


@pytest.fixture
def readings(monkeypatch):
    """The names of the tables that were read, one for each time."""
    names, read = [], kept_listings.read_table

    def count(data, name):
        names.append(name)
        return read(data, name)

    monkeypatch.setattr(kept_listings, "read_table", count)
    return names


@pytest.fixture
def nih(tmp_path, monkeypatch):
    """A folder with a table of two images, both of which are there."""
    monkeypatch.setattr(label_mapping, "INDEX_DIR", tmp_path / "index")
    root = tmp_path / "nih"
    (root / "images").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        (root / "images" / name).touch()
    (root / "Data.csv").write_text(f"{NIH}a.png,Mass,1,40\nb.png,Hernia,2,40\n")
    return root


def classes(root):
    return {image.file: image.class_name for image in table_images(root, [])}


def test_a_table_that_has_not_changed_is_read_once_whatever_is_asked_of_it(nih, readings):
    for _ in range(3):
        assert classes(nih) == {"images/a.png": "mass", "images/b.png": "hernia"}
        assert finding_counts(nih) == {"Mass": (1, "mass"), "Hernia": (1, "hernia")}
    assert readings == ["Data.csv"]


def test_what_was_passed_over_is_told_each_time(nih):
    (nih / "Data.csv").write_text(f"{NIH}a.png,,1,40\nb.png,Hernia,2,411\ngone.png,Mass,2,40\n")
    told = []
    for _ in range(2):
        problems = []
        list(table_images(nih, problems))
        told.append(sorted(problems))
    assert told[0] == told[1]
    assert len(told[0]) == 4


def test_a_table_of_the_same_size_and_time_of_change_is_read_anew(nih):
    before = os.stat(nih / "Data.csv")
    assert classes(nih)["images/a.png"] == "mass"
    other = nih.parent / "other.csv"
    other.write_text((nih / "Data.csv").read_text().replace("Mass", "Cyst"))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(other, nih / "Data.csv")
    assert classes(nih)["images/a.png"] == "cyst"


def test_other_classes_and_other_columns_are_read_anew_and_equal_ones_are_not(nih, readings):
    said = [
        LabelMapping(classes={"mass": "ill"}),
        LabelMapping({"path": "image index", "label": "patient id"}),
        LabelMapping({"path": "image index", "label": "patient age"}),
        LabelMapping({"path": "image index", "label": "patient age"}),
    ]
    told = []
    for mapping in said:
        save_mapping(mapping, nih)
        told.append(classes(nih)["images/a.png"])
    assert told == ["ill", "1", "40", "40"]
    assert len(readings) == 3


@pytest.mark.parametrize("opened", ["", "list.csv"])
def test_an_image_that_moved_is_found_where_it_lies_now(tmp_path, opened):
    root = tmp_path / "set"
    (root / "later").mkdir(parents=True)
    (root / "a.png").touch()
    (root / "list.csv").write_text("path,label\na.png,ill\n")
    assert classes(root / opened) == {"a.png": "ill"}
    (root / "a.png").rename(root / "later" / "a.png")
    assert classes(root / opened) == {"later/a.png": "ill"}


steps = st.lists(st.sampled_from(["row", "image", "remove", "move", "companion", "classes"]), min_size=1, max_size=6)


@settings(max_examples=40)
@given(steps)
def test_whatever_happens_to_a_data_set_it_lists_what_a_first_reading_lists(happening):
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_mapping, "INDEX_DIR", Path(folder, "index"))
        root = Path(folder, "set")
        (root / "sub").mkdir(parents=True)
        (root / "Data.csv").write_text(f"{NIH}0.png,Mass,1,40\n")
        for number, step in enumerate(happening):
            _change(root, step, number)
            problems, again = [], []
            kept = list(table_images(root, problems)), finding_counts(root)
            kept_listings._place_of.cache_clear()
            assert kept == (list(table_images(root, again)), finding_counts(root))
            assert problems == again


def _change(root, step, number):
    if step == "row":
        with (root / "Data.csv").open("a") as file:
            file.write(f"{number}.png,Hernia|Mass,{number},5{number}\n")
    elif step == "image":
        (root / f"{number}.png").touch()
    elif step == "remove":
        (root / f"{number - 1}.png").unlink(missing_ok=True)
    elif step == "move":
        for path in list(root.glob("*.png"))[:1]:
            path.rename(root / "sub" / path.name)
    elif step == "companion":
        (root / f"test_{number}.txt").write_text(f"{number - 1}.png\n")
    else:
        save_mapping(LabelMapping(classes={"mass": f"class {number}"}), root)
