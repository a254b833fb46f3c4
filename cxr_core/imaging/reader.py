"""How is an untrusted image file decoded to pixels? JPEG, PNG, BMP, TIFF, WebP, GIF, AVIF, JPEG 2000, PGM and DICOM."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from cxr_core.config import MAX_FILE_BYTES, MAX_PIXELS, MAX_SIDE
from cxr_core.imaging.files.coded_size import takes_more_than
from cxr_core.imaging.files.cut_short import PIL_ERRORS, has_run, is_filled, is_whole
from cxr_core.imaging.files.file_kinds import HEAD_BYTES, begins_like_an_image, is_companion, is_dicom, why_not_read
from cxr_core.imaging.files.many_parts import TooManyParts, check_parts
from cxr_core.imaging.files.plain_jpeg_2000 import decode_plain_colour, is_plain_colour
from cxr_core.imaging.grey_range import without_bright_letters
from cxr_core.system.arrays import ImageArray

# What the names of image files end with; none is believed, and none is needed.
IMAGE_ENDINGS = (
    ".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".avif", ".jp2", ".j2k", ".pgm", ".dcm",
    ".dicom",
)  # fmt: skip
_OPENCV_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
_PIL_FORMATS = (*_OPENCV_FORMATS, "GIF", "AVIF", "JPEG2000", "PPM")
# A broken file is answered with a sentence; a decoder's own messages do not belong in the log.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
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


def is_image_file(path: str | Path) -> bool:
    """Return True if a file belongs to a data set: by its ending, or by its content whatever it is called."""
    path = Path(path)
    return path.suffix.lower() in IMAGE_ENDINGS or begins_like_an_image(_head(path))


def left_out_reason(path: str | Path) -> str:
    """Return one sentence: why a file that is no image is left out. "" where that goes without saying, as for text."""
    path = Path(path)
    head = _head(path)
    return "" if is_companion(path.name, head) else why_not_read(head)


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(HEAD_BYTES)


def read_header(data: bytes) -> ImageHeader:
    """Read an image's size and format without decoding it.

    Args:
        data: the whole file.

    Raises:
        UnreadableImage: not an image, larger than `MAX_FILE_BYTES`, `MAX_PIXELS` or `MAX_SIDE`, or of more parts than
            `many_parts` allows.
    """
    if not data:
        raise UnreadableImage("The file is empty.")
    check_file_size(len(data))
    try:
        check_parts(data)
    except TooManyParts as error:
        raise UnreadableImage(str(error)) from error
    header = _dicom_header(data) if is_dicom(data) else _pil_header(data)
    if header.width * header.height > MAX_PIXELS:
        raise UnreadableImage(
            f"The image has {header.width} × {header.height} pixels; at most {MAX_PIXELS / 1e6:.0f} million are read."
        )
    if max(header.width, header.height) > MAX_SIDE:
        raise UnreadableImage(
            f"The image has {header.width} × {header.height} pixels; a side has at most {MAX_SIDE:,} of them."
        )
    return header


def check_file_size(n_bytes: int) -> None:
    """Raise UnreadableImage if a file has more than `MAX_FILE_BYTES`."""
    if n_bytes > MAX_FILE_BYTES:
        raise UnreadableImage(f"The file has {n_bytes / 1e6:.0f} MB; at most {MAX_FILE_BYTES / 1e6:.0f} MB are read.")


def decode_image(data: bytes) -> ImageArray:
    """Decode a whole file to its pixels alone; see `open_image`."""
    return open_image(data).pixels


def open_image(data: bytes, header: ImageHeader | None = None) -> DecodedImage:
    """Decode a whole file, after checking its size.

    EXIF rotation is applied and transparency dropped; of several pages or frames the first is taken. For DICOM see
    `dicom.decoding.decode_dicom`.

    Args:
        data: the whole file.
        header: what `read_header` returned for it, where that is known.

    Raises:
        UnreadableImage: not an image, too large, cut short or broken.
    """
    header = header or read_header(data)
    if header.format == "DICOM":
        return _decode_dicom(data)
    if header.format == "JPEG2000" and is_plain_colour(data):
        return _finish_image(data, header, _plain_jpeg_2000_pixels(data))
    check_complete(data, header)
    if header.format not in _OPENCV_FORMATS:
        return _finish_image(data, header, _pillow_pixels(data, header.format))
    pixels = _opencv_pixels(data)
    if pixels is None:
        raise UnreadableImage(f"The {header.format} data in this file is broken.")
    if is_filled(pixels, header.format):
        raise UnreadableImage(f"The {header.format} file is cut short: its end is filled with something else.")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise UnreadableImage(f"Pixels of type {pixels.dtype} cannot be read; save the image with 8 or 16 bits.")
    return _finish_image(data, header, pixels)


def read_image(path: str | Path) -> ImageArray:
    """Read an image file to pixels; see `decode_image`. FileNotFoundError if it is missing."""
    return decode_image(Path(path).read_bytes())


def check_complete(data: bytes, header: ImageHeader) -> None:
    """Raise UnreadableImage if the file was cut short, as far as that shows without decoding a JPEG or PNG."""
    if header.format == "DICOM":
        _check_dicom(data)
    elif not is_whole(data, header.format, _PIL_FORMATS):
        raise UnreadableImage(f"The {header.format} file is cut short or broken.")


def _opencv_pixels(data: bytes) -> ImageArray | None:
    """Decode with OpenCV; None where it cannot, whether it says so or raises."""
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    except cv2.error:
        return None


def _plain_jpeg_2000_pixels(data: bytes) -> ImageArray:
    """Decode once what `check_complete` and `_pillow_pixels` would each decode: uint8 (H, W, 3) BGR."""
    try:
        rgb = None if has_run(data, "JPEG2000") else decode_plain_colour(data)
    except PIL_ERRORS:
        rgb = None
    if rgb is None or is_filled(rgb, "JPEG2000"):
        raise UnreadableImage("The JPEG2000 file is cut short or broken.")
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)


def _pillow_pixels(data: bytes, image_format: str) -> ImageArray:
    """Decode what OpenCV is not trusted with: uint8 (H, W) or (H, W, 3) BGR, or uint16 (H, W)."""
    try:
        with Image.open(io.BytesIO(data), formats=(image_format,)) as image:
            # In place, since a copy of the largest image takes 160 MB.
            ImageOps.exif_transpose(image, in_place=True)
            if image.mode.startswith("I"):
                return np.asarray(image).astype(np.uint16)
            if image.mode in ("1", "L", "LA"):
                return np.asarray(image.convert("L"))
            rgb = image if image.mode == "RGB" else image.convert("RGB")
            return cv2.cvtColor(np.asarray(rgb), cv2.COLOR_RGB2BGR)
    except PIL_ERRORS as error:
        raise UnreadableImage(f"The {image_format} data in this file is broken.") from error


def _finish_image(data: bytes, header: ImageHeader, pixels: ImageArray) -> DecodedImage:
    """Add what the file's tags say; mend 16-bit images where letters hide their range, or TIFF's white is zero."""
    pixels = without_bright_letters(pixels)
    marks = _EXTRA_MARKS.get(header.format)
    # Pillow even decodes a whole PNG to look for tags behind its pixels.
    if marks is not None and not any(mark in data for mark in marks):
        return DecodedImage(pixels)
    notes = []
    try:
        with Image.open(io.BytesIO(data), formats=(header.format,)) as image:
            exif = image.getexif()
            camera = {**exif, **exif.get_ifd(_EXIF_DETAILS)}
            if header.format == "TIFF" and exif.get(_PHOTOMETRIC) == _WHITE_IS_ZERO and pixels.dtype == np.uint16:
                # OpenCV inverts only 8-bit pixels.
                pixels = 65535 - pixels
            several = _has_another(image)
    except (*PIL_ERRORS, AttributeError, KeyError, TypeError, ZeroDivisionError):
        # The pixels are decoded; what a broken tag would have said is not needed.
        return DecodedImage(pixels)
    if several:
        notes.append("The file holds more than one image; this is the first.")
    if any(tag in camera for tag in _CAMERA_TAGS):
        notes.append(_PHOTOGRAPH)
    return DecodedImage(pixels, tuple(notes))


def _has_another(image: Image.Image) -> bool:
    """Return whether a file holds a second image. How many there are is not counted: there may be tens of thousands."""
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


def _pil_header(data: bytes) -> ImageHeader:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_PIL_FORMATS) as image:
                header = ImageHeader(*image.size, str(image.format))
    except Image.DecompressionBombError as error:
        raise UnreadableImage(f"The image is larger than {MAX_PIXELS / 1e6:.0f} million pixels.") from error
    except PIL_ERRORS as error:
        raise UnreadableImage(_why_not_opened(data[:HEAD_BYTES])) from error
    if takes_more_than(data, header.format, header.width * header.height):
        raise UnreadableImage(f"The {header.format} stream in this file is larger than its header says.")
    return header


def _why_not_opened(head: bytes) -> str:
    return (
        "This is not a whole image; the file is cut short or broken."
        if begins_like_an_image(head)
        else why_not_read(head)
    )


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


def _check_dicom(data: bytes) -> None:
    from cxr_core.imaging.dicom import decoding
    from cxr_core.imaging.dicom.header import UnreadableDicom

    try:
        decoding.check_complete(data)
    except UnreadableDicom as error:
        raise UnreadableImage(str(error)) from error
