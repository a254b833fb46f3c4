"""How the learning rate falls."""

import math

SCHEDULES = {
    "plateau": "Falls to 0.3 of itself after a few epochs without a lower validation loss, as in the article.",
    "cosine": "A first epoch at a tenth, then down along a cosine to nothing at the last epoch.",
}


def cosine_rate(config, epoch):
    """Return the learning rate of an epoch (int, from 0) under the schedule "cosine".

    Source:
        Loshchilov & Hutter 2017, arXiv:1608.03983, one cycle; the slow first epoch lets Adam find its step sizes.
    """
    if epoch == 0 and config.epochs > 1:
        return config.learning_rate / 10
    share = (epoch - 1) / max(1, config.epochs - 1)
    return config.learning_rate * (1 + math.cos(math.pi * share)) / 2
