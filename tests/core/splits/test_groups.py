"""Patients and copies stay together in a grouped split, until somebody says otherwise."""

from dataclasses import FrozenInstanceError
from itertools import combinations

import cv2
import numpy as np
import pytest
from conftest import draw_texture, silent
from image_files import undecodable_png

from cxr_core.data.dataset import scan_dataset
from cxr_core.splits.curation import Curation, exclude, mark_distinct
from cxr_core.splits.groups import group_images
from cxr_core.splits.split import make_split

SEEDS = range(8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """24 textures and 12 copies of them in two classes, six patients of two images, and one broken file.

    Copies of `x` are called `copy-of-x`; every third lies in the other class.
    """
    root = tmp_path_factory.mktemp("textures")
    for name in ("normal", "virus"):
        (root / name).mkdir()
    for i in range(12):
        cv2.imwrite(str(root / "normal" / f"n{i}.png"), draw_texture(i))
        cv2.imwrite(str(root / "virus" / f"person{i // 2}_virus_{i}.png"), draw_texture(100 + i))
    for i in range(0, 12, 2):
        smaller = cv2.resize(draw_texture(i), (200, 200), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(root / ("virus" if i % 3 == 0 else "normal") / f"copy-of-n{i}.png"), smaller)
        name = f"copy-of-person{i // 2}_virus_{i}.jpg"
        cv2.imwrite(str(root / ("normal" if i % 3 == 0 else "virus") / name), draw_texture(100 + i))
    (root / "normal" / "broken.png").write_bytes(undecodable_png((root / "normal" / "n1.png").read_bytes()))
    return root


@pytest.fixture(scope="module")
def dataset(folder):
    return scan_dataset(folder)


@pytest.fixture(scope="module")
def grouping(dataset):
    return group_images(dataset.table, Curation(), phase=silent)


def origins(table):
    """The name that an image, or what it is a copy of, was drawn under."""
    return table["file"].map(lambda file: file.split("/")[1].split(".")[0].removeprefix("copy-of-")).to_numpy()


def patients(table):
    return [name.split("_")[0] if name.startswith("person") else name for name in origins(table)]


def tied(values):
    return [pair for pair in combinations(range(len(values)), 2) if values[pair[0]] == values[pair[1]]]


def test_copies_are_found_and_nothing_else(grouping):
    found = {(a, b) for a, b in grouping.pairs[["a", "b"]].to_numpy().tolist()}
    assert found == set(tied(origins(grouping.table)))


def test_images_of_one_number_are_those_of_one_patient_with_their_copies(grouping):
    groups = grouping.groups.tolist()
    assert tied(groups) == tied(patients(grouping.table))


def test_duplicates_are_groups_of_copies_without_the_patients_other_images(grouping):
    groups = {frozenset(rows.tolist()) for rows in grouping.duplicates()}
    assert groups == {frozenset(pair) for pair in tied(origins(grouping.table))}


def test_an_image_that_cannot_be_decoded_has_no_row(grouping, dataset):
    assert "normal/broken.png" in set(dataset.table["file"])
    assert "normal/broken.png" not in set(grouping.table["file"])
    assert len(grouping.table) == len(grouping.groups) == 36


def test_grouping_twice_gives_the_same(grouping, dataset):
    again = group_images(dataset.table, Curation(), phase=silent)
    np.testing.assert_array_equal(again.groups, grouping.groups)
    assert again.pairs.equals(grouping.pairs)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_grouped_split_parts_no_copies_and_no_patient(seed, grouping):
    names = make_split(grouping.table, "grouped", seed=seed, groups=grouping.groups).names(36)
    for a, b in tied(patients(grouping.table)):
        assert names[a] == names[b]


def test_a_split_at_random_parts_copies(grouping):
    names = make_split(grouping.table, "random", seed=0).names(36)
    assert any(names[a] != names[b] for a, b in tied(origins(grouping.table)))


def test_copies_marked_as_distinct_are_no_duplicates_and_may_be_parted(grouping, dataset):
    rows = np.flatnonzero(origins(grouping.table) == "n2")
    curation = mark_distinct(Curation(), grouping.table.iloc[rows])
    marked = group_images(dataset.table, curation, phase=silent)
    assert marked.groups[rows[0]] != marked.groups[rows[1]]
    assert rows.tolist() not in [group.tolist() for group in marked.duplicates()]
    parted = [
        len(set(make_split(marked.table, "grouped", seed=seed, groups=marked.groups).names(36)[rows])) > 1
        for seed in range(20)
    ]
    assert any(parted)


def test_marking_one_group_leaves_the_others(grouping, dataset):
    rows = np.flatnonzero(origins(grouping.table) == "n2")
    marked = group_images(dataset.table, mark_distinct(Curation(), grouping.table.iloc[rows]), phase=silent)
    assert len(marked.duplicates()) == len(grouping.duplicates()) - 1


def test_images_of_one_patient_stay_together_even_where_a_copy_is_marked_as_distinct(grouping, dataset):
    rows = np.flatnonzero(origins(grouping.table) == "person1_virus_2")
    marked = group_images(dataset.table, mark_distinct(Curation(), grouping.table.iloc[rows]), phase=silent)
    one, other = (np.flatnonzero(marked.table["file"] == f"virus/person1_virus_{i}.png")[0] for i in (2, 3))
    assert marked.groups[one] == marked.groups[other]


def test_a_split_of_what_is_left_holds_no_excluded_image(grouping):
    curation = exclude(Curation(), grouping.table.iloc[[0, 5, 20]], "by hand")
    _, table, groups = grouping.taking_part(curation)
    names = make_split(table, "grouped", seed=0, groups=groups).names(len(table))
    assert len(names) == 33
    assert not set(grouping.table["file"].iloc[[0, 5, 20]]) & set(table["file"])
    for a, b in tied(patients(table)):
        assert names[a] == names[b]


def test_what_takes_part_are_the_rows_that_were_not_excluded_counted_anew(grouping):
    curation = exclude(Curation(), grouping.table.iloc[[0, 5, 20]], "by hand")
    rows, table, groups = grouping.taking_part(curation)
    expected = [row for row in range(36) if row not in (0, 5, 20)]
    assert rows.tolist() == expected
    assert table["file"].tolist() == grouping.table["file"].iloc[expected].tolist()
    assert list(table) == list(grouping.table) and table.index.tolist() == list(range(33))
    np.testing.assert_array_equal(groups, grouping.groups[expected])


def test_groups_cannot_be_changed(grouping):
    with pytest.raises(FrozenInstanceError):
        grouping.groups = None


def test_progress_is_told_by_phase(dataset):
    phases = []
    group_images(dataset.table, Curation(), phase=phases.append)
    assert phases == ["Preparing the images", "Looking for duplicates"]
