"""Inputs for the core's settings objects; each returns a finished object."""

from dataclasses import replace

import streamlit as st

from cxr_core.recipes.backbones import BACKBONES, STARTS, imagenet_weights_path
from cxr_core.recipes.learning_rate import SCHEDULES
from cxr_core.recipes.presets import RECIPE_NOTES, RECIPES
from cxr_core.recipes.training_config import alone, make_config
from cxr_core.splits.split import SPLIT_KINDS, split_kinds
from ui.common.settings_forms import ask_augmentation


def cloned_config(runs):
    """Return the TrainingConfig whose settings the form is to be filled with, or None.

    Args:
        runs: list of run.Run to find the cloned one in.
    """
    name = st.session_state.get("cloned_run")
    run = next((run for run in runs if run.name == name), None)
    try:
        return run.config() if run else None
    except (FileNotFoundError, ValueError) as error:
        st.error(f"The settings of {name} cannot be read: {error}")
        return None


def ask_training(dataset, cloned=None):
    """Ask for a training's settings; a recipe, or an earlier run, fills them in.

    Args:
        dataset: dataset.Dataset to train on.
        cloned: training_config.TrainingConfig to begin with, or None.

    Returns:
        training_config.TrainingConfig, or None after a sentence that says what is wrong.
    """
    # A key of its own per source, so that another one fills the form anew.
    key = ""
    if cloned is not None:
        key = st.session_state["cloned_run"]
        with st.container(horizontal=True, vertical_alignment="center"):
            st.info(f"Filled with the settings of {key}.", icon=":material/content_copy:")
            if st.button("Start over", help="Back to the recipes' own settings."):
                del st.session_state["cloned_run"]
                st.rerun()
    left, right = st.columns(2)
    recipes, splits = list(RECIPES), split_kinds(dataset.table)
    recipe = left.selectbox(
        "Recipe",
        recipes,
        recipes.index(cloned.recipe) if cloned else 0,
        help="What is trained, and how long it takes.",
        key=f"{key}recipe",
    )
    left.caption(RECIPE_NOTES[recipe])
    split = right.selectbox(
        "Split",
        splits,
        splits.index(cloned.split) if cloned and cloned.split in splits else 0,
        help="Which images teach, which choose, which are kept for the end.",
        key=f"{key}split",
    )
    right.caption(SPLIT_KINDS[split])
    start_config = make_config(recipe, roots=dataset.roots)
    if cloned and cloned.recipe == recipe:
        start_config = replace(alone(cloned), roots=dataset.roots)
    key += recipe
    first, second, third, fourth = st.columns(4)
    epochs = first.number_input(
        "Epochs", 1, 500, start_config.epochs, help="Passes over the training images.", key=f"{key}_epochs"
    )
    batch_size = second.number_input(
        "Batch size", 1, 512, start_config.batch_size, help="Images per step.", key=f"{key}_batch"
    )
    learning_rate = third.number_input(
        "Learning rate", 1e-6, 1.0, start_config.learning_rate, format="%.6f", key=f"{key}_rate",
        help="Adam's step size; how it falls is said under Further settings.",
    )  # fmt: skip
    seed = fourth.number_input(
        "Seed", 0, 2**31 - 1, start_config.seed, help="Of split, weights, order and augmentation.", key=f"{key}_seed"
    )
    start_config = _ask_backbone(start_config, key)
    start = _ask_start(start_config, start_config.start if cloned else None, key)
    further = _ask_further(start_config, key)
    augmentation = start_config.augmentation
    if start_config.train_from == "head":
        st.caption("No augmentation: the features of a frozen backbone are computed once.")
    elif st.toggle(
        "Change the augmentation", help="See the Preprocessing page for what each one does.", key=f"{key}_augment"
    ):
        augmentation = ask_augmentation(augmentation, key=f"{key}_augmentation")
    try:
        return replace(
            start_config,
            split=split,
            epochs=int(epochs),
            batch_size=int(batch_size),
            learning_rate=float(learning_rate),
            seed=int(seed),
            start=start,
            augmentation=augmentation,
            **further,
        )
    except ValueError as error:
        st.error(str(error))
        return None


def _ask_further(start, key):
    """Ask for what most trainings leave as their recipe has it; returns a dict of TrainingConfig fields."""
    if not st.toggle("Further settings", help="Schedule, early stopping, class weights and more.", key=f"{key}_more"):
        return {}
    columns = st.columns(4)
    schedule = columns[0].selectbox(
        "Learning-rate schedule", list(SCHEDULES), list(SCHEDULES).index(start.schedule), key=f"{key}_schedule",
        help=" ".join(f"{name}: {text}" for name, text in SCHEDULES.items()) + " Costs nothing.",
    )  # fmt: skip
    patience = columns[1].number_input(
        "Plateau patience", 1, 100, start.plateau_patience, key=f"{key}_patience", disabled=schedule != "plateau",
        help="Epochs without a lower validation loss before the learning rate falls.",
    )  # fmt: skip
    early_stopping_patience = columns[2].number_input(
        "Stop early after", 0, 500, start.early_stopping_patience or 0, key=f"{key}_early",
        help="Epochs without a lower validation loss; 0 never stops early. Saves time, and may miss a late gain.",
    )  # fmt: skip
    smoothing = columns[3].slider(
        "Label smoothing", 0.0, 0.5, start.label_smoothing, 0.01, key=f"{key}_smoothing",
        help="Asks for a little less than certainty, which tames overconfidence. Costs nothing; the loss is no "
        "longer comparable with that of other runs.",
    )  # fmt: skip
    mixup = columns[0].slider(
        "MixUp", 0.0, 1.0, start.mixup, 0.05, key=f"{key}_mixup",
        help="Learns from blends of two images and their labels; 0 is off, 0.2 is usual. Costs no time per epoch, "
        "but more epochs; training accuracy looks lower than it is.",
    )  # fmt: skip
    weights = columns[1].toggle(
        "Class weights", start.class_weights, key=f"{key}_weights",
        help="Rare classes count more. Finds more of them, for more false alarms.",
    )  # fmt: skip
    return {
        "schedule": schedule,
        "plateau_patience": int(patience),
        "early_stopping_patience": int(early_stopping_patience) or None,
        "label_smoothing": float(smoothing),
        "mixup": float(mixup),
        "class_weights": weights,
    }


def _ask_backbone(start, key):
    """Ask for the backbone; returns the configuration with it, and with the layers it would train."""
    names = list(BACKBONES)
    backbone = st.selectbox(
        "Backbone",
        names,
        names.index(start.backbone),
        format_func=lambda name: BACKBONES[name].label,
        help="The network whose features are used. " + " ".join(f"{b.label}: {b.note}" for b in BACKBONES.values()),
        key=f"{key}_backbone",
    )
    st.caption(BACKBONES[backbone].note)
    if backbone == start.backbone:
        return start
    partly = start.train_from not in ("all", "head")
    train_from = BACKBONES[backbone].later_half if partly else start.train_from
    return replace(start, backbone=backbone, start="imagenet", train_from=train_from, cached_augmentations=0)


def _ask_start(config, chosen, key):
    at_hand = imagenet_weights_path(config.backbone).exists()
    if config.backbone != "mobilenetv2":
        if not at_hand:
            st.warning(
                f"{BACKBONES[config.backbone].label}'s ImageNet weights are not on this computer. They are downloaded "
                "when the training begins; without a network it fails and says so."
            )
        return "imagenet"
    choices = list(STARTS) if at_hand else list(reversed(STARTS))
    start = st.segmented_control(
        "Start from",
        choices,
        default=chosen or choices[0],
        format_func={"imagenet": "ImageNet", "shipped": "The shipped classifier's backbone"}.get,
        help="Where the backbone's weights come from; they are never random.",
        key=f"{key}_start",
    )
    start = start or choices[0]
    st.caption(STARTS[start])
    return start
