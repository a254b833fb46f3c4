"""What is wrong with a training is told from its history, and the advice knows its settings."""

import numpy as np
import pandas as pd
import pytest

from cxr_core.recipes.training_config import make_config
from cxr_core.runs.diagnosis import diagnose_training

FALLING = [1.0, 0.8, 0.6, 0.5, 0.4, 0.3]


def history(loss=FALLING, val_loss=FALLING, accuracy=0.9, val_accuracy=0.85):
    n = len(loss)
    return pd.DataFrame(
        {"epoch": range(1, n + 1), "loss": loss, "val_loss": val_loss}
        | {"accuracy": [accuracy] * n, "val_accuracy": [val_accuracy] * n}
    )


def config(recipe="finetune", *settings):
    return make_config(recipe, roots=("/data",), settings=settings)


def names(*arguments, **options):
    return [finding.name for finding in diagnose_training(*arguments, **options)]


def sentence(*arguments, **options):
    (finding,) = diagnose_training(*arguments, **options)
    return finding.sentence


def test_a_good_history_is_left_without_a_word():
    assert names(history(), config("quick")) == []


@pytest.mark.parametrize("epochs", [pd.DataFrame(), history()[:2]])
def test_nothing_is_said_before_the_third_epoch(epochs):
    assert names(epochs, config("article"), batches=10) == []


# Overfitting


@pytest.mark.parametrize("recipe", ["quick", "finetune", "article"])
def test_a_validation_loss_that_rises_while_the_training_loss_falls_is_overfitting(recipe):
    epochs = history(val_loss=[1.0, 0.7, 0.6, 0.7, 0.8, 0.9])
    assert names(epochs, config(recipe), batches=2_000) == ["overfitting"]
    assert "Since epoch 3" in sentence(epochs, config(recipe), batches=2_000)
    assert "Epoch 3 is kept in any case." in sentence(epochs, config(recipe), batches=2_000)


def test_a_validation_loss_that_only_wavers_is_no_overfitting():
    assert names(history(val_loss=[1.0, 0.7, 0.6, 0.62, 0.61, 0.63]), config()) == []


def test_a_finetune_run_is_never_told_to_take_the_finetune_recipe():
    epochs = history(accuracy=0.95, val_accuracy=0.5)
    told = sentence(epochs, config("finetune"), batches=30)
    assert "Recipe" not in told
    assert "Change the augmentation" in told


def test_a_frozen_backbone_is_not_told_to_change_an_augmentation_that_it_does_not_use():
    told = sentence(history(accuracy=0.95, val_accuracy=0.5), config("quick"), batches=30)
    assert "augmentation" not in told
    assert "Label smoothing" in told


def test_what_is_already_on_is_not_advised():
    told = sentence(history(accuracy=0.95, val_accuracy=0.5), config("quick", "label_smoothing=0.1", "mixup=0.2"))
    assert "smoothing" not in told and "MixUp" not in told
    assert "Learning rate (now 0.005)" in told


def test_mixup_is_not_advised_beside_class_weights_which_forbid_it():
    assert "MixUp" not in sentence(history(accuracy=0.95, val_accuracy=0.5), config("quick", "class_weights=true"))


# Batch normalisation


def test_statistics_that_lag_after_few_batches_are_named_with_the_recipe_that_helps():
    epochs = history(val_loss=[2, 3, 4, 5, 6, 7.7], accuracy=0.95, val_accuracy=0.46)
    assert names(epochs, config("article"), batches=10) == ["lagging batch norm"]
    assert "95 % vs 46 %" in sentence(epochs, config("article"), batches=10)
    assert "Recipe article-sound or finetune" in sentence(epochs, config("article"), batches=10)


def test_a_class_that_is_never_predicted_because_the_statistics_lag_is_no_matter_of_its_own():
    epochs = history(val_loss=[2, 3, 4, 5, 6, 7.7], accuracy=0.95, val_accuracy=0.28)
    confusion = np.array([[0, 9], [0, 9]])
    found = names(epochs, config("article"), batches=88, confusion=confusion, classes=("normal", "covid"))
    assert found == ["lagging batch norm"]
    assert "for about 11 epochs" in sentence(epochs, config("article"), batches=88)


@pytest.mark.parametrize(
    ("settings", "batches"),
    [(("article",), 2_000), (("article", "freeze_batch_norm=true"), 10), (("article", "batch_norm_momentum=0.9"), 10)],
)
def test_the_same_gap_is_overfitting_where_the_statistics_cannot_lag(settings, batches):
    epochs = history(accuracy=0.95, val_accuracy=0.46)
    assert names(epochs, config(*settings), batches=batches) == ["overfitting"]


# Epochs and learning rate


def test_a_loss_that_still_falls_in_the_last_epoch_asks_for_more_epochs():
    assert "raise Epochs (now 6)" in sentence(history(), config("quick", "epochs=6"))


@pytest.mark.parametrize("val_loss", [[1, 0.5, 0.4, 0.4, 0.4, 0.395], [1, 0.5, 0.4, 0.3, 0.2, 0.21]])
def test_a_loss_that_has_settled_does_not(val_loss):
    assert names(history(val_loss=val_loss), config("quick", "epochs=6")) == []


def test_a_training_loss_that_does_not_fall_asks_for_a_lower_learning_rate():
    told = sentence(history(loss=[1.0, 1.4, 1.2, 1.3, 1.1, 1.1]), config("quick", "learning_rate=0.5"))
    assert "Lower the Learning rate (now 0.5), for example to 0.1" in told


def test_a_training_loss_that_rises_again_asks_for_a_lower_learning_rate_and_nothing_else():
    epochs = history(loss=[49.9, 6.8, 2.9, 2.4, 3.9, 4.8], val_loss=[50, 45, 20, 87, 47, 11], val_accuracy=0.33)
    told = sentence(epochs, config("article", "learning_rate=0.05", "epochs=6"), batches=7)
    assert "has risen again, from 2.40 after epoch 4 to 4.80. Lower the Learning rate (now 0.05)" in told


def test_a_training_loss_that_wavers_near_its_lowest_does_not():
    assert names(history(loss=[1, 0.5, 0.3, 0.01, 0.02, 0.03]), config("quick")) == []


# Classes


def test_a_class_that_is_never_predicted_is_named():
    confusion = np.array([[5, 0, 0], [1, 0, 1], [0, 0, 6]])
    options = {"confusion": confusion, "classes": ("normal", "covid", "virus")}
    assert sentence(history(), config("quick"), **options) == (
        "COVID-19 is never predicted on the validation images: switch on Class weights under Advanced settings."
    )
    told = sentence(history(), config("quick", "class_weights=true"), **options)
    assert "Class weights" not in told and "Learning rate (now 0.005)" in told


def test_where_no_class_is_rare_class_weights_are_not_advised():
    confusion = np.array([[9, 0], [9, 0]])
    told = sentence(history(), config("quick"), confusion=confusion, classes=("normal", "covid"))
    assert told.startswith("COVID-19 is never predicted")
    assert "Class weights" not in told and "lower the Learning rate (now 0.005)" in told


def test_a_class_without_validation_images_is_not_missed():
    confusion = np.array([[5, 0], [0, 0]])
    assert names(history(), config("quick"), confusion=confusion, classes=("normal", "covid")) == []
