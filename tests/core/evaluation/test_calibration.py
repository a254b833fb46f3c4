"""calibration.py and temperature_scaling.py on constructed probabilities whose answer is known."""

import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from cxr_core.evaluation import calibration
from cxr_core.evaluation.calibration import (
    bin_numbers,
    calibration_error,
    fit_temperature,
    in_confidence_bin,
    reliability_bins,
)
from cxr_core.inference.temperature_scaling import apply_temperature, logits_of


def calibrated_case(n=6000, seed=0):
    """Labels drawn from the very probabilities given: perfectly calibrated."""
    rng = np.random.default_rng(seed)
    probabilities = softmax(rng.normal(0, 2, (n, 3)), axis=1)
    return probabilities, (probabilities.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)


def guos_error(right, confidence, bins):
    """Equation 3 of Guo et al. 2017 word by word: bin m of M holds confidences in ((m - 1) / M, m / M]."""
    error = 0.0
    for m in range(1, bins + 1):
        rows = [i for i, c in enumerate(confidence) if (m - 1) / bins < c <= m / bins]
        if rows:
            gap = np.mean([right[i] for i in rows]) - np.mean([confidence[i] for i in rows])
            error += len(rows) / len(right) * abs(gap)
    return error


@pytest.mark.parametrize("bins", [1, 4, 10])
def test_the_error_is_guos_equation_in_any_number_of_bins(bins):
    probabilities, targets = calibrated_case(300, seed=bins)
    right, confidence = probabilities.argmax(axis=1) == targets, probabilities.max(axis=1) ** 2
    assert calibration_error(right, confidence, bins) == pytest.approx(guos_error(right, confidence, bins), abs=1e-12)


def test_the_error_is_guos_equation_in_15_bins_by_default():
    probabilities, targets = calibrated_case(400, seed=1)
    right, confidence = probabilities.argmax(axis=1) == targets, probabilities.max(axis=1)
    assert calibration_error(right, confidence) == pytest.approx(guos_error(right, confidence, 15), abs=1e-12)


def test_a_bin_holds_its_upper_edge_and_not_its_lower_one():
    edges = np.array([0.25, 0.5, 0.75, 1.0])
    assert bin_numbers(edges, 4).tolist() == [0, 1, 2, 3]
    assert bin_numbers(np.nextafter(edges[:3], 1), 4).tolist() == [1, 2, 3]
    assert bin_numbers(np.nextafter(edges, 0), 4).tolist() == [0, 1, 2, 3]


def test_confidences_on_the_edges_have_the_error_of_the_bins_below():
    # In quarters 0.5 shares a bin with 0.3, a gap of 0.1 for two; beside 0.7 it would leave 0.3 a gap of 0.7.
    right, confidence = [True, False, True], [0.3, 0.5, 0.7]
    assert calibration_error(right, confidence, 4) == pytest.approx((2 * abs(0.4 - 0.5) + 0.3) / 3)
    assert calibration_error(right, confidence, 4) == pytest.approx(guos_error(right, confidence, 4))


def test_labels_drawn_from_the_probabilities_have_nearly_no_error():
    probabilities, targets = calibrated_case()
    assert calibration_error(probabilities.argmax(axis=1) == targets, probabilities.max(axis=1)) < 0.02


def test_always_sure_and_half_right_is_an_error_of_a_half():
    assert calibration_error([True, False], [1.0, 1.0]) == pytest.approx(0.5)


def test_the_error_weighs_bins_by_their_images():
    # 3 images at 0.9, all right (gap 0.1); 1 image at 0.6, wrong (gap 0.6).
    assert calibration_error([True] * 3 + [False], [0.9] * 3 + [0.6]) == pytest.approx(0.75 * 0.1 + 0.25 * 0.6)


def test_a_bin_says_how_sure_and_how_often_right():
    table = reliability_bins([True, False, True], [0.55, 0.59, 0.95], bins=10)
    assert table["images"].tolist() == [2, 1]
    assert table["low"].tolist() == [0.5, 0.9]
    assert table["high"].tolist() == [0.6, 1.0]
    assert table["confidence"].tolist() == pytest.approx([0.57, 0.95])
    assert table["accuracy"].tolist() == [0.5, 1]


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_both_ends_fall_into_a_bin(confidence):
    assert reliability_bins([True], [confidence])["images"].tolist() == [1]


def test_nothing_is_in_the_first_bin_and_what_rounding_lifts_above_one_in_the_last():
    assert bin_numbers([0.0, np.nextafter(np.float32(1), np.float32(2))]).tolist() == [0, 14]


def test_bins_come_in_order_with_their_columns_and_a_plain_index():
    table = reliability_bins([True, False, True], [0.95, 0.2, 0.5], bins=10)
    assert list(table) == ["low", "high", "images", "confidence", "accuracy"]
    assert table.index.tolist() == [0, 1, 2]
    assert table["confidence"].tolist() == [0.2, 0.5, 0.95]


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_factor_that_logits_were_spoilt_by_is_found(factor):
    probabilities, targets = calibrated_case()
    spoilt = softmax(np.log(probabilities) * factor, axis=1)
    assert fit_temperature(spoilt, targets) == pytest.approx(factor, rel=0.08)


def test_the_temperature_takes_the_spoiling_back():
    probabilities, _ = calibrated_case(50)
    spoilt = softmax(np.log(probabilities) * 2, axis=1)
    np.testing.assert_allclose(apply_temperature(spoilt, 2.0), probabilities, atol=1e-3)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("n", [4, 7])
def test_of_few_images_the_temperature_is_the_likeliest_by_platts_targets(n, n_classes):
    rng = np.random.default_rng(n)
    logits, targets = rng.normal(0, 2, (n, n_classes)), rng.integers(0, n_classes, n)
    logits[np.arange(n), targets] += 1
    # Platt 1999: a class that is there counts (n + 1) / (n + 2), the others share the rest.
    wanted = np.full((n, n_classes), 1 / (n + 2) / (n_classes - 1))
    wanted[np.arange(n), targets] = (n + 1) / (n + 2)
    tried = np.geomspace(0.1, 10, 20_001)
    losses = [-(wanted * np.log(softmax(logits / t, axis=1))).sum(axis=1).mean() for t in tried]
    assert fit_temperature(softmax(logits, axis=1), targets) == pytest.approx(tried[np.argmin(losses)], rel=1e-3)


@pytest.mark.parametrize(("answers", "confidence", "bound"), [(0, 0.9998, 10), (range(5000), 0.4, 0.1)])
def test_no_temperature_lies_beyond_a_tenth_or_ten(answers, confidence, bound):
    # Surely the first class where all are equally frequent; or always right, and next to never sure.
    targets = np.arange(5000) % 3
    called = np.broadcast_to(np.asarray(answers) % 3, targets.shape)
    probabilities = np.where(np.eye(3, dtype=bool)[called], confidence, (1 - confidence) / 2)
    assert fit_temperature(probabilities, targets) == pytest.approx(bound, rel=1e-3)


def test_a_temperature_is_found_in_a_few_dozen_steps(monkeypatch):
    asked = []
    monkeypatch.setattr(calibration, "logsumexp", lambda *args, **kwargs: asked.append(1) or logsumexp(*args, **kwargs))
    fit_temperature(*calibrated_case(50))
    assert len(asked) < 50


def test_a_classifier_of_one_class_has_a_temperature_too():
    assert 0.1 <= fit_temperature(np.ones((3, 1)), [0, 0, 0]) <= 10


def test_always_right_and_sure_has_a_temperature_within_bounds():
    assert 0.1 <= fit_temperature(np.eye(3)[[0, 1, 2]] * 0.97 + 0.01, [0, 1, 2]) <= 10


def test_a_few_images_that_are_all_right_do_not_ask_for_certainty():
    targets = np.arange(12) % 3
    calm = np.eye(3)[targets] * 0.4 + 0.2
    assert apply_temperature(calm, fit_temperature(calm, targets)).max() == pytest.approx(1 - 1 / 14, abs=0.01)


def test_no_images_leave_the_temperature_at_one():
    assert fit_temperature(np.empty((0, 3)), []) == 1


def test_a_temperature_changes_no_answer():
    probabilities, _ = calibrated_case(200)
    for temperature in (0.3, 4.0):
        assert (apply_temperature(probabilities, temperature).argmax(1) == probabilities.argmax(1)).all()


def test_a_temperature_of_one_gives_the_same_array():
    probabilities = np.float32([[0.2, 0.8]])
    assert apply_temperature(probabilities, 1.0) is probabilities


@pytest.mark.parametrize("temperature", [0.002, 0.5, 50])
def test_a_temperature_divides_the_logits_of_each_row(temperature):
    probabilities = np.array([[0.4, 0.35, 0.25], [0.0003, 0.0001, 0.9996], [1 / 3, 1 / 3, 1 / 3]])
    expected = softmax(np.log(probabilities) / temperature, axis=1)
    np.testing.assert_allclose(apply_temperature(probabilities, temperature), expected, atol=1e-9)


def test_a_probability_of_nothing_counts_as_one_in_ten_million():
    assert logits_of(np.float32([0, 1e-8, 1])).tolist() == [np.log(1e-7), np.log(1e-7), 0]
    assert apply_temperature(np.array([[1.0, 0.0]]), 7.0)[0, 1] == pytest.approx(0.1 / 1.1)


def test_certainty_stays_finite():
    result = apply_temperature(np.float32([[1, 0, 0]]), 2.0)
    assert np.isfinite(result).all()
    assert result.dtype == np.float32
    assert result.sum() == pytest.approx(1)


@pytest.mark.parametrize("temperature", [0, -1, float("nan")])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature):
    with pytest.raises(ValueError, match="must be above 0"):
        apply_temperature(np.float32([[0.2, 0.8]]), temperature)


def test_a_bar_of_the_reliability_diagram_stands_for_the_images_that_it_counts():
    confidence = np.random.default_rng(0).random(500)
    bins = reliability_bins(confidence > 0.5, confidence)
    for row in bins.itertuples():
        inside = in_confidence_bin(confidence, row.low, row.high)
        assert inside.sum() == row.images
        assert ((confidence[inside] > row.low) & (confidence[inside] <= row.high)).all()
