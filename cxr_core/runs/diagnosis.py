"""What does a training history show to be wrong, and which setting of the form changes it?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cxr_core.classes import class_label
from cxr_core.recipes.batch_norm_lag import batch_norm_momentum, lag_sentence
from cxr_core.recipes.training_config import TrainingConfig
from cxr_core.runs.overview import kept_epoch
from cxr_core.system.arrays import IntArray
from cxr_core.system.text import percent

_LEAST_EPOCHS = 3
# By how much the training accuracy may exceed the validation accuracy.
LARGE_GAP = 0.25
# Below this part of their initial value, the moving statistics of batch normalisation no longer matter.
_INITIAL_PART = 0.05
_STATISTICS_LAG = "The statistics of batch normalisation, which validation uses, still lag behind the weights."
# A class with fewer images than this part of the largest one is rare.
_RARE = 0.5
# A loss that rises, or falls, by less than this proportion tells nothing.
_RISE, _FALL = 0.1, 0.03
# By this factor a training loss has risen again, and not only wavered.
_AGAIN = 1.2


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a training.

    Attributes:
        name: "class never predicted", "learning rate too high", "lagging batch norm", "overfitting" or "too few
            epochs".
        sentence: what the history shows, and which control of the training form to change.
    """

    name: str
    sentence: str


def diagnose_training(
    epochs: pd.DataFrame,
    config: TrainingConfig,
    *,
    batches: int = 0,
    confusion: IntArray | None = None,
    classes: Sequence[str] = (),
) -> list[Finding]:
    """Say what is wrong with a training, the most severe first; nothing before its third epoch.

    Args:
        epochs: from `Run.epochs`.
        config: the run's.
        batches: of an epoch; 0 if unknown.
        confusion: int (C, C), counts of the validation images after the last epoch; rows true, columns predicted.
        classes: C names, in the order of `confusion`.
    """
    if len(epochs) < _LEAST_EPOCHS:
        return []
    never = [] if confusion is None else _never_predicted(config, confusion, classes)
    too_high = list(_learning_rate_too_high(epochs, config))
    if too_high:
        # What else the curves show comes of it.
        return [*never, *too_high]
    too_few = list(_too_few_epochs(epochs, config))
    lagging = list(_lagging_batch_norm(epochs, config, batches))
    if lagging:
        # A class that is never predicted comes of it, too.
        return [*lagging, *too_few]
    return [*never, *_overfitting(epochs, config), *too_few]


def _never_predicted(config: TrainingConfig, confusion: IntArray, classes: Sequence[str]) -> Iterable[Finding]:
    images, answers = np.asarray(confusion).sum(axis=1), np.asarray(confusion).sum(axis=0)
    rows = np.flatnonzero((images > 0) & (answers == 0))
    if not len(rows):
        return
    missing = [class_label(classes[int(row)]) for row in rows]
    are_rare = images[rows].max() < _RARE * images.max()
    if config.class_weights or config.mixup or not are_rare:
        advice = f"lower the Learning rate (now {config.learning_rate:g}) or train more Epochs (now {config.epochs})"
    else:
        advice = "switch on Class weights under Advanced settings"
    names = " and ".join(missing)
    are = "is" if len(missing) == 1 else "are"
    yield Finding("class never predicted", f"{names} {are} never predicted on the validation images: {advice}.")


def _learning_rate_too_high(epochs: pd.DataFrame, config: TrainingConfig) -> Iterable[Finding]:
    loss = epochs["loss"].to_numpy()
    best = int(loss.argmin())
    if loss[-1] >= loss[0]:
        shown = f"does not fall: {loss[0]:.2f} after the first epoch, {loss[-1]:.2f} after the last"
    elif best < len(loss) - 2 and loss[-1] > max(_AGAIN * loss[best], loss[best] + _RISE):
        shown = f"has risen again, from {loss[best]:.2f} after epoch {epochs['epoch'].iloc[best]} to {loss[-1]:.2f}"
    else:
        return
    yield Finding(
        "learning rate too high",
        f"The training loss {shown}. Lower the Learning rate (now {config.learning_rate:g}), for example to "
        f"{config.learning_rate / 5:.1g}.",
    )


def _lagging_batch_norm(epochs: pd.DataFrame, config: TrainingConfig, batches: int) -> Iterable[Finding]:
    last = epochs.iloc[-1]
    lags = batch_norm_momentum(config) ** (len(epochs) * batches) > _INITIAL_PART
    if config.train_from == "head" or config.freeze_batch_norm or not lags:
        return
    if last["accuracy"] - last["val_accuracy"] > LARGE_GAP:
        yield Finding(
            "lagging batch norm",
            f"{_gap_words(last)} {lag_sentence(config, batches) or _STATISTICS_LAG} Choose the Recipe article-sound or "
            f"finetune, whose statistics follow faster, or train more Epochs (now {config.epochs}).",
        )


def _overfitting(epochs: pd.DataFrame, config: TrainingConfig) -> Iterable[Finding]:
    last, kept = epochs.iloc[-1], kept_epoch(epochs)
    best = epochs[epochs["epoch"] == kept].iloc[0]
    has_risen = (
        last["epoch"] - kept >= _LEAST_EPOCHS - 1
        and last["val_loss"] > (1 + _RISE) * best["val_loss"]
        and last["loss"] < best["loss"]
    )
    if has_risen:
        shown = f"Since epoch {kept} the validation loss has risen and the training loss has fallen: overfitting."
    elif last["accuracy"] - last["val_accuracy"] > LARGE_GAP:
        shown = f"{_gap_words(last)} This is overfitting."
    else:
        return
    yield Finding("overfitting", f"{shown} {_against_overfitting(config)} Epoch {kept} is kept in any case.")


def _against_overfitting(config: TrainingConfig) -> str:
    advice = []
    if config.train_from != "head":
        advice.append("strengthen the changes under Change the augmentation")
    if not config.label_smoothing:
        advice.append("raise Label smoothing under Advanced settings")
    if not (config.mixup or config.class_weights or config.source_weights):
        advice.append("raise MixUp under Advanced settings")
    if not config.early_stopping_patience:
        advice.append("set an Early-stopping patience, which saves the time")
    words = ", or ".join(advice or [f"lower the Learning rate (now {config.learning_rate:g})"])
    return f"{words[0].upper()}{words[1:]}."


def _too_few_epochs(epochs: pd.DataFrame, config: TrainingConfig) -> Iterable[Finding]:
    loss = epochs["val_loss"].to_numpy()
    if len(loss) < config.epochs or kept_epoch(epochs) != epochs["epoch"].iloc[-1]:
        return
    if loss[-1] < (1 - _FALL) * loss[-_LEAST_EPOCHS]:
        yield Finding(
            "too few epochs",
            f"The validation loss was still falling when training ended: raise Epochs (now {config.epochs}).",
        )


def _gap_words(last: pd.Series) -> str:
    both = " vs ".join(percent(last[name], 0) for name in ("accuracy", "val_accuracy"))
    return f"Training and validation accuracy have diverged: {both}."
