"""Miniatures of public data sets open as they are."""

import pytest
from public_sets import SETS, build

from cxr_core.data.dataset import scan_dataset


@pytest.mark.parametrize("name", SETS)
def test_a_public_set_opens_without_renaming_a_thing(tmp_path, name):
    mini = SETS[name]
    dataset = scan_dataset(build(tmp_path / name, mini), index_dir=tmp_path / "index")
    assert dataset.table["class_name"].value_counts().to_dict() == mini.classes
    assert dataset.table["patient"].nunique() == mini.patients
    assert set(dataset.table) & {"split", "view", "age_group", "sex", "source", "mask"} == mini.told
    assert dataset.layouts[0].startswith(f"{name}: {mini.said}")
    assert dataset.unreadable["file"].tolist() == mini.passed_over
