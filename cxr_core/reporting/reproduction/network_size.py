"""How many parameters does a saved network have? Counted in its file, without TensorFlow."""

import io
import zipfile
from pathlib import Path

import h5py

_WEIGHTS = "model.weights.h5"


def count_parameters(path: str | Path) -> int:
    """Return the number of a network's parameters, moving statistics of batch normalisation included, as Keras counts.

    Args:
        path: of a `.keras` file without the state of an optimizer.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no weights.
    """
    sizes: list[int] = []

    def collect(_name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            sizes.append(int(item.size))

    try:
        with zipfile.ZipFile(path) as archive:
            data = archive.read(_WEIGHTS)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no network saved by Keras.") from error
    with h5py.File(io.BytesIO(data)) as file:
        file.visititems(collect)
    return sum(sizes)
