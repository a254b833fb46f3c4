"""Under which name does an older file hold this? Runs, cards and commands of earlier versions are read here alone."""

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


def rename_keys(values, renamed):
    """Return a copy of a dict under present names.

    Args:
        values: dict of str to anything; where it holds an old and the present name, the one that comes later counts.
        renamed: dict of old name to present name.
    """
    return {renamed.get(key, key): value for key, value in values.items()}


def rename_training_settings(values):
    """Return a training's settings, a nested dict as `config.json` or a card holds it, under present names."""
    current = rename_keys(values, TRAINING_SETTINGS)
    if isinstance(current.get("augmentation"), dict):
        current["augmentation"] = rename_keys(current["augmentation"], AUGMENTATION_SETTINGS)
    return current
