"""overlay.py against NumPy and OpenCV."""

import cv2
import numpy as np
import pytest

from cxr_core.explain.overlay import colour_bar, overlay_map, scale_maps, share_inside

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


def test_by_default_an_overlay_is_jet_at_four_tenths_as_in_the_article():
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


def test_a_map_for_an_image_in_colour_must_have_its_height_and_width():
    with pytest.raises(ValueError, match=r"size \(40, 50\); received \(40, 50, 3\)"):
        overlay_map(COLOUR, np.dstack([MAP] * 3))


def test_the_share_inside_is_that_of_the_maps_weight():
    map_ = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    assert share_inside(map_, np.array([[True, False], [False, True]])) == pytest.approx(0.5)
    assert share_inside(map_, np.zeros((2, 2), bool)) == 0
    assert share_inside(np.zeros((2, 2), np.float32), np.ones((2, 2), bool)) is None
