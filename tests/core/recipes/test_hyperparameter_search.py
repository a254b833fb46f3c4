"""The ranges that a trial's settings come from, and that they reach the configuration."""

import numpy as np
import pytest

from cxr_core.imaging.augmentation import Augmentation
from cxr_core.recipes.hyperparameter_search import TUNABLE, _strengthened, suggest_trial, tunable
from cxr_core.recipes.training_config import make_config

BASE = make_config("finetune", head_units=(8,), head_dropouts=(0.2, 0.4), learning_rate=1e-3)
STRENGTHS = {
    "rotation_degrees": 180, "zoom": 0.9, "shift": 0.9, "frame": 1, "histogram_matching": 1, "spectrum_matching": 1,
    "brightness": 1, "contrast": 0.99, "blur": 20, "resolution": 0.95, "gamma": 3, "noise": 100, "text_overlay": 1,
    "outside_lungs": 1,
}  # fmt: skip


def trials(key, base=BASE, n=60):
    """The configuration and the value of `n` trials that know of no other."""
    made = [suggest_trial(base, (key,), [], number=number, seed=0) for number in range(2, n + 2)]
    return [config for config, _ in made], np.array([values[key] for _, values in made])


def test_the_first_trial_tries_the_settings_as_they_are():
    config, values = suggest_trial(BASE, tuple(TUNABLE), [], number=1, seed=0)
    assert config == BASE
    assert values == {"learning_rate": 1e-3, "dropout": 0.4, "augmentation": 1.0}
    assert suggest_trial(BASE, ("dropout",), [], number=1, seed=0)[1] == {"dropout": 0.4}


def test_learning_rates_lie_within_ten_times_either_way_and_evenly_by_their_logarithm():
    configs, values = trials("learning_rate")
    assert [c.learning_rate for c in configs] == values.tolist()
    assert 1e-4 <= values.min() < 1.5e-4 and 7e-3 < values.max() <= 1e-2
    assert 20 < (values < 1e-3).sum() < 40
    assert {c.head_dropouts for c in configs} == {BASE.head_dropouts}


def test_no_learning_rate_lies_above_1():
    _, values = trials("learning_rate", make_config("finetune", learning_rate=0.5))
    assert values.min() >= 0.05 and 0.5 < values.max() <= 1


def test_dropouts_keep_their_proportion_up_to_eight_tenths():
    configs, values = trials("dropout")
    for config, value in zip(configs, values, strict=True):
        assert config.head_dropouts == pytest.approx((value / 2, value), abs=1e-4)
    assert 0 <= values.min() < 0.1 and 0.7 < values.max() <= 0.8


def test_a_dropout_above_eight_tenths_stays_within_reach():
    base = make_config("quick", head_dropouts=(0.95,))
    _, values = trials("dropout", base)
    assert 0.8 < values.max() <= 0.95
    assert suggest_trial(base, ("dropout",), [], number=1, seed=0)[1] == {"dropout": 0.95}


def test_a_head_without_dropout_can_be_given_some():
    (config, *_), (value, *_) = trials("dropout", make_config("quick", head_dropouts=(0.0,)), n=1)
    assert config.head_dropouts == pytest.approx((value,), abs=1e-4)


def test_strengths_of_augmentation_are_multiplied_up_to_one_and_a_half_times():
    configs, factors = trials("augmentation")
    assert 0 <= factors.min() < 0.2 and 1.3 < factors.max() <= 1.5
    for config, factor in zip(configs, factors, strict=True):
        for name, limit in STRENGTHS.items():
            expected = min(limit, getattr(BASE.augmentation, name) * factor)
            assert getattr(config.augmentation, name) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("factor", "quality"), [(0.0, 100), (0.2, 85), (1.0, 25), (1.2, 10), (1.32, 1), (1.5, 1)])
def test_the_lowest_jpeg_quality_falls_from_100_with_the_strength(factor, quality):
    assert _strengthened(Augmentation(jpeg_quality=25), factor).jpeg_quality == quality


@pytest.mark.parametrize("name", STRENGTHS)
def test_a_strength_never_leaves_what_the_augmentation_allows(name):
    limit = float(STRENGTHS[name])
    assert getattr(_strengthened(Augmentation(**{name: 0.9 * limit}), 1.5), name) == limit
    with pytest.raises(ValueError, match=name):
        Augmentation(**{name: limit * 1.001})


def test_what_has_no_strength_stays_as_it_was():
    base = Augmentation(p_image=0.85, p_transform=0.4, horizontal_flip=False, zoom=0.2, jpeg_quality=100)
    kept = {"p_image": 0.85, "p_transform": 0.4, "horizontal_flip": False, "jpeg_quality": 100}
    assert _strengthened(base, 0.5).to_dict() == Augmentation(**kept, rotation_degrees=7.5, zoom=0.1).to_dict()


def test_the_same_past_number_and_seed_give_the_same_trial():
    past = [({"dropout": 0.2}, 0.5), ({"dropout": 0.3}, None)]
    one, again, other_number, other_seed = (
        suggest_trial(BASE, ("dropout",), past, number=number, seed=seed)[1]["dropout"]
        for number, seed in ((3, 0), (3, 0), (4, 0), (3, 1))
    )
    assert one == again and len({one, other_number, other_seed}) == 3


def test_later_trials_look_where_earlier_ones_did_well():
    dropouts = np.linspace(0.02, 0.78, 20)
    for best in (0.1, 0.7):
        past = [({"dropout": float(d)}, abs(d - best)) for d in dropouts]
        tried = [suggest_trial(BASE, ("dropout",), past, number=n, seed=0)[1]["dropout"] for n in range(21, 41)]
        assert np.mean(np.abs(np.array(tried) - best) < 0.2) > 0.7


def test_a_failed_trial_is_passed_over():
    past = [({"dropout": 0.4}, None)] * 15
    suggested = [suggest_trial(BASE, ("dropout",), past, number=n, seed=0)[1]["dropout"] for n in range(16, 36)]
    assert 0 <= min(suggested) < 0.2 and 0.6 < max(suggested) <= 0.8


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [("quick", ("learning_rate", "dropout")), ("finetune", ("learning_rate", "dropout", "augmentation"))],
)
def test_augmentation_can_be_tuned_where_it_is_used(recipe, expected):
    assert tunable(make_config(recipe)) == expected
