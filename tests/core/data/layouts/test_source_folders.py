"""source_folders.py: folders of hospitals, each with classes, and what only looks like them."""

from itertools import product

import pytest

from cxr_core.data.dataset import scan_dataset

from .test_split_folders import fill

CLASSES = ("normal", "covid")
HOSPITALS = ("Hannover", "siteB", "hospital 3")


def scan(root, tmp_path):
    return scan_dataset(root, index_dir=tmp_path / "index")


@pytest.mark.parametrize("above", ["", "archive/"])
@pytest.mark.parametrize("below", ["{c}", "images/{c}", "train/{c}", "train/images/{c}"])
def test_the_folder_is_the_source_and_below_it_are_the_classes(tmp_path, above, below):
    further = [f"test/{c}" for c in CLASSES] if "train" in below else []
    inner = [*(below.format(c=c) for c in CLASSES), *further]
    root = fill(tmp_path / "set", *(f"{above}{hospital}/{folder}" for hospital, folder in product(HOSPITALS, inner)))
    dataset = scan(root, tmp_path)
    assert dataset.classes == CLASSES
    assert set(dataset.table["source"]) == set(HOSPITALS)
    assert [file.removeprefix(above).split("/")[0] for file in dataset.table["file"]] == dataset.table[
        "source"
    ].tolist()
    assert ("split" in dataset.table) == bool(further)
    assert (
        "3 folders (Hannover, hospital 3, siteB), each a data set; the folder is kept as the source"
        in (dataset.layouts[0])
    )


def test_each_source_may_have_a_table_of_its_own(tmp_path):
    root = fill(tmp_path / "set", "A/img", "B/img", images=2)
    for hospital in "AB":
        (root / hospital / "list.csv").write_text("path,label\nimg/0.png,well\nimg/1.png,ill\n")
    table = scan(root, tmp_path).table
    assert sorted(zip(table["source"], table["class_name"], strict=True)) == sorted(product("AB", ("well", "ill")))


def test_sides_that_have_a_table_each_are_the_split(tmp_path):
    root = fill(tmp_path / "set", "train", "valid", "test", images=2)
    for side in ("train", "valid", "test"):
        (root / side / "_classes.csv").write_text("filename, COVID, NORMAL\n0.png, 1, 0\n1.png, 0, 1\n")
    dataset = scan(root, tmp_path)
    assert dataset.classes == ("normal", "covid") and "source" not in dataset.table
    assert dataset.table["split"].value_counts().to_dict() == {"train": 2, "validation": 2, "test": 2}
    assert "the folder is the side of the split" in dataset.layouts[0]


def test_several_folders_of_one_side_are_no_split_but_sources(tmp_path):
    root = fill(tmp_path / "set", *(f"{name}/{c}" for name in ("test1", "test2") for c in CLASSES))
    table = scan(root, tmp_path).table
    assert "split" not in table and set(table["source"]) == {"test1", "test2"}


def test_what_has_a_table_beside_sides_that_have_one_is_passed_over(tmp_path):
    root = fill(tmp_path / "set", "train", "test", "external", images=2)
    for folder in ("train", "test", "external"):
        (root / folder / "labels.csv").write_text("path,label\n0.png,covid\n1.png,normal\n")
    dataset = scan(root, tmp_path)
    assert dataset.table["split"].value_counts().to_dict() == {"train": 2, "test": 2}
    assert dataset.unreadable["file"].tolist() == ["external"]


@pytest.mark.parametrize("names", [["fold1", "fold2"], ["part_1", "part_2"], ["Lung Data", "Infection Data"]])
def test_parts_of_one_data_set_are_no_sources(tmp_path, names):
    root = fill(tmp_path / "set", *(f"{name}/{c}" for name, c in product(names, CLASSES)))
    dataset = scan(root, tmp_path)
    assert dataset.classes == CLASSES and "source" not in dataset.table
    assert "each a data set. " in dataset.layouts[0]


@pytest.mark.parametrize("classes", [CLASSES, ("pneumonia", "clear"), ("asthma", "copd")])
def test_folders_of_hospitals_below_the_classes_leave_the_classes(tmp_path, classes):
    root = fill(tmp_path / "set", *(f"{c}/{hospital}" for c, hospital in product(classes, HOSPITALS)))
    assert set(scan(root, tmp_path).classes) == set(classes)


def test_what_is_no_data_set_beside_the_sources_is_listed(tmp_path):
    root = fill(tmp_path / "set", *(f"{name}/{c}" for name, c in product("AB", CLASSES)), "extra", "masks/covid")
    dataset = scan(root, tmp_path)
    assert set(dataset.table["source"]) == {"A", "B"}
    assert dataset.unreadable["file"].tolist() == ["extra", "masks"]


def test_equal_patients_of_two_sources_are_two(tmp_path):
    folders = (f"{name}/{c}/patient{n}" for name, c, n in product("AB", CLASSES, range(3)))
    table = scan(fill(tmp_path / "set", *folders, images=2), tmp_path).table
    assert table["patient"].nunique() == 6
    assert (table.groupby("patient")["source"].nunique() == 1).all()
