"""overlay.py against numpy and OpenCV."""

import cv2
import numpy as np
import pytest

from cxr_core.explain.overlay import colour_bar, overlay_map, scale_maps
from cxr_core.imaging.display import display_bgr, display_rgb, png_bytes, shrink

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 255, (40, 50), dtype=np.uint8)
COLOUR = RNG.integers(0, 255, (40, 50, 3), dtype=np.uint8)
MAP = RNG.random((40, 50), dtype=np.float32)


def test_every_map_is_divided_by_its_own_maximum():
    maps = RNG.random((2, 3, 7, 7), dtype=np.float32) * np.float32(9)
    # One stays far below 1, and has its maximum all the same.
    maps[1, 2] *= np.float32(0.001)
    np.testing.assert_allclose(scale_maps(maps), maps / maps.max(axis=(2, 3), keepdims=True), rtol=1e-6)


def test_a_map_of_zeros_stays_zero():
    maps = np.zeros((2, 7, 7), np.float32)
    maps[1, 2, 3] = 5
    scaled = scale_maps(maps)
    assert not scaled[0].any()
    assert scaled[1].max() == 1
    assert np.isfinite(scaled).all()


def test_scaling_does_not_change_the_maps():
    maps = RNG.random((2, 7, 7), dtype=np.float32)
    before = maps.copy()
    scale_maps(maps)
    np.testing.assert_array_equal(maps, before)


@pytest.mark.parametrize(("name", "opencv"), [("jet", cv2.COLORMAP_JET), ("inferno", cv2.COLORMAP_INFERNO)])
@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("image", [GREY, COLOUR], ids=["grey", "colour"])
def test_the_overlay_is_alpha_times_the_colours_and_the_rest_the_image(image, alpha, name, opencv):
    colours = cv2.applyColorMap(np.round(MAP * 255).astype(np.uint8), opencv)[..., ::-1].astype(float)
    rgb = np.dstack([image] * 3) if image.ndim == 2 else image[..., ::-1]
    overlay = overlay_map(image, MAP, alpha=alpha, colour_map=name)
    assert overlay.dtype == np.uint8
    np.testing.assert_allclose(overlay, alpha * colours + (1 - alpha) * rgb, atol=0.51)


def test_an_overlay_is_jet_at_four_tenths_as_in_the_article_unless_told_otherwise():
    np.testing.assert_array_equal(overlay_map(GREY, MAP), overlay_map(GREY, MAP, alpha=0.4, colour_map="jet"))


@pytest.mark.parametrize("name", ["jet", "inferno"])
def test_the_colour_bar_has_the_colours_of_an_overlay_from_0_to_1(name):
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None]
    bar = colour_bar(name)
    assert (bar.shape, bar.dtype) == ((1, 256, 3), np.uint8)
    np.testing.assert_array_equal(bar, overlay_map(np.zeros((1, 256), np.uint8), ramp, alpha=1.0, colour_map=name))


def test_the_overlay_does_not_change_image_and_map():
    image, map_ = COLOUR.copy(), MAP.copy()
    overlay_map(image, map_)
    np.testing.assert_array_equal(image, COLOUR)
    np.testing.assert_array_equal(map_, MAP)


@pytest.mark.parametrize(
    ("map_", "options", "message"),
    [
        (MAP[:-1], {}, r"size \(40, 50\); received \(39, 50\)"),
        (MAP, {"alpha": 1.5}, "received 1.5"),
        (MAP, {"alpha": -0.1}, "received -0.1"),
        (MAP, {"colour_map": "rainbow"}, "jet, inferno; received 'rainbow'"),
    ],
)
def test_a_wrong_argument_is_refused_with_the_rule_and_the_value(map_, options, message):
    with pytest.raises(ValueError, match=message):
        overlay_map(GREY, map_, **options)


def test_a_16_bit_image_is_shown_over_its_own_range():
    wide = np.array([[1000, 2000, 3000]], np.uint16)
    assert display_bgr(wide)[0, :, 0].tolist() == [0, 127, 255]


def test_two_neighbouring_values_of_16_bits_are_shown_as_black_and_white():
    assert display_bgr(np.array([[1000, 1001]], np.uint16))[0, :, 0].tolist() == [0, 255]


def test_a_flat_16_bit_image_is_shown():
    assert not display_bgr(np.full((3, 3), 500, np.uint16)).any()


def test_the_screen_gets_red_first():
    np.testing.assert_array_equal(display_rgb(COLOUR), COLOUR[..., ::-1])


def test_grey_becomes_three_equal_channels():
    np.testing.assert_array_equal(display_rgb(GREY), np.dstack([GREY] * 3))


@pytest.mark.parametrize("image", [COLOUR, GREY], ids=["colour", "grey"])
def test_png_bytes_decode_to_the_image(image):
    import io

    from PIL import Image

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
def test_a_large_image_is_shrunk_to_the_side_asked_for_and_keeps_its_aspect(shape, side, expected):
    assert shrink(np.zeros(shape, np.uint8), side).shape == expected
    assert shrink(np.zeros((*shape, 3), np.uint8), side).shape == (*expected, 3)


@pytest.mark.parametrize(("image", "side"), [(COLOUR, 50), (COLOUR, 60), (COLOUR[:2, :2], 2)], ids=["=", "<", "tiny"])
def test_an_image_that_is_small_enough_is_left_alone(image, side):
    assert shrink(image, side) is image


def test_shrinking_takes_the_mean_of_the_pixels_that_become_one():
    means = GREY.reshape(8, 5, 10, 5).mean(axis=(1, 3))
    np.testing.assert_allclose(shrink(GREY, 10), means, atol=0.51)
