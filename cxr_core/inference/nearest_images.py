"""Which training images are nearest to this one?

The gate names them; the files are looked for on this computer, since no model folder holds training images.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from cxr_core.imaging.reader import UnreadableImage, read_image
from cxr_core.inference.classifier import Classifier
from cxr_core.inference.input_gate import Gate, Neighbour

# Cosine similarity of the same file is 1 up to rounding; another image of the same name hardly ever reaches this.
_SAME = 0.99


def find_neighbours(
    classifier: Classifier, neighbours: Sequence[Neighbour], roots: Iterable[str | Path]
) -> list[Path | None]:
    """Find the files of neighbours, and verify that they are the images that the classifier was trained on.

    Another data set can have a file of the same name: a file counts only if the network's features of it are those
    that the gate has stored.

    Args:
        classifier: a classifier with a gate.
        neighbours: found by that gate.
        roots: data set folders, with one subfolder per class; relative and missing ones are ignored.

    Returns:
        One path per neighbour; None if its file was not found.

    Raises:
        ValueError: the classifier has no gate.
    """
    gate = classifier.gate
    if gate is None:
        raise ValueError("Only a classifier with a gate knows its training images.")
    folders = [Path(root) for root in roots if Path(root).is_absolute()]
    return [_find(classifier, gate, neighbour.file, folders) for neighbour in neighbours]


def _find(classifier: Classifier, gate: Gate, file: str, folders: list[Path]) -> Path | None:
    for folder in folders:
        path = folder / file
        if path.is_file() and _is_known(classifier, gate, file, path):
            return path
    return None


def _is_known(classifier: Classifier, gate: Gate, file: str, path: Path) -> bool:
    try:
        image_u8 = classifier.card.preprocessing.image_u8(read_image(path))
    except (UnreadableImage, OSError):
        return False
    known = gate.known_vectors[[i for i, name in enumerate(gate.files) if name == file]]
    return bool((known @ gate.vectors(classifier.features(image_u8[None]))[0] > _SAME).any())
