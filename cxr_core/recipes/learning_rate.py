"""How the learning rate falls."""

import math

SCHEDULES = {
    "plateau": "Falls to 0.3 of itself after a few epochs without a lower validation loss, as in the article.",
    "cosine": "A warm-up epoch at a tenth, then from the full rate down a cosine that is zero where training ends.",
}


def cosine_rate(config, epoch):
    """Return the learning rate of an epoch under the schedule "cosine".

    The first of several epochs, the warm-up, has a tenth of the configured rate, the second all of it. From there the
    rate falls along half a cosine whose zero is the end of the last epoch, so that this one still learns: of 14 epochs
    at 1.45 % of the rate, of two at all of it. A single epoch has the configured rate.

    Args:
        config: training_config.TrainingConfig.
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
