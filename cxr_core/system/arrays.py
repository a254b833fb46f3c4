"""Which kinds of arrays do functions take and return? Shapes and ranges stand in each docstring."""

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
