"""Does this training fit into memory?"""

import psutil

from cxr_core.recipes.backbones import BACKBONES
from cxr_core.recipes.training_config import TrainingConfig
from cxr_core.system.memory import MEGABYTE, memory_limit

# Reserved for the system and for other visitors of the app.
_RESERVE_BYTES = 100 * MEGABYTE
_PROGRAM, _EXPORT = 800 * MEGABYTE, 1_070 * MEGABYTE
# Of one weight: with its gradient and the optimizer's two moments; and in the copies that the conversion makes.
_LEARNING_BYTES, _EXPORT_BYTES = 24, 80
_ALL_LAYERS, _LATER_LAYERS = 115 * MEGABYTE, 40 * MEGABYTE


def check_memory(config: TrainingConfig) -> None:
    """Refuse a training that would not fit into memory beside the calling process.

    Raises:
        ValueError: it needs more than is left; both figures and what helps are named.
    """
    room = memory_limit() - psutil.Process().memory_info().rss - _RESERVE_BYTES
    need = estimated_memory(config)
    if need > room:
        raise ValueError(
            f"This training needs about {need / 1e9:.1f} GB of memory, and {max(0, room) / 1e9:.1f} GB are left here. "
            "Choose the quick recipe, a smaller batch size, or a computer of your own."
        )


def estimated_memory(config: TrainingConfig) -> int:
    """Estimate the peak memory of a training in resident bytes. It does not depend on the number of images.

    The larger of two: converting the network; and learning, where the activations of a batch are stored for the
    backward pass. Measured (`peak_memory_bytes` of a run on the teaching set, one epoch): with a frozen backbone, which
    only the conversion decides, MobileNetV2 1.21 GB, EfficientNetV2B0 1.43, DenseNet121 1.61, ResNet50V2 2.95.
    MobileNetV2 at 224 pixels from block_6 on, batch of 32: 2.15 GB; all layers, batch of 16: 2.68 GB. Per image of a
    batch this makes 115 MB if all layers are trained, and 40 MB if only the later ones are; it grows with the number of
    pixels. How other backbones learn is scaled by the sizes of their layers' outputs (`backbones.BACKBONES`), and was
    not measured.
    """
    backbone = BACKBONES[config.backbone]
    pixels = (config.preprocessing.size / 224) ** 2
    per_image = {"all": _ALL_LAYERS, "head": 0}.get(config.train_from, _LATER_LAYERS) * backbone.activations * pixels
    exporting = _EXPORT + _EXPORT_BYTES * backbone.weights
    return int(max(exporting, _PROGRAM + config.batch_size * per_image + _LEARNING_BYTES * backbone.weights))
