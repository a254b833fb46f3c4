"""confidence_intervals.py against scipy's bootstrap and scikit-learn's weighted figures."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from cxr_core.evaluation.confidence_intervals import (
    Difference,
    compare_accuracy,
    curve_bands,
    interval,
    mean_interval,
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


def exact(right, n):
    """The exact binomial interval by scipy, of whole numbers."""
    found = stats.binomtest(int(right), int(n)).proportion_ci(method="exact")
    return pytest.approx([found.low, found.high], abs=1e-9)


def test_the_interval_of_accuracy_is_scipys_exact_one():
    truth, probabilities = case()
    right = truth == probabilities.argmax(axis=1)
    assert metric_intervals(truth, probabilities, np.arange(150))["accuracy"] == exact(right.sum(), 150)


def test_the_intervals_of_precision_and_recall_are_scipys_exact_ones():
    truth, probabilities = case()
    true, called = truth == 1, probabilities.argmax(axis=1) == 1
    row = metric_intervals(truth, probabilities, np.arange(150))["per_class"][1]
    assert row["precision"] == exact((true & called).sum(), called.sum())
    assert row["recall"] == exact((true & called).sum(), true.sum())


def test_the_interval_of_f1_is_scipys():
    truth, probabilities = case()
    true, called = truth == 1, probabilities.argmax(axis=1) == 1

    def f1(r, axis):
        return 2 * (true & called)[r].sum(axis) / (true[r].sum(axis) + called[r].sum(axis))

    ours = metric_intervals(truth, probabilities, np.arange(150), resamples=6000)["per_class"][1]["f1"]
    assert ours == pytest.approx(scipys(f1, 150), abs=0.015)


@given(st.integers(2, 25), st.data())
def test_one_more_right_answer_never_lowers_a_bound(n, data):
    groups = np.array(data.draw(st.lists(st.integers(0, 20), min_size=n, max_size=n)))
    order = data.draw(st.permutations(range(n)))
    before = None
    for right in range(n + 1):
        flags = np.isin(np.arange(n), order[:right])
        ends = share_interval(flags, groups)
        if ends is None:
            assert len(np.unique(groups)) < 2
            return
        assert 0 <= ends[0] <= right / n + 1e-9 and right / n - 1e-9 <= ends[1] <= 1
        assert before is None or (ends[0] >= before[0] and ends[1] >= before[1])
        before = ends


@given(st.integers(2, 25), st.integers(2, 3), st.data())
def test_one_more_right_answer_lowers_no_bound_of_any_proportion(n, n_classes, data):
    """Of accuracy, recall and precision, whatever was answered before, and however the images are grouped."""
    numbers = st.integers(0, n_classes - 1)
    groups, truth, called = (
        np.array(data.draw(st.lists(of, min_size=n, max_size=n))) for of in (st.integers(0, 12), numbers, numbers)
    )
    wrong = np.flatnonzero(truth != called)
    if not len(wrong) or len(np.unique(groups)) < 2:
        return
    better = called.copy()
    better[data.draw(st.sampled_from(wrong.tolist()))] = -1
    better = np.where(better == -1, truth, better)
    one = np.eye(n_classes)
    before, after = (metric_intervals(truth, one[c], groups, resamples=1) for c in (called, better))

    def proportions(found):
        yield found["accuracy"]
        for row in found["per_class"]:
            yield from (row["precision"], row["recall"])

    for low_high, next_low_high in zip(proportions(before), proportions(after), strict=True):
        if low_high and next_low_high:
            assert next_low_high[0] >= low_high[0] - 1e-12 and next_low_high[1] >= low_high[1] - 1e-12


@pytest.mark.parametrize("n", [2, 98])
def test_all_right_is_known_no_better_than_its_number_allows(n):
    truth = np.arange(n) % 2
    row = metric_intervals(truth, np.eye(2)[truth], np.arange(n))["per_class"][0]
    assert row["recall"] == exact(n // 2, n // 2)
    assert row["f1"] is None and row["auc"] is None


def test_the_interval_of_the_auc_is_scipys():
    truth, probabilities = case()
    ours = metric_intervals(truth, probabilities, np.arange(150), resamples=6000)["per_class"][1]["auc"]
    expected = scipys(lambda r: sk.roc_auc_score(truth[r] == 1, probabilities[r, 1]), 150, 1000, vectorized=False)
    assert ours == pytest.approx(expected, abs=0.02)


def test_an_interval_holds_the_middle_95_percent_of_what_is_defined():
    assert interval(np.arange(1001.0)) == [25, 975]
    assert interval(np.append(np.arange(1001.0), np.nan)) == [25, 975]
    assert interval(np.array([np.nan])) is None
    assert interval(np.array([0.25])) == [0.25, 0.25]


def test_without_a_word_2000_resamples_of_seed_0_are_drawn_and_500_for_bands():
    truth, probabilities = case(n=40)
    groups, right = np.arange(40) // 2, truth == probabilities.argmax(axis=1)
    said = {"resamples": 2000, "seed": 0}
    assert resample_weights(groups).shape == (2000, 40)
    np.testing.assert_array_equal(resample_weights(groups), resample_weights(groups, **said))
    others = right[::-1]
    assert compare_accuracy(right, others, groups) == compare_accuracy(right, others, groups, **said)
    assert metric_intervals(truth, probabilities, groups) == metric_intervals(truth, probabilities, groups, **said)
    bands = [
        curve_bands(truth == 0, probabilities[:, 0], groups, **o)
        for o in ({}, {"resamples": 500, "seed": 0, "points": 101})
    ]
    for name in ("roc", "precision_recall"):
        for end in ("x", "low", "high"):
            np.testing.assert_array_equal(bands[0][name][end], bands[1][name][end])


def test_another_seed_draws_other_groups():
    groups = np.arange(30)
    assert (resample_weights(groups, resamples=5, seed=0) != resample_weights(groups, resamples=5, seed=1)).any()


@pytest.mark.parametrize("groups", [[4], [7, 7, 7]])
def test_one_group_has_no_interval(groups):
    flags = [True, False, True][: len(groups)]
    assert share_interval(flags, groups) is None
    difference = compare_accuracy(flags, flags[::-1], groups)
    assert difference.value == 0
    assert np.isnan([difference.low, difference.high]).all() and not difference.is_clear
    assert curve_bands(flags, np.arange(len(groups)), groups) is None
    probabilities = np.full((len(groups), 2), 0.5)
    assert metric_intervals(np.zeros(len(groups), int), probabilities, groups) == {
        "accuracy": None,
        "per_class": [dict.fromkeys(("precision", "recall", "f1", "auc"))] * 2,
        "confusion_shares": [[None, None], [None, None]],
    }


def test_two_groups_have_an_interval():
    assert share_interval([True, False], [0, 1]) == exact(1, 2)
    assert metric_intervals([0, 0], np.array([[0.9, 0.1], [0.1, 0.9]]), [3, 4])["accuracy"] == exact(1, 2)
    assert curve_bands([True, False], [0.5, 0.4], [0, 1]) is not None


@pytest.mark.parametrize(
    ("low", "high", "is_clear"), [(0.1, 0.2, True), (-0.2, -0.1, True), (0, 0.1, False), (-0.1, 0, False)]
)
def test_a_difference_is_clear_where_its_interval_does_not_hold_nothing(low, high, is_clear):
    assert Difference(0.0, low, high).is_clear is is_clear


@pytest.mark.parametrize(("differing", "is_clear"), [(1, False), (2, False), (5, False), (6, True)])
def test_fewer_groups_than_a_sign_test_needs_are_never_clearly_better(differing, is_clear):
    found = compare_accuracy(np.ones(differing, bool), np.zeros(differing, bool), np.arange(differing))
    assert (found.value, found.is_clear) == (1, is_clear)
    assert bool(stats.binomtest(differing, differing).pvalue < 0.05) is is_clear
    # Copies of one image are one group, and tell no more.
    copies = compare_accuracy(np.ones(20, bool), np.zeros(20, bool), np.arange(20) % differing)
    assert copies.is_clear is is_clear


def test_a_group_on_which_both_are_right_equally_often_decides_nothing():
    # Five patients for the first, and one whose two images say one thing each.
    right, other = np.array([True] * 6 + [False]), np.array([False] * 6 + [True])
    found = compare_accuracy(right, other, [0, 1, 2, 3, 4, 5, 5])
    assert np.isnan([found.low, found.high]).all() and not found.is_clear


@pytest.mark.parametrize("sign", [1, -1])
def test_where_one_is_better_on_every_image_the_interval_still_has_width(sign):
    better, worse = np.ones(6, bool), np.zeros(6, bool)
    found = compare_accuracy(*((better, worse) if sign > 0 else (worse, better)), np.arange(6))
    low, high = exact(6, 6).expected
    assert (found.value, found.is_clear) == (sign, True)
    assert sorted((sign * found.low, sign * found.high)) == pytest.approx([low, high])


def test_where_every_patient_gains_and_loses_alike_nothing_can_be_said():
    # Each of six patients: two images gained, one lost.
    right, groups = np.tile([True, True, False], 6), np.repeat(np.arange(6), 3)
    found = compare_accuracy(right, ~right, groups)
    assert found.value == pytest.approx(1 / 3)
    assert np.isnan([found.low, found.high]).all() and not found.is_clear


def test_shares_of_the_confusion_matrix_are_those_of_each_true_class():
    truth, probabilities = case(2)
    called, groups = probabilities.argmax(axis=1), np.arange(150)
    shares = metric_intervals(truth, probabilities, groups)["confusion_shares"]
    for k in range(3):
        for j in range(3):
            assert shares[k][j] == exact(((truth == k) & (called == j)).sum(), (truth == k).sum())


def test_f1_is_scikit_learns_in_every_resample():
    truth, probabilities = case(3, n=60)
    called, groups = probabilities.argmax(axis=1), np.arange(60) // 2
    resampled = [
        sk.f1_score(truth == 1, called == 1, sample_weight=w, zero_division=np.nan)
        for w in resample_weights(groups, resamples=200)
    ]
    ours = metric_intervals(truth, probabilities, groups, resamples=200)["per_class"][1]["f1"]
    assert ours == pytest.approx(np.nanpercentile(resampled, (2.5, 97.5)), abs=1e-6)


def test_a_share_of_all_or_none_counts_the_groups_it_is_among():
    # All four of class 0 are called so, of two groups; class 1 has 30 groups.
    truth, groups = np.array([0] * 4 + [1] * 30), np.array([0, 0, 1, 1, *range(2, 32)])
    probabilities = np.where((truth == 0)[:, None], [0.9, 0.1], [0.2, 0.8])
    rows = metric_intervals(truth, probabilities, groups)["per_class"]
    assert [row["recall"] for row in rows] == [exact(2, 2), exact(30, 30)]
    # An image of class 0 is worth half an image, and so is each of a precision that it could be called into.
    assert [row["precision"] for row in rows] == [exact(2, 2), exact(15, 15)]
    shares = metric_intervals(truth, probabilities, groups)["confusion_shares"]
    assert shares[0][1] == exact(0, 2)


def test_groups_are_drawn_as_a_whole():
    groups = np.repeat(np.arange(10), 5)
    weights = resample_weights(groups, resamples=50)
    assert (weights.reshape(50, 10, 5) == weights.reshape(50, 10, 5)[:, :, :1]).all()
    assert (weights[:, ::5].sum(axis=1) == 10).all()


def test_equal_groups_count_as_one_image_each():
    group_right = np.random.default_rng(3).random(30) < 0.7
    assert share_interval(np.repeat(group_right, 4), np.repeat(np.arange(30), 4)) == exact(group_right.sum(), 30)


def test_one_large_patient_is_worth_little():
    """Kish: 20 images of one patient and 20 of others are worth 40**2 / (20**2 + 20) = 3.8 images."""
    groups = np.r_[np.zeros(20, int), np.arange(1, 21)]
    low, high = share_interval(np.arange(40) % 2 == 0, groups)
    wide, narrow = exact(2, 4).expected, exact(2, 3).expected
    assert high - low > wide[1] - wide[0] - 0.02
    assert high - low < narrow[1] - narrow[0] + 0.05


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
    assert result["per_class"][0]["auc"] is None
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


def test_bands_are_the_percentiles_of_scikit_learns_weighted_curves():
    truth, probabilities = case(6, n=40)
    is_class, scores, groups = truth == 1, probabilities[:, 1], np.arange(40) // 2
    bands = curve_bands(is_class, scores, groups, resamples=60, points=11)
    grid = np.linspace(0, 1, 11)
    roc, precision_recall = [], []
    for w in resample_weights(groups, resamples=60):
        fpr, tpr, _ = sk.roc_curve(is_class, scores, sample_weight=w, drop_intermediate=False)
        precision, recall, _ = sk.precision_recall_curve(is_class, scores, sample_weight=w)
        roc.append(np.interp(grid, fpr, tpr))
        # From the highest score on; at a recall of 0 stands that score's own precision, not 1 as in scikit-learn.
        precision[-1] = precision[-2]
        precision_recall.append(np.interp(grid, recall[::-1], precision[::-1]))
    for name, curves in (("roc", roc), ("precision_recall", precision_recall)):
        low, high = np.percentile(curves, (2.5, 97.5), axis=0)
        np.testing.assert_array_equal(bands[name]["x"], grid)
        np.testing.assert_allclose(bands[name]["low"], low, atol=1e-9)
        np.testing.assert_allclose(bands[name]["high"], high, atol=1e-9)


@pytest.mark.filterwarnings("error")
def test_resamples_without_a_side_are_left_out_of_the_bands():
    # One image of the class: in a third of the resamples it does not come up.
    bands = curve_bands([True, False, False, False], [0.9, 0.1, 0.2, 0.3], np.arange(4))
    assert bands["roc"]["low"].tolist() == [1] * 101
    bands = curve_bands([False, True, True, True], [0.1, 0.9, 0.8, 0.7], np.arange(4))
    assert bands["precision_recall"]["low"].tolist()[:100] == [1] * 100


@pytest.mark.filterwarnings("error")
def test_an_area_without_a_side_is_undefined_and_equal_scores_count_half():
    is_class, scores = np.array([True, True, False, False]), np.array([0.8, 0.5, 0.5, 0.1])
    weights = np.array([[1, 1, 1, 1], [0, 1, 1, 0], [0, 0, 1, 1], [1, 1, 0, 0], [2, 0, 0, 1]], float)
    np.testing.assert_array_equal(weighted_auc(weights, is_class, scores), [0.875, 0.5, np.nan, np.nan, 1])


@pytest.mark.parametrize("values", [[0.1, 0.3], [0.9, 0.95, 0.99], [0.02, 0.01]])
def test_the_interval_of_a_mean_is_nadeau_and_bengios_within_0_and_1(values):
    k, ratio = len(values), 0.25
    half = stats.t.ppf(0.975, k - 1) * np.sqrt((1 / k + ratio) * np.var(values, ddof=1))
    expected = [max(0, np.mean(values) - half), min(1, np.mean(values) + half)]
    assert mean_interval(values, ratio) == pytest.approx(expected)


@pytest.mark.parametrize("values", [[], [0.5], [0.5, 0.5, 0.5]])
def test_scores_that_do_not_move_have_no_interval_of_their_mean(values):
    assert mean_interval(values, 0.25) is None


def test_the_precision_recall_band_holds_scikit_learns_curve():
    truth, probabilities = case()
    band = curve_bands(truth == 1, probabilities[:, 1], np.arange(150))["precision_recall"]
    precision, recall, _ = sk.precision_recall_curve(truth == 1, probabilities[:, 1])
    curve = np.interp(band["x"], recall[::-1], precision[::-1])
    held = (band["low"] - 0.02 <= curve) & (curve <= band["high"] + 0.02)
    assert held.mean() > 0.95


@pytest.mark.parametrize("is_class", [False, True])
def test_images_that_are_all_or_none_of_the_class_have_no_band(is_class):
    assert curve_bands([is_class] * 4, np.linspace(0, 1, 4), np.arange(4)) is None


@pytest.mark.filterwarnings("error")
def test_a_class_whose_only_image_has_the_lowest_score_has_a_band_along_the_bottom():
    bands = curve_bands([False, True], [0.9, 0.1], [0, 1], points=3)
    assert bands["roc"]["low"].tolist()[:2] == bands["roc"]["high"].tolist()[:2] == [0, 0]
    assert bands["precision_recall"]["low"].tolist() == bands["precision_recall"]["high"].tolist() == [0, 0.25, 0.5]


def test_a_difference_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Difference(0.0, -0.1, 0.1).low = 0.05


def test_the_share_of_a_class_called_itself_is_its_recall():
    result = metric_intervals(*case(), np.arange(150))
    for k, row in enumerate(result["confusion_shares"]):
        assert row[k] == pytest.approx(result["per_class"][k]["recall"])


def test_the_interval_of_accuracy_is_that_of_the_share_called_right():
    truth, probabilities = case()
    groups = np.arange(150) // 2
    right = truth == probabilities.argmax(axis=1)
    assert metric_intervals(truth, probabilities, groups)["accuracy"] == share_interval(right, groups)
