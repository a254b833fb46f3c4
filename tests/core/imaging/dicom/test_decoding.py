"""decoding.py and codecs.py on files of known pixels: order of transformations, compression, what headers say."""

import io
import logging
import tracemalloc
import warnings
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from conftest import SHARED_DATA
from image_files import dicom, stretched
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_encoder
from pydicom.uid import (
    HTJ2K,
    MPEG2MPML,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from cxr_core.imaging.reader import (
    UnreadableImage,
    check_complete,
    decode_image,
    is_dicom,
    open_image,
    read_header,
    read_image,
)

DICOM_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
# A smooth image of 12 bits, so that lossy compression stays near it.
TWELVE_BITS = (np.add.outer(np.arange(48) * 40, np.arange(64) * 30)).astype(np.uint16)
EIGHT_BITS = (TWELVE_BITS >> 4).astype(np.uint8)


def compressed(pixels, syntax, frame, **tags):
    bits = 12 if pixels.dtype == np.uint16 else 8
    tags = {"BitsStored": bits, "HighBit": bits - 1} | tags
    return dicom(pixels, syntax=syntax, PixelData=encapsulate([frame]), **tags)


def lookup_table(entries, first, bits=16):
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item.LUTData = [int(v) for v in entries]
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "US"
    return [item]


# Compression


@pytest.mark.parametrize("syntax", [JPEGLossless, JPEGLosslessSV1], ids=lambda s: s.name)
@pytest.mark.parametrize("pixels", [EIGHT_BITS, TWELVE_BITS], ids=["8 bits", "12 bits"])
def test_lossless_jpeg_gives_the_pixels_that_were_stored(pixels, syntax):
    frame = imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=1, bitspersample=8 * pixels.itemsize)
    np.testing.assert_array_equal(decode_image(compressed(pixels, syntax, frame)), stretched(pixels))


@pytest.mark.parametrize("pixels", [EIGHT_BITS, TWELVE_BITS], ids=["8 bits", "12 bits"])
def test_jpeg_ls_gives_the_pixels_that_were_stored(pixels):
    frame = imagecodecs.jpegls_encode(pixels)
    np.testing.assert_array_equal(decode_image(compressed(pixels, JPEGLSLossless, frame)), stretched(pixels))


@pytest.mark.parametrize("pixels", [EIGHT_BITS, TWELVE_BITS], ids=["8 bits", "12 bits"])
def test_jpeg_2000_gives_the_pixels_that_were_stored(pixels):
    frame = imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="J2K")
    np.testing.assert_array_equal(decode_image(compressed(pixels, JPEG2000Lossless, frame)), stretched(pixels))


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K], ids=lambda s: s.name)
@pytest.mark.parametrize("pixels", [EIGHT_BITS, TWELVE_BITS], ids=["8 bits", "12 bits"])
def test_high_throughput_jpeg_2000_gives_the_pixels_that_were_stored(pixels, syntax):
    frame = imagecodecs.htj2k_encode(pixels, reversible=True)
    np.testing.assert_array_equal(decode_image(compressed(pixels, syntax, frame)), stretched(pixels))


@pytest.mark.parametrize("pixels", [EIGHT_BITS, TWELVE_BITS], ids=["8 bits", "12 bits"])
def test_a_compressed_frame_is_decoded_once(monkeypatch, pixels):
    frame, given = imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="J2K"), []
    decode = imagecodecs.jpeg2k_decode
    monkeypatch.setattr(
        imagecodecs, "jpeg2k_decode", lambda *args, out: given.append(out.dtype) or decode(*args, out=out)
    )
    decode_image(compressed(pixels, JPEG2000Lossless, frame))
    assert given == [pixels.dtype]


@pytest.mark.parametrize("name", ["htj2k_201", "htj2k_202", "htj2k_203"])
def test_high_throughput_files_show_what_their_jpeg_2000_copy_shows(name):
    folder = SHARED_DATA.parent / "cases" / "11-htj2k"
    if not folder.is_dir():
        pytest.skip("needs ../shared/cases/11-htj2k")
    np.testing.assert_array_equal(read_image(folder / f"{name}.dcm"), read_image(folder / "control_j2k.dcm"))


@pytest.mark.parametrize("encode", [imagecodecs.jpeg2k_encode, imagecodecs.htj2k_encode], ids=["JPEG 2000", "HTJ2K"])
def test_jpeg_2000_keeps_negative_values(encode):
    pixels = TWELVE_BITS.astype(np.int16) - 2000
    options = {"level": 0, "codecformat": "J2K"} if encode is imagecodecs.jpeg2k_encode else {"reversible": True}
    syntax = JPEG2000Lossless if "level" in options else HTJ2KLossless
    frame = encode(pixels, **options)
    data = compressed(pixels, syntax, frame, PixelRepresentation=1, BitsStored=16, HighBit=15)
    np.testing.assert_array_equal(decode_image(data), stretched(pixels))


@pytest.mark.parametrize("syntax", [MPEG2MPML, "1.2.840.10008.1.2.4.110", "1.3.46.670589.33.1.4.1"])
def test_a_compression_that_is_not_read_is_a_sentence(syntax):
    data = dicom(EIGHT_BITS, syntax=JPEGBaseline8Bit, PixelData=encapsulate([b"no pixels here."]))
    old, new = (uid.encode() + b"\0" * (len(uid) % 2) for uid in (JPEGBaseline8Bit, syntax))
    start = data.index(old)
    # The length of the element, and that of its group.
    group = int.from_bytes(data[140:144], "little") + len(new) - len(old)
    changed = data[:140] + group.to_bytes(4, "little") + data[144 : start - 2] + len(new).to_bytes(2, "little") + new
    with pytest.raises(UnreadableImage, match=r"compressed (as|in) .*export it uncompressed"):
        open_image(changed + data[start + len(old) :])


def test_rle_gives_the_pixels_that_were_stored():
    frame = get_encoder(RLELossless).encode(
        TWELVE_BITS, rows=48, columns=64, samples_per_pixel=1, bits_allocated=16, bits_stored=12,
        pixel_representation=0, number_of_frames=1, photometric_interpretation="MONOCHROME2",
    )  # fmt: skip
    np.testing.assert_array_equal(decode_image(compressed(TWELVE_BITS, RLELossless, frame)), stretched(TWELVE_BITS))


@pytest.mark.parametrize(
    ("syntax", "pixels"), [(JPEGBaseline8Bit, EIGHT_BITS), (JPEGExtended12Bit, TWELVE_BITS)], ids=["8 bits", "12 bits"]
)
def test_lossy_jpeg_stays_near_the_pixels_that_were_stored(syntax, pixels):
    frame = imagecodecs.jpeg8_encode(pixels, level=98, bitspersample=12 if pixels.itemsize == 2 else 8)
    shown = decode_image(compressed(pixels, syntax, frame))
    np.testing.assert_allclose(shown.astype(int), stretched(pixels), atol=600)


def test_jpeg_ls_in_colour_comes_in_bgr_order():
    colour = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    frame = imagecodecs.jpegls_encode(colour)
    data = dicom(colour, "RGB", JPEGLSLossless, PixelData=encapsulate([frame]))
    np.testing.assert_array_equal(decode_image(data), colour[..., ::-1])


def test_a_compressed_image_of_another_size_than_its_header_says_is_refused():
    frame = imagecodecs.jpeg2k_encode(EIGHT_BITS, level=0, codecformat="J2K")
    with pytest.raises(UnreadableImage, match="cannot be decoded"):
        decode_image(compressed(EIGHT_BITS, JPEG2000Lossless, frame, Rows=40))


@pytest.mark.parametrize(
    "name",
    [
        "693_J2KI.dcm", "JPEG2000.dcm", "JPEG-lossy.dcm", "JPGExtended.dcm", "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm", "JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm",
        "SC_rgb_jls_lossy_line.dcm", "SC_rgb_jls_lossy_sample.dcm", "examples_jpeg2k.dcm",

    ],
)  # fmt: skip
def test_pydicoms_own_compressed_files_are_read_at_the_size_in_their_header(name):
    header = pydicom.dcmread(DICOM_FILES / name, stop_before_pixels=True)
    assert read_image(DICOM_FILES / name).shape[:2] == (header.Rows, header.Columns)


@pytest.mark.parametrize("name", ["MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_RLE.dcm"])
def test_a_lossless_copy_shows_what_the_plain_file_shows(name):
    np.testing.assert_array_equal(read_image(DICOM_FILES / name), read_image(DICOM_FILES / "MR_small.dcm"))


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, HTJ2KLossless], ids=["JPEG 2000", "HTJ2K"])
@pytest.mark.parametrize("small", [EIGHT_BITS, np.dstack([EIGHT_BITS] * 3)], ids=["grey", "colour"])
def test_a_compressed_bomb_is_refused_before_it_takes_memory(small, syntax):
    large = np.zeros((9_000, 9_000) if small.ndim == 2 else (5_000, 5_000, 3), np.uint8)
    if syntax == HTJ2KLossless:
        bomb = imagecodecs.htj2k_encode(large[:2000, :2000], reversible=True)
    else:
        bomb = imagecodecs.jpeg2k_encode(large, level=0, codecformat="J2K")
    assert len(bomb) < 10_000
    kind = "MONOCHROME2" if small.ndim == 2 else "RGB"
    data = dicom(small, kind, syntax, PixelData=encapsulate([bomb]))
    tracemalloc.start()
    with pytest.raises(UnreadableImage):
        decode_image(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


# From stored values to shown ones


def test_a_modality_lut_is_applied_before_the_window():
    pixels = np.arange(100, dtype=np.uint8).reshape(10, 10)
    table = np.arange(100)[::-1] * 300
    data = dicom(
        pixels, WindowCenter=15000.5, WindowWidth=15001,
        ModalityLUTSequence=lookup_table(table, 0), PresentationLUTShape="IDENTITY",
    )  # fmt: skip
    expected = stretched(np.clip(table[pixels].astype(float), 7500, 22500))
    np.testing.assert_allclose(decode_image(data).astype(int), expected, atol=2)


def test_a_voi_lut_is_indexed_with_rescaled_values_and_replaces_a_window():
    pixels = np.arange(100, dtype=np.uint8).reshape(10, 10)
    table = (np.arange(200) ** 2).astype(np.uint16)
    data = dicom(
        pixels, RescaleSlope=2, RescaleIntercept=0, VOILUTSequence=lookup_table(table, 0),
        WindowCenter=10, WindowWidth=5,
    )  # fmt: skip
    np.testing.assert_array_equal(decode_image(data), stretched(table[pixels * 2]))


@pytest.mark.parametrize("hundredths", [29, 7], ids=["28.999999999999996", "7.000000000000001"])
def test_a_voi_table_is_entered_with_the_nearest_whole_number(hundredths):
    # In floats 100 × 0.29 lies a little below 29, and 100 × 0.07 a little above 7.
    steps = np.arange(10, dtype=np.uint16).reshape(2, 5)
    table = np.random.default_rng(0).permutation(300)
    data = dicom(steps * 100, RescaleSlope=hundredths / 100, RescaleIntercept=0, VOILUTSequence=lookup_table(table, 0))
    np.testing.assert_array_equal(decode_image(data), stretched(table[steps * hundredths]))


def test_what_a_voi_table_does_not_reach_has_its_first_or_last_entry():
    pixels = np.arange(100, dtype=np.uint16).reshape(10, 10)
    table = np.array([500, 100, 900, 300, 700])
    data = dicom(pixels, RescaleSlope=1, RescaleIntercept=-50, VOILUTSequence=lookup_table(table, 10))
    expected = table[np.clip(pixels.astype(int) - 50 - 10, 0, 4)]
    np.testing.assert_array_equal(decode_image(data), stretched(expected))


def test_inversion_comes_after_the_window():
    pixels = np.arange(200, dtype=np.uint8).reshape(10, 20)
    window = {"WindowCenter": 50.5, "WindowWidth": 51}
    plain, inverted = (decode_image(dicom(pixels, kind, **window)) for kind in ("MONOCHROME2", "MONOCHROME1"))
    np.testing.assert_array_equal(inverted, 65535 - plain)


def test_negative_stored_values_are_darkest():
    pixels = np.array([[-100, 0], [50, 100]], np.int16)
    data = dicom(pixels.view(np.uint16), PixelRepresentation=1)
    np.testing.assert_array_equal(decode_image(data), stretched(pixels))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_does_not_count_towards_the_range(photometric):
    pixels = np.tile(np.arange(1000, 1064, dtype=np.uint16), (64, 1))
    pixels[:, :8] = 60_000
    shown = decode_image(dicom(pixels, photometric, PixelPaddingValue=60_000))
    inside = stretched(pixels[:, 8:])
    np.testing.assert_array_equal(shown[:, 8:], inside if photometric == "MONOCHROME2" else 65535 - inside)
    assert not shown[:, :8].any()


@pytest.mark.parametrize(("value", "limit"), [(10, 20), (20, 10)], ids=["upwards", "downwards"])
def test_a_range_of_padding_ends_with_both_its_limits(value, limit):
    pixels = np.tile(np.arange(5, 25, dtype=np.uint16), (4, 1))
    shown = decode_image(dicom(pixels, PixelPaddingValue=value, PixelPaddingRangeLimit=limit))
    padding = (pixels >= 10) & (pixels <= 20)
    np.testing.assert_array_equal(shown[~padding], stretched(pixels[~padding]))
    assert not shown[padding].any()


def test_without_a_limit_one_value_alone_is_padding():
    pixels = np.tile(np.arange(5, 25, dtype=np.uint16), (4, 1))
    shown = decode_image(dicom(pixels, PixelPaddingValue=24))
    np.testing.assert_array_equal(shown[:, :-1], stretched(pixels[:, :-1]))
    assert not shown[:, -1].any()


def test_a_limit_without_a_padding_value_is_no_padding():
    pixels = np.tile(np.arange(5, 25, dtype=np.uint16), (4, 1))
    np.testing.assert_array_equal(decode_image(dicom(pixels, PixelPaddingRangeLimit=20)), stretched(pixels))


def test_an_image_that_is_padding_throughout_is_shown():
    pixels = np.tile(np.arange(5, 25, dtype=np.uint16), (4, 1))
    data = dicom(pixels, PixelPaddingValue=0, PixelPaddingRangeLimit=99)
    np.testing.assert_array_equal(decode_image(data), stretched(pixels))


def test_an_image_of_32_bits_is_read():
    pixels = (np.arange(100, dtype=np.uint32) * 1_000_000).reshape(10, 10)
    np.testing.assert_allclose(decode_image(dicom(pixels)).astype(int), stretched(pixels), atol=1)


def test_a_file_without_preamble_is_read():
    whole = dicom(EIGHT_BITS)
    stream = whole[132:]
    assert is_dicom(stream)
    np.testing.assert_array_equal(decode_image(stream), stretched(EIGHT_BITS))


# What is said and what is not


@pytest.mark.parametrize("pixel_data", [None, b""])
def test_a_header_without_its_pixels_is_said_to_have_none(pixel_data):
    dataset, stream = pydicom.dcmread(io.BytesIO(dicom(EIGHT_BITS))), io.BytesIO()
    del dataset.PixelData
    if pixel_data is not None:
        dataset.add_new("PixelData", "OB", pixel_data)
    dataset.save_as(stream)
    data = stream.getvalue()
    for read in (open_image, lambda data: check_complete(data, read_header(data))):
        with pytest.raises(UnreadableImage, match="holds no pixel data; export the image with its pixels"):
            read(data)


def test_a_note_says_that_this_is_the_first_of_several_frames():
    frames = dicom(EIGHT_BITS, NumberOfFrames=3, PixelData=EIGHT_BITS.tobytes() * 3)
    assert open_image(frames).notes == ("The DICOM file holds 3 frames; this is the first.",)


@pytest.mark.parametrize(
    ("tags", "word"),
    [
        ({"Modality": "CT"}, "not a radiograph"),
        ({"Modality": "SEG"}, "not a radiograph"),
        ({"Modality": "DX", "ViewPosition": "LL"}, "lateral view"),
        ({"BodyPartExamined": "HAND"}, "not an image of the chest"),
    ],
)
def test_a_header_of_anything_but_a_frontal_chest_is_a_doubt_that_does_not_quote_it(tags, word):
    (doubt,) = open_image(dicom(EIGHT_BITS, **tags)).doubts
    assert word in doubt
    assert not any(value in doubt for value in tags.values())


@pytest.mark.parametrize("tags", [{}, {"Modality": "CR", "ViewPosition": "AP", "BodyPartExamined": "CHEST"}], ids=str)
def test_a_header_of_a_frontal_chest_or_none_is_no_doubt(tags):
    assert open_image(dicom(EIGHT_BITS, **tags)).doubts == ()


def test_no_log_and_no_warning_quotes_a_patient(caplog):
    with (
        warnings.catch_warnings(record=True) as caught,
        caplog.at_level(logging.DEBUG),
        pytest.raises(UnreadableImage),
    ):
        open_image(dicom(EIGHT_BITS, PatientName="Doe^Jane", PatientID="77-12" * 20, PixelData=b"\0" * 9))
    said = caplog.text + " ".join(str(w.message) for w in caught)
    assert "Doe" not in said
    assert "77-12" not in said


def test_a_colour_frame_that_claims_a_gigantic_size_is_refused_with_a_sentence():
    colour = np.repeat(EIGHT_BITS[..., None], 3, axis=-1)
    frame = bytearray(imagecodecs.jpeg8_encode(colour))
    size = frame.index(b"\xff\xc0") + 5
    frame[size : size + 4] = b"\xff\xff\xff\xff"
    with pytest.raises(UnreadableImage, match="cannot be decoded"):
        open_image(compressed(colour, JPEGBaseline8Bit, bytes(frame), PhotometricInterpretation="YBR_FULL"))


@pytest.mark.parametrize(
    "box",
    [b"\0\0\0\0uuid", b"\0\0\0\x01uuid", b"\0\0\0\x08uuid" * 1_001, b"\xff\xff\xff\xffuuid"],
    ids=["of no length", "of a length below its own head", "after a thousand others", "longer than the file"],
)
def test_a_box_before_a_jpeg_2000_stream_does_not_keep_the_decoder_for_ever(box):
    colour = np.repeat(EIGHT_BITS[..., None], 3, axis=-1)
    frame = imagecodecs.jpeg2k_encode(colour, level=0, codecformat="JP2")
    assert decode_image(compressed(colour, JPEG2000Lossless, frame, PhotometricInterpretation="RGB")).size
    hostile = frame[:12] + box + frame[12:]
    with pytest.raises(UnreadableImage, match="cannot be decoded"):
        open_image(compressed(colour, JPEG2000Lossless, hostile, PhotometricInterpretation="RGB"))
