"""missing_elements.py: a header that lacks what can have only one value shows the same image, with a note."""

import io

import imagecodecs
import numpy as np
import pydicom
import pytest
from conftest import SHARED_DATA
from image_files import dicom, stretched
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, JPEGLSLossless

from cxr_core.imaging.reader import UnreadableImage, open_image

CASES = SHARED_DATA.parent / "cases" / "08-missing-elements"
GREY = (np.arange(200, dtype=np.uint16) * 20).reshape(10, 20)
COLOUR = np.random.default_rng(0).integers(0, 255, (10, 20, 3), dtype=np.uint8)


def without(data, *keywords, **changed):
    """The file without some elements, or with others."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    for keyword in keywords:
        delattr(dataset, keyword)
    for keyword, value in changed.items():
        setattr(dataset, keyword, value)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


@pytest.mark.parametrize(
    "keywords",
    [
        ["SamplesPerPixel"], ["PixelRepresentation"], ["BitsStored"], ["HighBit"], ["PhotometricInterpretation"],
        ["BitsAllocated"], ["BitsStored", "HighBit"], ["SamplesPerPixel", "PhotometricInterpretation"],
        ["BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_grey_image_is_the_same_without_them_and_a_note_names_them(keywords):
    image = open_image(without(dicom(GREY, BitsStored=12, HighBit=11), *keywords))
    np.testing.assert_array_equal(image.pixels, stretched(GREY))
    (note,) = image.notes
    assert all(pydicom.datadict.dictionary_description(keyword) in note for keyword in keywords)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32])
def test_the_length_of_the_pixels_tells_the_bits_of_each(kind):
    pixels = np.arange(200, dtype=kind).reshape(10, 20)
    image = open_image(without(dicom(pixels), "BitsAllocated", "BitsStored", "HighBit"))
    np.testing.assert_array_equal(image.pixels, stretched(pixels))


@pytest.mark.parametrize("keywords", [["PlanarConfiguration"], ["SamplesPerPixel"], ["BitsStored", "HighBit"]], ids=str)
def test_a_colour_image_is_the_same_without_them(keywords):
    image = open_image(without(dicom(COLOUR, "RGB"), *keywords))
    np.testing.assert_array_equal(image.pixels, COLOUR[..., ::-1])
    assert len(image.notes) == 1


@pytest.mark.parametrize("word", ["MONOCHROME", "monochrome2", " MONOCHROME2", "MONOCHROME "])
def test_a_sloppy_word_for_grey_is_monochrome2(word):
    image = open_image(without(dicom(GREY), PhotometricInterpretation=word))
    np.testing.assert_array_equal(image.pixels, stretched(GREY))


@pytest.mark.parametrize(
    "changed",
    [
        {"BitsStored": 17}, {"BitsStored": 0}, {"HighBit": 3, "BitsStored": 12}, {"HighBit": 16},
        {"PixelRepresentation": 7},
    ],
    ids=str,
)  # fmt: skip
def test_bits_that_contradict_each_other_are_put_right(changed):
    image = open_image(without(dicom(GREY), **changed))
    np.testing.assert_array_equal(image.pixels, stretched(GREY))
    assert "lacks a valid value" in image.notes[0]


def test_a_compressed_grey_image_is_the_same_without_them():
    data = dicom(GREY, syntax=JPEGLSLossless, PixelData=encapsulate([imagecodecs.jpegls_encode(GREY)]))
    image = open_image(without(data, "BitsAllocated", "SamplesPerPixel", "PixelRepresentation"))
    np.testing.assert_array_equal(image.pixels, stretched(GREY))


def test_what_can_mean_two_things_is_named_and_not_guessed():
    frame = imagecodecs.jpeg8_encode(COLOUR)
    data = dicom(COLOUR, "RGB", JPEGBaseline8Bit, PixelData=encapsulate([frame]))
    with pytest.raises(UnreadableImage, match="lacks Photometric Interpretation"):
        open_image(without(data, "PhotometricInterpretation"))


def test_a_whole_header_has_no_note():
    assert open_image(dicom(GREY, BitsStored=12, HighBit=11)).notes == ()


@pytest.mark.parametrize(
    "name",
    [
        "no_bits_stored",
        "no_photometric",
        "no_pixel_representation",
        "no_planar",
        "no_samples",
        "photometric_MONOCHROME",
    ],
)
def test_the_files_of_public_users_are_read_with_a_note(name):
    path = CASES / f"{name}.dcm"
    if not path.exists():
        pytest.skip("needs ../shared/cases/08-missing-elements")
    image = open_image(path.read_bytes())
    header = pydicom.dcmread(path)
    shape = (header.Rows, header.Columns)
    assert len(image.notes) == 1
    if name == "no_planar":
        expected = np.frombuffer(header.PixelData, np.uint8).reshape(*shape, 3)[..., ::-1]
        np.testing.assert_array_equal(image.pixels, expected)
    else:
        np.testing.assert_array_equal(image.pixels, stretched(np.frombuffer(header.PixelData, "<u2").reshape(shape)))
