"""Which kinds of arrays do functions take and return, and how is one on disk begun?

Shapes and ranges stand in each docstring.
"""

import os
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]
UInt8Array = npt.NDArray[np.uint8]
# A decoded image: uint8 or uint16.
ImageArray = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
# The dtype of an image that goes in and comes out.
AnyImage = TypeVar("AnyImage", bound=ImageArray)
# Text, or rows of mixed kinds.
ObjectArray = npt.NDArray[np.object_]


def create_array(path: str | Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> "np.memmap[Any, np.dtype[Any]]":
    """Create a file of zeros, memory-mapped for writing.

    The disk sets its bytes aside at once, where the system can do that: writing into the map of a file that the disk
    has no room for ends the process.

    Raises:
        OSError: the disk is full, say.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
    return array
