"""How is an untrusted image file decoded? JPEG, PNG, BMP, TIFF, WebP and DICOM, to pixels."""

import io
import re
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from cxr_core.config import MAX_FILE_BYTES, MAX_PIXELS
from cxr_core.system.arrays import ImageArray

IMAGE_ENDINGS = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".dcm")
_PIL_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
# What Pillow's decoders raise on broken data; UnidentifiedImageError is an OSError.
_PIL_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error)
# A broken file is answered with a sentence; a decoder's own messages do not belong in the log.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
_END_MARKS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
# How a DICOM file without preamble begins: group 0002 or 0008, in either byte order.
_HEADERLESS_DICOM = re.compile(rb"(?s)(\x02\0|\x08\0)[\0-\x20]\0([A-Z]{2}|.{2}\0\0)|\0(\x02|\x08)\0[\0-\x20][A-Z]{2}")
# Written by cameras: exposure time, f-number, ISO speed, focal length.
_CAMERA_TAGS = (0x829A, 0x829D, 0x8827, 0x920A)
_EXIF_DETAILS = 0x8769
# A file without any of these holds a single image, and no EXIF data.
_EXTRA_MARKS = {"JPEG": (b"Exif",), "PNG": (b"eXIf", b"Raw profile type", b"acTL")}
_WHITE_IS_ZERO, _PHOTOMETRIC = 0, 262
_PHOTOGRAPH = "A camera took this image; the classifier was not trained on photographs of films or screens."


class UnreadableImage(ValueError):
    """A file that cannot be decoded as an image; the message is one sentence for the user."""


@dataclass(frozen=True)
class DecodedImage:
    """A decoded file.

    Attributes:
        pixels: uint8 or uint16, (H, W) for grey and (H, W, 3) in BGR order for colour.
        notes: sentences that the user should know, such as that this is the first of several frames.
        doubts: sentences that speak against a frontal chest radiograph. Neither repeats what a header says of a
            patient.
    """

    pixels: ImageArray
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageHeader:
    """An image's size in pixels and its format, known before it is decoded."""

    width: int
    height: int
    format: str


def is_dicom(data: bytes) -> bool:
    """Return True if a file carries DICOM's mark after its 128-byte preamble, or begins like one without preamble."""
    return data[128:132] == b"DICM" or _HEADERLESS_DICOM.match(data[:8]) is not None


def is_image_file(path: str | Path) -> bool:
    """Return True if a file belongs to a data set: by its ending, or as DICOM without one."""
    path = Path(path)
    if path.suffix:
        return path.suffix.lower() in IMAGE_ENDINGS
    with path.open("rb") as stream:
        return is_dicom(stream.read(132))


def read_header(data: bytes) -> ImageHeader:
    """Read an image's size and format without decoding it.

    Args:
        data: the whole file.

    Raises:
        UnreadableImage: not an image, or larger than `MAX_FILE_BYTES` or `MAX_PIXELS`.
    """
    if not data:
        raise UnreadableImage("The file is empty.")
    check_file_size(len(data))
    header = _dicom_header(data) if is_dicom(data) else _pil_header(data)
    if header.width * header.height > MAX_PIXELS:
        raise UnreadableImage(
            f"The image has {header.width} × {header.height} pixels; at most {MAX_PIXELS / 1e6:.0f} million are read."
        )
    return header


def check_file_size(n_bytes: int) -> None:
    """Raise UnreadableImage if a file has more than `MAX_FILE_BYTES`."""
    if n_bytes > MAX_FILE_BYTES:
        raise UnreadableImage(f"The file has {n_bytes / 1e6:.0f} MB; at most {MAX_FILE_BYTES / 1e6:.0f} MB are read.")


def decode_image(data: bytes) -> ImageArray:
    """Decode a whole file to its pixels alone; see `open_image`."""
    return open_image(data).pixels


def open_image(data: bytes) -> DecodedImage:
    """Decode a whole file, after checking its size.

    EXIF rotation is applied and transparency dropped; of several pages or frames the first is taken. For DICOM see
    `dicom.decoding.decode_dicom`.

    Args:
        data: the whole file.

    Raises:
        UnreadableImage: not an image, too large, cut short or broken.
    """
    header = read_header(data)
    if header.format == "DICOM":
        return _decode_dicom(data)
    check_complete(data, header)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    if pixels is None:
        raise UnreadableImage(f"The {header.format} data in this file is broken.")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise UnreadableImage(f"Pixels of type {pixels.dtype} cannot be read; save the image with 8 or 16 bits.")
    return _finish_image(data, header, pixels)


def read_image(path: str | Path) -> ImageArray:
    """Read an image file to pixels; see `decode_image`. FileNotFoundError if it is missing."""
    return decode_image(Path(path).read_bytes())


def check_complete(data: bytes, header: ImageHeader) -> None:
    """Raise UnreadableImage if the file was cut short.

    JPEG and PNG end with a mark that cannot occur in their pixel data; only a file without it near its end, or of
    another format, is decoded in full (by Pillow, which is strict). A PNG's chunks are checked in any case: OpenCV
    allocates as much memory as a chunk claims to need.
    """
    mark = _END_MARKS.get(header.format)
    ends = mark is not None and mark in data[-4096:]
    if ends and header.format != "PNG":
        return
    try:
        with Image.open(io.BytesIO(data), formats=_PIL_FORMATS) as image:
            image.verify() if ends else image.load()
    except _PIL_ERRORS as error:
        raise UnreadableImage(f"The {header.format} file is cut short or broken.") from error


def _finish_image(data: bytes, header: ImageHeader, pixels: ImageArray) -> DecodedImage:
    """Add what the file's tags say, and invert 16-bit TIFF where white is zero, which OpenCV does not."""
    marks = _EXTRA_MARKS.get(header.format)
    # Pillow even decodes a whole PNG to look for tags behind its pixels.
    if marks is not None and not any(mark in data for mark in marks):
        return DecodedImage(pixels)
    notes = []
    try:
        with Image.open(io.BytesIO(data), formats=(header.format,)) as image:
            pages = getattr(image, "n_frames", 1)
            exif = image.getexif()
            camera = {**exif, **exif.get_ifd(_EXIF_DETAILS)}
            if header.format == "TIFF" and exif.get(_PHOTOMETRIC) == _WHITE_IS_ZERO and pixels.dtype == np.uint16:
                # OpenCV inverts only 8-bit pixels.
                pixels = 65535 - pixels
    except (*_PIL_ERRORS, AttributeError, KeyError, TypeError, ZeroDivisionError):
        # The pixels are decoded; what a broken tag would have said is not needed.
        return DecodedImage(pixels)
    if pages > 1:
        notes.append(f"The file holds {pages} images; this is the first.")
    if any(tag in camera for tag in _CAMERA_TAGS):
        notes.append(_PHOTOGRAPH)
    return DecodedImage(pixels, tuple(notes))


def _pil_header(data: bytes) -> ImageHeader:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_PIL_FORMATS) as image:
                return ImageHeader(*image.size, str(image.format))
    except Image.DecompressionBombError as error:
        raise UnreadableImage(f"The image is larger than {MAX_PIXELS / 1e6:.0f} million pixels.") from error
    except _PIL_ERRORS as error:
        raise UnreadableImage("This is not a JPEG, PNG, BMP, TIFF, WebP or DICOM image.") from error


def _dicom_header(data: bytes) -> ImageHeader:
    from cxr_core.imaging.dicom.decoding import dicom_size
    from cxr_core.imaging.dicom.header import UnreadableDicom

    try:
        width, height, frames = dicom_size(data)
    except UnreadableDicom as error:
        raise UnreadableImage(str(error)) from error
    if width * height * frames > MAX_PIXELS:
        raise UnreadableImage(
            f"The DICOM file has {frames} frames of {width} × {height} pixels; "
            f"at most {MAX_PIXELS / 1e6:.0f} million pixels are read."
        )
    return ImageHeader(width, height, "DICOM")


def _decode_dicom(data: bytes) -> DecodedImage:
    from cxr_core.imaging.dicom.decoding import decode_dicom
    from cxr_core.imaging.dicom.header import UnreadableDicom

    try:
        pixels, notes, doubts = decode_dicom(data)
        return DecodedImage(pixels, notes, doubts)
    except UnreadableDicom as error:
        raise UnreadableImage(str(error)) from error
