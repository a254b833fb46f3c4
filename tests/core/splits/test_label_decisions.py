"""label_decisions.py: a label that was corrected belongs to the image, wherever it lies."""

import shutil

import pytest

from cxr_core.data.dataset import scan_dataset
from cxr_core.splits.curation import (
    Curation,
    dataset_decisions,
    exclude,
    load_curation,
    save_curation,
    save_decisions,
    taken_back,
)
from cxr_core.splits.groups import group_images
from cxr_core.splits.label_decisions import decide_label, forget_label, with_decided_groups, with_decided_labels
from cxr_core.splits.split import make_split, split_counts


@pytest.fixture
def index(tmp_path):
    return tmp_path / "index"


def decided(dataset, row, class_name, index):
    """Decide about one row, and keep it."""
    curation = dataset_decisions(dataset.table, dataset.roots, index)
    changed = decide_label(curation, dataset.table.iloc[[row]], class_name, dataset)
    save_decisions(changed, dataset.table, dataset.roots, index)
    return dataset_decisions(dataset.table, dataset.roots, index)


def test_a_corrected_label_counts_in_groups_and_splits_and_moves_no_row(few, index):
    dataset = scan_dataset(few, index_dir=index)
    curation = decided(dataset, 0, "virus", index)
    relabelled = with_decided_labels(dataset, curation)
    assert relabelled.table["file"].equals(dataset.table["file"])
    assert relabelled.table["class_name"].ne(dataset.table["class_name"]).tolist() == [True] + [False] * 26
    assert relabelled.fingerprint != dataset.fingerprint
    table = relabelled.table
    assert split_counts(table, make_split(table, "random", seed=0)).sum(axis=1).to_dict() == {
        "normal": 8, "covid": 9, "virus": 10,
    }  # fmt: skip
    group = group_images(dataset.table, curation, phase=lambda name: None, find_copies=False)
    assert with_decided_groups(group, dataset, curation).table["class_name"].iloc[0] == "virus"


def test_the_correction_belongs_to_the_image_in_whatever_folder_it_lies(few, index, tmp_path):
    dataset = scan_dataset(few, index_dir=index)
    decided(dataset, 0, "virus", index)
    file = dataset.table["path"].iloc[0]
    elsewhere = tmp_path / "elsewhere"
    for name in ("normal", "virus"):
        (elsewhere / name).mkdir(parents=True)
    shutil.copy(file, elsewhere / "normal" / "another name.png")
    shutil.copy(dataset.table["path"].iloc[-1], elsewhere / "virus")
    there = scan_dataset(elsewhere, index_dir=index)
    curation = dataset_decisions(there.table, there.roots, index)
    assert with_decided_labels(there, curation).table["class_name"].tolist() == ["virus", "virus"]
    # Taken back there, it is taken back here.
    save_decisions(forget_label(curation, there.table), there.table, there.roots, index)
    assert dataset_decisions(dataset.table, dataset.roots, index) == Curation()


def test_a_confirmed_label_is_kept_and_changes_nothing(few, index):
    dataset = scan_dataset(few, index_dir=index)
    curation = decided(dataset, 0, "normal", index)
    assert curation.labels == {dataset.table["digest"].iloc[0]: "normal"}
    assert with_decided_labels(dataset, curation).fingerprint == dataset.fingerprint


def test_decisions_about_other_images_and_exclusions_stay(few, index):
    dataset = scan_dataset(few, index_dir=index)
    out = exclude(Curation(), dataset.table.iloc[[0, 1]], "by hand", among=dataset.table)
    save_decisions(out, dataset.table, dataset.roots, index)
    decided(dataset, 0, "virus", index)
    curation = decided(dataset, 2, "covid", index)
    assert curation.excluded == out.excluded
    assert set(curation.labels.values()) == {"virus", "covid"}


def test_undo_takes_back_this_label_alone(few, index):
    dataset = scan_dataset(few, index_dir=index)
    before = decided(dataset, 0, "virus", index)
    after = decided(dataset, 1, "virus", index)
    now = decided(dataset, 2, "covid", index)
    assert taken_back(now, before, after).labels == {
        d: name for d, name in now.labels.items() if d != dataset.table["digest"].iloc[1]
    }
    # Somebody decided otherwise since: that stands.
    later = decided(dataset, 1, "covid", index)
    assert taken_back(later, before, after).labels == later.labels


def test_labels_survive_the_file_and_files_without_them_open(tmp_path):
    path = tmp_path / "decisions.json"
    save_curation(Curation(labels={"d1": "covid"}), path)
    assert load_curation(path).labels == {"d1": "covid"}
    path.write_text('{"excluded": [], "distinct": []}')
    assert load_curation(path) == Curation()


def test_a_label_that_is_no_class_is_refused_and_one_decided_elsewhere_passed_over(few, index):
    dataset = scan_dataset(few, index_dir=index)
    with pytest.raises(ValueError, match="'tuberculosis' is no class of this data set; it has normal, covid, virus"):
        decide_label(Curation(), dataset.table, "tuberculosis", dataset)
    elsewhere = Curation(labels={dataset.table["digest"].iloc[0]: "tuberculosis"})
    assert with_decided_labels(dataset, elsewhere).fingerprint == dataset.fingerprint
