"""split_folders.py: folders that are sides of a split, on constructed trees and on a case from the public."""

from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxr_core.data.dataset import scan_dataset
from cxr_core.data.layouts.tables.root_tables import UnknownColumns
from cxr_core.splits.split import make_split, split_counts

CASES = Path(__file__).resolve().parents[5] / "shared" / "cases"
SIDE_FOLDERS = {
    "train": "train", "training": "train", "training set": "train", "train_data": "train", "train_images": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "val-set": "validation",
    "test": "test", "testing": "test", "test set": "test", "testdata": "test", "test_x-rays": "test",
    "1_train": "train", "02 - training": "train", "3.test": "test", "holdout": "test", "hold-out set": "test",
    "eval": "validation", "trainingsdaten": "train", "validierung": "validation", "validierungsdaten": "validation",
    "entrenamiento": "train", "validación": "validation", "prueba": "test", "entraînement": "train", "teste": "test",
}  # fmt: skip
PIXELS = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)


def fill(root, *folders, images=1):
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(images):
            cv2.imwrite(str(root / folder / f"{i}.png"), PIXELS)
    return root


@pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases")
def test_kermanys_folders_are_sides_and_below_them_are_the_classes(tmp_path):
    dataset = scan_dataset(CASES / "01-kermany-sides" / "chest_xray", index_dir=tmp_path)
    assert dataset.classes == ("NORMAL", "PNEUMONIA")
    counts = split_counts(dataset.table, make_split(dataset.table, "given", seed=0))
    assert counts.loc["NORMAL"].tolist() == [4, 1, 2]
    assert counts.loc["PNEUMONIA"].tolist() == [4, 1, 2]
    assert dataset.unreadable.empty


@given(spelt=st.permutations(list(SIDE_FOLDERS)), upper=st.sampled_from([str.lower, str.upper, str.title]))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_spelling_of_a_side_is_the_side(tmp_path_factory, spelt, upper):
    root, index = tmp_path_factory.mktemp("sides"), tmp_path_factory.mktemp("index")
    names = {SIDE_FOLDERS[name]: upper(name) for name in spelt}
    fill(root, *(f"{side}/{c}" for side, c in product(names.values(), ("normal", "other"))))
    table = scan_dataset(root, index_dir=index).table
    told = set(zip(table["file"].str.split("/").str[0], table["split"], strict=True))
    assert told == {(name, side) for side, name in names.items()}
    assert set(table["class_name"]) == {"normal", "other"}


def test_what_lies_beside_the_sides_is_passed_over_with_a_sentence(tmp_path):
    fill(tmp_path / "d", "train/normal", "train/covid", "test/normal", "test/covid", "extra/normal", "__MACOSX/train")
    dataset = scan_dataset(tmp_path / "d", index_dir=tmp_path / "index")
    assert len(dataset.table) == 4
    assert dataset.unreadable.values.tolist() == [["extra", "This folder lies beside test, train and is passed over."]]


def test_classes_that_are_called_test_and_train_stay_classes_where_images_lie_in_them(tmp_path):
    fill(tmp_path / "d", "train", "test")
    assert scan_dataset(tmp_path / "d", index_dir=tmp_path / "index").classes == ("test", "train")


@pytest.mark.parametrize(
    ("text", "is_table"),
    [("scan\tkind\n0\t1\n1\t2\n", True), ("Images, of our clinic\nmade by us, by hand, and kept\n", False),
     ("Images, of our clinic\n", False)],
)  # fmt: skip
def test_a_text_beside_sides_is_a_table_to_ask_for_where_all_its_lines_have_as_many_values(tmp_path, text, is_table):
    fill(tmp_path / "d", "train", "test")
    (tmp_path / "d" / "labels.txt").write_text(text)
    if is_table:
        with pytest.raises(UnknownColumns, match="scan, kind"):
            scan_dataset(tmp_path / "d", index_dir=tmp_path / "index")
    else:
        assert scan_dataset(tmp_path / "d", index_dir=tmp_path / "index").classes == ("test", "train")


def test_sides_beside_a_table_of_unknown_columns_are_no_classes_but_its_columns_are_asked_for(tmp_path):
    fill(tmp_path / "d", "train_images", "test_images")
    names = sorted(path.stem for path in (tmp_path / "d" / "train_images").iterdir())
    rows = "".join(f"{name},1,1\n" for name in names)
    (tmp_path / "d" / "train.csv").write_text(f"StudyInstanceUID,tube - normal,line - abnormal\n{rows}")
    with pytest.raises(UnknownColumns, match="tube - normal"):
        scan_dataset(tmp_path / "d", index_dir=tmp_path / "index")


def test_one_side_alone_is_a_class(tmp_path):
    fill(tmp_path / "d", "train/a", "normal/a")
    assert set(scan_dataset(tmp_path / "d", index_dir=tmp_path / "index").classes) == {"normal", "train"}


@pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases")
def test_masks_beside_the_images_of_a_class_are_listed_and_no_images(tmp_path):
    dataset = scan_dataset(CASES / "02-radiography-masks" / "db", index_dir=tmp_path)
    assert dataset.table["class_name"].value_counts().to_dict() == {"COVID": 6, "Normal": 6}
    assert not dataset.table["file"].str.contains("masks").any()
    assert dataset.unreadable["file"].tolist() == ["COVID/masks", "Normal/masks"]


def test_a_class_may_be_called_masks(tmp_path):
    fill(tmp_path / "d", "masks", "normal")
    assert set(scan_dataset(tmp_path / "d", index_dir=tmp_path / "index").classes) == {"masks", "normal"}


@pytest.mark.parametrize(
    "names",
    [("träning", "validering", "test"), ("tra\u0308ning", "validering", "test"), ("trening", "walidacja", "test"),
     ("обучение", "валидация", "тест"), ("訓練", "検証", "テスト"), ("훈련", "검증", "시험"),
     ("train2017", "val2017", "test2017"), ("train_80", "val_10", "test_10"),
     ("train (80%)", "val (10%)", "test (10%)"),
     ("chest_xray_train", "chest_xray_val", "chest_xray_test"), ("train-mine", "val-mine", "test-mine")],
)  # fmt: skip
def test_sides_are_known_in_other_languages_with_numbers_and_behind_the_name_of_the_data_set(tmp_path, names):
    root = fill(tmp_path / "set", *(f"{name}/{c}" for name in names for c in ("ill", "well")))
    table = scan_dataset(root, index_dir=tmp_path / "index").table
    told = set(zip(table["file"].str.split("/").str[0], table["split"], strict=True))
    assert told == set(zip(names, ("train", "validation", "test"), strict=True))
    assert set(table["class_name"]) == {"ill", "well"}


def test_sides_of_one_class_beside_another_class_do_not_take_its_place(tmp_path):
    names = ("covid_train/p1", "covid_train/p2", "covid_test/p3", "normal/p4")
    dataset = scan_dataset(fill(tmp_path / "set", *names), index_dir=tmp_path / "index")
    assert set(dataset.classes) == {"covid_train", "covid_test", "normal"}


def test_a_side_that_is_unpacked_into_a_folder_of_its_own_name_is_the_side(tmp_path):
    root = fill(
        tmp_path / "set", *(f"{side}/{side.lower()}/{c}" for side in ("Train", "test") for c in ("ill", "well"))
    )
    dataset = scan_dataset(root, index_dir=tmp_path / "index")
    assert set(dataset.classes) == {"ill", "well"}
    assert dataset.table["split"].value_counts().to_dict() == {"train": 2, "test": 2}


def test_folders_of_known_classes_beside_one_known_side_are_no_classes(tmp_path):
    root = fill(tmp_path / "set", *(f"{name}/{c}" for name in ("tanító", "test") for c in ("covid", "normal")))
    assert scan_dataset(root, index_dir=tmp_path / "index").classes == ("normal", "covid")


@pytest.mark.parametrize("between", ["images", "Data"])
def test_a_single_folder_between_the_sides_and_the_classes_is_no_class(tmp_path, between):
    root = fill(tmp_path / "set", *(f"{side}/{between}/{c}" for side in ("train", "test") for c in ("covid", "normal")))
    dataset = scan_dataset(root, index_dir=tmp_path / "index")
    assert dataset.classes == ("normal", "covid")
    assert dataset.table["split"].value_counts().to_dict() == {"train": 2, "test": 2}
    assert f"train/{between}/covid/0.png" in set(dataset.table["file"])


def test_a_side_for_evaluation_is_the_test_side_where_there_is_no_other(tmp_path):
    root = fill(tmp_path / "set", *(f"{side}/{c}" for side in ("train", "eval") for c in ("covid", "normal")))
    table = scan_dataset(root, index_dir=tmp_path / "index").table
    assert table["split"].value_counts().to_dict() == {"train": 2, "test": 2}


@pytest.mark.parametrize("unlabelled", ["test", "test/images"])
def test_images_of_a_side_without_classes_are_listed(tmp_path, unlabelled):
    root = fill(tmp_path / "set", "train/covid", "train/normal", "val/covid", "val/normal", unlabelled, images=2)
    dataset = scan_dataset(root, index_dir=tmp_path / "index")
    assert dataset.classes == ("normal", "covid")
    assert dataset.table["split"].value_counts().to_dict() == {"train": 4, "validation": 4}
    assert dataset.unreadable["file"].tolist() == [f"{unlabelled}/0.png", f"{unlabelled}/1.png"]
    assert dataset.unreadable["error"].str.contains("lies in no class folder").all()


def test_one_side_with_classes_and_one_without_are_sides(tmp_path):
    root = fill(tmp_path / "set", "train/a", "train/b", "test")
    dataset = scan_dataset(root, index_dir=tmp_path / "index")
    assert dataset.classes == ("a", "b") and dataset.unreadable["file"].tolist() == ["test/0.png"]


@pytest.mark.parametrize("name", ["{c}_{side}", "{side}_{c}", "{c} {side}", "{side}-{c}", "{c}-{side}-set"])
def test_folders_called_after_class_and_side_tell_both(tmp_path, name):
    parts = list(product(("Covid", "normal"), ("train", "val", "test")))
    root = fill(tmp_path / "set", *(name.format(c=c, side=side) for c, side in parts))
    table = scan_dataset(root, index_dir=tmp_path / "index").table
    sides = (("Covid", "normal"), ("train", "validation", "test"))
    assert sorted(zip(table["class_name"], table["split"], strict=True)) == sorted(product(*sides))


@pytest.mark.parametrize("names", [["train_a", "test_b"], ["covid_train", "covid_test"], ["a_train", "a_test", "b"]])
def test_names_that_hold_a_side_by_chance_are_classes(tmp_path, names):
    dataset = scan_dataset(fill(tmp_path / "set", *names), index_dir=tmp_path / "index")
    assert set(dataset.classes) == set(names)


@pytest.mark.parametrize("folders", [["images"], ["train/images", "test/images"]])
def test_a_name_that_tells_no_class_is_said_to_tell_none(tmp_path, folders):
    (sentence,) = scan_dataset(fill(tmp_path / "set", *folders), index_dir=tmp_path / "index").layouts
    assert "The name images tells no class: put one folder per class in it, or a label table beside it." in sentence


def test_folders_that_only_begin_like_a_side_are_classes(tmp_path):
    root = fill(tmp_path / "set", "tester/a", "training wheels/a", "devil/a")
    assert len(scan_dataset(root, index_dir=tmp_path / "index").classes) == 3


@given(
    spelt=st.permutations(list(SIDE_FOLDERS)),
    upper=st.sampled_from([str.lower, str.upper, str.title]),
    inside=st.sampled_from(["", "/images", "/a/b"]),
    wrapper=st.sampled_from(["", "archive/"]),
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sides_below_the_classes_are_sides_in_every_spelling(tmp_path_factory, spelt, upper, inside, wrapper):
    root, index = tmp_path_factory.mktemp("sides"), tmp_path_factory.mktemp("index")
    names = {SIDE_FOLDERS[name]: upper(name) for name in spelt}
    fill(root, *(f"{wrapper}{c}/{side}{inside}" for side, c in product(names.values(), ("normal", "other"))))
    dataset = scan_dataset(root, index_dir=index)
    folders = dataset.table["file"].str.removeprefix(wrapper).str.split("/").str[1]
    told = set(zip(folders, dataset.table["split"], strict=True))
    assert told == {(name, side) for side, name in names.items()}
    assert set(dataset.table["class_name"]) == {"normal", "other"}
    assert dataset.unreadable.empty


def test_an_image_that_lies_beside_the_sides_of_its_class_has_no_side(tmp_path):
    fill(tmp_path / "d", "covid/train", "covid/test", "normal/train", "normal/test", "normal", "normal/more")
    table = scan_dataset(tmp_path / "d", index_dir=tmp_path / "index").table
    sides = dict(zip(table["file"], table["split"].fillna("none"), strict=True))
    assert sides.pop("normal/0.png") == sides.pop("normal/more/0.png") == "none"
    assert sides == {f"{c}/{side}/0.png": side for c in ("covid", "normal") for side in ("train", "test")}
    assert table["patient"].isna().all()


def test_a_class_that_holds_one_folder_called_like_a_side_says_nothing_of_the_others(tmp_path):
    fill(tmp_path / "d", "covid/test", "normal/train")
    assert "split" not in scan_dataset(tmp_path / "d", index_dir=tmp_path / "index").table
