"""missing_elements.py: a header that lacks what can have only one value shows the same image, with a note."""

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from conftest import SHARED_DATA
from image_files import dicom, stretched
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, JPEGLSLossless

from cxr_core.imaging.dicom.decoding import MORE_PIXELS_NOTE
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


@pytest.mark.parametrize(
    "word",
    ["MONOCHROME", "monochrome2", " MONOCHROME2", "MONOCHROME ", "MONOCHROME 2", "Mono2", "GRAYSCALE", "YBR_FULL"],
)
def test_a_sloppy_word_for_grey_is_monochrome2(word):
    image = open_image(without(dicom(GREY), PhotometricInterpretation=word))
    np.testing.assert_array_equal(image.pixels, stretched(GREY))


def test_a_sloppy_word_for_an_inverted_image_inverts_it():
    image = open_image(without(dicom(GREY), PhotometricInterpretation="MONOCHROME_1"))
    np.testing.assert_array_equal(image.pixels, 65535 - stretched(GREY))


@pytest.mark.parametrize("representation", ["IS", "DS", "LO"])
@pytest.mark.parametrize(
    "keyword", ["Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"]
)
def test_a_number_that_was_written_as_text_is_the_number(keyword, representation):
    dataset = pydicom.dcmread(io.BytesIO(dicom(GREY)))
    dataset.add_new(keyword, representation, str(dataset[keyword].value))
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    np.testing.assert_array_equal(open_image(stream.getvalue()).pixels, stretched(GREY))


@pytest.mark.parametrize("number", ["", "0", "-1", "abc", "1.0"])
def test_a_number_of_frames_that_can_be_none_is_one(number):
    dataset = pydicom.dcmread(io.BytesIO(dicom(GREY)))
    dataset.add_new("NumberOfFrames", "LO", number)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    image = open_image(stream.getvalue().replace(b"\x28\0\x08\0LO", b"\x28\0\x08\0IS"))
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


@pytest.mark.parametrize(
    ("pixels", "photometric", "samples"), [(COLOUR, "RGB", 1), (GREY, "MONOCHROME2", 3), (GREY, "MONOCHROME1", 3)]
)
def test_colours_and_length_of_the_pixels_outvote_a_false_number_of_samples(pixels, photometric, samples):
    whole = open_image(dicom(pixels, photometric))
    image = open_image(dicom(pixels, photometric, SamplesPerPixel=samples))
    np.testing.assert_array_equal(image.pixels, whole.pixels)
    assert "Samples per Pixel" in image.notes[0]


@pytest.mark.parametrize(
    "changed", [{"Rows": 5}, {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, {"PixelData": GREY.tobytes() * 2}]
)
def test_more_pixels_than_the_header_tells_of_are_noted(changed):
    assert open_image(dicom(GREY, **changed)).notes == (MORE_PIXELS_NOTE,)


def test_a_file_whose_number_of_frames_is_no_number_shows_its_first_frame_and_notes_the_rest():
    file = get_testdata_file("badVR.dcm", read=True)
    image = open_image(Path(file.filename).read_bytes())
    first = np.frombuffer(file.PixelData, "<u4")[:100].reshape(10, 10)
    np.testing.assert_allclose(image.pixels.astype(int), stretched(first).astype(int), atol=1)
    assert image.notes == (MORE_PIXELS_NOTE,)


def test_a_byte_that_fills_up_pixels_of_an_odd_length_is_not_noted():
    pixels = np.arange(99, dtype=np.uint8).reshape(9, 11)
    assert open_image(dicom(pixels, PixelData=pixels.tobytes() + b"\0")).notes == ()


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
