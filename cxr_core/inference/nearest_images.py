"""Which training images are nearest to this one?

The gate names them; the files are looked for on this computer, since no model folder holds training images.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cxr_core.imaging.isolated_decoding import open_file
from cxr_core.imaging.reader import UnreadableImage
from cxr_core.inference.classifier import Classifier
from cxr_core.inference.input_gate import Gate, Neighbour

# Cosine similarity of the same file is 1 up to rounding; another image of the same name hardly ever reaches this.
_SAME = 0.99


def find_neighbours(
    classifier: Classifier,
    neighbours: Sequence[Neighbour],
    roots: Iterable[str | Path],
    listed: Mapping[str, str | Path] | None = None,
) -> list[Path | None]:
    """Find the files of neighbours, and verify that they are the images that the classifier was trained on.

    Another data set can have a file of the same name: a file counts only if its content is the neighbour's. A gate
    of an earlier version has stored no contents; there the network's features of the file must be those that it has
    stored of this very neighbour.

    Args:
        classifier: a classifier with a gate.
        neighbours: found by that gate.
        roots: data set folders, with one subfolder per class; relative and missing ones are ignored.
        listed: paths of files by the SHA-256 of their content, such as those of an open data set.

    Returns:
        One path per neighbour; None if its file was not found.

    Raises:
        ValueError: the classifier has no gate.
    """
    gate = classifier.gate
    if gate is None:
        raise ValueError("Only a classifier with a gate knows its training images.")
    folders = [Path(root) for root in roots if Path(root).is_absolute()]
    return [_find(classifier, gate, neighbour, folders, listed or {}) for neighbour in neighbours]


def _find(
    classifier: Classifier, gate: Gate, neighbour: Neighbour, folders: list[Path], listed: Mapping[str, str | Path]
) -> Path | None:
    candidates = [folder / neighbour.file for folder in folders]
    if neighbour.digest in listed:
        candidates.insert(0, Path(listed[neighbour.digest]))
    return next((path for path in candidates if _is_known(classifier, gate, neighbour, path)), None)


def _is_known(classifier: Classifier, gate: Gate, neighbour: Neighbour, path: Path) -> bool:
    try:
        data = path.read_bytes()
        if neighbour.digest:
            return hashlib.sha256(data).hexdigest() == neighbour.digest
        image_u8 = classifier.card.preprocessing.image_u8(open_file(path, data).pixels)
    except (UnreadableImage, OSError):
        return False
    if neighbour.row is None:
        rows = [i for i, name in enumerate(gate.files) if name == neighbour.file]
    else:
        rows = [neighbour.row]
    known = gate.known_vectors[rows]
    return bool((known @ gate.vectors(classifier.features(image_u8[None]))[0] > _SAME).any())
