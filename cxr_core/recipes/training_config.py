"""What a training run does: one frozen configuration, and the named recipes it starts from."""

import json
from dataclasses import asdict, dataclass, field, replace

from cxr_core.imaging.augmentation import Augmentation
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.recipes.backbones import BACKBONES, STARTS
from cxr_core.recipes.learning_rate import SCHEDULES
from cxr_core.recipes.presets import RECIPES
from cxr_core.splits.split import SPLIT_KINDS, check_folds
from cxr_core.system.renamed_keys import rename_training_settings
from cxr_core.system.validation import check_kinds, settings_from_dict


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Everything that decides a run's result. The defaults are the article's recipe.

    Attributes:
        roots: tuple of str, data set folders.
        recipe: name the configuration started from.
        backbone: a key of `BACKBONES`.
        start: "imagenet" or "shipped" (MobileNetV2 only), where the backbone's weights come from.
        split: a key of `split.SPLIT_KINDS`.
        seed: int >= 0, of split, weights, order and augmentation.
        epochs, batch_size: int >= 1.
        learning_rate: float in (0, 1], Adam's.
        head_units, head_dropouts: widths of the hidden dense layers and the dropout after each;
            one more dropout than widths puts one before the first layer.
        train_from: "all", "head" (the backbone is frozen, features are computed once) or the name
            of the first backbone layer to train.
        cached_augmentations: int >= 0. With `train_from` a layer: the frozen part of the network runs once over so many
            augmented copies of each image, which are kept on disk, and each epoch learns from another copy.
            Many times faster, and as varied as there are copies. 0 makes new copies in every epoch.
        head_first: bool, train the head alone on the frozen backbone's features before the backbone
            joins in, so that a random head does not spoil it (Kumar et al. 2022, arXiv:2202.10054).
        ema_momentum: float in (0, 1) or None, momentum of a moving average of the weights; validation
            and the best model then use the average (Izmailov et al. 2018, arXiv:1803.05407).
        freeze_batch_norm: bool, keep ImageNet's statistics in the layers that are trained.
        batch_norm_momentum: float in (0, 1) or None, how slowly the moving statistics follow; None
            leaves Keras's 0.999, which lags behind on small data sets.
        class_weights: bool, weigh each class by the inverse of its share.
        label_smoothing: float in [0, 0.5], share of the target that is spread over all classes
            (Szegedy et al. 2016, arXiv:1512.00567).
        mixup: float in [0, 1], alpha of the Beta distribution that blends pairs of images and their
            labels; 0 is off (Zhang et al. 2018, arXiv:1710.09412).
        balance_classes: bool, shift the class scores after training so that on the validation images all
            classes are found equally well; see `class_balance.balancing_shifts`.
        schedule: a key of `SCHEDULES`, how the learning rate falls.
        plateau_patience: int >= 1, epochs without a lower validation loss before the learning rate
            falls to 0.3 of itself.
        early_stopping_patience: int or None, end after this many epochs without a lower validation loss.
        validation_share, test_share: shares of all images; see `split.make_split`.
        folds, fold: int, which of how many folds is the test side, or both 0; see `split.make_split`.
        export: bool, export the best model and test it. A search leaves that to the one trial it chooses, so
            that no other meets the test images.
        gpus: int >= 1, how many of this computer's GPUs share each batch; the batch size stays that of all together.
        preprocessing, augmentation: see there. "head" training uses no augmentation.

    Raises:
        ValueError: a value outside its range; the rule and the value are named.
    """

    roots: tuple = ()
    recipe: str = "article"
    backbone: str = "mobilenetv2"
    start: str = "imagenet"
    split: str = "grouped"
    seed: int = 0
    epochs: int = 50
    batch_size: int = 16
    learning_rate: float = 1e-3
    head_units: tuple = (512, 128, 64, 32)
    head_dropouts: tuple = (0.7, 0.5, 0.3, 0.3)
    train_from: str = "all"
    cached_augmentations: int = 0
    head_first: bool = False
    ema_momentum: float | None = None
    freeze_batch_norm: bool = False
    batch_norm_momentum: float | None = None
    class_weights: bool = False
    label_smoothing: float = 0.0
    mixup: float = 0.0
    balance_classes: bool = False
    schedule: str = "plateau"
    plateau_patience: int = 2
    early_stopping_patience: int | None = None
    validation_share: float = 0.15
    test_share: float = 0.2
    folds: int = 0
    fold: int = 0
    export: bool = True
    gpus: int = 1
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    augmentation: Augmentation = field(default_factory=Augmentation)

    @property
    def copies_come_later(self):
        """Whether near copies are looked for after the training: only a grouped split needs them before."""
        return self.split != "grouped"

    @property
    def validation_side(self):
        """The side of the split that chooses the epoch; in the article's way the test images do."""
        return "test" if self.split == "article" else "validation"

    def __post_init__(self):
        check_kinds(self)
        rules = (
            (self.recipe in RECIPES, f"recipe must be one of {', '.join(RECIPES)}", self.recipe),
            (self.backbone in BACKBONES, f"backbone must be one of {', '.join(BACKBONES)}", self.backbone),
            (
                self.start != "shipped" or self.backbone == "mobilenetv2",
                "start=shipped has a MobileNetV2 to begin with; other backbones need start=imagenet",
                self.backbone,
            ),
            (self.start in STARTS, f"start must be one of {', '.join(STARTS)}", self.start),
            (self.split in SPLIT_KINDS, f"split must be one of {', '.join(SPLIT_KINDS)}", self.split),
            (self.seed >= 0, "seed must be a whole number from 0", self.seed),
            (self.epochs >= 1, "epochs must be at least 1", self.epochs),
            (
                self.batch_size >= 1,
                "batch_size must be at least 1",
                self.batch_size,
            ),
            (0 < self.learning_rate <= 1, "learning_rate must lie above 0 and at most at 1", self.learning_rate),
            (
                len(self.head_dropouts) - len(self.head_units) in (0, 1)
                and all(0 <= d < 1 for d in self.head_dropouts)
                and all(u >= 1 for u in self.head_units),
                "head_dropouts needs one value in [0, 1) per hidden layer, or one more",
                self.head_dropouts,
            ),
            (
                self.batch_norm_momentum is None or 0 < self.batch_norm_momentum < 1,
                "batch_norm_momentum must lie between 0 and 1 or be None",
                self.batch_norm_momentum,
            ),
            (
                self.ema_momentum is None or 0 < self.ema_momentum < 1,
                "ema_momentum must lie between 0 and 1 or be None",
                self.ema_momentum,
            ),
            (
                self.cached_augmentations == 0
                or (self.cached_augmentations > 0 and self.train_from not in ("all", "head")),
                "cached_augmentations must be 0, or above 0 with train_from a layer",
                self.cached_augmentations,
            ),
            (0 <= self.label_smoothing <= 0.5, "label_smoothing must lie between 0 and 0.5", self.label_smoothing),
            (0 <= self.mixup <= 1, "mixup must lie between 0 and 1", self.mixup),
            (
                not (self.mixup and self.class_weights),
                "mixup blends classes, so class_weights must be off with it",
                self.mixup,
            ),
            (self.schedule in SCHEDULES, f"schedule must be one of {', '.join(SCHEDULES)}", self.schedule),
            (self.plateau_patience >= 1, "plateau_patience must be at least 1", self.plateau_patience),
            (
                self.early_stopping_patience is None or self.early_stopping_patience >= 1,
                "early_stopping_patience must be at least 1 or None",
                self.early_stopping_patience,
            ),
            (self.gpus >= 1, "gpus must be at least 1", self.gpus),
        )
        for holds, rule, value in rules:
            if not holds:
                raise ValueError(f"{rule}; received {value!r}.")
        check_folds(self.split, self.folds, self.fold)

    def to_dict(self):
        """Return the configuration as nested plain dictionaries, as `config.json` holds it."""
        return asdict(self)


def make_config(recipe, *, settings=(), **values):
    """Build a configuration from a recipe.

    Args:
        recipe: a key of `RECIPES`.
        settings: iterable of "key=value" as `--set` takes them; values are JSON or plain words, and
            a dot reaches inside: `preprocessing.clahe=after`, `augmentation.zoom=0.1`.
        **values: TrainingConfig fields that win over the recipe.

    Returns:
        TrainingConfig.

    Raises:
        ValueError: an unknown recipe or key, or a value outside its range.

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
            raise ValueError(f"{name} has settings of its own, written {name}.key=value; received {inner!r}.")
        start = values.get(name) or RECIPES[recipe].get(name, base)
        changes[name] = settings_from_dict(type(base), start.to_dict() | inner)
    return settings_from_dict(TrainingConfig, {"recipe": recipe} | RECIPES[recipe] | values | settings_by_key | changes)


def config_from_dict(values):
    """Build a TrainingConfig from `config.json`; ValueError names what an older or newer file adds."""
    if not isinstance(values, dict):
        raise ValueError(f"A training configuration holds named settings; received {values!r}.")
    values = rename_training_settings(values)
    nested = {
        "preprocessing": settings_from_dict(Preprocessing, values.get("preprocessing", {})),
        "augmentation": settings_from_dict(Augmentation, values.get("augmentation", {})),
    }
    tuples = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    return settings_from_dict(TrainingConfig, values | nested | tuples)


def alone(config):
    """Return a TrainingConfig without what a job set: the same training on its own."""
    return replace(config, folds=0, fold=0, export=True)


def command_for(config, run_dir):
    """Return the command line that repeats a run, as a list of words after the interpreter."""
    words = ["-m", "cxr_core", "train", *config.roots, "--recipe", config.recipe]
    words += ["--split", config.split, "--seed", str(config.seed), "--run", str(run_dir)]
    base = make_config(config.recipe, roots=config.roots, split=config.split, seed=config.seed)
    for key, value in _differences(base.to_dict(), config.to_dict()):
        words += ["--set", f"{key}={json.dumps(value)}"]
    return words


def _differences(before, after, prefix=""):
    for key, value in after.items():
        if isinstance(value, dict):
            yield from _differences(before[key], value, f"{prefix}{key}.")
        elif value != before[key]:
            yield prefix + key, value


def _parse_settings(settings):
    """Turn "key=value" and "outer.key=value" into a dict, with one inner dict per outer key."""
    values = {}
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


def _parse_value(text):
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = text
    return tuple(value) if isinstance(value, list) else value
