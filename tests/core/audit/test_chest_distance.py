"""chest_distance.py on features that were made for it."""

import numpy as np

from cxr_core.audit.chest_distance import chest_distance


def class_features(n, rng, reach=1):
    """Features of one class: ten hidden causes, a little noise, never negative."""
    causes = np.random.default_rng(99).normal(size=(10, 300)) / 10
    roots = 3 + reach * rng.normal(size=(n, 10)) @ causes + rng.normal(0, 0.1, (n, 300))
    return np.square(roots).astype(np.float32)


def test_the_distance_is_taken_within_each_class():
    rng = np.random.default_rng(0)
    first, second = class_features(100, rng), class_features(100, rng)[:, ::-1]
    mixed = chest_distance(np.vstack([first, second]), ["a"] * 100 + ["b"] * 100)
    alone = np.r_[chest_distance(first, ["a"] * 100), chest_distance(second, ["a"] * 100)]
    np.testing.assert_allclose(mixed, alone)
    assert (chest_distance(np.vstack([second[:1], first]), ["a"] * 101) > 4)[0]


def test_a_small_class_and_an_image_without_features_are_not_judged():
    features = class_features(100, np.random.default_rng(0))
    features[3] = np.nan
    distance = chest_distance(features, ["few"] * 30 + ["many"] * 70)
    assert np.isnan(distance[:30]).all()
    assert np.isfinite(distance[30:]).all()
    assert np.isnan(chest_distance(features, ["all"] * 100)[3])
    assert np.isfinite(np.delete(chest_distance(features, ["all"] * 100), 3)).all()


def test_identical_features_are_not_flagged():
    assert (chest_distance(np.ones((60, 30), np.float16), ["a"] * 60) == 0).all()
