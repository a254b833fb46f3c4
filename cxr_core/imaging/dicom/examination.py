"""What does a DICOM header say of the examination: a frontal chest radiograph, of whom, at which age?"""

import re
from functools import lru_cache

from pydicom.dataset import Dataset

from cxr_core.imaging.dicom.header import DICOM_ERRORS, read_dataset, text_of
from cxr_core.imaging.dicom.words import is_another_part, is_side_view, view_of

EXAMINATION_TAGS = ("Modality", "ViewPosition", "BodyPartExamined", "ViewCodeSequence", "AnatomicRegionSequence")
_SLICE_TAGS = ("ViewPosition", "ViewCodeSequence", "PatientAge")
_PATIENT_TAGS = ("PatientID", "IssuerOfPatientID", "PatientBirthDate")
# Shown as they are; other words for a view are brought to one of three.
_KEPT_VIEWS = ("PA", "AP", "LL", "RL", "LLD", "RLD", "LAT")
# DICOM PS3.5 6.2, Age String: a number of days, weeks, months or years.
_AGE = re.compile(r"(\d{3})([DWMY])")
_PER_YEAR = {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}
# DICOM PS3.3 C.7.3.1.1.1 (modalities).
_NO_RADIOGRAPH = {
    "AR", "BDUS", "BI", "BMD", "CT", "DG", "DMS", "DSC", "ECG", "EPS", "ES", "FA", "FS", "GM", "IO", "IVOCT", "IVUS",
    "KER", "LEN", "LP", "LS", "MG", "MR", "NM", "OAM", "OCT", "OP", "OPM", "OPT", "OPV", "PT", "PX", "RTDOSE",
    "RTIMAGE", "SM", "ST", "TG", "US", "VA", "XA", "XC",
    # What others drew, measured or wrote of an image.
    "ASMT", "AU", "DOC", "FID", "KO", "M3D", "PR", "REG", "RTPLAN", "RTRECORD", "RTSTRUCT", "RWV", "SEG", "SR",
}  # fmt: skip
# DICOM PS3.16: common anatomic regions (CID 4031) and views of digital radiography (CID 4010).
_CODES = {"AnatomicRegionSequence": "cid4031", "ViewCodeSequence": "cid4010"}
# What the standard's earlier editions listed there.
_OLDER_CODES = (("51185008", "SCT", "Chest"), ("113345001", "SCT", "Abdomen"), ("12921003", "SCT", "Pelvis"))


def doubts_of(dataset: Dataset) -> tuple[str, ...]:
    """Say what speaks against a frontal chest radiograph, without quoting the header.

    A word or code that nobody knows says nothing, and so does one that names the chest together with something else.

    Args:
        dataset: with the elements of `EXAMINATION_TAGS`.
    """
    doubts = []
    if text_of(dataset, "Modality") in _NO_RADIOGRAPH:
        doubts.append("According to its DICOM header, this is not a radiograph.")
    if is_side_view(_words(dataset, "ViewPosition", "ViewCodeSequence")):
        doubts.append("According to its DICOM header, this is a lateral view.")
    if is_another_part(_words(dataset, "BodyPartExamined", "AnatomicRegionSequence")):
        doubts.append("According to its DICOM header, this is not an image of the chest.")
    return tuple(doubts)


def view_and_age(data: bytes) -> tuple[str | None, float | None]:
    """Read the view position and the patient's age, by which an evaluation is sliced; never called for an upload.

    Args:
        data: the whole file, whose size was checked by `dicom_size`.

    Returns:
        The view, such as "PA", and the age in years; None where the header is silent or implausible.
    """
    try:
        dataset = read_dataset(data, _SLICE_TAGS, stop_before_pixels=True)
        view, age = text_of(dataset, "ViewPosition"), text_of(dataset, "PatientAge")
        told = _words(dataset, "ViewPosition", "ViewCodeSequence")
    except DICOM_ERRORS:
        return None, None
    found = _AGE.fullmatch(age)
    years = int(found[1]) / _PER_YEAR[found[2]] if found else None
    if view not in _KEPT_VIEWS:
        view = view_of(told) or view
    return (view if view.isalnum() else None), (years if years is not None and years <= 130 else None)


def patient_identity(data: bytes) -> tuple[str, str, str]:
    """Read who the patient is. To be hashed at once: never shown, logged or kept.

    Args:
        data: the whole file, whose size was checked by `dicom_size`.

    Returns:
        PatientID, IssuerOfPatientID and PatientBirthDate; "" where the header is silent or broken.
    """
    try:
        dataset = read_dataset(data, _PATIENT_TAGS, stop_before_pixels=True)
        patient_id, issuer, birth_date = (str(dataset.get(tag) or "") for tag in _PATIENT_TAGS)
    except DICOM_ERRORS:
        return "", "", ""
    return patient_id, issuer, birth_date


def _words(dataset: Dataset, keyword: str, sequence: str) -> str:
    """Return what an element and a code sequence say of the same thing, as one text in capitals."""
    items = dataset.get(sequence) or ()
    told = [text_of(item, "CodeMeaning") for item in items]
    told += [_english(sequence, text_of(item, "CodeValue"), text_of(item, "CodingSchemeDesignator")) for item in items]
    return " ".join([text_of(dataset, keyword), *told]).strip()


@lru_cache(maxsize=256)
def _english(sequence: str, value: str, scheme: str) -> str:
    """Return what a code means, in English capitals; "" for a code that is not among those of its sequence."""
    # Slow to import, and few files have codes.
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    code = Code(value, scheme, "")
    concepts = [*getattr(codes, _CODES[sequence]).concepts.values(), *(Code(*older) for older in _OLDER_CODES)]
    return next((concept.meaning.upper() for concept in concepts if concept == code), "")
