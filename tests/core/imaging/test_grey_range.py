"""grey_range.py, and all who look at greys, on 16-bit files of fewer bits, against the 8-bit image they come from."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import dicom, saved
from PIL import Image

from cxr_core.audit.quality_flags import flag_images
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.phantoms import draw_phantom
from cxr_core.data.property_table import measure_images
from cxr_core.imaging.display import display_rgb, thumbnail
from cxr_core.imaging.grey_range import full_range, grey_u8, without_bright_letters
from cxr_core.imaging.image_properties import measure_image
from cxr_core.imaging.photo_detection import count_film_sides
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.imaging.reader import decode_image

# A drawn chest from black to white.
CHEST = cv2.normalize(draw_phantom("normal", np.random.default_rng(1)), None, 0, 255, cv2.NORM_MINMAX)
# What white is in files of 16 bits that hold 10, 12 or 14, or percent, or hundredths of a percent.
WHITES = {"10 bits": 1023, "12 bits": 4095, "14 bits": 16383, "percent": 100, "0.01 percent": 10_000, "30 %": 19_660}
KINDS = ("PNG", "TIFF", "PGM")


def holding(white):
    return np.round(CHEST * (white / 255.0)).astype(np.uint16)


def file_of(pixels, kind):
    if kind == "PGM":
        height, width = pixels.shape
        return f"P5\n{width} {height}\n65535\n".encode() + pixels.astype(">u2").tobytes()
    return saved(Image.fromarray(pixels), kind)


def greys_of(measure):
    return [measure[name] for name in ("grey_mean", "grey_std", "content_mean", "content_std", "black_frame")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("white", WHITES.values(), ids=WHITES)
def test_fewer_bits_in_16_are_measured_like_the_8_bits_they_came_from(white, kind):
    measure = measure_image(decode_image(file_of(holding(white), kind)))
    np.testing.assert_allclose(greys_of(measure), greys_of(measure_image(CHEST)), atol=0.01)


@pytest.mark.parametrize("clahe", ["off", "before"])
@pytest.mark.parametrize("percent", [None, 0.05])
@pytest.mark.parametrize("white", [1023, 4095, 16383, 10_000])
def test_fewer_bits_in_16_are_prepared_as_if_they_filled_them(white, percent, clahe):
    steps = Preprocessing(clahe=clahe, white_balance_percent=percent)
    expected = steps.image_u8(holding(65535)).astype(int)
    assert np.abs(steps.image_u8(holding(white)) - expected).mean() < 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("white", WHITES.values(), ids=WHITES)
def test_fewer_bits_in_16_are_shown_and_shrunk_like_8_bits(white, kind):
    data = file_of(holding(white), kind)
    np.testing.assert_allclose(display_rgb(decode_image(data))[..., 0].astype(int), CHEST, atol=3)
    expected = thumbnail(decode_image(saved(Image.fromarray(CHEST), "PNG")), 64).astype(int)
    np.testing.assert_allclose(thumbnail(decode_image(data), 64).astype(int), expected, atol=3)


def test_a_film_on_a_light_box_is_found_in_12_bits():
    lit = np.full((300, 300), 200, np.uint8)
    lit[60:240, 70:230] = CHEST[:180, :160] // 3
    assert count_film_sides(lit.astype(np.uint16) * 16) == count_film_sides(lit) == 4


def test_only_the_true_dark_image_is_flagged_as_too_dark(tmp_path):
    dark = CHEST // 16
    for name, image in (("dark", dark), ("twelve", holding(4095)), ("dark_16", dark.astype(np.uint16) * 257)):
        path = tmp_path / "data" / "normal" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(saved(Image.fromarray(image), "PNG"))
    table = scan_dataset(tmp_path / "data").table
    flags = flag_images(table, measure_images(table, cache_dir=tmp_path / "cache"))
    flagged = set(flags[flags["flag"] == "too_dark"]["file"])
    assert flagged == {"normal/dark.png", "normal/dark_16.png"}


@given(seed=st.integers(0, 2**32 - 1), high=st.integers(1, 255), factor=st.sampled_from([256, 257]))
@settings(max_examples=50)
def test_8_bits_in_16_are_as_dark_as_the_8_bits_they_came_from(seed, high, factor):
    image = np.random.default_rng(seed).integers(0, high + 1, (9, 7), np.uint8)
    np.testing.assert_array_equal(grey_u8(image.astype(np.uint16) * factor), image)


@given(seed=st.integers(0, 2**32 - 1), high=st.integers(0, 255), colour=st.booleans())
@settings(max_examples=50)
def test_an_image_of_8_bits_is_never_touched(seed, high, colour):
    image = np.random.default_rng(seed).integers(0, high + 1, (9, 7, 3)[: 3 if colour else 2], np.uint8)
    assert all(step(image) is image for step in (full_range, grey_u8, without_bright_letters))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_the_values_of_a_dicom_image_are_not_touched(photometric):
    pixels = decode_image(dicom(holding(4095), photometric, WindowCenter=2000, WindowWidth=900))
    assert full_range(pixels) is pixels
    np.testing.assert_array_equal(grey_u8(pixels), pixels // 257)


@given(low=st.integers(0, 65_000), span=st.integers(1, 65_535), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=80)
def test_the_lowest_value_is_black_the_highest_white_and_the_order_stays(low, span, seed):
    high = min(65_535, low + span)
    values = np.sort(np.random.default_rng(seed).integers(low, high + 1, 50)).astype(np.uint16)
    values[[0, 1, -1]] = low, low, high
    full = full_range(values[None])[0]
    if (values % 256).any() and (values % 257).any():
        assert (full[0], full[-1]) == (0, 65_535)
    assert (np.diff(full.astype(int)) >= 0).all()


@pytest.mark.parametrize("white", [1023, 4095, 16383])
@pytest.mark.parametrize("kind", KINDS)
def test_letters_burned_in_with_the_highest_value_do_not_make_the_rest_dark(kind, white):
    lettered = holding(white)
    lettered[4:20, 4:12] = 65_535
    expected = holding(white)
    expected[4:20, 4:12] = white
    np.testing.assert_array_equal(decode_image(file_of(lettered, kind)), expected)


def test_a_bright_tenth_of_an_image_is_no_letter():
    image = holding(4095)
    image[: len(image) // 10] = 65_535
    assert without_bright_letters(image) is image


def test_12_bits_whose_zero_is_white_are_inverted_within_their_range():
    stream = io.BytesIO()
    Image.fromarray(holding(4095)).save(stream, "TIFF", tiffinfo={262: 0})
    shown = display_rgb(decode_image(stream.getvalue()))[..., 0]
    np.testing.assert_allclose(shown.astype(int), 255 - CHEST.astype(int), atol=2)
