"""site_statistics.py: a shift is found, none is not, and the threshold keeps its promise on exchangeable data."""

import numpy as np
import pytest
from scipy.stats import binomtest

from cxr_core.evaluation.hospitals.site_statistics import compare_features, images_for_interval, threshold_for_misses


def test_a_site_that_is_shifted_is_found():
    rng = np.random.default_rng(0)
    training, site = rng.normal(size=(200, 16)), rng.normal(size=(40, 16)) + 0.8
    found = compare_features(site, training, rng=rng)
    assert found["p_value"] <= 0.005
    assert found["auc"] > 0.9


def test_images_of_one_distribution_are_called_different_no_more_often_than_said():
    rng = np.random.default_rng(1)
    p_values = [
        compare_features(rng.normal(size=(30, 8)), rng.normal(size=(60, 8)), rng=rng)["p_value"] for _ in range(60)
    ]
    assert np.mean(np.array(p_values) <= 0.1) <= 0.25
    assert np.median(p_values) > 0.2


def test_the_same_seed_gives_the_same_test():
    data = np.random.default_rng(2).normal(size=(80, 4))
    first, second = (compare_features(data[:30], data[30:], rng=np.random.default_rng(3)) for _ in range(2))
    assert first == second


def test_the_threshold_misses_no_more_than_promised_on_average():
    rng = np.random.default_rng(4)
    missed = []
    for _ in range(2_000):
        scores = rng.beta(4, 2, size=25)
        threshold = threshold_for_misses(scores[:24], 0.1)
        missed.append(scores[24] < threshold)
    assert 0.04 < np.mean(missed) < 0.1 + 3 * np.sqrt(0.1 * 0.9 / 2_000)


@pytest.mark.parametrize(
    ("n", "rate", "is_there"), [(8, 0.1, False), (9, 0.1, True), (18, 0.05, False), (0, 0.1, False)]
)
def test_too_few_images_of_the_class_give_no_threshold(n, rate, is_there):
    assert (threshold_for_misses(np.linspace(0.2, 0.9, n), rate) is not None) == is_there


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.8, 1.0])
def test_so_many_images_give_an_interval_of_five_points(share):
    n = images_for_interval(share)
    ends = binomtest(round(share * n), n).proportion_ci(0.95, "exact")
    assert (ends.high - ends.low) / 2 <= 0.05 + 1e-9
    few = binomtest(round(share * (n // 2)), n // 2).proportion_ci(0.95, "exact")
    assert (few.high - few.low) / 2 > 0.05
