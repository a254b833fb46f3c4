"""What does the header of a DICOM file say, and what is taken where it is silent?"""

import io
import logging
import math
import struct
import warnings
import zlib
from collections.abc import Sequence

import cv2
import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import _read_command_set_elements, _read_file_meta_info, read_preamble
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from cxr_core.config import MAX_PIXELS
from cxr_core.imaging.files.many_parts import CountedReads, TooManyParts

# Warnings about a broken file quote it, patient data included: they do not belong in the log.
warnings.filterwarnings("ignore", module="pydicom")
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)

# What pydicom and its decoders raise on broken data.
DICOM_ERRORS = (
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
# Value representations whose bytes are numbers; all others are text, UN included where it is not of two bytes.
_INTEGERS = ("US", "SS", "UL", "SL", "OW", "OB", "OL", "US or SS", "US or OW")
_FLOATS = ("FL", "FD")
_PIXEL_WORDS = 16


_MAX_INFLATED_BYTES = 2 * MAX_PIXELS
_PIECE = 1 << 20


class UnreadableDicom(ValueError):
    """A DICOM file whose image cannot be decoded; the message is one sentence for the user."""


def read_dataset(data: bytes, tags: Sequence[str], *, stop_before_pixels: bool = False) -> FileDataset:
    """Read some elements of a file, and no others.

    Args:
        data: the whole file; it need not have a preamble.
        tags: keywords of the elements.
        stop_before_pixels: True leaves the pixel data out.

    Raises:
        UnreadableDicom: it is deflated, and inflates to far more than an image takes; or it has far more elements than
            an image needs.
        one of DICOM_ERRORS: the file is broken.
    """
    if DeflatedExplicitVRLittleEndian.encode() in data:
        data = _inflated(data)
    try:
        # Forced, because a file without preamble was recognised by its first bytes.
        dataset = pydicom.dcmread(
            CountedReads(data), specific_tags=list(tags), force=True, stop_before_pixels=stop_before_pixels
        )
    except TooManyParts as error:
        raise UnreadableDicom(str(error)) from error
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset


def _inflated(data: bytes) -> bytes:
    """Return a deflated file as an explicit one; any other file as it is.

    Where the stream begins is found as pydicom finds it: a false length of the file meta information, a missing
    preamble or a transfer syntax far behind lead nowhere else.

    Raises:
        UnreadableDicom: it inflates to far more than an image takes.
    """
    stream = io.BytesIO(data)
    read_preamble(stream, force=True)
    meta = _read_file_meta_info(stream)
    _read_command_set_elements(stream)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return data
    body = data[stream.tell() :]
    _check_inflated_size(body)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    head = DicomBytesIO()
    head.is_little_endian, head.is_implicit_VR = True, False
    write_file_meta_info(head, meta, enforce_standard=False)
    return b"".join((bytes(128), b"DICM", head.getvalue(), zlib.decompressobj(-zlib.MAX_WBITS).decompress(body)))


def _check_inflated_size(body: bytes) -> None:
    """Raise UnreadableDicom if a stream inflates to far more than an image takes; little of it is in memory at once."""
    inflate, inflated = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while body and not inflate.eof:
        inflated += len(inflate.decompress(body, _PIECE))
        body = inflate.unconsumed_tail
        if inflated > _MAX_INFLATED_BYTES:
            raise UnreadableDicom(f"The DICOM file inflates to more than {_MAX_INFLATED_BYTES / 1e6:.0f} MB.")


def text_of(dataset: Dataset, keyword: str) -> str:
    """Return an element's text in capitals, "" where it is missing; never an error, whatever the bytes are.

    Of several values all are returned, separated by a backslash.
    """
    element = dataset.get_item(keyword)
    value = element.value if element is not None else None
    if isinstance(value, bytes):
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            text = value.decode("latin-1")
    else:
        text = str(value or "")
    return text.strip("\0 \t\r\n").upper()


def numbers_of(dataset: Dataset, keyword: str) -> list[float]:
    """Return an element's numbers: [] where it is missing, NaN for each value that is empty or no finite number.

    A decimal comma counts as a point.
    """
    element = dataset.get_item(keyword)
    if element is None:
        return []
    if isinstance(element, RawDataElement) and _representation(element) in (*_FLOATS, *_INTEGERS):
        element = dataset[keyword]
    if isinstance(element, RawDataElement):
        values: list[object] = list((element.value or b"").decode("latin-1").split("\\"))
    else:
        values = list(element.value) if element.VM > 1 else [element.value]
    return [_number(value) for value in values]


def integer_of(dataset: Dataset, keyword: str) -> tuple[int, int] | None:
    """Return an integer whose value representation may be wrong.

    Returns:
        The first value and the number of bits it was written with; None where it is missing or no number. Bytes are
        read as an unsigned number, whatever the header says of their sign.
    """
    element = dataset.get_item(keyword)
    if element is None or not element.value and element.value != 0:
        return None
    value = element.value
    if not isinstance(element, RawDataElement) or not isinstance(value, bytes):
        first = numbers_of(dataset, keyword)[0]
        return (int(first), _PIXEL_WORDS) if math.isfinite(first) else None
    is_binary = element.VR in (None, *_INTEGERS) or (element.VR == "UN" and len(value) == 2)
    if not is_binary:
        first = numbers_of(dataset, keyword)[0]
        return (int(first), _PIXEL_WORDS) if math.isfinite(first) else None
    size = 4 if element.VR in ("UL", "SL", "OL") else 2
    order = "little" if element.is_little_endian else "big"
    return int.from_bytes(value[:size], order), 8 * len(value[:size])


def _representation(element: RawDataElement) -> str:
    """Return an element's value representation, the standard's where the file does not tell."""
    return dictionary_VR(element.tag) if element.VR in (None, "UN") else str(element.VR)


def _number(value: object) -> float:
    try:
        number = float(str(value).strip("\0 ").replace(",", "."))
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan
