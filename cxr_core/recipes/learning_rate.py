"""How does the learning rate fall?"""

import math

from cxr_core.recipes.training_config import TrainingConfig

SCHEDULES = {
    "plateau": "Multiplied by 0.3 after a few epochs without a lower validation loss, as in the article.",
    "cosine": "A warm-up epoch at a tenth of the rate, then from the full rate by cosine decay to zero.",
}


def cosine_rate(config: TrainingConfig, epoch: int) -> float:
    """Return the learning rate of an epoch under the schedule "cosine".

    The first of several epochs is a warm-up at a tenth of the configured rate, the second has the full rate. From
    there the rate falls along half a cosine that reaches zero at the end of the last epoch, so that this one still
    learns: the last of 14 epochs has 1.45 % of the rate, the last of two all of it. A single epoch has the configured
    rate.

    Args:
        config: gives the learning rate and the number of epochs.
        epoch: counted from 0.

    Source:
        Loshchilov & Hutter 2017, arXiv:1608.03983, one cycle; during the warm-up Adam finds its step sizes.
    """
    if config.epochs == 1:
        return config.learning_rate
    if epoch == 0:
        return config.learning_rate / 10
    share = (epoch - 1) / (config.epochs - 1)
    return config.learning_rate * (1 + math.cos(math.pi * share)) / 2
