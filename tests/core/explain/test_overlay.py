"""overlay.py against numpy and OpenCV."""

import cv2
import numpy as np
import pytest

from cxr_core.explain.overlay import overlay_map, scale_maps
from cxr_core.imaging.display import display_bgr, display_rgb, png_bytes

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 255, (40, 50), dtype=np.uint8)
COLOUR = RNG.integers(0, 255, (40, 50, 3), dtype=np.uint8)
MAP = RNG.random((40, 50), dtype=np.float32)


def test_every_map_is_divided_by_its_own_maximum():
    maps = RNG.random((2, 3, 7, 7), dtype=np.float32) * np.float32(9)
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
@pytest.mark.parametrize("picture", [GREY, COLOUR], ids=["grey", "colour"])
def test_the_overlay_is_alpha_times_the_colours_and_the_rest_the_picture(picture, alpha, name, opencv):
    colours = cv2.applyColorMap(np.round(MAP * 255).astype(np.uint8), opencv)[..., ::-1].astype(float)
    rgb = np.dstack([picture] * 3) if picture.ndim == 2 else picture[..., ::-1]
    overlay = overlay_map(picture, MAP, alpha=alpha, colour_map=name)
    assert overlay.dtype == np.uint8
    np.testing.assert_allclose(overlay, alpha * colours + (1 - alpha) * rgb, atol=0.51)


def test_the_overlay_does_not_change_picture_and_map():
    picture, map_ = COLOUR.copy(), MAP.copy()
    overlay_map(picture, map_)
    np.testing.assert_array_equal(picture, COLOUR)
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


def test_a_16_bit_picture_is_shown_over_its_own_range():
    wide = np.array([[1000, 2000, 3000]], np.uint16)
    assert display_bgr(wide)[0, :, 0].tolist() == [0, 127, 255]


def test_a_flat_16_bit_picture_is_shown():
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
