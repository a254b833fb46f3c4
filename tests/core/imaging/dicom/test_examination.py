"""examination.py and words.py: what a header says of body part, view and age, in whatever words."""

import io

import numpy as np
import pydicom
import pytest
from conftest import SHARED_DATA
from hypothesis import given
from hypothesis import strategies as st
from image_files import dicom
from pydicom.dataset import Dataset

from cxr_core.imaging.dicom.examination import view_and_age
from cxr_core.imaging.dicom.words import is_another_part, is_side_view, view_of
from cxr_core.imaging.reader import open_image

CASES = SHARED_DATA.parent / "cases" / "06-body-part-words"
PIXELS = np.arange(64, dtype=np.uint8).reshape(8, 8)


def code(value, scheme, meaning=""):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return [item]


@pytest.mark.parametrize(
    "word",
    [
        "CHEST", "Chest PA", "2- TORAX", "TORAX", "T?RAX", "TÓRAX", "Pecho", "THORAX", "THORACIC", "TORACE", "CXR",
        "THX", "BRUST", "BRUSTKORB", "RIBS", "LUNGS", "PORTABLE", "CHEST/ABDOMEN", "ABDOMEN CHEST",
        "THORACOABDOMINAL", "Borstkas", "CHESTPORTABLE", "THORAX LL LIEGEND",
    ],
)  # fmt: skip
def test_a_chest_is_a_chest_in_any_language(word):
    assert not is_another_part(word.upper())


@pytest.mark.parametrize(
    "word",
    [
        "HAND", "LHAND", "HANDS", "Hand left", "MANO", "HANDGELENK", "ABDOMEN", "ABDOME", "PORTABLE ABDOMEN",
        "BAUCH", "KNEE", "RODILLA", "GENOU", "SKULL", "CRÂNE", "SCHÄDEL", "BREAST", "PELVIS", "BECKEN", "HÜFTE",
        "TSPINE", "T SPINE", "THORACIC SPINE", "BRUSTWIRBELSÄULE", "COLUMNA DORSAL", "RACHIS THORACIQUE", "LSPINE",
        "C-SPINE", "FOOT", "PIED", "ABD", "MAMMO", "K.U.B.",
    ],
)  # fmt: skip
def test_another_part_is_a_reason_in_any_language(word):
    assert is_another_part(word.upper())


@pytest.mark.parametrize(
    "word",
    [
        "",
        "OTHER",
        "UNKNOWN",
        "XX",
        "?",
        "ГРУДНАЯ КЛЕТКА",
        "胸部",
        "SEE COMMENT",
        "STANDARD",
        "1",
        "TEST ADULT",
        "CO LONG",
    ],
)
def test_a_word_that_nobody_understands_says_nothing(word):
    assert not is_another_part(word)
    assert not is_side_view(word)
    assert view_of(word) is None


@given(st.text(st.characters(codec="utf-8"), max_size=16))
def test_no_text_is_an_error_and_what_names_the_chest_is_never_refused(text):
    is_side_view(text.upper())
    view_of(text.upper())
    assert not is_another_part(f"{text} CHEST".upper())


@pytest.mark.parametrize(
    "word", ["LL", "RL", "LATERAL", "LAT", "LLD", "PERFIL", "PROFIL", "SEITLICH", "Left Lateral", "LATERALE"]
)
def test_a_side_view_is_one_in_any_language(word):
    assert is_side_view(word.upper())


@pytest.mark.parametrize(
    "word", ["PA", "AP", "P-A", "AP LAT", "PA/LATERAL", "FRONTAL", "UNILATERAL", "BILATERAL", "ERECT"]
)
def test_what_may_be_frontal_is_no_side_view(word):
    assert not is_side_view(word)


@pytest.mark.parametrize(
    ("sequence", "item", "doubt"),
    [
        ("AnatomicRegionSequence", code("85562004", "SCT", "Hand"), "not an image of the chest"),
        ("AnatomicRegionSequence", code("T-D8700", "SRT"), "not an image of the chest"),
        ("AnatomicRegionSequence", code("113345001", "SCT", "Bauchraum"), "not an image of the chest"),
        ("AnatomicRegionSequence", code("X-1", "99LOCAL", "Rodilla"), "not an image of the chest"),
        ("AnatomicRegionSequence", code("816094009", "SCT"), ""),
        ("AnatomicRegionSequence", code("T-D3000", "SRT", "Chest"), ""),
        ("AnatomicRegionSequence", code("51185008", "SCT"), ""),
        ("AnatomicRegionSequence", code("X-1", "99LOCAL", "Toraks"), ""),
        ("AnatomicRegionSequence", [Dataset()], ""),
        ("ViewCodeSequence", code("399173006", "SCT"), "lateral view"),
        ("ViewCodeSequence", code("R-10236", "SRT"), "lateral view"),
        ("ViewCodeSequence", code("272479007", "SCT"), ""),
        ("ViewCodeSequence", code("R-10206", "SRT", "antero-posterior"), ""),
    ],
)
def test_a_code_says_what_a_word_says(sequence, item, doubt):
    doubts = open_image(dicom(PIXELS, **{sequence: item})).doubts
    assert len(doubts) == bool(doubt)
    assert doubt in "".join(doubts)


@pytest.mark.parametrize(
    ("tags", "view"),
    [
        ({"ViewPosition": "PA"}, "PA"),
        ({"ViewPosition": "LL"}, "LL"),
        ({"ViewPosition": "POSTERO-ANTERIOR"}, "PA"),
        ({"ViewCodeSequence": code("399348003", "SCT")}, "AP"),
        ({"ViewCodeSequence": code("272479007", "SCT")}, "PA"),
        ({"ViewPosition": "", "ViewCodeSequence": code("399173006", "SCT")}, "LATERAL"),
        ({"ViewPosition": "Perfil"}, "LATERAL"),
        ({"ViewPosition": "AP/PA"}, None),
        ({}, None),
    ],
)
def test_a_view_is_told_by_word_or_code(tags, view):
    assert view_and_age(dicom(PIXELS, **tags)) == (view, None)


@pytest.mark.parametrize("raw", [b"T\xd3RAX ", b"T\xc3\x93RA", b"\xff\xfe\xfd\xfc\xfb\xfa"])
def test_bytes_in_any_character_set_are_no_error(raw):
    data = dicom(PIXELS, BodyPartExamined="ABCDEF"[: len(raw)])
    assert open_image(data.replace(b"ABCDEF"[: len(raw)], raw)).doubts == ()


@pytest.mark.parametrize(
    "name", ["2-_TORAX", "CHEST", "CXR", "OTHER", "Pecho", "THORACIC", "TORACE", "TORAX", "TqRAX", "UNKNOWN", "HAND"]
)
def test_the_words_of_public_users_are_understood(name):
    path = CASES / f"{name}.dcm"
    if not path.exists():
        pytest.skip("needs ../shared/cases/06-body-part-words")
    doubts = open_image(path.read_bytes()).doubts
    assert bool(doubts) == (name == "HAND")
    assert pydicom.dcmread(io.BytesIO(path.read_bytes())).BodyPartExamined not in "".join(doubts)
