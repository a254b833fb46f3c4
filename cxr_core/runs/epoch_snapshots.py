"""What did the network say of the same validation images after each epoch?

`training.epoch_snapshot_callback` writes these files.
"""

import re
from dataclasses import dataclass

import numpy as np

from cxr_core.runs.run import Run
from cxr_core.system.arrays import FloatArray, IntArray, UInt8Array
from cxr_core.system.files import read_json


@dataclass(frozen=True)
class EpochSnapshots:
    """The images of a run's snapshots, the same in every epoch.

    Attributes:
        images_u8: uint8 (n, size, size), the prepared images before scaling.
        files: n paths inside the data set.
        true: n true classes.
        classes: in the order of the network's outputs.
        epochs: those with a snapshot, in order.
    """

    images_u8: UInt8Array
    files: tuple[str, ...]
    true: tuple[str, ...]
    classes: tuple[str, ...]
    epochs: tuple[int, ...]


@dataclass(frozen=True)
class EpochSnapshot:
    """What the network said of the images after one epoch.

    Attributes:
        maps: float32 (n, h, w) in [0, 1], Grad-CAM of each image's likeliest class.
        probabilities: float (n, C).
        confusion: int (C, C), counts of all validation images; rows true, columns predicted.
    """

    maps: FloatArray
    probabilities: FloatArray
    confusion: IntArray


def load_snapshots(run: Run) -> EpochSnapshots | None:
    """Return the images of a run's snapshots.

    None before its first epoch, for runs of versions without snapshots, and if a file is broken.
    """
    folder = run.path / "watch"
    numbers = [re.fullmatch(r"epoch-(\d+)\.json", path.name) for path in folder.glob("epoch-*.json")]
    epochs = tuple(sorted(int(number[1]) for number in numbers if number))
    if not epochs:
        return None
    try:
        facts = read_json(folder / "images.json")
        images = np.load(folder / "images.npy", allow_pickle=False)
        return EpochSnapshots(images, tuple(facts["files"]), tuple(facts["true"]), tuple(facts["classes"]), epochs)
    except (OSError, ValueError, KeyError, EOFError):
        return None


def load_snapshot(run: Run, epoch: int) -> EpochSnapshot:
    """Return the snapshot of one epoch.

    Raises:
        FileNotFoundError: the epoch has none.
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
        raise ValueError(f"The snapshot of epoch {epoch} cannot be read: {error}.") from error
