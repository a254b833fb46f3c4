"""What is to be trained, and how? The form returns a finished configuration."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cxr_core.data.dataset import Dataset
from cxr_core.imaging.augmentation import Augmentation
from cxr_core.recipes.backbones import BACKBONES, STARTS, imagenet_weights_path
from cxr_core.recipes.batch_norm_lag import batches_per_epoch, lag_sentence
from cxr_core.recipes.learning_rate import SCHEDULES
from cxr_core.recipes.presets import RECIPE_NOTES, RECIPES
from cxr_core.recipes.training_config import TrainingConfig, alone, make_config
from cxr_core.runs.run import Run
from cxr_core.splits.split import SPLIT_KINDS, split_kinds
from ui.common.components import plain_error
from ui.common.markdown import plain_name, plain_text
from ui.common.settings_forms import ask_augmentation

_START_LABELS = {"imagenet": "ImageNet", "shipped": "The built-in classifier's backbone"}


def cloned_config(runs: Iterable[Run]) -> TrainingConfig | None:
    """Return the configuration of the run among these that is to fill in the form, or None."""
    name = st.session_state.get("cloned_run")
    run = next((run for run in runs if run.name == name), None)
    try:
        return run.config() if run else None
    except (FileNotFoundError, ValueError) as error:
        st.error(f"The settings of {plain_name(str(name))} cannot be read: {plain_error(error)}")
        return None


def ask_training(dataset: Dataset, cloned: TrainingConfig | None = None) -> TrainingConfig | None:
    """Ask for the settings of a training run; a recipe or an earlier run fills them in.

    Args:
        dataset: to train on.
        cloned: settings to begin with, or None for those of the recipe.

    Returns:
        The configuration; None, after a sentence that says what is wrong, where it is invalid.
    """
    # A key of its own per source, so that another one fills in the form anew.
    source = "" if cloned is None else _show_cloned()
    start, split = _ask_recipe(dataset, cloned, source)
    key = source + start.recipe
    changes = {"split": split} | _ask_numbers(start, key)
    start = _ask_backbone(start, key)
    changes["start"] = _ask_start(start, start.start if cloned else None, key)
    changes |= _ask_advanced(start, key)
    changes["augmentation"] = _ask_augmentation(start, key)
    try:
        config = replace(start, **changes)
    except ValueError as error:
        st.error(plain_error(error))
        return None
    expected = lag_sentence(config, batches_per_epoch(config, len(dataset.table)))
    if expected:
        st.info(f"{plain_text(expected)} The recipe article-sound does not wait.", icon=":material/hourglass_top:")
    return config


def _show_cloned() -> str:
    """Say which run filled in the form, and offer to start over; returns what the keys of the widgets begin with."""
    name: str = st.session_state["cloned_run"]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.info(f"Filled in with the settings of {plain_name(name)}.", icon=":material/content_copy:")
        if st.button("Start over", help="Restores the recipe's own settings."):
            del st.session_state["cloned_run"]
            st.rerun()
    # Cloned once more, a run fills in the form anew.
    return f"{name} {st.session_state.get('clones', 0)} "


def _ask_recipe(dataset: Dataset, cloned: TrainingConfig | None, key: str) -> tuple[TrainingConfig, str]:
    """Ask for recipe and split; returns the settings that the rest of the form begins with, and the split."""
    left, right = st.columns(2)
    recipes, splits = list(RECIPES), split_kinds(dataset.table)
    recipe = left.selectbox(
        "Recipe", recipes, recipes.index(cloned.recipe) if cloned else 0, key=f"{key}recipe", persist_state="session",
        help="What is trained, and how long it takes.",
    )  # fmt: skip
    left.caption(RECIPE_NOTES[recipe])
    split = right.selectbox(
        "Split", splits, splits.index(cloned.split) if cloned and cloned.split in splits else 0,
        key=f"{key}split", persist_state="session",
        help="Which images train, validate and test.",
    )  # fmt: skip
    right.caption(SPLIT_KINDS[split])
    if cloned and cloned.recipe == recipe:
        return replace(alone(cloned), roots=dataset.roots), split
    return make_config(recipe, roots=dataset.roots), split


def _ask_numbers(start: TrainingConfig, key: str) -> dict[str, Any]:
    """Ask for the numbers of every training run."""
    first, second, third, fourth = st.columns(4)
    epochs = first.number_input(
        "Epochs",
        1,
        500,
        start.epochs,
        help="Passes over the training images.",
        key=f"{key}_epochs",
        persist_state="session",
    )
    batch_size = second.number_input(
        "Batch size",
        1,
        512,
        start.batch_size,
        help="Images per training step.",
        key=f"{key}_batch",
        persist_state="session",
    )
    learning_rate = third.number_input(
        "Learning rate", 1e-6, 1.0, start.learning_rate, format="%.6f", key=f"{key}_rate", persist_state="session",
        help="Of the Adam optimiser. Its schedule is under Advanced settings.",
    )  # fmt: skip
    seed = fourth.number_input(
        "Seed", 0, 2**31 - 1, start.seed, key=f"{key}_seed", persist_state="session",
        help="Of the split, the initial weights, the order of the images and the augmentation.",
    )  # fmt: skip
    return {
        "epochs": int(epochs),
        "batch_size": int(batch_size),
        "learning_rate": float(learning_rate),
        "seed": int(seed),
    }


def _ask_backbone(start: TrainingConfig, key: str) -> TrainingConfig:
    """Ask for the backbone; returns the settings with it, and with the layers that it would train."""
    names = list(BACKBONES)
    backbone = st.selectbox(
        "Backbone",
        names,
        names.index(start.backbone),
        format_func=lambda name: BACKBONES[name].label,
        help="The network that computes the features. " + " ".join(f"{b.label}: {b.note}" for b in BACKBONES.values()),
        key=f"{key}_backbone",
        persist_state="session",
    )
    st.caption(BACKBONES[backbone].note)
    if backbone == start.backbone:
        return start
    partly = start.train_from not in ("all", "head")
    train_from = BACKBONES[backbone].later_half if partly else start.train_from
    return replace(start, backbone=backbone, start="imagenet", train_from=train_from, cached_augmentations=0)


def _ask_start(config: TrainingConfig, chosen: str | None, key: str) -> str:
    """Ask where the backbone's weights come from; only MobileNetV2 leaves a choice."""
    at_hand = imagenet_weights_path(config.backbone).exists()
    if config.backbone != "mobilenetv2":
        if not at_hand:
            st.warning(
                f"{BACKBONES[config.backbone].label}'s ImageNet weights are not on this computer. They are downloaded "
                "when training starts; without an internet connection, training stops with an error."
            )
        return "imagenet"
    choices = list(STARTS) if at_hand else list(reversed(STARTS))
    start = st.segmented_control(
        "Start from",
        choices,
        default=chosen or choices[0],
        format_func=_START_LABELS.__getitem__,
        help="Where the backbone's initial weights come from; they are never random.",
        key=f"{key}_start",
        persist_state="session",
        required=True,
    )
    st.caption(STARTS[start])
    return start


def _ask_advanced(start: TrainingConfig, key: str) -> dict[str, Any]:
    """Ask for what most training runs leave as their recipe has it; empty while the toggle is off."""
    if not st.toggle(
        "Advanced settings",
        help="Schedule, early stopping, class weights and more.",
        key=f"{key}_more",
        persist_state="session",
    ):
        return {}
    columns = st.columns(4)
    return _ask_schedule(columns, start, key) | _ask_loss(columns, start, key)


def _ask_schedule(columns: Sequence[DeltaGenerator], start: TrainingConfig, key: str) -> dict[str, Any]:
    """Ask how the learning rate changes, and when training ends early."""
    schedule = columns[0].selectbox(
        "Learning-rate schedule", list(SCHEDULES), list(SCHEDULES).index(start.schedule),
        key=f"{key}_schedule", persist_state="session",
        help=" ".join(f"{name}: {text}" for name, text in SCHEDULES.items()) + " Neither costs time.",
    )  # fmt: skip
    plateau_patience = columns[1].number_input(
        "Plateau patience", 1, 100, start.plateau_patience,
        key=f"{key}_patience", persist_state="session", disabled=schedule != "plateau",
        help="Epochs without a lower validation loss before the learning rate falls.",
    )  # fmt: skip
    early_stopping_patience = columns[2].number_input(
        "Early-stopping patience", 0, 500, start.early_stopping_patience or 0,
        key=f"{key}_early", persist_state="session",
        help="Epochs without a lower validation loss before training ends; 0 switches early stopping off. Saves time, "
        "but may miss a late improvement.",
    )  # fmt: skip
    return {
        "schedule": schedule,
        "plateau_patience": int(plateau_patience),
        "early_stopping_patience": int(early_stopping_patience) or None,
    }


def _ask_loss(columns: Sequence[DeltaGenerator], start: TrainingConfig, key: str) -> dict[str, Any]:
    """Ask for what changes the targets and the weights of the loss."""
    smoothing = columns[3].slider(
        "Label smoothing", 0.0, 0.5, start.label_smoothing, 0.01, key=f"{key}_smoothing", persist_state="session",
        help="Targets slightly less than certainty, which reduces overconfidence. Costs no time; the loss is no longer "
        "comparable with that of other runs.",
    )  # fmt: skip
    mixup = columns[0].slider(
        "MixUp", 0.0, 1.0, start.mixup, 0.05, key=f"{key}_mixup", persist_state="session",
        help="Trains on blends of two images and their labels; 0 is off, 0.2 is usual. Costs no time per epoch but "
        "needs more epochs; the training accuracy looks lower than it is.",
    )  # fmt: skip
    weights = columns[1].toggle(
        "Class weights", start.class_weights, key=f"{key}_weights", persist_state="session",
        help="Rare classes count more in the loss: more of their images are found, at the price of more false alarms.",
    )  # fmt: skip
    sources = columns[2].toggle(
        "Source weights", start.source_weights, key=f"{key}_sources", persist_state="session",
        help="Within each class, large sources (hospitals, collections) count less than they have images, so that none "
        "speaks for its class alone. Needs a column source, or several data set folders.",
    )  # fmt: skip
    return {
        "label_smoothing": float(smoothing),
        "mixup": float(mixup),
        "class_weights": weights,
        "source_weights": sources,
    }


def _ask_augmentation(start: TrainingConfig, key: str) -> Augmentation:
    """Ask for the augmentation, where the settings use one and the user wants to change it."""
    if start.train_from == "head":
        st.caption("No augmentation: the features of the frozen backbone are computed only once.")
    elif st.toggle(
        "Change the augmentation",
        help="The Preprocessing page shows what each change does.",
        key=f"{key}_augment",
        persist_state="session",
    ):
        return ask_augmentation(start.augmentation, key=f"{key}_augmentation")
    return start.augmentation
