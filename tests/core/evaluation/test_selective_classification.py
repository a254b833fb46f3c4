"""Thresholds, decision curves and abstention against scikit-learn and numbers done by hand."""

import shutil
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.evaluation.confidence_intervals import share_interval
from cxr_core.evaluation.decision_curve import decision_curve
from cxr_core.evaluation.operating_point import (
    choose_on_validation,
    operating_point,
    save_operating_point,
    threshold_for_specificity,
)
from cxr_core.evaluation.selective_classification import (
    abstention_for_accuracy,
    answer_shares,
    coverage_curve,
)
from cxr_core.inference.model_card import load_card


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
    assert (point.true_positives, point.false_negatives, point.false_positives, point.true_negatives) == (
        tp,
        fn,
        fp,
        tn,
    )
    assert point.sensitivity == sk.recall_score(is_class, scores >= threshold)
    assert point.specificity == sk.recall_score(~is_class, scores < threshold)


def test_at_the_images_own_prevalence_ppv_and_npv_are_the_counts(case):
    point = operating_point("covid", *case, 0.5)
    assert point.ppv == pytest.approx(sk.precision_score(case[0], case[1] >= 0.5))
    assert point.npv == pytest.approx(sk.precision_score(~case[0], case[1] < 0.5))


def test_an_operating_point_cannot_be_changed(case):
    with pytest.raises(FrozenInstanceError):
        operating_point("covid", *case, 0.5).threshold = 0.4


def test_ppv_at_another_prevalence_is_bayes_by_hand():
    # Of 1000 people 10 are ill: 9 are found, and 99 of 990 healthy ones raise an alarm.
    is_class = np.array([True] * 10 + [False] * 10)
    scores = np.array([1.0] * 9 + [0.0] + [1.0] + [0.0] * 9)
    assert operating_point("covid", is_class, scores, 0.5, prevalence=0.01).ppv == pytest.approx(9 / 108)


def test_ppv_and_npv_are_bayes_at_any_prevalence(case):
    is_class, scores = case
    for prevalence in (0.0, 0.2, 1.0):
        point = operating_point("covid", is_class, scores, 0.45, prevalence=prevalence)
        hit, quiet = (scores[is_class] >= 0.45).mean(), (scores[~is_class] < 0.45).mean()
        ill, well = prevalence, 1 - prevalence
        assert point.ppv == pytest.approx(hit * ill / (hit * ill + (1 - quiet) * well))
        assert point.npv == pytest.approx(quiet * well / (quiet * well + (1 - hit) * ill))
        assert point.prevalence == prevalence


def test_without_others_specificity_is_undefined_and_nothing_breaks():
    point = operating_point("covid", [True] * 4, [0.1, 0.2, 0.9, 0.9], 0.5)
    assert (point.specificity, point.ppv, point.npv, point.sensitivity) == (None, None, None, 0.5)


def test_where_no_answer_raises_an_alarm_ppv_is_undefined():
    point = operating_point("covid", [True, False], [0.1, 0.2], 0.5)
    assert (point.ppv, point.npv) == (None, 0.5)


def test_without_images_of_the_class_sensitivity_is_undefined_and_nothing_breaks():
    point = operating_point("covid", [False] * 3, [0.1, 0.2, 0.9], 0.5)
    assert (point.sensitivity, point.ppv) == (None, None)
    assert point.specificity == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("flags", "scores", "message"),
    [([], [], "received 0 values for 0"), ([True, False], [0.1, 0.2, 0.3], "received 3 values for 2")],
)
def test_flags_without_their_scores_are_refused(flags, scores, message):
    for function in (threshold_for_specificity, coverage_curve, decision_curve):
        with pytest.raises(ValueError, match=message):
            function(flags, scores)
    with pytest.raises(ValueError, match=message):
        operating_point("covid", flags, scores, 0.5)


@pytest.mark.parametrize("edge", [0, 1])
def test_nothing_and_all_are_shares(case, edge):
    point = operating_point("covid", *case, edge, prevalence=edge)
    assert (point.threshold, point.prevalence) == (edge, edge)


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


@pytest.mark.parametrize(("wanted", "quiet"), [(0.7, 7), (0.71, 8), (0.9, 9), (1.0, 10), (0.001, 1)])
def test_the_threshold_lies_just_above_the_last_that_must_stay_quiet(wanted, quiet):
    # In floats 0.7 × 10 is 7.000000000000001, which asks for no eighth.
    others = np.linspace(0.05, 0.5, 10)
    is_class, scores = np.arange(11) == 10, np.append(others, 0.99)
    assert threshold_for_specificity(is_class, scores, wanted) == np.nextafter(others[quiet - 1], 1)


def test_the_threshold_has_a_specificity_of_nine_tenths_by_default():
    # Of 20 others 18 stay without an alarm, of five all.
    for others, last in ((20, 17), (5, 4)):
        is_class, scores = np.arange(others + 1) == others, np.append(np.arange(others) / 40, 0.99)
        assert threshold_for_specificity(is_class, scores) == np.nextafter(last / 40, 1)


def test_the_threshold_of_float32_scores_reaches_the_specificity_too():
    rng = np.random.default_rng(0)
    is_class, scores = np.arange(60) < 20, rng.random(60).astype(np.float32)
    threshold = threshold_for_specificity(is_class, scores, 0.9)
    assert operating_point("covid", is_class, scores, threshold).specificity >= 0.9


def test_a_threshold_stays_within_0_and_1():
    assert threshold_for_specificity([True, False], [0.5, 1.0], 0.9) == 1
    assert threshold_for_specificity([True, False], [0.5, 0.4], 0) == 0
    assert threshold_for_specificity([True, True], [0.5, 0.4], 0.9) == 0


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


@pytest.mark.parametrize("prevalence", [None, 0.02])
def test_a_decision_curve_weighs_true_and_false_alarms_by_the_prevalence_at_99_thresholds(case, prevalence):
    is_class, scores = case
    ill = is_class.mean() if prevalence is None else prevalence
    curve = decision_curve(is_class, scores, prevalence=prevalence)
    np.testing.assert_allclose(curve["threshold"], np.arange(1, 100) / 100)
    for row in curve.itertuples():
        odds = row.threshold / (1 - row.threshold)
        true = ill * (scores[is_class] >= row.threshold).mean()
        false = (1 - ill) * (scores[~is_class] >= row.threshold).mean()
        assert row.classifier == pytest.approx(true - false * odds)
        assert row.everybody == pytest.approx(ill - (1 - ill) * odds)
        assert row.nobody == 0


def test_a_decision_curve_has_as_many_points_as_asked_for_and_needs_one_image_on_each_side():
    curve = decision_curve([True, False], [0.7, 0.4], points=3)
    assert curve["threshold"].tolist() == [0.25, 0.5, 0.75]
    assert curve["classifier"].tolist() == pytest.approx([0.5 - 0.5 / 3, 0.5, 0])


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


def test_every_answer_has_its_share_and_interval_over_groups():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([1, 1], 60)
    truth, groups = np.array(["normal"] * 40 + ["covid"] * 20), np.arange(60) // 2
    result = answer_shares(truth, probabilities, ("normal", "covid", "virus"), groups, abstain_below=0.7)
    assert (list(result["per_class"]), result["abstain_below"]) == (["normal", "covid"], 0.7)
    for name, cells in result["per_class"].items():
        rows = truth == name
        assert list(cells) == ["normal", "covid", "virus", "not sure"]
        assert sum(cell["share"] for cell in cells.values()) == pytest.approx(1)
        unsure = probabilities[rows].max(axis=1) < 0.7
        assert cells["not sure"] == {"share": unsure.mean(), "ci95": share_interval(unsure, groups[rows])}


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


@pytest.mark.parametrize("edge", [0, 1])
def test_a_classifier_may_always_or_never_abstain(model, edge):
    save_operating_point(model, abstain_below=edge)
    assert load_card(model).abstain_below == edge


@pytest.mark.parametrize("outside", [-0.01, 1.01])
def test_what_is_no_confidence_to_abstain_below_is_refused(model, outside):
    with pytest.raises(ValueError, match=f"abstain_below must lie in \\[0, 1\\]; received {outside}"):
        save_operating_point(model, abstain_below=outside)


def test_saving_one_of_the_two_leaves_the_other(model, case):
    save_operating_point(model, operating_point("covid", *case, 0.42), abstain_below=0.6)
    save_operating_point(model, operating_point("covid", *case, 0.5))
    assert (load_card(model).operating_point["threshold"], load_card(model).abstain_below) == (0.5, 0.6)
    save_operating_point(model, abstain_below=0.7)
    assert (load_card(model).operating_point["threshold"], load_card(model).abstain_below) == (0.5, 0.7)


def test_an_operating_point_of_an_unknown_class_is_refused(model, case):
    with pytest.raises(ValueError, match="received 'asthma'"):
        save_operating_point(model, operating_point("asthma", *case, 0.4))


def test_choosing_uses_validation_images_alone(model):
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


VALIDATION = pd.DataFrame(
    {
        "true": ["normal", "normal", "covid", "normal"],
        "p_covid": [0.1, 0.6, 0.9, 0.3],
        "right": [True, False, True, True],
        "confidence": [0.9, 0.6, 0.9, 0.7],
        "split": "validation",
    }
)


def test_without_validation_predictions_nothing_can_be_chosen(model):
    for predictions in (pd.DataFrame(), VALIDATION.assign(split="test")):
        with pytest.raises(ValueError, match="no predictions on validation"):
            choose_on_validation(model, predictions, class_name="covid")


def test_a_specificity_of_nine_tenths_is_chosen_by_default(model):
    chosen, asked = (
        choose_on_validation(model, VALIDATION, class_name="covid", **options)["operating_point"]
        for options in ({}, {"specificity": 0.9})
    )
    assert chosen == asked
    lower = choose_on_validation(model, VALIDATION, class_name="covid", specificity=0.6)["operating_point"]
    assert lower["threshold"] == np.nextafter(0.3, 1)


def test_an_accuracy_is_chosen_by_the_validation_answers_and_a_confidence_is_kept_as_it_is(model):
    assert choose_on_validation(model, VALIDATION, abstain_accuracy=0.9)["abstain_below"] == 0.7
    assert choose_on_validation(model, VALIDATION, abstain_below=0.55)["abstain_below"] == 0.55
    wrong = VALIDATION.assign(right=False)
    with pytest.raises(ValueError, match="Its answers never reach an accuracy of 50.0 %"):
        choose_on_validation(model, wrong, abstain_accuracy=0.5)


def test_choosing_for_a_class_that_the_model_does_not_know_is_refused(model):
    with pytest.raises(ValueError, match="one of the model's; received 'asthma'"):
        choose_on_validation(model, VALIDATION, class_name="asthma")
