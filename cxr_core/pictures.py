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

    EXIF rotation is applied and transparency dropped. DICOM: see `dicom.decode_dicom`.

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
    from cxr_core.dicom import UnreadableDicom, dicom_size

    try:
        width, height, frames = dicom_size(data)
    except UnreadableDicom as error:
        raise UnreadablePicture(str(error)) from error
    if width * height * frames > MAX_PIXELS:
        raise UnreadablePicture(
            f"The DICOM file has {frames} frames of {width} × {height} pixels; "
            f"at most {MAX_PIXELS / 1e6:.0f} million pixels are read."
        )
    return PictureHeader(width, height, "DICOM")


def _decode_dicom(data):
    from cxr_core.dicom import UnreadableDicom, decode_dicom

    try:
        return decode_dicom(data)
    except UnreadableDicom as error:
        raise UnreadablePicture(str(error)) from error
