"""reader.py against Pillow, OpenCV and pydicom, on files well-made and hostile."""

import io
import struct
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
import tifffile
from image_files import dicom, png_chunk, png_claiming, saved, stretched
from PIL import Image
from PIL.PngImagePlugin import PngImageFile
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from cxr_core.config import MAX_FILE_BYTES, MAX_PIXELS, MAX_SIDE
from cxr_core.imaging.reader import (
    UnreadableImage,
    decode_image,
    is_dicom,
    is_image_file,
    open_image,
    read_header,
    read_image,
)
from cxr_core.inference.batch_prediction import predict_batch
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.image_sources import Source

DICOM_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
# pydicom warns of what these files get wrong on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

RAMP = np.arange(0, 240, 2, dtype=np.uint8).reshape(10, 12)
COLOUR = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)


def refusal(data):
    """The one sentence that refuses a file."""
    with pytest.raises(UnreadableImage) as caught:
        decode_image(data)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


# Which files count


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.Jfif", "a.PNG", "a.bmp", "a.TIF", "a.tiff", "a.DCM", "a.x.JPG"])
def test_image_endings_count_in_any_case(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"")
    assert is_image_file(path)


@pytest.mark.parametrize("name", ["a.txt", "Thumbs.db", "a.jpg.part", "a.csv", "readme"])
def test_other_files_do_not_count(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"some text that is no image" * 20)
    assert not is_image_file(path)


def test_a_dicom_file_without_ending_counts(tmp_path):
    path = tmp_path / "IM000001"
    path.write_bytes(dicom(RAMP))
    assert is_image_file(path)


# What is refused


def test_an_empty_file_is_refused():
    assert "empty" in refusal(b"")


@pytest.mark.parametrize("data", [b"<html>no image</html>", b"GIF89a" + b"\0" * 100, b"\0" * 500, b"%PDF-1.7\n"])
def test_what_is_no_image_is_refused(data):
    assert "not a" in refusal(data)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF"])
def test_a_file_cut_short_is_refused(kind, share):
    whole = saved(Image.fromarray(np.random.default_rng(1).integers(0, 255, (200, 200, 3), dtype=np.uint8)), kind)
    refusal(whole[: int(len(whole) * share)])


def test_a_progressive_jpeg_cut_short_is_refused():
    noise = np.random.default_rng(1).integers(0, 255, (200, 200), dtype=np.uint8)
    whole = saved(Image.fromarray(noise), "JPEG", progressive=True)
    refusal(whole[: len(whole) // 2])


def test_a_jpeg_cut_short_after_its_preview_is_refused():
    preview = saved(Image.fromarray(RAMP), "JPEG")
    noise = np.random.default_rng(1).integers(0, 255, (200, 200), dtype=np.uint8)
    whole = saved(Image.fromarray(noise), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + preview)
    refusal(whole[: len(preview) + 2500])


def test_a_png_that_claims_to_be_huge_is_refused_before_decoding():
    assert "9000 × 8000" in refusal(png_claiming(9_000, 8_000))


def test_a_png_that_claims_more_than_pillow_dares_is_refused():
    refusal(png_claiming(2**31 - 1, 2**31 - 1))


def test_the_limit_of_pixels_itself_is_still_read():
    side = int(MAX_PIXELS**0.5)
    assert read_header(png_claiming(side, side)).width == side


def test_a_file_with_too_many_bytes_is_refused():
    assert "MB" in refusal(saved(Image.fromarray(RAMP), "PNG") + b"\0" * MAX_FILE_BYTES)


def test_a_png_with_broken_pixel_data_is_refused_or_read_but_never_crashes():
    header = struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"no deflate stream") + png_chunk(b"IEND", b"")
    refusal(b"\x89PNG\r\n\x1a\n" + body)


def test_a_tiff_of_floats_is_refused_with_what_to_do():
    assert "8 or 16 bits" in refusal(saved(Image.fromarray(RAMP.astype(np.float32)), "TIFF"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "DICOM", "DICOM deflated"])
def test_a_file_with_flipped_bytes_gives_pixels_or_one_sentence(kind):
    if kind.startswith("DICOM"):
        syntax = DeflatedExplicitVRLittleEndian if kind.endswith("deflated") else ExplicitVRLittleEndian
        whole = dicom(RAMP, syntax=syntax, WindowCenter=100, WindowWidth=50, RescaleSlope=1, RescaleIntercept=0)
    else:
        whole = saved(Image.fromarray(COLOUR), kind)
    rng = np.random.default_rng(7)
    crashes = set()
    for _ in range(300):
        broken = bytearray(whole)
        for position in rng.integers(0, min(len(whole), 1500), rng.integers(1, 6)):
            broken[position] = rng.integers(256)
        try:
            pixels = decode_image(bytes(broken))
            assert pixels.dtype in (np.uint8, np.uint16)
        except UnreadableImage:
            pass
        except Exception as error:  # noqa: BLE001 - every other kind is a finding
            crashes.add(f"{type(error).__module__}.{type(error).__name__}")
    assert crashes == set()


# What is read


def test_a_header_gives_the_size_and_format_of_each_kind():
    for kind in ("JPEG", "PNG", "BMP", "TIFF"):
        header = read_header(saved(Image.fromarray(COLOUR), kind))
        assert (header.width, header.height, header.format) == (40, 30, kind)
    header = read_header(dicom(RAMP))
    assert (header.width, header.height, header.format) == (12, 10, "DICOM")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_colour_comes_in_bgr_order(kind):
    lossless = {"lossless": True} if kind == "WEBP" else {}
    np.testing.assert_array_equal(decode_image(saved(Image.fromarray(COLOUR), kind, **lossless)), COLOUR[..., ::-1])


def test_a_jpeg_is_decoded_as_opencv_does(tmp_path):
    path = tmp_path / "image.jpg"
    path.write_bytes(saved(Image.fromarray(COLOUR), "JPEG"))
    np.testing.assert_array_equal(read_image(path), cv2.imread(str(path)))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_grey_stays_grey(kind):
    pixels = decode_image(saved(Image.fromarray(RAMP), kind))
    np.testing.assert_array_equal(pixels, RAMP)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(orientation):
    coarse = np.random.default_rng(2).integers(0, 255, (4, 6), dtype=np.uint8)
    image = Image.fromarray(cv2.resize(coarse, (96, 64), interpolation=cv2.INTER_CUBIC))
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }  # fmt: skip
    expected = image.transpose(turned[orientation]) if orientation > 1 else image
    pixels = decode_image(saved(image, "JPEG", exif=exif, quality=98))
    assert pixels.shape == (expected.height, expected.width)
    np.testing.assert_allclose(pixels.astype(int), np.asarray(expected), atol=12)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_dropped(mode):
    image = Image.fromarray(COLOUR).convert(mode)
    image.putalpha(Image.fromarray(np.random.default_rng(3).integers(0, 255, (30, 40), dtype=np.uint8)))
    pixels = decode_image(saved(image, "PNG"))
    expected = np.asarray(image.convert("L" if mode == "LA" else "RGB"))
    got = pixels if pixels.ndim == 2 else pixels[..., ::-1]
    if mode == "LA" and got.ndim == 3:
        got = got[..., 0]
    np.testing.assert_array_equal(got, expected)


def test_a_palette_png_shows_its_colours():
    image = Image.fromarray(COLOUR).quantize(16)
    np.testing.assert_array_equal(decode_image(saved(image, "PNG"))[..., ::-1], np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_shows_as_pillow_shows_it(kind):
    data = saved(Image.fromarray(cv2.resize(COLOUR, (200, 150))).convert("CMYK"), kind)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_allclose(decode_image(data)[..., ::-1].astype(int), expected, atol=2)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_whose_zero_is_white_is_inverted(dtype):
    image = RAMP.astype(dtype)
    stream = io.BytesIO()
    tifffile.imwrite(stream, image, photometric="miniswhite")
    np.testing.assert_array_equal(decode_image(stream.getvalue()), np.iinfo(dtype).max - image)


def test_the_first_of_several_pages_is_read_with_a_note():
    first, second = Image.fromarray(RAMP), Image.fromarray(RAMP[::-1].copy())
    image = open_image(saved(first, "TIFF", save_all=True, append_images=[second]))
    np.testing.assert_array_equal(image.pixels, RAMP)
    assert image.notes == ("The file holds more than one image; this is the first.",)


def test_a_note_says_that_a_camera_took_an_image():
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x829D] = 1.8
    for ending in ("JPEG", "PNG"):
        data = saved(Image.fromarray(RAMP), ending, exif=exif.tobytes())
        assert "A camera took this image" in open_image(data).notes[0]


def test_a_png_without_tags_is_not_decoded_by_pillow_as_well(monkeypatch):
    def refuse(image):
        raise AssertionError("decoded twice")

    monkeypatch.setattr(PngImageFile, "load", refuse)
    assert np.array_equal(decode_image(saved(Image.fromarray(RAMP), "PNG")), RAMP)
    assert open_image(saved(Image.fromarray(RAMP), "JPEG")).notes == ()


def test_a_one_bit_png_is_black_and_white():
    image = Image.fromarray(RAMP > 100)
    np.testing.assert_array_equal(decode_image(saved(image, "PNG")), np.where(RAMP > 100, 255, 0))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_are_kept(kind):
    wide = np.random.default_rng(4).integers(0, 65535, (20, 30), dtype=np.uint16)
    pixels = decode_image(saved(Image.fromarray(wide), kind))
    assert pixels.dtype == np.uint16
    np.testing.assert_array_equal(pixels, wide)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone.png"):
        read_image(tmp_path / "gone.png")


# DICOM


def test_a_dicom_file_is_known_by_its_mark():
    assert is_dicom(dicom(RAMP))
    assert not is_dicom(saved(Image.fromarray(COLOUR), "PNG"))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_dicom_pixels_come_over_the_whole_16_bit_range(dtype):
    pixels = RAMP.astype(dtype) * (1 if dtype == np.uint8 else 17)
    np.testing.assert_array_equal(decode_image(dicom(pixels)), stretched(pixels))


def test_a_dicom_file_without_ending_is_decoded(tmp_path):
    path = tmp_path / "IM000001"
    path.write_bytes(dicom(RAMP))
    np.testing.assert_array_equal(read_image(path), stretched(RAMP))


def test_monochrome1_is_inverted():
    np.testing.assert_array_equal(decode_image(dicom(RAMP, "MONOCHROME1")), 65535 - stretched(RAMP))


def test_an_inverse_presentation_is_inverted():
    inverse = dicom(RAMP, PresentationLUTShape="INVERSE")
    np.testing.assert_array_equal(decode_image(inverse), 65535 - stretched(RAMP))


def test_the_window_cuts_off_what_lies_outside_it():
    pixels = decode_image(dicom(RAMP, WindowCenter=100.5, WindowWidth=51))
    # DICOM PS3.3 C.11.2.1.2: linear between centre - 0.5 - (width - 1) / 2 and centre - 0.5 + (width - 1) / 2.
    np.testing.assert_allclose(pixels.astype(int), stretched(np.clip(RAMP.astype(float), 75, 125)), atol=1)


def test_the_first_of_several_windows_counts():
    one, several = (
        dicom(RAMP, WindowCenter=100, WindowWidth=40),
        dicom(RAMP, WindowCenter=[100, 30], WindowWidth=[40, 10]),
    )
    np.testing.assert_array_equal(decode_image(one), decode_image(several))


def test_the_rescale_comes_before_the_window():
    rescaled = dicom(RAMP, RescaleSlope=2, RescaleIntercept=-100, WindowCenter=100.5, WindowWidth=101)
    expected = stretched(np.clip(RAMP * 2.0 - 100, 50, 150))
    np.testing.assert_allclose(decode_image(rescaled).astype(int), expected, atol=1)


def test_a_flat_dicom_image_is_black_whatever_its_sense():
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        assert not decode_image(dicom(np.full((10, 12), 77, np.uint8), photometric)).any()


def test_colour_dicom_comes_in_bgr_order():
    np.testing.assert_array_equal(decode_image(dicom(COLOUR, "RGB")), COLOUR[..., ::-1])


def test_colour_dicom_of_16_bits_keeps_its_order_of_brightness():
    ramp = np.dstack([np.linspace(0, 65535, 300).astype(np.uint16).reshape(10, 30)] * 3)
    pixels = decode_image(dicom(ramp, "RGB"))
    assert (np.diff(pixels[..., 0].ravel().astype(int)) >= 0).all()


def test_palette_dicom_shows_its_colours():
    file = DICOM_FILES / "examples_palette.dcm"
    data = pydicom.dcmread(file)
    rgb = pydicom.pixels.apply_color_lut(data.pixel_array, data)
    expected = (rgb >> 8).astype(np.uint8)[..., ::-1] if rgb.dtype == np.uint16 else rgb[..., ::-1]
    pixels = read_image(file)
    assert pixels.shape == expected.shape
    np.testing.assert_allclose(pixels.astype(int), expected, atol=1)


@pytest.mark.parametrize("name", ["SC_rgb_rle_2frame.dcm", "SC_rgb_rle_16bit_2frame.dcm"])
def test_of_several_frames_the_first_is_taken(name):
    assert read_image(DICOM_FILES / name).shape == (100, 100, 3)


def test_of_several_grey_frames_the_first_is_taken():
    frames = dicom(RAMP, NumberOfFrames=2, PixelData=RAMP.tobytes() + RAMP[::-1].tobytes())
    np.testing.assert_array_equal(decode_image(frames), stretched(RAMP))


def test_pixel_data_beyond_the_declared_frames_is_left_out():
    np.testing.assert_array_equal(decode_image(dicom(RAMP, PixelData=RAMP.tobytes() * 3)), stretched(RAMP))


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm"]
)
def test_pydicoms_own_files_read_as_pydicom_reads_them(name):
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    data = pydicom.dcmread(DICOM_FILES / name)
    expected = apply_voi_lut(apply_modality_lut(data.pixel_array, data), data)
    np.testing.assert_array_equal(read_image(DICOM_FILES / name), stretched(expected))


def test_compressed_colour_comes_as_pydicom_decodes_it():
    file = DICOM_FILES / "SC_rgb_jpeg_dcmtk.dcm"
    np.testing.assert_array_equal(read_image(file), pydicom.dcmread(file).pixel_array[..., ::-1])


@pytest.mark.parametrize("name", ["rtplan.dcm", "reportsi.dcm", "test-SR.dcm", "waveform_ecg.dcm"])
def test_a_dicom_file_without_an_image_is_refused(name):
    assert "holds no image" in refusal((DICOM_FILES / name).read_bytes())


def test_a_dicom_file_cut_short_is_refused():
    refusal((DICOM_FILES / "MR_truncated.dcm").read_bytes())


def test_a_dicom_file_whose_decoder_is_not_installed_is_refused():
    from pydicom.uid import JPEGLSLossless

    unknown = dicom(RAMP, syntax=JPEGLSLossless, PixelData=encapsulate([b"\xff\xd8\xff\xf7" + b"\0" * 60]))
    refusal(unknown)


@pytest.mark.parametrize(
    "size", [{"Rows": 60_000, "Columns": 60_000}, {"Rows": 5_000, "Columns": 5_000, "NumberOfFrames": 1_000}], ids=str
)
def test_a_dicom_bomb_is_refused_before_decoding(monkeypatch, size):
    import pydicom.dataset

    def decode(_):
        raise AssertionError("the pixels were decoded")

    monkeypatch.setattr(pydicom.dataset.Dataset, "pixel_array", property(decode))
    refusal(dicom(RAMP, **size))


@pytest.fixture(scope="module")
def deflated_bomb():
    bomb = dicom(RAMP, syntax=DeflatedExplicitVRLittleEndian, EncapsulatedDocument=b"\0" * 300_000_000)
    assert len(bomb) < 1_000_000
    return bomb


def syntax_far_behind(data):
    """A file whose transfer syntax stands behind three thousand other bytes of file meta information."""
    place = data.index(b"\x02\x00\x10\x00UI")
    return data[:place] + b"\x02\x00\x09\x00UN\0\0" + struct.pack("<I", 3_000) + b"1" * 3_000 + data[place:]


@pytest.mark.parametrize(
    "hide",
    [
        lambda data: data[:140] + struct.pack("<I", 2) + data[144:],
        lambda data: data[:140] + struct.pack("<I", 2**31) + data[144:],
        lambda data: data[132:],
        syntax_far_behind,
    ],
    ids=["too short a length", "too long a length", "no preamble", "syntax far behind"],
)
@pytest.mark.parametrize("read", [decode_image, read_header], ids=lambda f: f.__name__)
def test_a_deflated_bomb_is_found_wherever_its_stream_begins(deflated_bomb, hide, read):
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableImage):
            read(hide(deflated_bomb))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000


def test_a_deflated_dicom_bomb_does_not_fill_the_memory(deflated_bomb):
    bomb = deflated_bomb
    tracemalloc.start()
    try:
        decode_image(bomb)
    except UnreadableImage:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 250_000_000


def test_a_chunk_that_claims_two_gigabytes_is_refused_before_opencv_takes_them(monkeypatch):
    whole = saved(Image.fromarray(RAMP), "PNG")
    start = whole.index(b"IDAT") - 4
    monkeypatch.setattr("cxr_core.imaging.reader.cv2.imdecode", lambda *_: pytest.fail("it was decoded"))
    claimed = whole[:start] + struct.pack(">I", 2**31 - 64) + whole[start + 4 :]
    assert refusal(claimed) == "The PNG file is cut short or broken."


# One side of a million pixels


@pytest.fixture(scope="module")
def long_files():
    """Small files of 1,100,000 × 2 pixels, which OpenCV raises an error for; and of sides that it can work with."""
    image = Image.fromarray(np.zeros((2, 1_100_000), np.uint8))
    return {kind: saved(image, kind) for kind in ("PNG", "BMP", "TIFF")}


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_a_side_longer_than_opencv_works_with_is_refused_by_the_header(long_files, kind):
    with pytest.raises(UnreadableImage, match="has 1100000 × 2 pixels; a side has at most 32,766 of them"):
        read_header(long_files[kind])
    with pytest.raises(UnreadableImage, match="a side has at most"):
        decode_image(long_files[kind])


@pytest.mark.parametrize(("side", "opens"), [(MAX_SIDE, True), (MAX_SIDE + 1, False)])
def test_the_longest_side_is_opened_and_one_pixel_more_is_not(side, opens):
    data = saved(Image.fromarray(np.zeros((1, side), np.uint8)), "PNG")
    if opens:
        assert decode_image(data).shape == (1, side)
    else:
        with pytest.raises(UnreadableImage):
            read_header(data)


def test_what_opencv_raises_of_one_file_is_a_sentence(monkeypatch):
    def fail(*_):
        raise cv2.error("assertion failed")

    monkeypatch.setattr("cxr_core.imaging.reader.cv2.imdecode", fail)
    with pytest.raises(UnreadableImage, match="The PNG data in this file is broken"):
        decode_image(saved(Image.fromarray(np.zeros((9, 9), np.uint8)), "PNG"))


def test_one_such_file_costs_a_batch_one_row(long_files, ungated_model):
    whole = saved(Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)), "PNG")
    files = {"a.png": whole, **{f"{kind}.bin": data for kind, data in long_files.items()}, "z.png": whole}
    sources = [Source(name, lambda data=data: data) for name, data in files.items()]
    rows = [item.row for item in predict_batch(load_classifier(ungated_model), sources)]
    assert [row["status"] == "error" for row in rows] == [False, True, True, True, False]
    assert all("a side has at most" in row["error"] for row in rows[1:4])


def test_an_image_of_the_longest_side_is_answered(ungated_model):
    data = saved(Image.fromarray(np.random.default_rng(0).integers(0, 255, (3, MAX_SIDE), np.uint8)), "PNG")
    (item,) = predict_batch(load_classifier(ungated_model), [Source("long.png", lambda: data)])
    assert item.row["status"] in ("ok", "abstain")
