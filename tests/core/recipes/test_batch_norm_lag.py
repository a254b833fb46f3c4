"""A training whose validation lags says so beforehand, and for how long."""

import numpy as np
import pytest

from cxr_core.recipes.batch_norm_lag import batch_norm_lag, batches_per_epoch, lag_sentence
from cxr_core.recipes.training_config import make_config


def test_the_articles_recipe_says_for_how_many_epochs_validation_lags():
    config = make_config("article", split="article")
    # A fifth of the article's 1,823 images tests; its listing trains on whole batches of 16.
    batches = batches_per_epoch(config, 1_823)
    assert batches == 1_458 // 16
    assert lag_sentence(config, batches).startswith(
        "Validation lags for about 11 epochs with this recipe: batch-norm statistics."
    )


def test_the_lag_is_the_time_constant_of_the_moving_average():
    # After a step, what a moving average still lacks has fallen to 1/e.
    config, batches = make_config("article"), 50
    lacking = np.cumprod(np.full(5_000, 0.999))
    assert batch_norm_lag(config, batches) == pytest.approx(np.argmax(lacking < np.exp(-1)) / batches, abs=0.1)


@pytest.mark.parametrize("recipe", ["article-sound", "finetune", "quick"])
def test_statistics_that_follow_at_once_are_not_spoken_of(recipe):
    assert lag_sentence(make_config(recipe), 88) == ""


def test_a_training_shorter_than_its_lag_lags_to_its_end():
    assert "for all 5 epochs" in lag_sentence(make_config("article", settings=["epochs=5"]), 10)


def test_the_sound_variant_differs_from_the_article_in_one_setting():
    article, sound = make_config("article").to_dict(), make_config("article-sound").to_dict()
    differing = {name for name in article if article[name] != sound[name]}
    assert differing == {"recipe", "batch_norm_momentum"}
    assert sound["batch_norm_momentum"] == 0.9
    assert sound["split"] == "grouped"
    assert make_config("article-sound").validation_side == "validation"
