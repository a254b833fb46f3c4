"""Read the picture of a DICOM file, and nothing else of it. Imported only where a file is DICOM."""

import io
import struct
import zlib

import cv2
import numpy as np
import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array

from cxr_core.config import MAX_PIXELS

# What pydicom and its decoders raise on broken data.
_ERRORS = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    cv2.error,
    struct.error,
    zlib.error,
)
# A few kilobytes can inflate to gigabytes, and pydicom inflates before it tells the size.
_DEFLATED_SYNTAX = b"1.2.840.10008.1.2.1.99"
_MAX_INFLATED_BYTES = 2 * MAX_PIXELS


class UnreadableDicom(ValueError):
    """A DICOM file whose picture cannot be had; the message is one sentence for a person."""


def dicom_size(data):
    """Read a picture's size without decoding it.

    Args:
        data: bytes, the whole file.

    Returns:
        (width, height, frames): pixels, pixels and count.

    Raises:
        UnreadableDicom: no picture in the file, or one that inflates beyond all measure.
    """
    try:
        if _DEFLATED_SYNTAX in data[:2048]:
            _check_inflated_size(data)
        tags = ["Rows", "Columns", "NumberOfFrames"]
        dataset = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True, specific_tags=tags)
        return int(dataset.Columns), int(dataset.Rows), max(1, int(dataset.get("NumberOfFrames") or 1))
    except UnreadableDicom:
        raise
    except _ERRORS as error:
        raise UnreadableDicom("This DICOM file holds no picture.") from error


def decode_dicom(data):
    """Decode the first frame: modality LUT, then VOI LUT or window, then inversion of MONOCHROME1.

    Args:
        data: bytes, the whole file, whose size was checked by `dicom_size`.

    Returns:
        uint16 (H, W), stretched to its own range, or uint8 (H, W, 3) BGR for a colour picture.

    Raises:
        UnreadableDicom: the pixel data are broken or in a form that cannot be decoded.
    """
    try:
        dataset = pydicom.dcmread(io.BytesIO(data))
        pixels = pixel_array(dataset, index=0)
        if dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
            return _bgr(apply_color_lut(pixels, dataset), 16)
        if pixels.ndim == 3:
            return _bgr(pixels, int(dataset.BitsStored))
        values = apply_voi_lut(apply_modality_lut(pixels, dataset), dataset).astype(np.float64)
    except _ERRORS as error:
        raise UnreadableDicom("The pixel data of this DICOM file cannot be decoded.") from error
    inverted = (
        dataset.get("PhotometricInterpretation") == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE"
    )
    span = values.max() - values.min()
    values = (values - values.min()) / (span or 1.0)
    return np.round((1.0 - values if inverted and span else values) * 65535).astype(np.uint16)


def _check_inflated_size(data):
    # The file meta information begins with its own length, a 4-byte number at offset 140.
    start = 144 + struct.unpack_from("<I", data, 140)[0]
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[start:], _MAX_INFLATED_BYTES + 1)
    if len(inflated) > _MAX_INFLATED_BYTES:
        raise UnreadableDicom(f"The DICOM file inflates to more than {_MAX_INFLATED_BYTES / 1e6:.0f} MB.")


def _bgr(rgb, bits):
    """Return colour pixels of `bits` significant bits as uint8 (H, W, 3) BGR."""
    eight = (rgb >> (bits - 8)).astype(np.uint8) if rgb.dtype.itemsize > 1 else rgb
    return cv2.cvtColor(np.ascontiguousarray(eight), cv2.COLOR_RGB2BGR)
