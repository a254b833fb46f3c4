"""Configurations that survive the command line, and none that cannot be run."""

import json
from dataclasses import replace
from typing import get_args, get_type_hints

import numpy as np
import pytest

from cxr_core.cli.main import build_parser
from cxr_core.imaging.augmentation import Augmentation
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.recipes.backbones import STARTS, imagenet_weights_path
from cxr_core.recipes.learning_rate import SCHEDULES, cosine_rate
from cxr_core.recipes.presets import RECIPES
from cxr_core.recipes.training_config import TrainingConfig, alone, command_for, config_from_dict, make_config


def config_of_command(words):
    """What `python -m cxr_core train …` makes of a command line, without training."""
    assert words[:2] == ["-m", "cxr_core"]
    options = build_parser().parse_args(words[2:])
    return make_config(
        options.recipe,
        roots=tuple(map(str, options.folders)),
        split=options.split,
        seed=options.seed,
        settings=options.set,
    )


CHANGED = TrainingConfig(
    roots=("/data/a b", "/data/c"),
    recipe="finetune",
    start="shipped",
    split="random",
    seed=7,
    epochs=3,
    batch_size=5,
    learning_rate=0.00012,
    head_units=(9, 8),
    head_dropouts=(0.1, 0.2, 0.0),
    train_from="block_16_expand",
    freeze_batch_norm=False,
    class_weights=True,
    early_stopping_patience=None,
    validation_share=0.11,
    test_share=0.22,
    export=False,
    gpus=2,
    preprocessing=Preprocessing(white_balance_percent=None, clahe="after", clahe_tiles=3, aspect="pad", size=160),
    augmentation=Augmentation(rotation_degrees=3.5, horizontal_flip=False, zoom=0.1, jpeg_quality=33),
)


@pytest.mark.parametrize("config", [*(make_config(r, roots=("/d",)) for r in RECIPES), CHANGED], ids=lambda c: c.recipe)
def test_the_command_for_a_run_makes_the_same_configuration(config):
    assert config_of_command(command_for(config, "/runs/x")) == config


def test_the_command_names_the_run_folder():
    words = command_for(make_config("quick", roots=("/d",)), "/runs/x")
    assert words[words.index("--run") + 1] == "/runs/x"


@pytest.mark.parametrize("config", [*map(make_config, RECIPES), CHANGED], ids=lambda c: c.recipe)
def test_a_configuration_survives_the_way_through_json(config):
    assert config_from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_the_defaults_are_the_articles():
    config = make_config("article")
    assert (config.epochs, config.batch_size, config.learning_rate) == (50, 16, 0.001)
    assert (config.head_units, config.head_dropouts) == ((512, 128, 64, 32), (0.7, 0.5, 0.3, 0.3))
    assert (config.preprocessing, config.augmentation) == (Preprocessing(), Augmentation())
    assert config.train_from == "all"


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("epochs=3", lambda c: c.epochs == 3),
        ("start=shipped", lambda c: c.start == "shipped"),
        ("early_stopping_patience=null", lambda c: c.early_stopping_patience is None),
        ("class_weights=true", lambda c: c.class_weights is True),
        ("head_dropouts=[0.7, 0.5, 0.3, 0.2]", lambda c: c.head_dropouts == (0.7, 0.5, 0.3, 0.2)),
        ("preprocessing.clahe=after", lambda c: c.preprocessing.clahe == "after"),
        ("preprocessing.white_balance_percent=null", lambda c: c.preprocessing.white_balance_percent is None),
        ("augmentation.zoom=0.1", lambda c: c.augmentation.zoom == 0.1),
    ],
)
def test_a_setting_reaches_its_place(setting, expected):
    assert expected(make_config("article", settings=[setting]))


def test_a_later_setting_wins():
    assert make_config("quick", settings=["epochs=3", "epochs=4"]).epochs == 4


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epoch=3", "epoch; known are.*epochs"),
        ("preprocessing.sharpen=1", "sharpen; known are.*clahe"),
        ("epochs.deep=1", "epochs must be of kind int"),
        ("epochs", "key=value; received 'epochs'"),
        ("epochs=0", "epochs must be at least 1; received 0"),
        ("epochs=-1", "epochs must be at least 1; received -1"),
        ("epochs=2.5", "epochs.*received 2.5"),
        ("epochs=many", "epochs.*received 'many'"),
        ("batch_size=0", "batch_size must be at least 1; received 0"),
        ("seed=-1", "seed must be.*received -1"),
        ("learning_rate=0", "learning_rate must lie.*received 0"),
        ("learning_rate=10", "learning_rate must lie.*received 10"),
        ("learning_rate=NaN", "learning_rate must lie.*received nan"),
        ("learning_rate=fast", "learning_rate must be of kind float; received 'fast'"),
        ("start=noise", "start must be one of imagenet, shipped; received 'noise'"),
        ("split=kfold", "split must be one of.*received 'kfold'"),
        ("recipe=slow", "recipe must be one of.*received 'slow'"),
        ("early_stopping_patience=0", "early_stopping_patience must be.*received 0"),
        ("head_dropouts=[0.3, 1.0]", "head_dropouts needs"),
        ('head_dropouts=["high"]', "head_dropouts must be of kind.*received \\('high',\\)"),
        ("head_units=[64.5]", "head_units must be of kind.*received \\(64.5,\\)"),
        ("schedule=linear", "schedule must be one of plateau, cosine; received 'linear'"),
        ("preprocessing.clahe=maybe", "clahe must be one of.*received 'maybe'"),
        ("preprocessing.white_balance_percent=None", "must be of kind float or None; received 'None'"),
        ("augmentation.zoom=2", "zoom must lie between.*received 2"),
        ("preprocessing=off", "preprocessing"),
    ],
)
def test_a_wrong_setting_is_refused_with_a_sentence(setting, message):
    with pytest.raises(ValueError, match=message):
        make_config("quick", settings=[setting])


@pytest.mark.parametrize(
    "setting",
    [
        "class_weights=False", "freeze_batch_norm=no", "augmentation.horizontal_flip=False", "preprocessing.size=224.5",
        "preprocessing.clahe_tiles=2.5", "augmentation.jpeg_quality=50.5", "early_stopping_patience=1.5",
        "train_from=7",
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_is_refused_before_a_run_begins(setting):
    with pytest.raises(ValueError):
        make_config("quick", settings=[setting])


@pytest.mark.parametrize(("setting", "described"), [("start", STARTS), ("schedule", SCHEDULES)])
def test_every_value_that_a_form_describes_is_one_that_a_training_takes(setting, described):
    assert get_args(get_type_hints(TrainingConfig)[setting]) == tuple(described)


def test_an_unknown_recipe_is_refused():
    with pytest.raises(ValueError, match="quick, finetune, article, article-sound; received 'slow'"):
        make_config("slow")


def test_an_unknown_key_of_a_config_file_is_named():
    with pytest.raises(ValueError, match="momentum"):
        config_from_dict(make_config("quick").to_dict() | {"momentum": 0.9})


def test_a_setting_that_an_older_version_did_not_know_takes_its_default():
    older = make_config("article", seed=3).to_dict()
    del older["plateau_patience"], older["preprocessing"]["clahe_tiles"]
    assert config_from_dict(older) == make_config("article", seed=3)


@pytest.mark.parametrize(
    "values",
    [
        make_config("quick").to_dict() | {"preprocessing": {"sharpen": 1}},
        make_config("quick").to_dict() | {"augmentation": None},
        make_config("quick").to_dict() | {"epochs": None},
        make_config("quick").to_dict() | {"learning_rate": "fast"},
    ],
    ids=["unknown inner key", "no augmentation", "no number", "a word"],
)
def test_a_config_file_that_cannot_be_meant_is_a_value_error(values):
    with pytest.raises(ValueError):
        config_from_dict(values)


def test_imagenet_weights_lie_where_keras_looks_for_them(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert imagenet_weights_path().parent == tmp_path / "models"
    assert imagenet_weights_path().name.startswith("mobilenet_v2_weights")


def test_a_training_on_its_own_keeps_nothing_of_its_job():
    config = make_config("quick", roots=("/d",), seed=3)
    assert alone(replace(config, folds=5, fold=2, export=False)) == config


@pytest.mark.parametrize(("values", "rule"), [({"gpus": 0}, "gpus"), ({"folds": 3, "fold": 4}, "4 of 3")])
def test_folds_and_gpus_that_cannot_be_are_refused(values, rule):
    with pytest.raises(ValueError, match=rule):
        make_config("quick", **values)


def test_a_fold_survives_the_command_line():
    config = make_config("finetune", roots=("/d",), folds=5, fold=2)
    assert config_of_command(command_for(config, "/runs/x")) == config


def cosine_rates(epochs):
    """The whole schedule at a rate of 1."""
    config = make_config("finetune", epochs=epochs, learning_rate=1.0)
    return [cosine_rate(config, epoch) for epoch in range(epochs)]


@pytest.mark.parametrize("epochs", [3, 14, 42])
def test_after_a_warm_up_epoch_the_rate_falls_from_all_of_it_along_half_a_cosine(epochs):
    warm_up, *rates = cosine_rates(epochs)
    assert warm_up == 0.1
    # cos² of a quarter turn is half a cosine: from 1 at its first step to 0 one step after its last.
    quarter = np.linspace(0, np.pi / 2, epochs)[:-1]
    np.testing.assert_allclose(rates, np.cos(quarter) ** 2, rtol=1e-12)


@pytest.mark.parametrize(("epochs", "last"), [(1, 1.0), (2, 1.0), (3, 0.5), (14, 0.0145291)])
def test_the_last_epoch_of_a_cosine_still_learns(epochs, last):
    assert cosine_rates(epochs)[-1] == pytest.approx(last, rel=1e-5)


def test_a_cosine_is_as_high_as_the_configured_rate():
    config = make_config("finetune", epochs=5)
    assert cosine_rate(config, 1) == config.learning_rate == 5e-4
