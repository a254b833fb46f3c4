"""registry.py: the most particular layout that recognises a root reads it."""

import os
from pathlib import Path

import pytest
from PIL import Image

from cxr_core.data.dataset import folder_stamp, scan_dataset
from cxr_core.data.layouts.data_layout import DataLayout
from cxr_core.data.layouts.found_image import ListedImage, find_listed
from cxr_core.data.layouts.registry import LAYOUTS, find_layout


@pytest.fixture
def folder(tmp_path):
    """Class folders beside which a list of files lies."""
    for name in ("sick/a.png", "well/b.png"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True)
        Image.new("L", (9, 8), 3).save(path)
    (tmp_path / "data" / "list.csv").write_text("path,label\nsick/a.png,ill\n")
    (tmp_path / "data" / "names.txt").write_text("sick/a.png\ngone.png\n")
    return tmp_path / "data"


@pytest.fixture
def by_names(monkeypatch):
    """A layout that is registered for this test: a folder with a names.txt, whose every image shows one class."""

    def recognises(root):
        return os.path.isfile(root / "names.txt")

    def images(root, problems):
        lines = (root / "names.txt").read_text().split()
        listed = [ListedImage(str(root / line), "cats", patient="p1", view="PA") for line in lines]
        return find_listed(listed, root, "names.txt", problems)

    layout = DataLayout("A list of names", recognises, images)
    monkeypatch.setitem(LAYOUTS, "names", layout)
    return layout


def test_folders_and_tables_are_recognised_and_nothing_else(folder):
    assert find_layout(folder) is LAYOUTS["table"]
    for table in ("list.csv", "names.txt"):
        assert find_layout(folder / table) is LAYOUTS["table"]
    for other in ("sick/a.png", "gone", "gone.csv"):
        assert find_layout(folder / other) is None
    (folder / "list.csv").unlink()
    assert find_layout(folder) is LAYOUTS["class_folders"]
    (folder / "folder.csv").mkdir()
    assert find_layout(folder / "folder.csv") is LAYOUTS["class_folders"]


def test_a_further_layout_goes_before_the_general_ones(folder, by_names):
    assert find_layout(folder) is by_names
    assert find_layout(folder / "sick") is LAYOUTS["class_folders"]
    dataset = scan_dataset(folder)
    assert dataset.classes == ("cats",)
    assert dataset.table[["file", "patient", "view"]].to_numpy().tolist() == [["sick/a.png", "p1", "PA"]]
    assert dataset.unreadable.to_numpy().tolist() == [
        ["gone.png", "This file is listed in names.txt, but it is not there."]
    ]


def test_a_further_layout_is_found_below_a_folder_of_its_own_too(folder, by_names, tmp_path):
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    folder.rename(tmp_path / "outer" / "inner" / "data")
    dataset = scan_dataset(tmp_path / "outer", index_dir=tmp_path / "index")
    assert dataset.table[["file", "class_name", "patient"]].to_numpy().tolist() == [
        ["inner/data/sick/a.png", "cats", "p1"]
    ]
    assert dataset.unreadable["file"].tolist() == ["inner/data/gone.png"]
    assert dataset.layouts[0].startswith("outer: A list of names, below inner/data. 1 image in 1 class.")


def test_the_stamp_follows_the_layout(folder, by_names):
    before = folder_stamp(folder)
    (folder / "well" / "b.png").unlink()
    assert folder_stamp(folder) == before
    Path(folder / "names.txt").write_text("sick/a.png\n")
    assert folder_stamp(folder) != before


def test_roots_of_several_layouts_are_one_data_set(folder, by_names):
    table = scan_dataset(folder, folder / "list.csv", folder / "well").table
    assert sorted(table["class_name"]) == ["cats", "ill"]
