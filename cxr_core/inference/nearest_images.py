"""The training images that are nearest to a scan, where they still lie on this computer; none of them is shipped."""

from pathlib import Path

from cxr_core.imaging.reader import UnreadableImage, read_image

# The same file gives 1 but for rounding; another image under the same name hardly ever comes this near.
_SAME = 0.99


def find_neighbours(classifier, neighbours, roots):
    """Find the files of neighbours, and make sure that they are what the classifier learned from.

    Another data set can have a file of the same name: a file counts only if the network sees in it what the
    gate remembers.

    Args:
        classifier: classifier.Classifier with a gate.
        neighbours: sequence of input_gate.Neighbour of that gate.
        roots: iterable of str or Path, folders of classes; those that are missing are passed over.

    Returns:
        list of Path or None, one per neighbour.
    """
    roots = [Path(root) for root in roots if Path(root).is_absolute()]
    return [_find(classifier, neighbour.file, roots) for neighbour in neighbours]


def _find(classifier, file, roots):
    for root in roots:
        path = root / file
        if path.is_file() and _is_known(classifier, file, path):
            return path
    return None


def _is_known(classifier, file, path):
    gate = classifier.gate
    try:
        image_u8 = classifier.card.preprocessing.image_u8(read_image(path))
    except (UnreadableImage, OSError):
        return False
    known = gate.known_vectors[[i for i, name in enumerate(gate.files) if name == file]]
    return bool((known @ gate.vectors(classifier.features(image_u8[None]))[0] > _SAME).any())
