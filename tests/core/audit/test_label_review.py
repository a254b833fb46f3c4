"""label_review.py: wrong labels that we planted come first, and nobody is asked about a patient it has seen."""

import numpy as np
import pandas as pd
import pytest
from conftest import silent
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_core.audit import label_review
from cxr_core.audit.embeddings import dataset_embeddings
from cxr_core.audit.label_review import doubted_labels, nearest_images, out_of_fold_probabilities, review_labels
from cxr_core.config import TEACHING_DIR
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.teaching_set import keep_shipped_analysis
from cxr_core.splits.curation import Curation
from cxr_core.splits.groups import group_images

CLASSES = ("normal", "covid", "virus")


def clouds(per_class, rng, width=12):
    """Features that lie around one point per class, and the classes."""
    names = np.repeat(CLASSES, per_class)
    return (names == np.array(CLASSES)[:, None]).T @ np.eye(3, width) * 8 + rng.normal(size=(len(names), width)), names


@settings(max_examples=4)
@given(seed=st.integers(0, 10_000), wrong=st.integers(1, 5))
def test_labels_that_were_exchanged_come_first_with_a_negative_margin(seed, wrong):
    rng = np.random.default_rng(seed)
    features, true = clouds(40, rng)
    planted = rng.choice(len(true), wrong, replace=False)
    given_names = true.copy()
    given_names[planted] = [rng.choice([c for c in CLASSES if c != name]) for name in true[planted]]
    doubts = doubted_labels(given_names, *out_of_fold_probabilities(features, given_names, np.arange(len(true))))
    first = doubts.head(wrong)
    assert set(first["row"]) == set(planted)
    assert (first["margin"] < 0).all()
    assert (first["suggested"].to_numpy() == true[first["row"]]).all()


def test_an_image_whose_copies_have_its_wrong_label_is_still_doubted():
    rng = np.random.default_rng(0)
    features, true = clouds(30, rng)
    given_names, groups = true.copy(), np.arange(len(true))
    features[1:5], given_names[:5], groups[:5] = features[0], "virus", 0
    doubts = doubted_labels(given_names, *out_of_fold_probabilities(features, given_names, groups))
    assert set(doubts["row"].head(5)) == set(range(5))


def test_the_same_seed_gives_the_same_probabilities_that_sum_to_1():
    features, names = clouds(10, np.random.default_rng(1))
    first, classes = out_of_fold_probabilities(features, names, np.arange(30), seed=3)
    again, _ = out_of_fold_probabilities(features, names, np.arange(30), seed=3)
    assert classes == CLASSES
    assert np.array_equal(first, again)
    assert np.allclose(first.sum(axis=1), 1)


def test_the_margin_and_the_count_are_those_of_the_paper():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]])
    doubts = doubted_labels(["a", "a", "a", "b"], probabilities, ["a", "b"]).sort_values("row")
    # The mean that the own images have: a (0.9 + 0.6 + 0.2) / 3, b 0.7.
    assert doubts["is_doubted"].tolist() == [False, False, True, False]
    assert doubts["margin"].round(6).tolist() == [0.8, 0.2, -0.6, 0.4]
    assert doubts["suggested"].tolist() == ["b", "b", "b", "a"]


@pytest.mark.parametrize(("names", "groups"), [(["a"] * 6, range(6)), (["a"] * 4 + ["b"] * 2, [0, 1, 2, 3, 4, 4])])
def test_too_little_to_review_is_said(names, groups):
    with pytest.raises(ValueError, match="two classes or more, each with images of two patients"):
        out_of_fold_probabilities(np.eye(6), names, np.array(groups))


def test_a_label_that_is_no_class_is_refused():
    with pytest.raises(ValueError, match="must be a class of the predictions"):
        doubted_labels(["a", "c"], np.full((2, 2), 0.5), ["a", "b"])


def test_the_nearest_images_are_of_other_patients():
    features = np.array([[1, 0], [1, 0.01], [1, 0.1], [0, 1], [0, 0]], float)
    assert nearest_images(features, np.array([0, 0, 1, 2, 3]), 0).tolist() == [2, 3, 4]
    assert nearest_images(features, np.zeros(5, int), 0).tolist() == []


def test_the_two_wrong_labels_of_the_teaching_set_are_among_the_first_five():
    keep_shipped_analysis()
    dataset = scan_dataset(TEACHING_DIR)
    group = group_images(dataset.table, Curation(), phase=lambda name: None)
    names = group.table["class_name"]
    features = dataset_embeddings(group.table, phase=lambda name: None).values
    doubts = doubted_labels(names, *out_of_fold_probabilities(features, names, group.groups))
    planted = pd.read_csv(TEACHING_DIR / "index.csv").query("planted.str.startswith('wrong label', na=False)")["path"]
    assert len(planted) == 2
    assert set(planted) <= set(group.table["file"].to_numpy()[doubts["row"].head(5)])


def test_what_was_asked_once_is_kept_and_other_labels_or_groups_are_asked_anew(few, tmp_path, monkeypatch):
    table = scan_dataset(few, index_dir=tmp_path / "index").table
    known = dataset_embeddings(table, phase=silent, cache_dir=tmp_path)
    names, groups, asked = known.prepared.table["class_name"], np.arange(len(table)), []

    def counted(*arguments, **options):
        asked.append(1)
        return out_of_fold_probabilities(*arguments, **options)

    monkeypatch.setattr(label_review, "out_of_fold_probabilities", counted)
    first, again = (review_labels(known, names, groups, cache_dir=tmp_path) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    assert len(asked) == 1
    review_labels(known, names, groups // 2, cache_dir=tmp_path)
    review_labels(known, names.iloc[::-1], groups, cache_dir=tmp_path)
    assert len(asked) == 3


def test_the_doubts_of_the_teaching_set_travel_with_it(tmp_path, monkeypatch):
    keep_shipped_analysis(cache_dir=tmp_path)
    group = group_images(scan_dataset(TEACHING_DIR, index_dir=tmp_path / "index").table, Curation(), phase=silent)
    known = dataset_embeddings(group.table, phase=silent, cache_dir=tmp_path)
    monkeypatch.delattr(label_review, "out_of_fold_probabilities")
    doubts = review_labels(known, group.table["class_name"], group.groups, cache_dir=tmp_path)
    assert len(doubts) == len(group.table), "computed anew: run python -m benchmarks.teaching_set"
