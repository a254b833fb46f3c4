"""augmentation.py against OpenCV and numpy."""

import cv2
import numpy as np
import pytest

from cxr_core.imaging.augmentation import Augmentation, match_histogram, match_spectrum

IMAGE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8), (0, 0), 2)
OFF = {"rotation_degrees": 0, "horizontal_flip": False}
EVERYTHING = Augmentation(
    zoom=0.2, shift=0.1, frame=0.5, brightness=0.2, contrast=0.3, gamma=0.3, blur=1.5, resolution=0.5, noise=5,
    text_overlay=0.5, jpeg_quality=50,
)  # fmt: skip


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


def test_a_copy_is_rotated_around_its_centre_and_edge_pixels_fill_the_border():
    turned = Augmentation(rotation_degrees=15, horizontal_flip=False)
    for seed in range(10):
        angle = np.random.default_rng(seed).uniform(-15, 15)
        matrix = cv2.getRotationMatrix2D((31.5, 31.5), angle, 1)
        expected = cv2.warpAffine(IMAGE, matrix, (64, 64), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        np.testing.assert_array_equal(turned.apply(IMAGE, np.random.default_rng(seed)), expected)


def test_a_flat_image_stays_flat_when_rotated():
    flat = np.full((64, 64), 90, np.uint8)
    for copy in copies(Augmentation(rotation_degrees=180, zoom=0.5), 10, flat):
        np.testing.assert_array_equal(copy, flat)


def test_rotation_stays_within_the_given_angle():
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


def test_histogram_matching_gives_the_percentiles_of_the_other_image():
    other = np.clip(IMAGE.astype(int) // 3 + 100, 0, 255).astype(np.uint8)
    matched = match_histogram(IMAGE, other)
    for percent in (10, 50, 90):
        assert abs(np.percentile(matched, percent) - np.percentile(other, percent)) <= 2


def test_histogram_matching_at_half_strength_lies_half_way():
    other = np.clip(IMAGE.astype(int) // 3 + 100, 0, 255).astype(np.uint8)
    half, whole = (match_histogram(IMAGE, other, strength).astype(float) for strength in (0.5, 1.0))
    np.testing.assert_allclose(half, (IMAGE + whole) / 2, atol=1)


def detail(image):
    """The share of an image's spread that a Gaussian blur takes away."""
    values = image.astype(float)
    return (values - cv2.GaussianBlur(values, (0, 0), 1)).std() / values.std()


def test_spectrum_matching_blurs_a_sharp_image_and_sharpens_a_blurred_one():
    rng = np.random.default_rng(3)
    sharp = cv2.GaussianBlur(rng.integers(0, 255, (224, 224), dtype=np.uint8), (0, 0), 1.2)
    soft = cv2.GaussianBlur(rng.integers(0, 255, (224, 224), dtype=np.uint8), (0, 0), 2.5)
    assert detail(match_spectrum(sharp, soft)) < (detail(sharp) + detail(soft)) / 2
    assert detail(match_spectrum(soft, sharp)) > 1.5 * detail(soft)


def test_spectrum_matching_keeps_the_coarsest_structure():
    rng = np.random.default_rng(4)
    one, other = (cv2.GaussianBlur(rng.integers(0, 255, (224, 224), dtype=np.uint8), (0, 0), 2) for _ in range(2))
    coarse = [cv2.resize(i, (6, 6), interpolation=cv2.INTER_AREA).astype(float) for i in (one, other)]
    matched = cv2.resize(match_spectrum(one, other), (6, 6), interpolation=cv2.INTER_AREA).astype(float)
    assert np.abs(matched - coarse[0]).mean() < 0.3 * np.abs(matched - coarse[1]).mean()


def test_without_a_second_image_nothing_is_matched():
    borrowing = Augmentation(**OFF, histogram_matching=1, spectrum_matching=1)
    np.testing.assert_array_equal(borrowing.apply(IMAGE, np.random.default_rng(0)), IMAGE)


def test_spectrum_matching_refuses_images_of_different_sizes():
    with pytest.raises(ValueError, match="same size"):
        match_spectrum(IMAGE, IMAGE[:32])


def test_a_change_with_a_probability_of_a_tenth_leaves_nine_tenths_alone():
    rare = Augmentation(**OFF, blur=5, p_transform=0.1)
    unchanged = sum(np.array_equal(copy, IMAGE) for copy in copies(rare, 200))
    assert 160 <= unchanged <= 198


def test_a_frame_fills_the_border_with_black_dark_grey_or_white():
    framed = Augmentation(**OFF, shift=0.5, frame=1)
    for seed in range(10):
        copy = framed.apply(IMAGE, np.random.default_rng(seed))
        shift = np.random.default_rng(seed)
        shift.uniform(), shift.uniform()
        x, y = shift.uniform(-0.5, 0.5, 2) * 64
        corner = copy[: int(y), : int(x)] if x >= 2 and y >= 2 else None
        assert corner is None or corner.min() == corner.max() in (0, 30, 255)


def test_text_overlay_draws_with_its_own_greys_only():
    written = Augmentation(**OFF, text_overlay=1).apply(np.full((224, 224), 128, np.uint8), np.random.default_rng(5))
    assert 0 < (written != 128).mean() < 0.2
