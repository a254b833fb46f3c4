"""calibration.py and temperature_scaling.py on constructed probabilities whose answer is known."""

import numpy as np
import pytest
from scipy.special import softmax

from cxr_core.evaluation.calibration import calibration_error, fit_temperature, in_confidence_bin, reliability_bins
from cxr_core.inference.temperature_scaling import apply_temperature


def calibrated_case(n=6000, seed=0):
    """Labels drawn from the very probabilities given: perfectly calibrated."""
    rng = np.random.default_rng(seed)
    probabilities = softmax(rng.normal(0, 2, (n, 3)), axis=1)
    return probabilities, (probabilities.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)


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
    assert table["confidence"].tolist() == pytest.approx([0.57, 0.95])
    assert table["accuracy"].tolist() == [0.5, 1]


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_both_ends_fall_into_a_bin(confidence):
    assert reliability_bins([True], [confidence])["images"].tolist() == [1]


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_factor_that_logits_were_spoilt_by_is_found(factor):
    probabilities, targets = calibrated_case()
    spoilt = softmax(np.log(probabilities) * factor, axis=1)
    assert fit_temperature(spoilt, targets) == pytest.approx(factor, rel=0.08)


def test_the_temperature_takes_the_spoiling_back():
    probabilities, _ = calibrated_case(50)
    spoilt = softmax(np.log(probabilities) * 2, axis=1)
    np.testing.assert_allclose(apply_temperature(spoilt, 2.0), probabilities, atol=1e-3)


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
