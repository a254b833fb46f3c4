"""Read one picture file, hostile or not: JPEG, PNG, BMP, TIFF or DICOM, to pixels."""

import io
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from cxr_core.config import MAX_FILE_BYTES, MAX_PIXELS

PICTURE_ENDINGS = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".dcm")
_PIL_FORMATS = ("JPEG", "PNG", "BMP", "TIFF")
# What Pillow's decoders raise on broken data; UnidentifiedImageError is an OSError.
_PIL_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error)
_DICOM_ERRORS = (AttributeError, KeyError, NotImplementedError, OSError, RuntimeError, TypeError, ValueError)
_END_MARKS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}


class UnreadablePicture(ValueError):
    """A file that cannot be shown as a picture; the message is one sentence for a person."""


@dataclass(frozen=True)
class PictureHeader:
    """What a picture says of itself before it is decoded; sizes in pixels."""

    width: int
    height: int
    format: str


def is_dicom(data):
    """Return True if `data` (bytes) carries DICOM's mark after its 128-byte preamble."""
    return data[128:132] == b"DICM"


def is_picture_file(path):
    """Return True if a data set should count this file: by its ending, or as extensionless DICOM."""
    path = Path(path)
    if path.suffix:
        return path.suffix.lower() in PICTURE_ENDINGS
    with path.open("rb") as stream:
        return is_dicom(stream.read(132))


def read_header(data):
    """Read a picture's size and format without decoding it.

    Args:
        data: bytes, the whole file.

    Returns:
        PictureHeader.

    Raises:
        UnreadablePicture: not a picture, or larger than `MAX_FILE_BYTES` or `MAX_PIXELS`.
    """
    if not data:
        raise UnreadablePicture("The file is empty.")
    if len(data) > MAX_FILE_BYTES:
        raise UnreadablePicture(
            f"The file has {len(data) / 1e6:.0f} MB; at most {MAX_FILE_BYTES / 1e6:.0f} MB are read."
        )
    header = _dicom_header(data) if is_dicom(data) else _pil_header(data)
    if header.width * header.height > MAX_PIXELS:
        raise UnreadablePicture(
            f"The picture has {header.width} × {header.height} pixels; at most {MAX_PIXELS / 1e6:.0f} million are read."
        )
    return header


def decode_picture(data):
    """Decode a whole file to pixels, after checking its size.

    EXIF rotation is applied and transparency dropped. DICOM goes through modality LUT,
    VOI LUT or window, and inversion of MONOCHROME1, in that order; of several frames
    the first is taken.

    Args:
        data: bytes, the whole file.

    Returns:
        uint8 or uint16, (H, W) for grey and (H, W, 3) in BGR order for colour.

    Raises:
        UnreadablePicture: not a picture, too large, cut short or broken.
    """
    header = read_header(data)
    if header.format == "DICOM":
        return _decode_dicom(data)
    check_complete(data, header)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    if pixels is None:
        raise UnreadablePicture(f"The {header.format} data in this file is broken.")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise UnreadablePicture(f"Pixels of type {pixels.dtype} are not read; save the picture with 8 or 16 bits.")
    return pixels


def read_picture(path):
    """Read a picture file to pixels; see `decode_picture`. FileNotFoundError if it is gone."""
    return decode_picture(Path(path).read_bytes())


def check_complete(data, header):
    """Raise UnreadablePicture if the file was cut short.

    JPEG and PNG end with a mark that cannot occur in their pixel data; only a file without
    it near its end, or of another format, is decoded in full (by Pillow, which is strict).
    """
    mark = _END_MARKS.get(header.format)
    if mark is not None and mark in data[-4096:]:
        return
    try:
        with Image.open(io.BytesIO(data), formats=_PIL_FORMATS) as image:
            image.load()
    except _PIL_ERRORS as error:
        raise UnreadablePicture(f"The {header.format} file is cut short or broken.") from error


def _pil_header(data):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_PIL_FORMATS) as image:
                return PictureHeader(*image.size, image.format)
    except Image.DecompressionBombError as error:
        raise UnreadablePicture(f"The picture is larger than {MAX_PIXELS / 1e6:.0f} million pixels.") from error
    except _PIL_ERRORS as error:
        raise UnreadablePicture("This is not a JPEG, PNG, BMP, TIFF or DICOM picture.") from error


def _dicom_header(data):
    import pydicom

    try:
        tags = ["Rows", "Columns", "NumberOfFrames"]
        dataset = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True, specific_tags=tags)
        frames = int(dataset.get("NumberOfFrames") or 1)
        header = PictureHeader(int(dataset.Columns), int(dataset.Rows), "DICOM")
    except _DICOM_ERRORS as error:
        raise UnreadablePicture("This DICOM file holds no picture.") from error
    if header.width * header.height * frames > MAX_PIXELS:
        raise UnreadablePicture(
            f"The DICOM file has {frames} frames of {header.width} × {header.height} pixels; "
            f"at most {MAX_PIXELS / 1e6:.0f} million pixels are read."
        )
    return header


def _decode_dicom(data):
    import pydicom
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    try:
        dataset = pydicom.dcmread(io.BytesIO(data))
        pixels = dataset.pixel_array
        if int(dataset.get("NumberOfFrames") or 1) > 1:
            pixels = pixels[0]
        if pixels.ndim == 3:
            return cv2.cvtColor(np.ascontiguousarray(pixels.astype(np.uint8)), cv2.COLOR_RGB2BGR)
        values = apply_voi_lut(apply_modality_lut(pixels, dataset), dataset).astype(np.float64)
    except _DICOM_ERRORS as error:
        raise UnreadablePicture("The pixel data of this DICOM file cannot be decoded.") from error
    inverted = (
        dataset.get("PhotometricInterpretation") == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE"
    )
    span = values.max() - values.min()
    values = (values - values.min()) / (span or 1.0)
    return np.round((1.0 - values if inverted and span else values) * 65535).astype(np.uint16)
