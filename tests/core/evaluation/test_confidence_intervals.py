"""confidence_intervals.py against scipy's bootstrap and scikit-learn's weighted figures."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from cxr_core.evaluation.confidence_intervals import (
    compare_accuracy,
    curve_bands,
    metric_intervals,
    resample_weights,
    share_interval,
    weighted_auc,
)


def case(seed=0, n=150):
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    scores = rng.normal(0, 1, (n, 3)) + 1.2 * np.eye(3)[truth]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    # Rounded, so that scores tie.
    return truth, np.round(probabilities, 2)


def scipys(statistic, n, resamples=6000, vectorized=True):
    """The percentile interval of a statistic of row positions (..., n)."""
    found = stats.bootstrap(
        (np.arange(n),), statistic, vectorized=vectorized, method="percentile", n_resamples=resamples, rng=1
    ).confidence_interval
    return [found.low, found.high]


def test_the_interval_of_accuracy_is_scipys():
    truth, probabilities = case()
    right = truth == probabilities.argmax(axis=1)
    ours = metric_intervals(truth, probabilities, np.arange(150), resamples=6000)["accuracy"]
    assert ours == pytest.approx(scipys(lambda rows, axis: right[rows].mean(axis), 150), abs=0.01)


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_the_interval_of_a_classs_figure_is_scipys(name):
    truth, probabilities = case()
    true, called = truth == 1, probabilities.argmax(axis=1) == 1
    statistics = {
        "precision": lambda r, axis: (true & called)[r].sum(axis) / called[r].sum(axis),
        "recall": lambda r, axis: (true & called)[r].sum(axis) / true[r].sum(axis),
        "f1": lambda r, axis: 2 * (true & called)[r].sum(axis) / (true[r].sum(axis) + called[r].sum(axis)),
    }
    ours = metric_intervals(truth, probabilities, np.arange(150), resamples=6000)["per_class"][1][name]
    assert ours == pytest.approx(scipys(statistics[name], 150), abs=0.015)


def test_the_interval_of_the_auc_is_scipys():
    truth, probabilities = case()
    ours = metric_intervals(truth, probabilities, np.arange(150), resamples=6000)["per_class"][1]["auc"]
    expected = scipys(lambda r: sk.roc_auc_score(truth[r] == 1, probabilities[r, 1]), 150, 1000, vectorized=False)
    assert ours == pytest.approx(expected, abs=0.02)


def test_groups_are_drawn_as_a_whole():
    groups = np.repeat(np.arange(10), 5)
    weights = resample_weights(groups, resamples=50)
    assert (weights.reshape(50, 10, 5) == weights.reshape(50, 10, 5)[:, :, :1]).all()
    assert (weights[:, ::5].sum(axis=1) == 10).all()


def test_intervals_by_group_are_scipys_over_groups():
    rng = np.random.default_rng(3)
    group_right = rng.random(30) < 0.7
    right = np.repeat(group_right, 4)
    ours = share_interval(right, np.repeat(np.arange(30), 4), resamples=6000)
    assert ours == pytest.approx(scipys(lambda rows, axis: group_right[rows].mean(axis), 30), abs=0.02)


def test_images_of_one_patient_widen_the_interval():
    right = np.repeat(np.random.default_rng(0).random(30) < 0.7, 4)
    alone, grouped = (share_interval(right, g) for g in (np.arange(120), np.repeat(np.arange(30), 4)))
    assert grouped[1] - grouped[0] > 1.5 * (alone[1] - alone[0])


def test_the_weighted_auc_is_scikit_learns():
    truth, probabilities = case(4)
    weights = resample_weights(np.arange(150), resamples=20)
    expected = [sk.roc_auc_score(truth == 1, probabilities[:, 1], sample_weight=w) for w in weights]
    np.testing.assert_allclose(weighted_auc(weights, truth == 1, probabilities[:, 1]), expected, atol=1e-12)


def test_the_same_seed_gives_the_same_intervals():
    assert metric_intervals(*case(), np.arange(150)) == metric_intervals(*case(), np.arange(150))


def test_a_class_that_is_not_there_has_no_recall_and_no_auc():
    truth, probabilities = case()
    here = truth != 2
    row = metric_intervals(truth[here], probabilities[here], np.arange(here.sum()))["per_class"][2]
    assert (row["recall"], row["auc"]) == (None, None)


def test_predictions_that_are_all_equal_have_intervals():
    truth = case()[0]
    result = metric_intervals(truth, np.tile([0.6, 0.3, 0.1], (150, 1)), np.arange(150))
    assert result["per_class"][0]["recall"][1] == 1
    assert result["per_class"][0]["auc"] == [0.5, 0.5]
    assert result["per_class"][1]["precision"] is None


def test_where_all_are_right_the_interval_is_the_exact_binomial_one_over_groups():
    expected = stats.binomtest(30, 30).proportion_ci(method="exact")
    assert share_interval([True] * 120, np.repeat(np.arange(30), 4)) == pytest.approx([expected.low, 1])
    assert share_interval([False] * 30, np.arange(30)) == pytest.approx([0, 1 - expected.low])


def test_one_image_has_no_interval():
    result = metric_intervals([0], np.array([[0.6, 0.3, 0.1]]), [0])
    assert result["accuracy"] is None
    assert set(result["per_class"][0].values()) == {None}


def test_no_image_is_refused():
    with pytest.raises(ValueError, match="at least one image"):
        resample_weights([])


def test_the_paired_difference_is_scipys():
    rng = np.random.default_rng(5)
    right = rng.random(200) < 0.9
    other = np.where(rng.random(200) < 0.1, ~right, right)
    found = compare_accuracy(right, other, np.arange(200), resamples=6000)
    gain = right.astype(float) - other
    assert found.value == pytest.approx(gain.mean())
    assert [found.low, found.high] == pytest.approx(scipys(lambda rows, axis: gain[rows].mean(axis), 200), abs=0.01)


def test_a_classifier_does_not_differ_from_itself():
    right = np.arange(20) % 2 == 0
    found = compare_accuracy(right, right, np.arange(20))
    assert (found.value, found.is_clear) == (0, False)


def test_two_classifiers_on_different_images_are_refused():
    with pytest.raises(ValueError, match="received 3, 2 and 3 groups"):
        compare_accuracy([True] * 3, [True] * 2, [0, 1, 2])


def test_the_roc_band_is_that_of_resampled_scikit_learn_curves():
    truth, probabilities = case()
    bands = curve_bands(truth == 1, probabilities[:, 1], np.arange(150), resamples=300)
    rng, rows = np.random.default_rng(8), []
    for _ in range(300):
        drawn = rng.integers(0, 150, 150)
        fpr, tpr, _ = sk.roc_curve(truth[drawn] == 1, probabilities[drawn, 1])
        rows.append(np.interp(bands["roc"]["x"], fpr, tpr))
    expected = np.percentile(rows, (2.5, 97.5), axis=0)
    inside = slice(5, None)
    np.testing.assert_allclose(bands["roc"]["low"][inside], expected[0][inside], atol=0.06)
    np.testing.assert_allclose(bands["roc"]["high"][inside], expected[1][inside], atol=0.06)


def test_the_precision_recall_band_holds_scikit_learns_curve():
    truth, probabilities = case()
    band = curve_bands(truth == 1, probabilities[:, 1], np.arange(150))["precision_recall"]
    precision, recall, _ = sk.precision_recall_curve(truth == 1, probabilities[:, 1])
    curve = np.interp(band["x"], recall[::-1], precision[::-1])
    held = (band["low"] - 0.02 <= curve) & (curve <= band["high"] + 0.02)
    assert held.mean() > 0.95


def test_a_class_without_images_has_no_band():
    assert curve_bands([False] * 4, np.linspace(0, 1, 4), np.arange(4)) is None


def test_the_share_of_a_class_called_itself_is_its_recall():
    result = metric_intervals(*case(), np.arange(150))
    for k, row in enumerate(result["confusion_shares"]):
        assert row[k] == pytest.approx(result["per_class"][k]["recall"])
