"""The lines between classes are drawn where all are found equally well."""

import shutil
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, recall_score

from cxr_core.evaluation.class_balance import balancing_shifts
from cxr_core.imaging.reader import read_image
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.model_card import load_card
from cxr_core.inference.temperature_scaling import apply_temperature
from cxr_core.runs.run import Run
from cxr_core.system.files import read_json, write_json


def draw_logits(bias, n=900, seed=0):
    """Logits float (n, 3) of three equally likely classes that overlap, all shifted by `bias`, and the classes."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % 3
    return 2.0 * np.eye(3)[targets] + rng.normal(0, 1, (n, 3)) + bias, targets


def probabilities_of(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


SKEWED = draw_logits([0, 2.5, -1.5])
STEPS = np.arange(-4, 4.01, 0.5)


def score(shifts, logits, targets):
    return balanced_accuracy_score(targets, (logits + shifts).argmax(axis=1))


def test_skewed_scores_come_as_near_to_the_best_of_a_grid_as_smoothing_lets_them():
    logits, targets = SKEWED
    best = max(score([0, *free], logits, targets) for free in product(STEPS, STEPS))
    shifts = balancing_shifts(probabilities_of(logits), targets)
    assert score(shifts, logits, targets) > score(np.zeros(3), logits, targets) + 0.1
    assert score(shifts, logits, targets) >= best - 0.01


def test_what_skewed_the_scores_is_taken_back():
    logits, targets = SKEWED
    np.testing.assert_allclose(balancing_shifts(probabilities_of(logits), targets), [0, -2.5, 1.5], atol=0.4)


def test_the_gain_holds_on_images_it_did_not_see():
    shifts = balancing_shifts(probabilities_of(SKEWED[0]), SKEWED[1])
    logits, targets = draw_logits([0, 2.5, -1.5], seed=1)
    assert score(shifts, logits, targets) > score(np.zeros(3), logits, targets) + 0.1
    assert np.ptp(recall_score(targets, (logits + shifts).argmax(axis=1), average=None)) < 0.1


def test_a_rare_class_counts_as_much_as_a_frequent_one():
    logits, targets = SKEWED
    rare, others = np.flatnonzero(targets == 0)[:20], np.flatnonzero(targets > 0)
    shifts = [
        balancing_shifts(probabilities_of(logits[rows]), targets[rows])
        for rows in (np.concatenate([rare, others]), np.concatenate([np.tile(rare, 15), others]))
    ]
    np.testing.assert_allclose(*shifts, atol=0.01)


def test_scores_that_are_balanced_already_are_left_nearly_as_they_are():
    # Every class has the same scores, in another order.
    one = np.random.default_rng(0).normal(0, 1, (300, 3)) + [2, 0, 0]
    one = np.concatenate([one, one[:, [0, 2, 1]]])
    logits = np.concatenate([np.roll(one, k, axis=1) for k in range(3)])
    shifts = balancing_shifts(probabilities_of(logits), np.repeat([0, 1, 2], 600))
    np.testing.assert_allclose(shifts, 0, atol=0.01)


def test_the_first_class_stays_where_it_is():
    assert balancing_shifts(probabilities_of(SKEWED[0]), SKEWED[1])[0] == 0


def test_the_same_scores_give_the_same_shifts():
    one, two = (balancing_shifts(probabilities_of(SKEWED[0]), SKEWED[1]) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_two_classes_will_do():
    logits, targets = draw_logits([0, 2.5, -1.5])
    rows = targets < 2
    shifts = balancing_shifts(probabilities_of(logits[rows][:, :2]), targets[rows])
    np.testing.assert_allclose(shifts, [0, -2.5], atol=0.4)


def test_the_shift_is_that_of_the_highest_mean_recall_counted_softly():
    # Two classes: an image counts as right by 1 / (1 + exp(-2 × its lead in logits)).
    rng = np.random.default_rng(4)
    targets = np.repeat([0, 1], [12, 6])
    leads = rng.normal(0, 2, 18) + np.where(targets == 1, 2.5, 0.5)
    tried = np.linspace(-8, 8, 3201)
    right = 1 / (1 + np.exp(-2 * np.where(targets == 1, 1, -1) * (leads[None] + tried[:, None])))
    means = right[:, targets == 0].mean(axis=1) + right[:, targets == 1].mean(axis=1)
    probabilities = probabilities_of(np.column_stack([np.zeros(18), leads]))
    assert balancing_shifts(probabilities, targets)[1] == pytest.approx(tried[means.argmax()], abs=0.01)


def test_probabilities_of_exactly_0_and_1_give_finite_shifts():
    assert np.isfinite(balancing_shifts(np.eye(3)[np.array([0, 1, 2, 1])], np.array([0, 1, 2, 2]))).all()


def test_a_class_without_an_image_is_refused_and_named():
    with pytest.raises(ValueError, match="Every class needs an image to balance on; class 1 has none"):
        balancing_shifts(np.full((4, 3), 1 / 3), np.array([0, 2, 2, 0]))
    with pytest.raises(ValueError, match="class 1 has none"):
        balancing_shifts(np.full((4, 4), 1 / 4), np.array([0, 3, 3, 0]))


# In a run


@pytest.fixture(scope="module")
def balanced_run(tiny_run, tmp_path_factory):
    """A copy of the tiny run that was asked to balance its classes, exported anew."""
    from cxr_core.training.export_run import export_run

    run = Run(shutil.copytree(tiny_run.path, tmp_path_factory.mktemp("balanced") / "run"))
    write_json(run.path / "config.json", replace(run.config(), balance_classes=True).to_dict())
    for name in ("model.onnx", "card.json", "metrics.json", "predictions.csv"):
        (run.path / name).unlink()
    export_run(run)
    return run


def log_probabilities(run, images):
    """Without the temperature, which is fitted anew after the shift."""
    classifier = load_classifier(run.path)
    return np.log(replace(classifier, card=replace(classifier.card, temperature=1.0)).predict(images))


@pytest.fixture(scope="module")
def images(tiny_run):
    preprocessing = tiny_run.config().preprocessing
    return np.stack([preprocessing.image_u8(read_image(path)) for path in tiny_run.predictions()["path"][:9]])


def test_a_run_says_what_it_added_to_each_class(balanced_run):
    classifier = load_classifier(balanced_run.path)
    balance = read_json(balanced_run.path / "balance.json")
    assert tuple(balance) == classifier.classes
    assert classifier.card.training["balance"] == balance


def test_what_was_added_follows_from_the_runs_validation_images(balanced_run, tiny_run):
    predictions = tiny_run.predictions().query("split == 'validation'")
    balance = read_json(balanced_run.path / "balance.json")
    probabilities = predictions[[f"p_{name}" for name in balance]].to_numpy()
    probabilities = apply_temperature(probabilities, 1 / load_card(tiny_run.path).temperature)
    expected = balancing_shifts(probabilities, predictions["true"].map(list(balance).index).to_numpy())
    np.testing.assert_allclose(list(balance.values()), expected, atol=0.05)


def test_the_exported_classifiers_scores_carry_the_shift(balanced_run, tiny_run, images):
    difference = log_probabilities(balanced_run, images) - log_probabilities(tiny_run, images)
    shifts = list(read_json(balanced_run.path / "balance.json").values())
    assert np.ptp(shifts) > 0.01
    expected = np.broadcast_to(np.subtract(shifts, shifts[0]), difference.shape)
    np.testing.assert_allclose(difference - difference[:, :1], expected, atol=1e-3)


def test_a_second_export_does_not_shift_again(balanced_run, images):
    from cxr_core.training.export_run import export_run

    before = log_probabilities(balanced_run, images)
    (balanced_run.path / "model.onnx").unlink()
    export_run(balanced_run)
    np.testing.assert_allclose(log_probabilities(balanced_run, images), before, atol=1e-5)


def test_a_run_that_was_not_asked_to_balance_says_nothing_of_it(tiny_run):
    assert not (tiny_run.path / "balance.json").exists()
    assert "balance" not in load_classifier(tiny_run.path).card.training
