"""What is each setting of a training called in the field's words, and how is its value written?"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cxr_core.recipes.training_config import TrainingConfig, make_config

# In the order of the form: what is trained, on what, how, and with which images.
WORDS = {
    "backbone": "Backbone", "start": "Initial weights", "train_from": "Trained layers",
    "head_units": "Hidden units of the head", "head_dropouts": "Dropout of the head",
    "head_first": "Head trained first, alone", "split": "Split", "test_source": "Source tested on",
    "test_share": "Test set, proportion of images", "validation_share": "Validation set, proportion of images",
    "folds": "Folds", "fold": "Fold tested on", "seed": "Seed", "epochs": "Epochs at most",
    "early_stopping_patience": "Early-stopping patience in epochs", "batch_size": "Batch size",
    "learning_rate": "Learning rate (Adam)", "schedule": "Learning-rate schedule",
    "plateau_patience": "Patience of the schedule in epochs", "cached_augmentations": "Cached augmentations per image",
    "ema_momentum": "EMA momentum of the weights", "freeze_batch_norm": "Batch-norm statistics of ImageNet kept",
    "batch_norm_momentum": "Batch-norm momentum", "class_weights": "Classes weighted equally",
    "source_weights": "Sources weighted within each class", "label_smoothing": "Label smoothing",
    "mixup": "Mixup alpha", "balance_classes": "Logits shifted to equal recall", "export": "Best model exported",
    "gpus": "GPUs",
    "preprocessing.white_balance_percent": "White balance, percentile in %", "preprocessing.clahe": "CLAHE",
    "preprocessing.clahe_clip_limit": "CLAHE clip limit", "preprocessing.clahe_tiles": "CLAHE tiles per side",
    "preprocessing.aspect": "Aspect", "preprocessing.interpolation": "Interpolation",
    "preprocessing.size": "Side of the input in pixels", "preprocessing.scaling": "Range of the input",
    "preprocessing.further_steps": "Further preprocessing steps",
    "augmentation.p_image": "Proportion augmented", "augmentation.p_transform": "Probability of each change",
    "augmentation.rotation_degrees": "Rotation in degrees", "augmentation.horizontal_flip": "Mirrored left and right",
    "augmentation.zoom": "Zoom", "augmentation.shift": "Shift, proportion of the side",
    "augmentation.frame": "Grey border", "augmentation.histogram_matching": "Histogram matching",
    "augmentation.spectrum_matching": "Sharpness matching", "augmentation.brightness": "Brightness",
    "augmentation.contrast": "Contrast", "augmentation.blur": "Blur in pixels",
    "augmentation.resolution": "Lost resolution", "augmentation.jpeg_quality": "Lowest JPEG quality",
    "augmentation.gamma": "Gamma", "augmentation.noise": "Noise in grey values",
    "augmentation.text_overlay": "Random text", "augmentation.outside_lungs": "Outside the lungs replaced",
}  # fmt: skip
# Told beside the table.
_TOLD_ELSEWHERE = {"roots", "recipe"}


@dataclass(frozen=True)
class SettingInWords:
    """One setting of a training.

    Attributes:
        words: what it is called.
        value: as it was, written for a person.
        recipe_value: as the recipe has it.
    """

    words: str
    value: str
    recipe_value: str

    @property
    def differs(self) -> bool:
        """True where the value is not the recipe's."""
        return self.value != self.recipe_value


def settings_in_words(config: TrainingConfig) -> list[SettingInWords]:
    """Return all settings but the data set's folders and the recipe, those that differ from the recipe's first."""
    values, recipe_values = (_flat(one) for one in (config, make_config(config.recipe)))
    settings = [
        SettingInWords(words, value_text(values[name]), value_text(recipe_values[name]))
        for name, words in WORDS.items()
        if not (name.startswith("augmentation.") and config.train_from == "head")
    ]
    return sorted(settings, key=lambda setting: not setting.differs)


def value_text(value: object) -> str:
    """Write the value of a setting: "yes", "off", "0.001", "512, 128"."""
    if value is None:
        return "off"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(value_text(one) for one in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value) or "none"


def _flat(config: TrainingConfig) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in asdict(config).items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{inner}": one for inner, one in value.items()}
        elif name not in _TOLD_ELSEWHERE:
            found[name] = value
    return found
