"""What are the pixels of a DICOM file, and which warnings belong to them? Imported only where a file is DICOM."""

import cv2
import numpy as np
from pydicom.dataset import FileDataset
from pydicom.encaps import get_frame
from pydicom.pixels import apply_color_lut, pixel_array
from pydicom.pixels.utils import get_expected_length
from pydicom.uid import RLELossless

from cxr_core.imaging.dicom import codecs
from cxr_core.imaging.dicom.examination import EXAMINATION_TAGS, doubts_of
from cxr_core.imaging.dicom.grey_values import CellArray, shown_greys
from cxr_core.imaging.dicom.header import DICOM_ERRORS, UnreadableDicom, read_dataset
from cxr_core.imaging.dicom.missing_elements import complete_header, n_frames
from cxr_core.imaging.files.cut_short import is_filled
from cxr_core.system.arrays import ImageArray, IntArray, UInt8Array

# All that is read of a file besides the kind of examination: what its pixels need.
_PIXEL_TAGS = [
    "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData", "FloatPixelData",
    "DoubleFloatPixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "FloatPixelPaddingValue", "FloatPixelPaddingRangeLimit", "DoubleFloatPixelPaddingValue",
    "DoubleFloatPixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "WindowCenter",
    "WindowWidth", "VOILUTFunction", "VOILUTSequence", "PresentationLUTShape", "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData", "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
]  # fmt: skip
_PIXEL_DATA = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
MORE_PIXELS_NOTE = "The DICOM file holds more pixel data than its header tells of; its size or its bits may be wrong."
_SIZE_TAGS = ["Rows", "Columns", "NumberOfFrames"]
# A few kilobytes can inflate to gigabytes, and pydicom inflates a file before its size is known.


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
        dataset = read_dataset(data, _SIZE_TAGS, stop_before_pixels=True)
        return int(dataset.Columns), int(dataset.Rows), n_frames(dataset)
    except UnreadableDicom:
        raise
    except DICOM_ERRORS as error:
        raise UnreadableDicom("This DICOM file holds no image.") from error


def decode_dicom(data: bytes) -> tuple[ImageArray, tuple[str, ...], tuple[str, ...]]:
    """Decode the first frame as a workstation shows it.

    Args:
        data: the whole file, whose size was checked by `dicom_size`.

    Returns:
        Pixels, notes and doubts as in `reader.DecodedImage`. Pixels are uint16 (H, W), stretched to the image's own
        range as in `grey_values.shown_greys`, or uint8 (H, W, 3) BGR for a colour image.

    Raises:
        UnreadableDicom: the pixel data are broken, or encoded in a way that is not supported.
    """
    try:
        dataset = read_dataset(data, [*_PIXEL_TAGS, *EXAMINATION_TAGS])
        _check_pixel_data(dataset)
        codecs.check_syntax(dataset.file_meta.TransferSyntaxUID)
        notes = complete_header(dataset) if "PixelData" in dataset else ()
        pixels, more_notes = _shown_pixels(_first_frame(dataset), dataset)
        return pixels, (*_frame_notes(dataset), *notes, *more_notes), doubts_of(dataset)
    except UnreadableDicom:
        raise
    except DICOM_ERRORS as error:
        raise UnreadableDicom("The pixel data of this DICOM file cannot be decoded.") from error


def check_complete(data: bytes) -> None:
    """Raise UnreadableDicom if the pixel data are shorter than the header says, or end as if they had been cut short.

    Compressed pixel data are not looked at; whether they are whole shows when they are decoded.

    Args:
        data: the whole file, whose size was checked by `dicom_size`.
    """
    try:
        dataset = read_dataset(data, _PIXEL_TAGS)
        _check_pixel_data(dataset)
        syntax = dataset.file_meta.TransferSyntaxUID
        codecs.check_syntax(syntax)
        if not syntax.is_compressed and "PixelData" in dataset:
            complete_header(dataset)
            _first_frame(dataset)
    except UnreadableDicom:
        raise
    except DICOM_ERRORS as error:
        raise UnreadableDicom("The DICOM file is cut short or broken.") from error


def _check_pixel_data(dataset: FileDataset) -> None:
    """Raise UnreadableDicom if a file tells the size of an image and does not hold it, as an exported header."""
    if not any(dataset.get(keyword) for keyword in _PIXEL_DATA):
        raise UnreadableDicom("This DICOM file holds no pixel data; export the image with its pixels.")


def _shown_pixels(stored: CellArray, dataset: FileDataset) -> tuple[ImageArray, tuple[str, ...]]:
    """Turn the stored values of one frame into the pixels that `decode_dicom` returns."""
    if dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
        return _bgr(apply_color_lut(stored, dataset), 16), ()
    if stored.ndim == 3:
        return _bgr(stored, int(dataset.BitsStored)), ()
    return shown_greys(stored, dataset)


def _first_frame(dataset: FileDataset) -> CellArray:
    """Decode the stored values of the first frame, with decoders that are safe on untrusted files."""
    syntax = dataset.file_meta.TransferSyntaxUID
    several = int(dataset.get("SamplesPerPixel") or 1) > 1
    if not syntax.is_compressed or syntax == RLELossless:
        # The bits of grey pixels are taken apart with those of the high bit, which pydicom does not look at.
        is_grey = not several and dataset.get("PhotometricInterpretation") != "PALETTE COLOR"
        cells = pixel_array(dataset, index=0, correct_unused_bits=not is_grey)
        if not syntax.is_compressed and is_filled(cells, "DICOM"):
            raise UnreadableDicom(
                "The DICOM file is cut short: the end of its pixel data is filled with something else."
            )
        return cells
    plugins = codecs.choose_plugins(syntax, several)
    frames = n_frames(dataset)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=frames)
    codecs.check_frame_size(frame, int(dataset.Rows), int(dataset.Columns))
    *first, last = plugins
    for plugin in first:
        try:
            return pixel_array(dataset, index=0, decoding_plugin=plugin)
        except RuntimeError:  # what pydicom raises where a plugin fails
            continue
    return pixel_array(dataset, index=0, decoding_plugin=last)


def _frame_notes(dataset: FileDataset) -> tuple[str, ...]:
    frames, notes = n_frames(dataset), []
    if frames > 1:
        notes.append(f"The DICOM file holds {frames} frames; this is the first.")
    if "PixelData" in dataset and not dataset.file_meta.TransferSyntaxUID.is_compressed:
        n_bytes = len(dataset.PixelData)
        # Pixel data of an odd length end with a byte that means nothing.
        if n_bytes - n_bytes % 2 > get_expected_length(dataset) + 1:
            notes.append(MORE_PIXELS_NOTE)
    return tuple(notes)


def _bgr(rgb: IntArray, bits: int) -> UInt8Array:
    """Return colour pixels of `bits` significant bits as uint8 (H, W, 3) BGR."""
    eight = (rgb >> (bits - 8)).astype(np.uint8) if rgb.dtype.itemsize > 1 else rgb
    return cv2.cvtColor(np.ascontiguousarray(eight), cv2.COLOR_RGB2BGR)
