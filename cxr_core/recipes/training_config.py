"""Which settings decide the result of a training?"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from cxr_core.imaging.augmentation import Augmentation
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.recipes.backbones import BACKBONES
from cxr_core.recipes.presets import RECIPES
from cxr_core.splits.split import SPLIT_KINDS, check_folds
from cxr_core.system.renamed_keys import rename_training_settings
from cxr_core.system.validation import check_kinds, settings_from_dict

# For each rule: the field whose value an error names, whether a configuration keeps the rule, and the rule in words.
_RULES: tuple[tuple[str, Callable[["TrainingConfig"], bool], str], ...] = (
    ("recipe", lambda c: c.recipe in RECIPES, f"recipe must be one of {', '.join(RECIPES)}"),
    ("backbone", lambda c: c.backbone in BACKBONES, f"backbone must be one of {', '.join(BACKBONES)}"),
    (
        "backbone",
        lambda c: c.start != "shipped" or c.backbone == "mobilenetv2",
        "start=shipped has a MobileNetV2 to begin with; other backbones need start=imagenet",
    ),
    ("split", lambda c: c.split in SPLIT_KINDS, f"split must be one of {', '.join(SPLIT_KINDS)}"),
    (
        "test_source",
        lambda c: (c.split == "source") == bool(c.test_source),
        "the split by source needs a source to test on (test_source), and no other split does",
    ),
    ("seed", lambda c: c.seed >= 0, "seed must be at least 0"),
    ("epochs", lambda c: c.epochs >= 1, "epochs must be at least 1"),
    ("batch_size", lambda c: c.batch_size >= 1, "batch_size must be at least 1"),
    ("learning_rate", lambda c: 0 < c.learning_rate <= 1, "learning_rate must lie above 0 and be at most 1"),
    ("head_units", lambda c: all(units >= 1 for units in c.head_units), "head_units must be at least 1 each"),
    (
        "head_dropouts",
        lambda c: len(c.head_dropouts) - len(c.head_units) in (0, 1) and all(0 <= d < 1 for d in c.head_dropouts),
        "head_dropouts needs one value in [0, 1) per hidden layer, or one more",
    ),
    (
        "batch_norm_momentum",
        lambda c: c.batch_norm_momentum is None or 0 < c.batch_norm_momentum < 1,
        "batch_norm_momentum must lie between 0 and 1 or be None",
    ),
    (
        "ema_momentum",
        lambda c: c.ema_momentum is None or 0 < c.ema_momentum < 1,
        "ema_momentum must lie between 0 and 1 or be None",
    ),
    (
        "cached_augmentations",
        lambda c: c.cached_augmentations == 0 or (c.cached_augmentations > 0 and c.train_from not in ("all", "head")),
        "cached_augmentations must be 0, or above 0 with train_from a layer",
    ),
    ("label_smoothing", lambda c: 0 <= c.label_smoothing <= 0.5, "label_smoothing must lie between 0 and 0.5"),
    ("mixup", lambda c: 0 <= c.mixup <= 1, "mixup must lie between 0 and 1"),
    (
        "mixup",
        lambda c: not (c.mixup and (c.class_weights or c.source_weights)),
        "mixup blends classes, so it cannot be combined with class_weights or source_weights",
    ),
    ("plateau_patience", lambda c: c.plateau_patience >= 1, "plateau_patience must be at least 1"),
    (
        "early_stopping_patience",
        lambda c: c.early_stopping_patience is None or c.early_stopping_patience >= 1,
        "early_stopping_patience must be at least 1 or None",
    ),
    ("gpus", lambda c: c.gpus >= 1, "gpus must be at least 1"),
)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Everything that decides a run's result. The defaults are the article's recipe.

    Attributes:
        roots: data set folders.
        recipe: a key of `presets.RECIPES`, which the configuration started from.
        backbone: a key of `backbones.BACKBONES`.
        start: where the backbone's weights come from; see `backbones.STARTS`. "shipped" is for MobileNetV2 only.
        split: a key of `split.SPLIT_KINDS`.
        seed: at least 0; of the split, the initial weights, the order of the images and the augmentation.
        epochs: at least 1.
        batch_size: at least 1.
        learning_rate: in (0, 1], Adam's.
        head_units: widths of the hidden dense layers.
        head_dropouts: in [0, 1), the dropout after each hidden layer; one more than `head_units` puts the first
            before the first layer.
        train_from: "all", "head" (the backbone is frozen, features are computed once) or the name of the first
            backbone layer to train.
        cached_augmentations: where `train_from` names a layer, the frozen layers run once over this many augmented
            copies of each image; their activations are stored on disk, and each epoch uses another copy. Many times
            faster, with only as much variety as there are copies. 0 augments anew in every epoch.
        head_first: train the head alone on the frozen backbone's features before the backbone is trained, too, so that
            a random head does not spoil it (Kumar et al. 2022, arXiv:2202.10054).
        ema_momentum: in (0, 1), momentum of an exponential moving average of the weights, which validation and the
            best model then use (Izmailov et al. 2018, arXiv:1803.05407). None for no average.
        freeze_batch_norm: keep ImageNet's batch-normalisation statistics in the layers that are trained.
        batch_norm_momentum: in (0, 1), momentum of those statistics; None for Keras's 0.999, which lags behind on
            small data sets.
        class_weights: weight each class by the inverse of its frequency.
        source_weights: weight the sources within each class, so that no large one speaks for it alone; see
            `image_weights.source_weights`.
        label_smoothing: in [0, 0.5], proportion of the target that is spread over all classes (Szegedy et al. 2016,
            arXiv:1512.00567).
        mixup: in [0, 1], alpha of the Beta distribution that blends pairs of images and their labels; 0 is off
            (Zhang et al. 2018, arXiv:1710.09412).
        balance_classes: after training, shift the logits so that all classes have the same recall on the validation
            images; see `class_balance.balancing_shifts`.
        schedule: how the learning rate falls; see `learning_rate.SCHEDULES`.
        plateau_patience: at least 1, epochs without a lower validation loss before the learning rate is multiplied
            by 0.3.
        early_stopping_patience: at least 1, epochs without a lower validation loss before the training ends; None to
            train all epochs.
        validation_share: proportion of all images; see `split.make_split`.
        test_share: proportion of all images; see `split.make_split`.
        folds: number of folds of a cross-validation; 0 for none.
        fold: which of them, from 1, is the test set; 0 for none.
        test_source: the source that is the test set of the split by source; "" for none.
        export: export the best model and test it. A search exports only the trial that it chooses, so that no other
            one sees the test images.
        gpus: at least 1, number of this computer's GPUs that share each batch; `batch_size` is that of the whole batch,
            and a multiple of it.
        preprocessing: what every image goes through.
        augmentation: random changes to training images; not used with `train_from` "head".

    Raises:
        ValueError: a value is of the wrong kind or outside its range; the rule and the value are named.
    """

    roots: tuple[str, ...] = ()
    recipe: str = "article"
    backbone: str = "mobilenetv2"
    start: Literal["imagenet", "shipped"] = "imagenet"
    split: str = "grouped"
    seed: int = 0
    epochs: int = 50
    batch_size: int = 16
    learning_rate: float = 1e-3
    head_units: tuple[int, ...] = (512, 128, 64, 32)
    head_dropouts: tuple[float, ...] = (0.7, 0.5, 0.3, 0.3)
    train_from: str = "all"
    cached_augmentations: int = 0
    head_first: bool = False
    ema_momentum: float | None = None
    freeze_batch_norm: bool = False
    batch_norm_momentum: float | None = None
    class_weights: bool = False
    source_weights: bool = False
    label_smoothing: float = 0.0
    mixup: float = 0.0
    balance_classes: bool = False
    schedule: Literal["plateau", "cosine"] = "plateau"
    plateau_patience: int = 2
    early_stopping_patience: int | None = None
    validation_share: float = 0.15
    test_share: float = 0.2
    folds: int = 0
    fold: int = 0
    test_source: str = ""
    export: bool = True
    gpus: int = 1
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    augmentation: Augmentation = field(default_factory=Augmentation)

    @property
    def copies_come_later(self) -> bool:
        """True if near-duplicates are searched for after the training: only splits that keep groups together need them
        before."""
        return not self.keeps_groups

    @property
    def keeps_groups(self) -> bool:
        """True if images of a patient and copies stay on one side."""
        return self.split in ("grouped", "source")

    @property
    def validation_side(self) -> Literal["validation", "test"]:
        """The part of the split that the best epoch is chosen on; the article uses the test images."""
        return "test" if self.split == "article" else "validation"

    def __post_init__(self) -> None:
        check_kinds(self)
        for name, holds, rule in _RULES:
            if not holds(self):
                raise ValueError(f"{rule}; received {getattr(self, name)!r}.")
        check_folds(self.split, self.folds, self.fold)

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as nested plain dictionaries, as `config.json` holds it."""
        return asdict(self) | {"preprocessing": self.preprocessing.to_dict()}


def make_config(recipe: str, *, settings: Iterable[str] = (), **values: Any) -> TrainingConfig:
    """Build a configuration from a recipe.

    Args:
        recipe: a key of `presets.RECIPES`.
        settings: "key=value", as `--set` takes them; values are JSON or plain words, and a dot reaches inside:
            `preprocessing.clahe=after`, `augmentation.zoom=0.1`.
        **values: fields of the configuration, which override the recipe.

    Raises:
        ValueError: an unknown recipe or setting, or a value of the wrong kind or outside its range.

    Example:
        >>> from cxr_core import make_config
        >>> config = make_config("quick", settings=["epochs=3", "augmentation.zoom=0.1"])
        >>> config.epochs, config.augmentation.zoom
        (3, 0.1)
    """
    if recipe not in RECIPES:
        raise ValueError(f"recipe must be one of {', '.join(RECIPES)}; received {recipe!r}.")
    settings_by_key = rename_training_settings(_parse_settings(settings))
    changes = {}
    for name, base in (("preprocessing", Preprocessing()), ("augmentation", Augmentation())):
        inner = settings_by_key.pop(name, {})
        if not isinstance(inner, dict):
            raise ValueError(f"Settings of {name} are written {name}.key=value; received {inner!r}.")
        start = values.get(name) or RECIPES[recipe].get(name, base)
        changes[name] = settings_from_dict(type(base), start.to_dict() | inner)
    return settings_from_dict(TrainingConfig, {"recipe": recipe} | RECIPES[recipe] | values | settings_by_key | changes)


def config_from_dict(values: object) -> TrainingConfig:
    """Build a configuration from what `config.json` held.

    Raises:
        ValueError: no dictionary of settings, a setting that this version does not know, or a value outside its range.
    """
    if not isinstance(values, dict):
        raise ValueError(f"A training configuration is a dictionary of settings; received {values!r}.")
    settings = rename_training_settings(values)
    nested = {
        "preprocessing": settings_from_dict(Preprocessing, settings.get("preprocessing", {})),
        "augmentation": settings_from_dict(Augmentation, settings.get("augmentation", {})),
    }
    return settings_from_dict(TrainingConfig, settings | nested)


def config_of_card(training: dict[str, Any]) -> TrainingConfig:
    """Build the configuration of an exported classifier.

    Args:
        training: of its card, which tells more than settings, such as the numbers of images.

    Raises:
        ValueError: as for `config_from_dict`.
    """
    names = {one.name for one in fields(TrainingConfig)}
    return config_from_dict({name: value for name, value in training.items() if name in names})


def alone(config: TrainingConfig) -> TrainingConfig:
    """Return a configuration without what a job set: the same training on its own."""
    split = "grouped" if config.test_source else config.split
    return replace(config, split=split, folds=0, fold=0, test_source="", export=True)


def command_for(config: TrainingConfig, run_dir: str | Path) -> list[str]:
    """Return the command line that repeats a run, as the words after the interpreter."""
    words = ["-m", "cxr_core", "train", *config.roots, "--recipe", config.recipe]
    words += ["--split", config.split, "--seed", str(config.seed), "--run", str(run_dir)]
    base = make_config(
        config.recipe, roots=config.roots, split=config.split, seed=config.seed, test_source=config.test_source
    )
    if config.test_source:
        words += ["--set", f"test_source={json.dumps(config.test_source)}"]
    for key, value in _differences(asdict(base), asdict(config)):
        words += ["--set", f"{key}={json.dumps(value)}"]
    return words


def _differences(before: dict[str, Any], after: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (setting, value) for what differs; a dot reaches inside, as in `make_config`."""
    for key, value in after.items():
        if isinstance(value, dict):
            yield from _differences(before[key], value, f"{prefix}{key}.")
        elif value != before[key]:
            yield prefix + key, value


def _parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """Turn "key=value" and "outer.key=value" into a dictionary, with one inner dictionary per outer key."""
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"A setting is written key=value; received {setting!r}.")
        outer, dot, inner = key.partition(".")
        if not dot:
            values[key] = _parse_value(text)
        elif isinstance(values.setdefault(outer, {}), dict):
            values[outer][inner] = _parse_value(text)
    return values


def _parse_value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
