"""Valid for pydicom, the pixels that were drawn, and nothing of whom the scan shows."""

import io
from datetime import datetime

import cv2
import numpy as np
import pydicom
import pytest
from image_files import dicom
from pydicom.uid import SecondaryCaptureImageStorage

from cxr_core.cli.main import main
from cxr_core.data.phantoms import draw_phantom
from cxr_core.imaging.reader import decode_image
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.selective_prediction import answer_upload
from cxr_core.reporting.dicom_secondary_capture import overlay_dicom

IMAGE = draw_phantom("covid", np.random.default_rng(1))
MADE = datetime(2026, 3, 4, 5, 6, 7)
# One value for every kind of thing that names a person, a place or a time.
HEADER = {
    "PatientName": "Zyxwv^Jane", "PatientID": "QQ4711QQ", "PatientBirthDate": "19610203", "PatientAge": "065Y",
    "PatientAddress": "9 Hidden Lane", "OtherPatientIDs": "XX0815XX", "AccessionNumber": "AC998877",
    "InstitutionName": "Saint Elsewhere", "ReferringPhysicianName": "House^G", "OperatorsName": "Doe^Op",
    "StudyDate": "20200131", "StudyTime": "112233", "SeriesDate": "20200130", "StudyID": "ST5566",
    "StudyInstanceUID": "1.2.3.99.1", "SeriesInstanceUID": "1.2.3.99.2", "FrameOfReferenceUID": "1.2.3.99.3",
    "StationName": "ROOM7X", "DeviceSerialNumber": "SN424242", "StudyDescription": "CHEST PA of Jane",
    "ImageComments": "smoker since 1980", "Modality": "DX", "BodyPartExamined": "CHEST", "ViewPosition": "PA",
}  # fmt: skip


@pytest.fixture(scope="module")
def classifier(ungated_model):
    return load_classifier(ungated_model)


def overlay_of(classifier, data):
    answer = answer_upload(classifier, data)
    written = overlay_dicom(answer, classifier, "covid", made=MADE)
    return written, answer


@pytest.fixture(scope="module")
def written_and_answer(classifier):
    return overlay_of(classifier, dicom(IMAGE, **HEADER))


@pytest.fixture
def strict():
    """pydicom refuses what the standard does not allow."""
    before = pydicom.config.settings.reading_validation_mode
    pydicom.config.settings.reading_validation_mode = pydicom.config.RAISE
    yield
    pydicom.config.settings.reading_validation_mode = before


def test_it_is_a_secondary_capture_that_pydicom_reads_strictly(written_and_answer, strict):
    read = pydicom.dcmread(io.BytesIO(written_and_answer[0]))
    assert read.SOPClassUID == read.file_meta.MediaStorageSOPClassUID == SecondaryCaptureImageStorage
    assert read.SOPInstanceUID == read.file_meta.MediaStorageSOPInstanceUID
    assert (read.Modality, read.ConversionType, read.PatientIdentityRemoved) == ("OT", "WSD", "YES")
    assert [str(element.value) for element in read if element.VR == "UI" and not element.value.is_valid] == []


def test_its_pixels_are_the_overlay(written_and_answer, classifier):
    written, answer = written_and_answer
    shown = answer.overlay(classifier, "covid")
    np.testing.assert_array_equal(pydicom.dcmread(io.BytesIO(written)).pixel_array, shown)
    np.testing.assert_array_equal(decode_image(written), shown[..., ::-1])


def test_no_value_of_the_scans_header_occurs_in_it(written_and_answer):
    written = written_and_answer[0]
    parts = {part for value in HEADER.values() for part in [value, *value.split("^")]} - {
        "DX",
        "PA",
        "CHEST",
        "G",
        "Op",
    }
    assert sorted(part for part in parts if part.encode() in written) == []


def test_it_holds_no_element_but_what_it_is_meant_to(written_and_answer):
    read = pydicom.dcmread(io.BytesIO(written_and_answer[0]))
    patient = [element.keyword for element in read if element.tag.group == 0x10 and element.value]
    dates = [element.keyword for element in read if element.VR in ("DA", "TM", "DT") and element.value]
    assert (patient, dates) == ([], ["ContentDate", "ContentTime"])


def test_an_image_of_odd_size_is_stored_whole(classifier):
    odd = cv2.resize(IMAGE, (301, 203))
    written, answer = overlay_of(classifier, dicom(odd))
    assert pydicom.dcmread(io.BytesIO(written)).pixel_array.shape == (203, 301, 3)


def test_letters_in_the_pixels_are_said_to_be_there(classifier):
    lettered = np.full((500, 500), 90, np.uint8)
    cv2.putText(lettered, "PORTABLE 1234", (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 1, 255, 2)
    read = pydicom.dcmread(io.BytesIO(overlay_of(classifier, dicom(lettered))[0]))
    assert read.BurnedInAnnotation == "YES"


def test_every_file_has_uids_of_its_own(classifier, written_and_answer):
    uids = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
    files = [written_and_answer[0], overlay_of(classifier, dicom(IMAGE, **HEADER))[0]]
    assert len({pydicom.dcmread(io.BytesIO(file))[uid].value for file in files for uid in uids}) == 6


def test_predict_writes_one_per_answer_and_none_without(ungated_model, tmp_path, capsys):
    (tmp_path / "IM0001").write_bytes(dicom(IMAGE, **HEADER))
    (tmp_path / "IM0002").write_bytes(dicom(IMAGE, Modality="CT"))
    words = [
        "predict",
        tmp_path / "IM0001",
        tmp_path / "IM0002",
        "--model",
        ungated_model,
        "--dicom-dir",
        tmp_path / "d",
    ]
    assert main([str(word) for word in words]) == 0
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["0001-IM0001.dcm"]
