"""augment.py against OpenCV and numpy."""

import cv2
import numpy as np
import pytest

from cxr_core.augment import Augmentation

IMAGE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8), (0, 0), 2)
OFF = {"rotation_degrees": 0, "horizontal_flip": False}
EVERYTHING = Augmentation(zoom=0.2, brightness=0.2, contrast=0.3, blur=1.5, resolution=0.5, jpeg_quality=50)


def copies(augmentation, n=40, image=IMAGE):
    return [augmentation.apply(image, np.random.default_rng(seed)) for seed in range(n)]


def test_the_same_state_gives_the_same_copy():
    for seed in range(10):
        one, two = (EVERYTHING.apply(IMAGE, np.random.default_rng(seed)) for _ in range(2))
        np.testing.assert_array_equal(one, two)


def test_another_state_gives_another_copy():
    one, two = copies(EVERYTHING, 2)
    assert not np.array_equal(one, two)


def test_the_image_handed_in_is_not_changed():
    before = IMAGE.copy()
    copies(EVERYTHING)
    np.testing.assert_array_equal(IMAGE, before)


def test_with_everything_off_the_copy_equals_the_image():
    for copy in copies(Augmentation(**OFF), 5):
        np.testing.assert_array_equal(copy, IMAGE)


def test_a_copy_keeps_shape_and_type():
    for copy in copies(EVERYTHING):
        assert (copy.shape, copy.dtype) == (IMAGE.shape, np.uint8)


def test_about_half_of_the_copies_are_mirrored_as_opencv_mirrors():
    flipped = 0
    for copy in copies(Augmentation(rotation_degrees=0), 200):
        mirrored = np.array_equal(copy, cv2.flip(IMAGE, 1))
        assert mirrored or np.array_equal(copy, IMAGE)
        flipped += mirrored
    assert 60 < flipped < 140


def test_a_copy_is_turned_around_its_middle_with_the_nearest_pixel_at_the_edge():
    turned = Augmentation(rotation_degrees=15, horizontal_flip=False)
    for seed in range(10):
        angle = np.random.default_rng(seed).uniform(-15, 15)
        matrix = cv2.getRotationMatrix2D((31.5, 31.5), angle, 1)
        expected = cv2.warpAffine(IMAGE, matrix, (64, 64), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        np.testing.assert_array_equal(turned.apply(IMAGE, np.random.default_rng(seed)), expected)


def test_a_flat_image_stays_flat_when_turned():
    flat = np.full((64, 64), 90, np.uint8)
    for copy in copies(Augmentation(rotation_degrees=180, zoom=0.5), 10, flat):
        np.testing.assert_array_equal(copy, flat)


def test_turning_stays_within_the_degrees_asked_for():
    line = np.zeros((101, 101), np.uint8)
    line[50, :] = 255
    for copy in copies(Augmentation(rotation_degrees=10, horizontal_flip=False), 30, line):
        y, x = np.nonzero(copy > 100)
        slope = np.polyfit(x, y, 1)[0]
        assert abs(np.degrees(np.arctan(slope))) < 10.5


def test_the_defaults_are_the_articles_two():
    defaults = Augmentation().to_dict()
    assert (defaults.pop("rotation_degrees"), defaults.pop("horizontal_flip")) == (15.0, True)
    assert Augmentation(**defaults, **OFF) == Augmentation(**OFF)
    for copy in copies(Augmentation(**defaults, **OFF), 3):
        np.testing.assert_array_equal(copy, IMAGE)


@pytest.mark.parametrize(
    "option",
    [{"zoom": 0.3}, {"brightness": 0.3}, {"contrast": 0.5}, {"blur": 3}, {"resolution": 0.7}, {"jpeg_quality": 20}],
    ids=str,
)
def test_every_option_changes_the_copy(option):
    assert any(not np.array_equal(copy, IMAGE) for copy in copies(Augmentation(**OFF, **option), 5))


def test_brightness_moves_the_mean_within_its_range():
    flat = np.full((64, 64), 128, np.uint8)
    means = [copy.mean() for copy in copies(Augmentation(**OFF, brightness=0.2), 60, flat)]
    assert 128 - 52 <= min(means) < 110
    assert 146 < max(means) <= 128 + 51


def test_contrast_keeps_the_mean():
    for copy in copies(Augmentation(**OFF, contrast=0.4), 20):
        assert abs(copy.mean() - IMAGE.mean()) < 1


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("rotation_degrees", -1), ("rotation_degrees", 181), ("zoom", 1), ("zoom", float("nan")), ("brightness", 1.1),
        ("contrast", 1), ("blur", -0.1), ("resolution", 1), ("jpeg_quality", 0), ("jpeg_quality", 101),
    ],
)  # fmt: skip
def test_a_value_outside_its_range_is_refused_with_the_rule_and_the_value(option, value):
    with pytest.raises(ValueError, match=rf"{option} must lie between .*received {value}"):
        Augmentation(**{option: value})
