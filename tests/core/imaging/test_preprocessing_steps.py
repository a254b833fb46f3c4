"""preprocessing_steps.py: a step is one entry, and what was stored without it stays what it was."""

import json

import numpy as np
import pytest

from cxr_core.imaging.preprocessing import Preprocessing, preprocessing_from_dict
from cxr_core.imaging.preprocessing_steps import PREPROCESSING_STEPS, PreprocessingStep
from cxr_core.recipes.training_config import command_for, config_from_dict, make_config
from cxr_core.runs.settings_diff import setting_differences

IMAGE = np.random.default_rng(0).integers(0, 256, (90, 70), dtype=np.uint8)


@pytest.fixture(autouse=True)
def two_steps(monkeypatch):
    """Two steps whose order matters: one adds its setting, one multiplies by it."""
    for name, apply in (("add", lambda square, value: square + value), ("times", lambda square, value: square * value)):
        step = PreprocessingStep(
            label=name, help="Arithmetic.", apply=lambda s, v, f=apply: f(s, v).astype(np.uint8), low=0, high=4, off=0
        )
        monkeypatch.setitem(PREPROCESSING_STEPS, name, step)


def test_steps_come_last_and_in_their_order():
    square = Preprocessing(size=32).image_u8(IMAGE).astype(int)
    first_add = Preprocessing(size=32, further_steps=(("add", 3), ("times", 2))).image_u8(IMAGE)
    first_times = Preprocessing(size=32, further_steps=(("times", 2), ("add", 3))).image_u8(IMAGE)
    np.testing.assert_array_equal(first_add, ((square + 3) * 2).astype(np.uint8))
    np.testing.assert_array_equal(first_times, (square * 2 + 3).astype(np.uint8))


def test_without_further_steps_nothing_of_them_is_stored():
    assert "further_steps" not in Preprocessing().to_dict()
    assert "further_steps" not in make_config("quick").to_dict()["preprocessing"]


def test_steps_survive_the_way_through_json():
    settings = Preprocessing(further_steps=(("times", 0.5), ("add", 1)))
    assert preprocessing_from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    config = make_config("quick", preprocessing=settings)
    assert config_from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_command_repeats_steps():
    config = make_config("quick", settings=['preprocessing.further_steps=[["add", 2]]'])
    assert config.preprocessing.further_steps == (("add", 2),)
    words = command_for(config, "run")
    settings = [word for before, word in zip(words, words[1:], strict=False) if before == "--set"]
    assert make_config("quick", settings=settings) == config


def test_runs_with_and_without_a_step_differ_in_it_alone():
    runs = {"a": make_config("quick"), "b": make_config("quick", settings=['preprocessing.further_steps=[["add", 2]]'])}
    table = setting_differences(runs)
    assert table.loc["preprocessing.further_steps"].tolist() == ["[]", '[["add", 2]]']
    assert len(table) == 1


@pytest.mark.parametrize(
    ("further_steps", "match"),
    [
        ((("sharpen", 1),), "further_steps may name add, times; received 'sharpen'"),
        ((("add", 1), ("add", 2)), "each step once; received add, add"),
        ((("add", 4.5),), r"add must lie in \[0, 4\]; received 4.5"),
        ((("add", -1),), r"add must lie in \[0, 4\]; received -1"),
        ((("add", float("nan")),), r"add must lie in \[0, 4\]; received nan"),
        ((("add", "much"),), "further_steps must be of kind"),
        ("add", "further_steps must be of kind"),
    ],
)
def test_a_wrong_step_is_refused_with_the_rule_and_the_value(further_steps, match):
    with pytest.raises(ValueError, match=match):
        Preprocessing(further_steps=further_steps)


def test_where_no_step_is_registered_a_card_with_one_is_refused(monkeypatch):
    monkeypatch.delitem(PREPROCESSING_STEPS, "add")
    monkeypatch.delitem(PREPROCESSING_STEPS, "times")
    with pytest.raises(ValueError, match="further_steps may name none; received 'add'"):
        Preprocessing(further_steps=(("add", 1),))
