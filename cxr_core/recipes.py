"""What a training run does: one frozen configuration, and the named recipes it starts from."""

import json
import math
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from cxr_core.augment import Augmentation
from cxr_core.checks import check_kinds, settings_from_dict
from cxr_core.preprocess import Preprocessing
from cxr_core.split import SPLIT_KINDS, check_folds

STARTS = {
    "imagenet": "As trained on ImageNet; downloaded once where it is missing, 9 MB for MobileNetV2.",
    "shipped": "The backbone of the classifier that comes with CXR Lab; needs no network.",
}
SCHEDULES = {
    "plateau": "Falls to 0.3 of itself after a few epochs without a lower validation loss, as in the article.",
    "cosine": "A warm-up epoch at a tenth, then from the full rate down a cosine that is zero where training ends.",
}


@dataclass(frozen=True)
class Backbone:
    """A network of `keras.applications` to train on.

    Attributes:
        label: str, what people call it.
        note: str, one sentence: what it is and what it costs beside MobileNetV2.
        file: str, its ImageNet weights as Keras names them.
        folder: str, where Keras's weights server keeps that file.
        later_half: str, the first layer of the half that a fine-tuning trains.
        weights: int, how many it has.
        activations: float, how much its layers give out per image, MobileNetV2 being 1.
    """

    label: str
    note: str
    file: str
    folder: str
    later_half: str
    weights: int
    activations: float


BACKBONES = {
    "mobilenetv2": Backbone(
        "MobileNetV2",
        "The article's: 2.3 million weights, by far the fastest here.",
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        "mobilenet_v2",
        "block_8_expand",
        2_257_984,
        1.0,
    ),
    "efficientnetv2b0": Backbone(
        "EfficientNetV2-B0",
        "5.9 million weights; more than twice the computing of MobileNetV2, often more accurate (Tan & Le 2021).",
        "efficientnetv2-b0_notop.h5",
        "efficientnet_v2",
        "block5a_expand_conv",
        5_919_312,
        0.73,
    ),
    "densenet121": Backbone(
        "DenseNet121",
        "7 million weights; about nine times the computing. The usual one for radiographs since CheXNet.",
        "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "densenet",
        "conv4_block1_0_bn",
        7_037_504,
        2.29,
    ),
    "resnet50v2": Backbone(
        "ResNet50V2",
        "23.6 million weights; about eleven times the computing, and the most memory.",
        "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "resnet",
        "conv4_block1_preact_bn",
        23_564_800,
        1.44,
    ),
}


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
        copies: int >= 0. With `train_from` a layer: the frozen part of the network runs once over so many
            augmented copies of each image, which are kept on disk, and each epoch learns from another copy.
            Many times faster, and as varied as there are copies. 0 makes new copies in every epoch.
        head_first: bool, train the head alone on the frozen backbone's features before the backbone
            joins in, so that a random head does not spoil it (Kumar et al. 2022, arXiv:2202.10054).
        weight_average: float in (0, 1) or None, momentum of a moving average of the weights; validation
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
            classes are found equally well; see `operating_point.balancing_shifts`.
        schedule: a key of `SCHEDULES`, how the learning rate falls.
        plateau_patience: int >= 1, epochs without a lower validation loss before the learning rate
            falls to 0.3 of itself.
        stop_after: int or None, end after this many epochs without a lower validation loss.
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
    copies: int = 0
    head_first: bool = False
    weight_average: float | None = None
    freeze_batch_norm: bool = False
    batch_norm_momentum: float | None = None
    class_weights: bool = False
    label_smoothing: float = 0.0
    mixup: float = 0.0
    balance_classes: bool = False
    schedule: str = "plateau"
    plateau_patience: int = 2
    stop_after: int | None = None
    validation_share: float = 0.15
    test_share: float = 0.2
    folds: int = 0
    fold: int = 0
    export: bool = True
    gpus: int = 1
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    augmentation: Augmentation = field(default_factory=Augmentation)

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
                self.weight_average is None or 0 < self.weight_average < 1,
                "weight_average must lie between 0 and 1 or be None",
                self.weight_average,
            ),
            (
                self.copies == 0 or (self.copies > 0 and self.train_from not in ("all", "head")),
                "copies must be 0, or above 0 with train_from a layer",
                self.copies,
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
            (self.stop_after is None or self.stop_after >= 1, "stop_after must be at least 1 or None", self.stop_after),
            (self.gpus >= 1, "gpus must be at least 1", self.gpus),
        )
        for holds, rule, value in rules:
            if not holds:
                raise ValueError(f"{rule}; received {value!r}.")
        check_folds(self.split, self.folds, self.fold)

    def to_dict(self):
        """Return the configuration as nested plain dictionaries, as `config.json` holds it."""
        return asdict(self)


RECIPES = {
    "quick": {
        "epochs": 40,
        "batch_size": 64,
        "learning_rate": 5e-3,
        "head_units": (),
        "head_dropouts": (0.3,),
        "train_from": "head",
        "stop_after": 4,
        # Features that nobody trains say more of larger pictures: docs/experiments.md.
        "preprocessing": Preprocessing(size=320, scaling="-1..1"),
        "augmentation": Augmentation(rotation_degrees=0, horizontal_flip=False),
    },
    "finetune": {
        "epochs": 14,
        "batch_size": 32,
        "learning_rate": 5e-4,
        "head_units": (),
        "head_dropouts": (0.4,),
        "train_from": "block_6_expand",
        "copies": 14,
        "label_smoothing": 0.05,
        "weight_average": 0.99,
        "batch_norm_momentum": 0.9,
        "class_weights": True,
        "schedule": "cosine",
        "preprocessing": Preprocessing(clahe="after", interpolation="area", scaling="-1..1"),
        "augmentation": Augmentation(
            share=0.85,
            often=0.4,
            zoom=0.25,
            shift=0.08,
            frame=0.5,
            borrow_greys=1.0,
            borrow_sharpness=1.0,
            brightness=0.1,
            contrast=0.25,
            gamma=0.5,
            blur=1.3,
            noise=8.0,
            lettering=0.3,
            jpeg_quality=25,
        ),
    },
    "article": {},
}
RECIPE_NOTES = {
    "quick": "Frozen backbone, features once at 320 pixels, a small head. About a minute for 2,000 images.",
    "finetune": "The later part of the network learns too, on augmented copies. About ten minutes for 2,000 images.",
    "article": "The whole network learns, 50 epochs, as in the article. Hours for 2,000 images on two cores.",
}


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
    """
    if recipe not in RECIPES:
        raise ValueError(f"recipe must be one of {', '.join(RECIPES)}; received {recipe!r}.")
    settings_by_key = _parse_settings(settings)
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


def cosine_rate(config, epoch):
    """Return the learning rate of an epoch under the schedule "cosine".

    The first of several epochs, the warm-up, has a tenth of the configured rate, the second all of it. From there the
    rate falls along half a cosine whose zero is the end of the last epoch, so that this one still learns: of 14 epochs
    at 1.45 % of the rate, of two at all of it. A single epoch has the configured rate.

    Args:
        config: recipes.TrainingConfig.
        epoch: int, from 0.

    Source:
        Loshchilov & Hutter 2017, arXiv:1608.03983, one cycle; the slow first epoch lets Adam find its step sizes.
    """
    if config.epochs == 1:
        return config.learning_rate
    if epoch == 0:
        return config.learning_rate / 10
    share = (epoch - 1) / (config.epochs - 1)
    return config.learning_rate * (1 + math.cos(math.pi * share)) / 2


def imagenet_weights_path(backbone="mobilenetv2"):
    """Return where Keras keeps the ImageNet weights of a key of `BACKBONES`; the file may be missing."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    return home / "models" / BACKBONES[backbone].file


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
