"""The validation images that a training looks at after every epoch, as `epoch_snapshot_callback.EpochSnapshotCallback` wrote them."""

import re
from dataclasses import dataclass

import numpy as np

from cxr_core.system.files import read_json


@dataclass(frozen=True)
class EpochSnapshots:
    """The images that are watched, the same in every epoch.

    Attributes:
        images_u8: uint8 (n, size, size), as the network sees them before scaling.
        files: tuple of str.
        true: tuple of str, class names.
        classes: tuple of str, in the order of the network's outputs.
        epochs: tuple of int, sorted: those whose maps were written.
    """

    images_u8: np.ndarray
    files: tuple
    true: tuple
    classes: tuple
    epochs: tuple


@dataclass(frozen=True)
class EpochSnapshot:
    """What the network made of the images after one epoch.

    Attributes:
        maps: float32 (n, h, w) in [0, 1], Grad-CAM of each image's likeliest class.
        probabilities: float (n, C).
        confusion: int (C, C), all validation images by true and predicted class.
    """

    maps: np.ndarray
    probabilities: np.ndarray
    confusion: np.ndarray


def load_snapshots(run):
    """Return a run's EpochSnapshots; None before its first epoch, for older versions' runs, and where a file is broken."""
    folder = run.path / "watch"
    numbers = [re.fullmatch(r"epoch-(\d+)\.json", path.name) for path in folder.glob("epoch-*.json")]
    epochs = tuple(sorted(int(number[1]) for number in numbers if number))
    if not epochs:
        return None
    try:
        facts = read_json(folder / "images.json")
        images = np.load(folder / "images.npy", allow_pickle=False)
        return EpochSnapshots(images, *(tuple(facts[name]) for name in ("files", "true", "classes")), epochs)
    except (OSError, ValueError, KeyError, EOFError):
        return None


def load_snapshot(run, epoch):
    """Return a run's EpochSnapshot.

    Raises:
        FileNotFoundError: the epoch was not watched.
        ValueError: its file is broken.
    """
    values = read_json(run.path / "watch" / f"epoch-{epoch:04d}.json")
    try:
        return EpochSnapshot(
            np.asarray(values["maps"], np.float32),
            np.asarray(values["probabilities"], float),
            np.asarray(values["confusion"], int),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"The maps of epoch {epoch} cannot be read: {error}.") from error
