"""What are the pixels of a DICOM file, and which warnings belong to them? Imported only where a file is DICOM."""

import io
import logging
import re
import struct
import warnings
import zlib
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import FileDataset
from pydicom.encaps import get_frame
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, get_decoder, pixel_array
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from cxr_core.config import MAX_PIXELS
from cxr_core.imaging import dicom_codecs
from cxr_core.system.arrays import BoolArray, FloatArray, ImageArray, IntArray, UInt8Array

# Pixel values as a file stores them: integers of up to 32 bits, or floats.
StoredArray = npt.NDArray[Any]

# Warnings about a broken file quote it, patient data included: they do not belong in the log.
warnings.filterwarnings("ignore", module="pydicom")
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)

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
# All that is read of a file: what its pixels need, and the kind of examination.
_PIXEL_TAGS = [
    "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData", "FloatPixelData",
    "DoubleFloatPixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "WindowCenter",
    "WindowWidth", "VOILUTFunction", "VOILUTSequence", "PresentationLUTShape", "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData", "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
]  # fmt: skip
_KIND_TAGS = ["Modality", "ViewPosition", "BodyPartExamined"]
_SIZE_TAGS = ["Rows", "Columns", "NumberOfFrames"]
_SLICE_TAGS = ["ViewPosition", "PatientAge"]
_PATIENT_TAGS = ["PatientID", "IssuerOfPatientID", "PatientBirthDate"]
# DICOM PS3.5 6.2, Age String: a number of days, weeks, months or years.
_AGE = re.compile(r"(\d{3})([DWMY])")
_PER_YEAR = {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}
# DICOM PS3.3 C.7.3.1.1.1 (modalities) and C.8.11.5 (view positions).
_NO_RADIOGRAPH = {
    "AR", "BDUS", "BI", "BMD", "CT", "DG", "DMS", "DSC", "ECG", "EPS", "ES", "FA", "FS", "GM", "IO", "IVOCT", "IVUS",
    "KER", "LEN", "LP", "LS", "MG", "MR", "NM", "OAM", "OCT", "OP", "OPM", "OPT", "OPV", "PT", "PX", "RTDOSE",
    "RTIMAGE", "SM", "ST", "TG", "US", "VA", "XA", "XC",
}  # fmt: skip
_SIDE_VIEWS = {"LL", "RL", "LATERAL", "LAT", "LLD", "RLD"}
_CHEST = ("CHEST", "THORAX", "LUNG", "RIB", "PORTABLE")
# Pixels are looked up block by block, so that the 64-bit indices of a large image are never all in memory.
_BLOCK_ROWS = 256
_LARGEST_TABLE = 1 << 17
# A few kilobytes can inflate to gigabytes, and pydicom inflates a file before its size is known.
_DEFLATED_SYNTAX = b"1.2.840.10008.1.2.1.99"
_MAX_INFLATED_BYTES = 2 * MAX_PIXELS


class UnreadableDicom(ValueError):
    """A DICOM file whose image cannot be decoded; the message is one sentence for the user."""


def dicom_size(data: bytes) -> tuple[int, int, int]:
    """Read an image's size without decoding it.

    Args:
        data: the whole file.

    Returns:
        Width and height in pixels, and the number of frames.

    Raises:
        UnreadableDicom: the file holds no image, or inflates to far more than an image takes.
    """
    try:
        if _DEFLATED_SYNTAX in data[:2048]:
            _check_inflated_size(data)
        dataset = _read(data, _SIZE_TAGS, stop_before_pixels=True)
        return int(dataset.Columns), int(dataset.Rows), max(1, int(dataset.get("NumberOfFrames") or 1))
    except UnreadableDicom:
        raise
    except _ERRORS as error:
        raise UnreadableDicom("This DICOM file holds no image.") from error


def view_and_age(data: bytes) -> tuple[str | None, float | None]:
    """Read the view position and the patient's age, by which an evaluation is sliced; never called for an upload.

    Args:
        data: the whole file, whose size was checked by `dicom_size`.

    Returns:
        The view, such as "PA", and the age in years; None where the header is silent or implausible.
    """
    try:
        dataset = _read(data, _SLICE_TAGS, stop_before_pixels=True)
        view, age = str(dataset.get("ViewPosition") or ""), str(dataset.get("PatientAge") or "")
    except _ERRORS:
        return None, None
    found = _AGE.fullmatch(age.strip())
    years = int(found[1]) / _PER_YEAR[found[2]] if found else None
    view = view.strip().upper()
    return (view if view.isalnum() else None), (years if years is not None and years <= 130 else None)


def patient_identity(data: bytes) -> tuple[str, str, str]:
    """Read who the patient is. To be hashed at once: never shown, logged or kept.

    Args:
        data: the whole file, whose size was checked by `dicom_size`.

    Returns:
        PatientID, IssuerOfPatientID and PatientBirthDate; "" where the header is silent or broken.
    """
    try:
        dataset = _read(data, _PATIENT_TAGS, stop_before_pixels=True)
        patient_id, issuer, birth_date = (str(dataset.get(tag) or "") for tag in _PATIENT_TAGS)
    except _ERRORS:
        return "", "", ""
    return patient_id, issuer, birth_date


def decode_dicom(data: bytes) -> tuple[ImageArray, tuple[str, ...], tuple[str, ...]]:
    """Decode the first frame as a workstation shows it.

    Modality LUT or rescale, then VOI LUT or window, then inversion of MONOCHROME1 or of an inverse presentation.
    Padding around the image does not count towards its range, and becomes black.

    Args:
        data: the whole file, whose size was checked by `dicom_size`.

    Returns:
        Pixels, notes and doubts as in `reader.DecodedImage`. Pixels are uint16 (H, W), stretched to the image's own
        range, or uint8 (H, W, 3) BGR for a colour image.

    Raises:
        UnreadableDicom: the pixel data are broken, or encoded in a way that is not supported.

    Source:
        DICOM PS3.4 N.2 (order of the transformations), PS3.3 C.11.1, C.11.2 and C.7.5.1.1.2.
    """
    try:
        dataset = _read(data, _PIXEL_TAGS + _KIND_TAGS)
        return _shown_pixels(_first_frame(dataset), dataset), _notes(dataset), _doubts(dataset)
    except _ERRORS as error:
        raise UnreadableDicom("The pixel data of this DICOM file cannot be decoded.") from error


def _shown_pixels(stored: StoredArray, dataset: FileDataset) -> ImageArray:
    """Turn the stored values of one frame into the pixels that `decode_dicom` returns."""
    if dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
        return _bgr(apply_color_lut(stored, dataset), 16)
    if stored.ndim == 3:
        return _bgr(stored, int(dataset.BitsStored))
    return _grey(stored, dataset)


def _read(data: bytes, tags: list[str], *, stop_before_pixels: bool = False) -> FileDataset:
    # Forced, because a file without preamble was recognised by its first bytes.
    dataset = pydicom.dcmread(
        io.BytesIO(data), specific_tags=list(tags), force=True, stop_before_pixels=stop_before_pixels
    )
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset


def _first_frame(dataset: FileDataset) -> StoredArray:
    """Decode the stored values of the first frame, with decoders that are safe on untrusted files."""
    syntax = dataset.file_meta.TransferSyntaxUID
    several = int(dataset.get("SamplesPerPixel", 1)) > 1
    if not syntax.is_compressed or syntax == RLELossless:
        return pixel_array(dataset, index=0)
    if several:
        frames = int(dataset.get("NumberOfFrames") or 1)
        frame = get_frame(dataset.PixelData, 0, number_of_frames=frames)
        dicom_codecs.check_frame_size(frame, int(dataset.Rows), int(dataset.Columns))
    *first, last = dicom_codecs.choose_plugins(get_decoder(syntax), several)
    for plugin in first:
        try:
            return pixel_array(dataset, index=0, decoding_plugin=plugin)
        except RuntimeError:  # what pydicom raises where a plugin fails
            continue
    return pixel_array(dataset, index=0, decoding_plugin=last)


def _grey(pixels: StoredArray, dataset: FileDataset) -> npt.NDArray[np.uint16]:
    """Return one grey frame as it is shown, uint16 (H, W)."""
    low, high = pixels.min(), pixels.max()
    inverted = (
        dataset.get("PhotometricInterpretation") == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE"
    )
    if pixels.dtype.kind == "f" or int(high) - int(low) >= _LARGEST_TABLE:
        values = _stored_to_shown(pixels, dataset)
        return _stretch(values, np.ones(values.shape, bool), inverted)
    # Every possible value is transformed once; each pixel is only looked up.
    stored = np.arange(int(low), int(high) + 1).astype(pixels.dtype)
    present = np.zeros(len(stored), bool)
    for start in range(0, len(pixels), _BLOCK_ROWS):
        present[pixels[start : start + _BLOCK_ROWS].astype(np.int64) - int(low)] = True
    padding = _is_padding(stored, dataset)
    if not (present & ~padding).any():
        padding[:] = False
    table = _stretch(_stored_to_shown(stored, dataset), present & ~padding, inverted)
    table[padding] = 0
    shown = np.empty(pixels.shape, np.uint16)
    for start in range(0, len(pixels), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        shown[rows] = table[pixels[rows].astype(np.int64) - int(low)]
    return shown


def _stored_to_shown(stored: StoredArray, dataset: FileDataset) -> FloatArray:
    """Apply the modality LUT or rescale, then the VOI LUT or window; float64 of the same shape."""
    values = apply_modality_lut(stored, dataset)
    if dataset.get("VOILUTSequence") and values.dtype.kind == "f":
        # A VOI LUT is indexed with whole numbers, and a rescale gives floats such as 100 × 0.29 = 28.999999999999996.
        values = np.round(values).astype(np.int64)
    return apply_voi_lut(values, dataset).astype(np.float64)


def _stretch(values: FloatArray, counted: BoolArray, inverted: bool) -> npt.NDArray[np.uint16]:
    """Stretch values to 16 bits, between the lowest and highest of those that are `counted`."""
    low, high = values[counted].min(), values[counted].max()
    if high == low:
        return np.zeros(values.shape, np.uint16)
    shown = np.round(np.clip((values - low) / (high - low), 0, 1) * 65535).astype(np.uint16)
    return 65535 - shown if inverted else shown


def _is_padding(stored: StoredArray, dataset: FileDataset) -> BoolArray:
    """Return which stored values fill the area around the image, bool of the same shape."""
    padding = dataset.get("PixelPaddingValue")
    if not isinstance(padding, int):
        return np.zeros(stored.shape, bool)
    limit = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((padding, limit if isinstance(limit, int) else padding))
    return (stored >= low) & (stored <= high)


def _notes(dataset: FileDataset) -> tuple[str, ...]:
    frames = int(dataset.get("NumberOfFrames") or 1)
    return (f"The DICOM file holds {frames} frames; this is the first.",) if frames > 1 else ()


def _doubts(dataset: FileDataset) -> tuple[str, ...]:
    """Say what speaks against a frontal chest radiograph, without quoting the header."""
    modality, view, part = (str(dataset.get(tag) or "").upper().strip() for tag in _KIND_TAGS)
    doubts = []
    if modality in _NO_RADIOGRAPH:
        doubts.append("According to its DICOM header, this is not a radiograph.")
    if view in _SIDE_VIEWS:
        doubts.append("According to its DICOM header, this is a lateral view.")
    if part and not any(word in part for word in _CHEST):
        doubts.append("According to its DICOM header, this is not an image of the chest.")
    return tuple(doubts)


def _check_inflated_size(data: bytes) -> None:
    """Raise UnreadableDicom if a deflated file inflates to far more than an image takes."""
    # The file meta information begins with its own length, a 4-byte number at offset 140.
    start = 144 + struct.unpack_from("<I", data, 140)[0]
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[start:], _MAX_INFLATED_BYTES + 1)
    if len(inflated) > _MAX_INFLATED_BYTES:
        raise UnreadableDicom(f"The DICOM file inflates to more than {_MAX_INFLATED_BYTES / 1e6:.0f} MB.")


def _bgr(rgb: IntArray, bits: int) -> UInt8Array:
    """Return colour pixels of `bits` significant bits as uint8 (H, W, 3) BGR."""
    eight = (rgb >> (bits - 8)).astype(np.uint8) if rgb.dtype.itemsize > 1 else rgb
    return cv2.cvtColor(np.ascontiguousarray(eight), cv2.COLOR_RGB2BGR)
