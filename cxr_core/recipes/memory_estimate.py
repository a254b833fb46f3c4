"""Whether a training fits into memory."""

import psutil

from cxr_core.recipes.backbones import BACKBONES
from cxr_core.system.memory import MEGABYTE, memory_limit

# Room for what the system and other visitors of the app take meanwhile.
_RESERVE_BYTES = 100 * MEGABYTE
_PROGRAM, _EXPORT = 800 * MEGABYTE, 1_950 * MEGABYTE
_ALL_LAYERS, _LATER_LAYERS = 115 * MEGABYTE, 40 * MEGABYTE


def check_memory(config):
    """Refuse a training that would not fit beside the calling process.

    Args:
        config: training_config.TrainingConfig.

    Raises:
        ValueError: it needs more than is left; both figures and what helps are named.
    """
    room = memory_limit() - psutil.Process().memory_info().rss - _RESERVE_BYTES
    need = estimated_memory(config)
    if need > room:
        raise ValueError(
            f"This training needs about {need / 1e9:.1f} GB of memory, and {max(0, room) / 1e9:.1f} GB are left here. "
            "Take the quick recipe, a smaller batch size, or a computer of your own."
        )


def estimated_memory(config):
    """Estimate what a training takes at most: resident bytes, int. The number of images plays no part.

    The greater of two: converting, exporting and testing, which is the same for all; and learning, where the
    activations of a batch are kept for the way back. Measured on MobileNetV2 at 224 pixels (high-water marks of whole
    processes): frozen backbone 1.65 to 1.95 GB; from block_6 on, batch of 32: 1.95 to 2.1 GB; all layers, batch of 16:
    2.7 GB. From these an image of a batch takes 115 MB if all layers learn, and 40 MB if the later ones do; it grows
    with the number of pixels. Other backbones are scaled by the sizes of their layers' outputs (`backbones.BACKBONES`),
    and were not measured.

    Args:
        config: training_config.TrainingConfig.
    """
    backbone = BACKBONES[config.backbone]
    pixels = (config.preprocessing.size / 224) ** 2
    per_image = {"all": _ALL_LAYERS, "head": 0}.get(config.train_from, _LATER_LAYERS) * backbone.activations * pixels
    weights = 6 * 4 * backbone.weights
    return int(max(_EXPORT, _PROGRAM + config.batch_size * per_image) + weights)
