"""operating_point.py: thresholds, decision curves and abstention against scikit-learn and numbers done by hand."""

import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from cxr_core.card import load_card
from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.operating_point import (
    abstention_for_accuracy,
    answer_shares,
    choose_on_validation,
    coverage_curve,
    decision_curve,
    operating_point,
    save_operating_point,
    threshold_for_specificity,
)


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    is_class = rng.random(300) < 0.3
    return is_class, np.round(np.clip(rng.normal(0.35 + 0.3 * is_class, 0.2), 0, 1), 2)


@pytest.fixture
def model(tmp_path):
    shutil.copy(SHIPPED_MODEL_DIR / "card.json", tmp_path)
    return tmp_path


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_the_counts_are_scikit_learns(case, threshold):
    is_class, scores = case
    point = operating_point("covid", is_class, scores, threshold)
    tn, fp, fn, tp = sk.confusion_matrix(is_class, scores >= threshold).ravel()
    assert (point.found, point.missed, point.false_alarms, point.rightly_none) == (tp, fn, fp, tn)
    assert point.sensitivity == sk.recall_score(is_class, scores >= threshold)
    assert point.specificity == sk.recall_score(~is_class, scores < threshold)


def test_at_the_pictures_own_prevalence_ppv_and_npv_are_the_counts(case):
    point = operating_point("covid", *case, 0.5)
    assert point.ppv == pytest.approx(sk.precision_score(case[0], case[1] >= 0.5))
    assert point.npv == pytest.approx(sk.precision_score(~case[0], case[1] < 0.5))


def test_ppv_at_another_prevalence_is_bayes_by_hand():
    # Of 1000 people 10 are ill: 9 are found, and 99 of 990 healthy ones raise an alarm.
    is_class = np.array([True] * 10 + [False] * 10)
    scores = np.array([1.0] * 9 + [0.0] + [1.0] + [0.0] * 9)
    assert operating_point("covid", is_class, scores, 0.5, prevalence=0.01).ppv == pytest.approx(9 / 108)


def test_without_pictures_of_the_class_sensitivity_is_undefined_and_nothing_breaks():
    point = operating_point("covid", [False] * 3, [0.1, 0.2, 0.9], 0.5)
    assert (point.sensitivity, point.ppv) == (None, None)
    assert point.specificity == pytest.approx(2 / 3)


@pytest.mark.parametrize(("threshold", "prevalence"), [(1.2, None), (-0.1, None), (0.5, 1.5)])
def test_what_is_no_share_is_refused(case, threshold, prevalence):
    with pytest.raises(ValueError, match="must lie in \\[0, 1\\]"):
        operating_point("covid", *case, threshold, prevalence=prevalence)


@pytest.mark.parametrize("wanted", [0.5, 0.9, 0.99])
def test_the_threshold_for_a_specificity_reaches_it_and_the_next_lower_score_does_not(case, wanted):
    is_class, scores = case
    threshold = threshold_for_specificity(is_class, scores, wanted)
    assert (scores[~is_class] < threshold).mean() >= wanted
    lower = scores[scores < threshold].max()
    assert (scores[~is_class] < lower).mean() < wanted


def test_predictions_that_are_all_equal_have_a_threshold():
    threshold = threshold_for_specificity([True, False, False], [0.4, 0.4, 0.4], 0.9)
    assert operating_point("covid", [True, False, False], [0.4] * 3, threshold).specificity == 1


def test_net_benefit_is_vickers_and_elkins_formula(case):
    is_class, scores = case
    curve = decision_curve(is_class, scores)
    row = curve.iloc[29]
    alarm = scores >= row["threshold"]
    odds = row["threshold"] / (1 - row["threshold"])
    assert row["classifier"] == pytest.approx((alarm & is_class).sum() / 300 - (alarm & ~is_class).sum() / 300 * odds)
    assert row["everybody"] == pytest.approx(is_class.mean() - (1 - is_class.mean()) * odds)


def test_a_decision_curve_of_one_class_is_refused():
    with pytest.raises(ValueError, match="one side has none"):
        decision_curve([True, True], [0.2, 0.3])


def test_the_coverage_curve_answers_the_surest_first():
    curve = coverage_curve([True, False, True, True], [0.9, 0.5, 0.8, 0.5])
    assert curve["abstain_below"].tolist() == [0.9, 0.8, 0.5]
    assert curve["coverage"].tolist() == [0.25, 0.5, 1]
    assert curve["accuracy"].tolist() == [1, 1, 0.75]


def test_abstaining_for_an_accuracy_answers_as_many_as_it_may():
    assert abstention_for_accuracy([True, True, False], [0.9, 0.8, 0.5], 1.0) == 0.8
    assert abstention_for_accuracy([False], [0.9], 0.5) is None


def test_an_abstention_is_a_miss_and_no_false_alarm():
    probabilities = np.array([[0.9, 0.1], [0.45, 0.55], [0.1, 0.9], [0.4, 0.6]])
    result = answer_shares(
        ["normal", "normal", "covid", "covid"], probabilities, ("normal", "covid"), np.arange(4), abstain_below=0.7
    )
    assert (result["coverage"], result["accuracy"], result["found"]) == (0.5, 1, 0.5)
    assert result["per_class"]["normal"]["covid"]["share"] == 0
    assert result["per_class"]["normal"]["not sure"]["share"] == 0.5
    assert result["per_class"]["covid"]["covid"]["share"] == 0.5


def test_a_confidence_that_is_exactly_the_least_is_answered():
    # 0.75 and 0.25 are exact in binary.
    probabilities = np.array([[0.75, 0.25], [np.nextafter(0.75, 0), 0.25]])
    result = answer_shares(["normal"] * 2, probabilities, ("normal", "covid"), [0, 1], abstain_below=0.75)
    assert result["coverage"] == 0.5
    assert result["per_class"]["normal"]["normal"]["share"] == 0.5
    assert result["per_class"]["normal"]["not sure"]["share"] == 0.5


def test_what_is_chosen_for_an_accuracy_answers_down_to_that_confidence_and_reaches_it():
    right, confidence = np.array([True, True, True, False, False]), np.array([0.9, 0.8, 0.7, 0.7, 0.6])
    least = abstention_for_accuracy(right, confidence, 0.75)
    assert least == 0.7
    probabilities = np.column_stack([confidence, 1 - confidence])
    truth = np.where(right, "normal", "covid")
    result = answer_shares(truth, probabilities, ("normal", "covid"), range(5), abstain_below=least)
    assert (result["coverage"], result["accuracy"]) == (0.8, 0.75)


def test_a_classifier_that_never_answers_has_no_accuracy():
    result = answer_shares(["normal"], np.array([[0.6, 0.4]]), ("normal", "covid"), [0], abstain_below=0.9)
    assert (result["coverage"], result["accuracy"]) == (0, None)


def test_a_saved_operating_point_is_in_the_card_and_all_else_stays(model, case):
    before = load_card(model)
    save_operating_point(model, operating_point("covid", *case, 0.42), abstain_below=0.6)
    card = load_card(model)
    assert (card.operating_point["class_name"], card.operating_point["threshold"]) == ("covid", 0.42)
    assert card.abstain_below == 0.6
    assert (card.metrics, card.training, card.classes) == (before.metrics, before.training, before.classes)


def test_an_operating_point_of_an_unknown_class_is_refused(model, case):
    with pytest.raises(ValueError, match="received 'asthma'"):
        save_operating_point(model, operating_point("asthma", *case, 0.4))


def test_choosing_uses_validation_pictures_alone(model):
    rows = pd.DataFrame(
        {
            "true": ["normal"] * 10 + ["covid"] * 2,
            "p_covid": [i / 10 for i in range(10)] + [0.95, 0.2],
            "right": True,
            "confidence": 0.9,
            "split": "validation",
        }
    )
    others = rows.assign(split="test", p_covid=1.0)
    chosen = choose_on_validation(model, pd.concat([rows, others]), class_name="covid", specificity=0.9)
    assert 0.8 < chosen["operating_point"]["threshold"] <= 0.9
    assert chosen["operating_point"]["specificity"] == 0.9


def test_without_validation_predictions_nothing_can_be_chosen(model):
    with pytest.raises(ValueError, match="no predictions on validation"):
        choose_on_validation(model, pd.DataFrame(), class_name="covid")
