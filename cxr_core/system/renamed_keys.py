"""Under which name does an older file hold this? Runs, cards and commands of earlier versions are read here alone."""

from collections.abc import Mapping
from typing import Any

# Old name to present name: settings of a training, of its augmentation, and counts of an operating point.
TRAINING_SETTINGS = {
    "copies": "cached_augmentations",
    "weight_average": "ema_momentum",
    "stop_after": "early_stopping_patience",
}
AUGMENTATION_SETTINGS = {
    "share": "p_image",
    "often": "p_transform",
    "borrow_greys": "histogram_matching",
    "borrow_sharpness": "spectrum_matching",
    "lettering": "text_overlay",
}
OPERATING_POINT_COUNTS = {
    "found": "true_positives",
    "missed": "false_negatives",
    "false_alarms": "false_positives",
    "rightly_none": "true_negatives",
}


def rename_keys(values: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Return a copy of a dictionary under present names.

    Args:
        values: the dictionary; of an old and the present name for the same thing, the later entry counts.
        renamed: present name for each old name.
    """
    return {renamed.get(key, key): value for key, value in values.items()}


def rename_training_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a training's settings, nested as in `config.json` or a model card, under present names."""
    current = rename_keys(values, TRAINING_SETTINGS)
    if isinstance(current.get("augmentation"), dict):
        current["augmentation"] = rename_keys(current["augmentation"], AUGMENTATION_SETTINGS)
    return current
