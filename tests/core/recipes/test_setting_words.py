"""Every setting of a training has words, and what differs from the recipe comes first."""

from dataclasses import fields

import pytest

from cxr_core.imaging.augmentation import Augmentation
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.recipes.presets import RECIPES
from cxr_core.recipes.setting_words import WORDS, settings_in_words, value_text
from cxr_core.recipes.training_config import TrainingConfig, make_config


def test_every_setting_has_words_of_its_own():
    inner = {"preprocessing": Preprocessing, "augmentation": Augmentation}
    names = {one.name for one in fields(TrainingConfig)} - {"roots", "recipe", *inner}
    names |= {f"{outer}.{one.name}" for outer, kind in inner.items() for one in fields(kind)}
    assert set(WORDS) == names
    assert len(set(WORDS.values())) == len(WORDS)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_as_it_is_differs_in_nothing(recipe):
    assert not any(setting.differs for setting in settings_in_words(make_config(recipe)))


def test_what_differs_from_the_recipe_comes_first():
    first, second, third, *_ = settings_in_words(
        make_config("article", settings=["epochs=3", "augmentation.zoom=0.25"])
    )
    assert (first.words, first.value, first.recipe_value) == ("Epochs at most", "3", "50")
    assert (second.words, second.value, second.recipe_value) == ("Zoom", "0.25", "0")
    assert not third.differs


def test_a_frozen_backbone_sees_no_augmentation_so_none_is_listed():
    words = {setting.words for setting in settings_in_words(make_config("quick"))}
    assert "Zoom" not in words
    assert "Learning rate (Adam)" in words


@pytest.mark.parametrize(
    "value, text",
    [(None, "off"), (True, "yes"), (0.001, "0.001"), (8, "8"), ((512, 0.5), "512, 0.5"), ((), "none"), ("", "none"),
     ((("darken", 255.0),), "darken, 255")],
)  # fmt: skip
def test_a_value_is_written_for_a_person(value, text):
    assert value_text(value) == text
