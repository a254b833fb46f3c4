"""Files, cards and commands of version 0.1.0 are read under their old names: the files here were written by it."""

import json
import shutil
from pathlib import Path

import pytest

from cxr_core.inference.model_card import load_card
from cxr_core.recipes.training_config import config_from_dict, make_config
from cxr_core.runs.run import Run
from cxr_core.system.renamed_keys import AUGMENTATION_SETTINGS, OPERATING_POINT_COUNTS, TRAINING_SETTINGS

FILES = Path(__file__).resolve().parents[2] / "files"
OLD_CONFIG = json.loads((FILES / "config-0.1.0.json").read_text(encoding="utf-8"))
OLD_CARD = json.loads((FILES / "card-0.1.0.json").read_text(encoding="utf-8"))


@pytest.fixture
def card(tmp_path):
    shutil.copy(FILES / "card-0.1.0.json", tmp_path / "card.json")
    return load_card(tmp_path)


@pytest.mark.parametrize(("old", "name"), TRAINING_SETTINGS.items())
def test_a_training_setting_is_read_under_its_old_name(old, name, card, tmp_path):
    shutil.copy(FILES / "config-0.1.0.json", tmp_path / "config.json")
    assert getattr(Run(tmp_path).config(), name) == OLD_CONFIG[old]
    assert card.training[name] == OLD_CARD["training"][old]
    assert old not in card.training


@pytest.mark.parametrize(("old", "name"), AUGMENTATION_SETTINGS.items())
def test_a_setting_of_the_augmentation_is_read_under_its_old_name(old, name, card):
    assert getattr(config_from_dict(OLD_CONFIG).augmentation, name) == OLD_CONFIG["augmentation"][old]
    assert card.training["augmentation"][name] == OLD_CARD["training"]["augmentation"][old]


@pytest.mark.parametrize(("old", "name"), OPERATING_POINT_COUNTS.items())
def test_a_count_of_the_operating_point_is_read_under_its_old_name(old, name, card):
    assert card.operating_point[name] == OLD_CARD["operating_point"][old]


@pytest.mark.parametrize("old", [*TRAINING_SETTINGS, *(f"augmentation.{name}" for name in AUGMENTATION_SETTINGS)])
def test_an_older_command_means_the_same(old):
    outer, _, inner = old.rpartition(".")
    value = OLD_CONFIG[outer][inner] if outer else OLD_CONFIG[inner]
    name = f"augmentation.{AUGMENTATION_SETTINGS[inner]}" if outer else TRAINING_SETTINGS[inner]
    recipe = make_config("finetune")
    assert make_config("finetune", settings=[f"{old}={value}"]) == make_config("finetune", settings=[f"{name}={value}"])
    assert make_config("finetune", settings=[f"{old}={value}"]) != recipe
