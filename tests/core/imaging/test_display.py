"""display.py against NumPy and Pillow."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from cxr_core.imaging.display import display_bgr, display_rgb, png_bytes, resize_area, shrink, square_png

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 255, (40, 50), dtype=np.uint8)
COLOUR = RNG.integers(0, 255, (40, 50, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(5, 8), (8, 5), (4, 9), (6, 6)])
def test_an_image_lies_whole_in_the_middle_of_a_transparent_square(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    square = np.asarray(Image.open(io.BytesIO(square_png(image))))
    side = max(shape)
    assert square.shape == (side, side, 4)
    rows, columns = np.nonzero(square[..., 3])
    assert (rows.min(), columns.min()) == ((side - shape[0]) // 2, (side - shape[1]) // 2)
    np.testing.assert_array_equal(square[square[..., 3] == 255, :3].reshape(image.shape), image)
    assert not square[square[..., 3] == 0].any()


def test_a_16_bit_image_is_shown_over_its_own_range():
    wide = np.array([[1000, 2000, 3000]], np.uint16)
    assert display_bgr(wide)[0, :, 0].tolist() == [0, 127, 255]


def test_two_neighbouring_values_of_16_bits_are_shown_as_black_and_white():
    assert display_bgr(np.array([[1000, 1001]], np.uint16))[0, :, 0].tolist() == [0, 255]


def test_a_flat_16_bit_image_is_shown():
    assert not display_bgr(np.full((3, 3), 500, np.uint16)).any()


def test_a_screen_gets_red_first():
    np.testing.assert_array_equal(display_rgb(COLOUR), COLOUR[..., ::-1])


def test_grey_becomes_three_equal_channels():
    np.testing.assert_array_equal(display_rgb(GREY), np.dstack([GREY] * 3))


@pytest.mark.parametrize("image", [COLOUR, GREY], ids=["colour", "grey"])
def test_png_bytes_decode_to_the_image(image):
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png_bytes(image)))), image)


@pytest.mark.parametrize(
    ("shape", "side", "expected"),
    [
        ((400, 200), 100, (100, 50)),
        ((200, 400), 100, (50, 100)),
        ((150, 100), 101, (101, 67)),
        ((3, 300), 30, (1, 30)),
        ((300, 3), 30, (30, 1)),
    ],
)
def test_a_large_image_is_shrunk_to_the_given_side_and_keeps_its_aspect_ratio(shape, side, expected):
    assert shrink(np.zeros(shape, np.uint8), side).shape == expected
    assert shrink(np.zeros((*shape, 3), np.uint8), side).shape == (*expected, 3)


@pytest.mark.parametrize(("image", "side"), [(COLOUR, 50), (COLOUR, 60), (COLOUR[:2, :2], 2)], ids=["=", "<", "tiny"])
def test_an_image_that_is_small_enough_is_returned_unchanged(image, side):
    assert shrink(image, side) is image


def test_shrinking_takes_the_mean_of_the_pixels_that_become_one():
    means = GREY.reshape(8, 5, 10, 5).mean(axis=(1, 3))
    np.testing.assert_allclose(shrink(GREY, 10), means, atol=0.51)


@pytest.mark.parametrize("size", [(192, 192), (256, 256), (416, 512), (1999, 3)], ids=str)
@pytest.mark.parametrize("kind", ["noise", "letters", "white"])
def test_a_large_grey_image_is_shrunk_as_by_opencv_but_for_ties(kind, size):
    image = np.random.default_rng(0).integers(0, 256, (2101, 1999), dtype=np.uint8)
    if kind == "letters":
        image = np.where(image > 250, 255, 0).astype(np.uint8)
    elif kind == "white":
        image[:] = 255
    difference = cv2.absdiff(resize_area(image, size), cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.001


@pytest.mark.parametrize(
    "image",
    [
        np.random.default_rng(0).integers(0, 256, (700, 600), dtype=np.uint8),
        np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), dtype=np.uint8),
        np.random.default_rng(0).integers(0, 65536, (1500, 1500), dtype=np.uint16),
    ],
    ids=["small", "colour", "16 bits"],
)
def test_any_other_image_is_shrunk_by_opencv(image):
    expected = cv2.resize(image, (224, 200), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(resize_area(image, (224, 200)), expected)
