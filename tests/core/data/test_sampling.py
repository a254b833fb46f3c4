"""Fewer rows with the same shares."""

import numpy as np

from cxr_core.data.sampling import stratified_rows

NAMES = np.repeat(["normal", "covid", "virus"], [600, 300, 100])


def draw(limit, seed=0, names=NAMES):
    return stratified_rows(names, limit, np.random.default_rng(seed))


def test_few_rows_are_all_kept():
    np.testing.assert_array_equal(draw(1000), np.arange(1000))


def test_a_sample_keeps_every_classs_share():
    names, counts = np.unique(NAMES[draw(100)], return_counts=True)
    assert dict(zip(names, counts, strict=True)) == {"normal": 60, "covid": 30, "virus": 10}


def test_rows_are_sorted_and_drawn_once():
    assert (np.diff(draw(100)) > 0).all()


def test_a_class_too_small_for_a_share_keeps_one_row():
    names = np.array(["normal"] * 999 + ["rare"])
    assert 999 in draw(100, names=names)


def test_the_same_seed_draws_the_same_rows_and_another_one_others():
    np.testing.assert_array_equal(draw(100, seed=1), draw(100, seed=1))
    assert set(draw(100, seed=1)) != set(draw(100, seed=2))
