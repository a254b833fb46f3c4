"""An overlay as a DICOM file of its own: a Secondary Capture that carries nothing of the header it was made from.

Imported only where such a file is asked for.
"""

import io

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from cxr_core import __version__
from cxr_core.classes import class_label
from cxr_core.config import NOTICE
from cxr_core.inference.selective_prediction import TEXT_NOTE

# Required in the file and unknown on purpose: DICOM PS3.3 C.7.1.1, C.7.2.1, C.7.3.1 and C.7.6.1, type 2.
_EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "ReferringPhysicianName", "AccessionNumber", "Laterality", "PatientOrientation",
)  # fmt: skip


def overlay_dicom(answer, classifier, class_name, *, made, alpha=0.4, colour_map="jet"):
    """Write the map of one class over the image as a DICOM file.

    The header is made anew, with new UIDs: no value of the image's own is copied, so that the file belongs
    to no patient and no study. Letters in the pixels stay; where some were found, the file says so.

    Args:
        answer: selective_prediction.Answer.
        classifier: the classifier.Classifier that answered.
        class_name: str, one of its classes.
        made: datetime.
        alpha, colour_map: as for `overlay.overlay_map`.

    Returns:
        bytes of a Secondary Capture Image, explicit VR little endian, RGB of 8 bits at the image's own size.

    Source:
        DICOM PS3.3 A.8.1 (Secondary Capture Image), PS3.15 E.3.1 (patient identity removed).
    """
    overlay = answer.overlay(classifier, class_name, alpha=alpha, colour_map=colour_map)
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
    data.SeriesDescription = f"Where a classifier looked for {class_label(class_name)}"[:64]
    data.ImageComments = NOTICE
    data.DerivationDescription = (
        f"{answer.prediction.map_method} of {class_label(class_name)[:100]} laid over the image, by classifier "
        f"{classifier.card.name[:100]}, weights {classifier.digest()}. {NOTICE}"
    )
    data.PatientIdentityRemoved = "YES"
    data.DeidentificationMethod = "Header made anew; pixels as they were"
    if TEXT_NOTE in answer.notes:
        data.BurnedInAnnotation = "YES"
    _set_pixels(data, overlay)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, data, enforce_file_format=True)
    return stream.getvalue()


def _set_pixels(data, image_rgb):
    data.Rows, data.Columns = image_rgb.shape[:2]
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", 0
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    pixels = np.ascontiguousarray(image_rgb).tobytes()
    # The value of an element has an even length.
    data.add_new("PixelData", "OB", pixels + b"\0" * (len(pixels) % 2))
