"""How is an overlay written as a DICOM file, without anything of the original header?

Imported only where such a file is asked for.
"""

import io
from datetime import datetime

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from cxr_core import __version__
from cxr_core.classes import class_label
from cxr_core.config import NOTICE
from cxr_core.inference.classifier import Classifier
from cxr_core.inference.selective_prediction import TEXT_NOTE, Answer
from cxr_core.system.arrays import UInt8Array

# Required in the file and left empty on purpose: DICOM PS3.3 C.7.1.1, C.7.2.1, C.7.3.1 and C.7.6.1, type 2.
_EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "ReferringPhysicianName", "AccessionNumber", "Laterality", "PatientOrientation",
)  # fmt: skip


def overlay_dicom(
    answer: Answer,
    classifier: Classifier,
    class_name: str,
    *,
    made: datetime,
    alpha: float = 0.4,
    colour_map: str = "jet",
) -> bytes:
    """Write the map of one class over the image as a DICOM file.

    The header is new: no value of the original is copied, so the file belongs to no patient and no study. Burned-in
    text stays in the pixels; where some was found, the file says so.

    Args:
        answer: what is said of the image.
        classifier: that gave the answer.
        class_name: one of its classes.
        made: date and time to state.
        alpha: as for `overlay.overlay_map`.
        colour_map: as for `overlay.overlay_map`.

    Returns:
        A Secondary Capture Image, explicit VR little endian, RGB of 8 bits at the image's own size.

    Source:
        DICOM PS3.3 A.8.1 (Secondary Capture Image), PS3.15 E.3.1 (patient identity removed).
    """
    data, label = _new_header(made), class_label(class_name)
    data.SeriesDescription = f"Where a classifier looked for {label}"[:64]
    data.DerivationDescription = (
        f"{answer.prediction.map_method} of {label[:100]} laid over the image, by classifier "
        f"{classifier.card.name[:100]}, weights {classifier.digest()}. {NOTICE}"
    )
    if TEXT_NOTE in answer.notes:
        data.BurnedInAnnotation = "YES"
    _set_pixels(data, answer.overlay(classifier, class_name, alpha=alpha, colour_map=colour_map))
    return _file_bytes(data)


def _new_header(made: datetime) -> Dataset:
    """Return a header that names no patient, with new UIDs."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SpecificCharacterSet = "ISO_IR 192"
    data.ImageType = ["DERIVED", "SECONDARY"]
    data.SOPClassUID = SecondaryCaptureImageStorage
    for name in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(data, name, generate_uid(prefix=None))
    for name in _EMPTY:
        setattr(data, name, None)
    data.Modality, data.ConversionType = "OT", "WSD"
    data.SeriesNumber = data.InstanceNumber = 1
    data.ContentDate, data.ContentTime = made.strftime("%Y%m%d"), made.strftime("%H%M%S")
    data.Manufacturer, data.SoftwareVersions = "CXR Lab", __version__
    data.ImageComments = NOTICE
    data.PatientIdentityRemoved = "YES"
    data.DeidentificationMethod = "New header; pixels unchanged"
    return data


def _file_bytes(data: Dataset) -> bytes:
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, data, enforce_file_format=True)
    return stream.getvalue()


def _set_pixels(data: Dataset, image_rgb: UInt8Array) -> None:
    data.Rows, data.Columns = image_rgb.shape[:2]
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", 0
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    pixels = np.ascontiguousarray(image_rgb).tobytes()
    # The value of an element has an even length.
    data.add_new("PixelData", "OB", pixels + b"\0" * (len(pixels) % 2))
