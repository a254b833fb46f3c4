"""What does the article claim?"""

from collections.abc import Sequence
from dataclasses import dataclass

from cxr_core.classes import KNOWN_CLASSES, class_key


@dataclass(frozen=True)
class ClassClaim:
    """What the article says of one class.

    Attributes:
        images: in its Table 1.
        widths: least and greatest in its Table 2, in pixels.
        heights: likewise.
        recall: on its test images, in [0, 1].
        auc: likewise, to the two digits that it prints.
    """

    images: int
    widths: tuple[int, int]
    heights: tuple[int, int]
    recall: float
    auc: float


CLASS_CLAIMS = {
    "normal": ClassClaim(668, (1040, 2628), (650, 2628), 0.96, 1.0),
    "covid": ClassClaim(536, (240, 4095), (237, 4095), 0.98, 1.0),
    "virus": ClassClaim(619, (384, 2304), (127, 2304), 0.93, 0.99),
}
IMAGES = sum(claim.images for claim in CLASS_CLAIMS.values())
# `int(0.2 * len_data)` in its listing.
TEST_IMAGES = int(0.2 * IMAGES)
ACCURACY, ACCURACY_IN_CONCLUSION = 0.9560, 0.9588
EPOCHS, BATCH_SIZE = 50, 16
# "Stabilized after 20 epochs to over 90%."
STABLE_AFTER, STABLE_ABOVE = 20, 0.9
# Its text gives no number; this is what its listing builds for three classes.
PARAMETERS = 2_989_955
SAMPLE_PREDICTIONS = 12
AUGMENTED_COPIES = 21
# The image whose white balance it shows, and the layer of its map.
WHITE_BALANCE_FILE = "person1661_virus_2872"
MAP_LAYER = "block_16_depthwise"


def class_claims(classes: Sequence[str]) -> dict[str, ClassClaim]:
    """Return {class: claim} for a data set of the article's three classes; {} for any other.

    Args:
        classes: folder names of the data set, in any spelling that `classes.class_key` knows.
    """
    keys = {name: class_key(name) for name in classes}
    if sorted(keys.values()) != sorted(KNOWN_CLASSES):
        return {}
    return {name: CLASS_CLAIMS[key] for name, key in keys.items()}
