"""For how long does validation lag behind training, because it uses batch normalisation's running statistics?"""

from cxr_core.recipes.training_config import TrainingConfig

KERAS_MOMENTUM = 0.999
# A lag of fewer epochs is over before anybody wonders.
_LEAST_EPOCHS = 2.0


def batch_norm_momentum(config: TrainingConfig) -> float:
    """Return the momentum of a training's running statistics."""
    return KERAS_MOMENTUM if config.batch_norm_momentum is None else config.batch_norm_momentum


def batch_norm_lag(config: TrainingConfig, batches: int) -> float:
    """Estimate for how many epochs the running statistics lag behind the weights; 0.0 where that is no matter.

    An exponential moving average of momentum m looks back over 1 / (1 - m) batches. While the weights change fast,
    the statistics are those of weights that are no more, and validation, which uses them, may be near chance.

    Args:
        config: of the training.
        batches: of an epoch; 0 if unknown.
    """
    if config.train_from == "head" or config.freeze_batch_norm or batches < 1:
        return 0.0
    epochs = 1 / (1 - batch_norm_momentum(config)) / batches
    return epochs if epochs >= _LEAST_EPOCHS else 0.0


def batches_per_epoch(config: TrainingConfig, images: int) -> int:
    """Estimate the batches of an epoch from the number of all images, before they are split."""
    held_out = config.test_share + (0 if config.split == "article" else config.validation_share)
    return int((1 - held_out) * images) // config.batch_size


def lag_sentence(config: TrainingConfig, batches: int) -> str:
    """Say what to expect of the first epochs; "" where validation does not lag.

    Args:
        config: of the training.
        batches: of an epoch; 0 if unknown.
    """
    lag = batch_norm_lag(config, batches)
    if not lag:
        return ""
    how_long = f"about {lag:.0f}" if lag < config.epochs else f"all {config.epochs}"
    return (
        f"Validation lags for {how_long} epochs with this recipe: batch-norm statistics. They average over the "
        f"last {1 / (1 - batch_norm_momentum(config)):,.0f} batches (momentum {batch_norm_momentum(config):g}), so "
        "validation accuracy may drop to chance while training accuracy is high."
    )
