"""augmentation.py against OpenCV and numpy."""

from dataclasses import FrozenInstanceError

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


# Each change at the ends of its range, with draws that are known


class Draws:
    """Stands for a Generator whose numbers all lie at one place of their range: 0 its lower end, 1 its upper end.

    `chance` is what `random` gives: 0 lets everything happen. `calls` keeps what was asked for, in order.
    """

    def __init__(self, place=1.0, chance=0.0):
        self.place, self.chance, self.calls = place, chance, []

    def random(self):
        self.calls.append(("random",))
        return self.chance

    def uniform(self, low, high, size=None):
        self.calls.append(("uniform", round(low, 6), round(high, 6)) + (() if size is None else (size,)))
        # Of two, the second lies at the other end, so that they can be told apart.
        places = self.place if size is None else np.array([self.place, 1 - self.place])[:size]
        return low + (high - low) * places

    def integers(self, low, high):
        self.calls.append(("integers", int(low), int(high)))
        return low + round(self.place * (high - 1 - low))

    def choice(self, options):
        self.calls.append(("choice", len(options)))
        return options[round(self.place * (len(options) - 1))]

    def normal(self, mean, spread, shape):
        self.calls.append(("normal", mean, round(spread, 6)))
        return np.random.default_rng(0).normal(mean, spread, shape)


WIDE = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (60, 80), dtype=np.uint8), (0, 0), 2)
OTHER = np.clip(WIDE[::-1].astype(int) // 2 + 90, 0, 255).astype(np.uint8)


def drawn(place=1.0, chance=0.0, image=WIDE, other=None, **settings):
    """The copy that one setting alone makes of an image with known draws."""
    return Augmentation(**OFF | settings).apply(image, Draws(place, chance), other)


@pytest.mark.parametrize(("place", "scale"), [(0, 0.8), (0.5, 1.0), (1, 1.2)])
def test_zoom_scales_around_the_middle_by_1_minus_to_1_plus_its_value(place, scale):
    matrix = cv2.getRotationMatrix2D((39.5, 29.5), 0, scale)
    expected = cv2.warpAffine(WIDE, matrix, (80, 60), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    np.testing.assert_array_equal(drawn(place, zoom=0.2), expected)


@pytest.mark.parametrize(("chance", "mirrored"), [(0.49, True), (0.5, False)])
def test_half_of_the_images_are_mirrored_left_and_right(chance, mirrored):
    expected = WIDE[:, ::-1] if mirrored else WIDE
    np.testing.assert_array_equal(drawn(chance=chance, horizontal_flip=True), expected)


def test_an_image_is_turned_and_mirrored_at_once():
    matrix = cv2.getRotationMatrix2D((39.5, 29.5), 10, 1)
    turned = cv2.warpAffine(WIDE[:, ::-1].copy(), matrix, (80, 60), borderMode=cv2.BORDER_REPLICATE)
    copy = drawn(rotation_degrees=10, horizontal_flip=True).astype(int)
    assert np.abs(copy - turned).max() <= 2
    assert np.abs(drawn(rotation_degrees=10).astype(int) - turned).max() > 20


@pytest.mark.parametrize(("place", "right", "down"), [(1, 8, -6), (0, -8, 6)])
def test_a_shift_moves_by_a_share_of_each_side_and_repeats_the_edge(place, right, down):
    rows, columns = np.clip(np.arange(60) - down, 0, 59), np.clip(np.arange(80) - right, 0, 79)
    np.testing.assert_array_equal(drawn(place, shift=0.1), WIDE[np.ix_(rows, columns)])


class FirstLow(Draws):
    """Draws whose ranges of `uniform` are taken at their lower end."""

    def uniform(self, low, high, size=None):
        return low


@pytest.mark.parametrize(("place", "grey"), [(0, 0), (0.25, 0), (0.5, 0), (0.75, 30), (1, 255)])
def test_a_frame_is_black_three_times_of_five_or_dark_or_white(place, grey):
    # A scale of one half leaves a quarter of each side to the frame.
    copy = Augmentation(**OFF, zoom=0.5, frame=1).apply(WIDE, FirstLow(place))
    assert set(np.unique(copy[:14])) == set(np.unique(copy[:, :19])) == {grey}
    assert np.unique(copy[16:44, 21:59]).size > 20


@pytest.mark.parametrize(("chance", "framed"), [(0.29, True), (0.3, False)])
def test_a_frame_comes_as_often_as_asked_for(chance, framed):
    copy = drawn(0, chance, image=np.full((60, 80), 90, np.uint8), zoom=0.5, frame=0.3)
    assert (copy == 0).any() == framed


@pytest.mark.parametrize(
    ("name", "match"), [("histogram_matching", match_histogram), ("spectrum_matching", match_spectrum)]
)
@pytest.mark.parametrize("place", [0, 0.5, 1])
def test_an_image_borrows_from_none_to_its_share_of_what_another_one_has(name, match, place):
    np.testing.assert_array_equal(drawn(place, other=OTHER, **{name: 0.8}), match(WIDE, OTHER, 0.8 * place))


def test_sharpness_is_borrowed_before_greys_and_nothing_where_both_are_off():
    both = drawn(other=OTHER, histogram_matching=1, spectrum_matching=1)
    np.testing.assert_array_equal(both, match_histogram(match_spectrum(WIDE, OTHER), OTHER))
    np.testing.assert_array_equal(drawn(other=OTHER), WIDE)
    assert [
        Augmentation(**{name: 0.1}).needs_second_image for name in ("histogram_matching", "spectrum_matching", "zoom")
    ] == [1, 1, 0]


@pytest.mark.parametrize(("place", "size"), [(0, (80, 60)), (1, (24, 18))])
def test_resolution_is_lost_by_averaging_and_enlarging(place, size):
    small = cv2.resize(WIDE, size, interpolation=cv2.INTER_AREA)
    expected = cv2.resize(small, (80, 60), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(drawn(place, resolution=0.7), expected)


@pytest.mark.parametrize("narrow", [np.s_[:], np.s_[::-1]], ids=["low", "slim"])
def test_of_the_narrowest_image_one_line_is_left(narrow):
    lines = np.repeat(np.array([[0], [100], [200]], np.uint8), 80, axis=1)
    image = np.ascontiguousarray(lines.transpose((0, 1)[narrow]))
    copy = drawn(resolution=0.9, image=image)
    assert copy.shape == image.shape
    assert (copy == 100).all()


@pytest.mark.parametrize(("place", "sigma"), [(0.5, 1.5), (1, 3)])
def test_blur_is_opencvs_with_the_nearest_pixel_at_the_edge(place, sigma):
    expected = cv2.GaussianBlur(WIDE, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    np.testing.assert_array_equal(drawn(place, blur=3), expected)


@pytest.mark.parametrize("place", [0, 0.03])
def test_a_blur_of_next_to_nothing_leaves_the_image_alone(place):
    np.testing.assert_array_equal(drawn(place, blur=3), WIDE)


EVERY_GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)


@pytest.mark.parametrize(("place", "exponent"), [(0, np.exp(-0.5)), (0.5, 1), (1, np.exp(0.5))])
def test_gamma_raises_shares_of_white_to_a_power(place, exponent):
    expected = np.floor(255 * (np.arange(256) / 255) ** exponent + 1e-9).reshape(16, 16)
    np.testing.assert_array_equal(drawn(place, image=EVERY_GREY, gamma=0.5), expected)


@pytest.mark.parametrize(("place", "gain"), [(0, 0.6), (0.5, 1), (1, 1.4)])
def test_contrast_spreads_greys_around_their_mean_and_cuts_off_what_leaves_the_range(place, gain):
    expected = np.clip(127.5 + gain * (np.arange(256) - 127.5), 0, 255).reshape(16, 16)
    np.testing.assert_array_equal(drawn(place, image=EVERY_GREY, contrast=0.4), np.floor(expected + 1e-9))


@pytest.mark.parametrize(("place", "by"), [(0, -51), (1, 51)])
def test_brightness_adds_a_share_of_the_range(place, by):
    expected = np.clip(np.arange(256) + by, 0, 255).reshape(16, 16)
    np.testing.assert_array_equal(drawn(place, image=EVERY_GREY, brightness=0.2), expected)


@pytest.mark.parametrize(("place", "spread"), [(0, 0), (0.5, 20), (1, 40)])
def test_noise_is_normal_around_nothing_and_cut_off_at_black_and_white(place, spread):
    grain = np.random.default_rng(0).normal(0, spread, EVERY_GREY.shape)
    expected = np.clip(EVERY_GREY + grain, 0, 255)
    np.testing.assert_array_equal(drawn(place, image=EVERY_GREY, noise=40), np.floor(expected))
    assert spread == 0 or {0, 255} <= set(np.floor(expected).ravel())


@pytest.mark.parametrize(("place", "quality"), [(0, 20), (0.5, 60), (1, 100)])
def test_jpeg_is_of_a_quality_from_the_one_asked_for_to_100(place, quality):
    encoded = cv2.imencode(".jpg", WIDE, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    copy = drawn(place, jpeg_quality=20)
    np.testing.assert_array_equal(copy, cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE))
    assert copy.ndim == 2


def test_jpeg_of_quality_99_is_on_and_of_100_is_off():
    assert not np.array_equal(drawn(0, jpeg_quality=99), WIDE)
    np.testing.assert_array_equal(drawn(0, jpeg_quality=100), WIDE)


@pytest.mark.parametrize(
    ("place", "words", "font", "grey", "size"),
    [(0.4, 2, 1, 220, 0.5), (0.5, 2, 2, 220, 0.55), (0.9, 3, 3, 255, 0.75), (0.2, 1, 1, 0, 0.4)],
)
def test_lettering_writes_one_to_three_words_of_a_size_that_grows_with_the_image(place, words, font, grey, size):
    image, expected = np.full((448, 300), 128, np.uint8), np.full((448, 300), 128, np.uint8)
    position = round(place * 299), round(place * 447)
    word = ("R", "L", "PA", "AP", "A", "B1", "2C", "portable", "erect", "supine", "mobile", "day 3")[round(place * 11)]
    for _ in range(words):
        cv2.putText(expected, word, position, font, 2 * size, grey, 1, cv2.LINE_AA)
    copy = drawn(place, image=image, text_overlay=0.5)
    np.testing.assert_array_equal(copy, expected)
    assert (copy != 128).any()


@pytest.mark.parametrize(("chance", "written"), [(0.29, True), (0.3, False)])
def test_lettering_comes_as_often_as_asked_for(chance, written):
    assert (drawn(0.5, chance, text_overlay=0.3) != WIDE).any() == written


@pytest.mark.parametrize(("chance", "changed"), [(0.59, True), (0.6, False)])
def test_a_share_of_the_images_is_changed_at_all(chance, changed):
    copy = drawn(chance=chance, p_image=0.6, brightness=0.3)
    assert np.array_equal(copy, WIDE) != changed
    assert not np.shares_memory(copy, WIDE)


SOMETIMES = {
    "histogram_matching": 1, "spectrum_matching": 1, "resolution": 0.5, "blur": 2, "gamma": 0.5, "contrast": 0.5,
    "brightness": 0.5, "noise": 20, "jpeg_quality": 10,
}  # fmt: skip


@pytest.mark.parametrize("name", SOMETIMES)
def test_each_change_of_greys_and_detail_happens_as_often_as_asked_for(name):
    for chance, changed in ((0.39, True), (0.4, False)):
        copy = drawn(chance=chance, other=OTHER, p_transform=0.4, **{name: SOMETIMES[name]})
        assert np.array_equal(copy, WIDE) != changed


@pytest.mark.parametrize("change", [{"rotation_degrees": 10}, {"zoom": 0.2}, {"shift": 0.1}], ids=str)
def test_turning_zoom_and_shift_happen_to_every_image_that_is_changed(change):
    assert not np.array_equal(drawn(chance=0.99, p_transform=0.1, **change), WIDE)


def test_numbers_are_drawn_in_one_order_so_that_runs_of_earlier_versions_repeat():
    turned, scaled, mirrored = ("uniform", -15, 15), ("uniform", 0, 0), ("random",)
    draws = Draws()
    Augmentation().apply(WIDE, draws)
    assert draws.calls == [turned, scaled, mirrored]
    everything = Augmentation(
        p_image=0.9, p_transform=0.8, zoom=0.2, shift=0.1, frame=0.5, histogram_matching=0.7, spectrum_matching=0.6,
        brightness=0.1, contrast=0.3, blur=1.5, resolution=0.4, jpeg_quality=30, gamma=0.25, noise=5, text_overlay=0.35,
    )  # fmt: skip
    draws, happens = Draws(), ("random",)
    everything.apply(WIDE, draws, OTHER)
    word = [("integers", 0, 80), ("integers", 0, 60), ("uniform", 0.3, 0.8), ("choice", 3), ("choice", 12)]
    assert draws.calls == [
        happens, turned, ("uniform", -0.2, 0.2), mirrored, ("uniform", -0.1, 0.1, 2), happens, ("choice", 5),
        happens, ("uniform", 0, 0.6), happens, ("uniform", 0, 0.7), happens, ("uniform", 0, 0.4),
        happens, ("uniform", 0, 1.5), happens, ("uniform", -0.25, 0.25), happens, ("uniform", -0.3, 0.3),
        ("uniform", -0.1, 0.1), happens, ("integers", 1, 4), *[*word, ("integers", 0, 4)] * 3,
        happens, ("uniform", 0, 5), ("normal", 0, 5), happens, ("integers", 30, 101),
    ]  # fmt: skip


# Outside the lungs


def chest(lung_grey, left=(20, 40), right=(60, 80)):
    """An image of noise with two lungs of one grey, and the mask of these lungs."""
    image = np.random.default_rng(3).integers(120, 200, (100, 100), dtype=np.uint8)
    mask = np.zeros((100, 100), np.uint8)
    for low, high in (left, right):
        mask[20:80, low:high] = 255
    image[mask > 0] = lung_grey
    return image, mask


def replaced(seed, other, lungs):
    return Augmentation(**OFF, outside_lungs=1).apply(chest(40)[0], np.random.default_rng(seed), other, lungs)


def test_the_lungs_stay_and_what_surrounds_them_is_replaced():
    image, mask = chest(40)
    other = np.full((100, 100), 90, np.uint8)
    corners, lung = [], (slice(40, 60), slice(27, 33))
    for seed in range(40):
        copy = replaced(seed, other, (mask, np.zeros_like(mask)))
        np.testing.assert_allclose(copy[lung], image[lung], atol=1)
        assert (copy[:8] != image[:8]).mean() > 0.9
        corners.append(copy[:8])
    # In about half of the copies the other image surrounds the lungs, else a uniform grey or a blur of the image.
    others = np.mean([(corner == 90).all() for corner in corners])
    uniform = np.mean([corner.min() == corner.max() != 90 for corner in corners])
    assert 0.3 < others < 0.7 and 0.1 < uniform < 0.4 and others + uniform < 0.95


def test_the_lungs_of_the_image_that_surrounds_are_not_seen():
    mask = chest(40, (25, 35), (65, 75))[1]
    # Lungs of another patient, far below the own ones.
    other, others_mask = np.full((100, 100), 150, np.uint8), np.zeros((100, 100), np.uint8)
    others_mask[86:98, 4:16] = 255
    other[others_mask > 0] = 10
    pairs = [[replaced(seed, other, (mask, m)) for m in (others_mask, np.zeros_like(mask))] for seed in range(40)]
    seen = [hidden[92, 10] for hidden, open_ in pairs if open_[92, 10] == 10]
    assert len(seen) > 10 and min(seen) > 80


def test_an_image_without_lungs_or_without_masks_stays_as_it_is():
    image, mask = chest(40)
    for lungs in (None, (np.zeros_like(mask), mask)):
        np.testing.assert_array_equal(replaced(0, chest(90)[0], lungs), image)
    plain = Augmentation(**OFF, outside_lungs=1).apply(image, np.random.default_rng(0))
    np.testing.assert_array_equal(plain, image)


def test_masks_of_any_size_are_brought_to_the_image():
    image, mask = chest(40)
    small = cv2.resize(mask, (50, 50), interpolation=cv2.INTER_AREA)
    other, none = np.full((100, 100), 90, np.uint8), np.zeros_like(mask)
    for seed in range(10):
        large, same = (replaced(seed, other, (m, none)) for m in (mask, small))
        assert np.abs(large.astype(int) - same).mean() < 3


# Ranges


RANGES = {
    "p_image": (0.01, 1), "p_transform": (0.01, 1), "rotation_degrees": (0, 180), "zoom": (0, 0.9), "shift": (0, 0.9),
    "frame": (0, 1), "histogram_matching": (0, 1), "spectrum_matching": (0, 1), "brightness": (0, 1),
    "contrast": (0, 0.99), "blur": (0, 20), "resolution": (0, 0.95), "jpeg_quality": (1, 100), "gamma": (0, 3), 
    "noise": (0, 100), "text_overlay": (0, 1), "outside_lungs": (0, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", RANGES)
def test_the_ends_of_a_range_are_allowed_and_nothing_beyond(name):
    low, high = RANGES[name]
    step = 1 if name == "jpeg_quality" else 1e-6
    for value in (low, high):
        assert getattr(Augmentation(**{name: value}), name) == value
    for value in (low - step, high + step):
        with pytest.raises(ValueError, match=f"{name} must lie between {low} and {high}; received"):
            Augmentation(**{name: value})


@pytest.mark.parametrize("setting", [{"zoom": "0.1"}, {"horizontal_flip": 1}, {"jpeg_quality": 50.0}], ids=str)
def test_a_value_of_another_kind_is_refused(setting):
    with pytest.raises(ValueError, match="must be of kind"):
        Augmentation(**setting)


def test_settings_are_named_cannot_be_changed_and_are_off_but_for_the_articles_two():
    assert Augmentation().to_dict() == dict.fromkeys(RANGES, 0.0) | {
        "p_image": 1.0, "p_transform": 1.0, "rotation_degrees": 15.0, "horizontal_flip": True, "jpeg_quality": 100,
    }  # fmt: skip
    with pytest.raises(TypeError):
        Augmentation(1.0)
    with pytest.raises(FrozenInstanceError):
        Augmentation().zoom = 0.5


# Borrowing, on waves of known strength


def wave(strength, waves, shape=(224, 224)):
    """So many waves from left to right, that far around a middle grey."""
    return np.tile(np.round(128 + strength * np.cos(2 * np.pi * waves * np.arange(shape[1]) / shape[1])), (shape[0], 1))


def strength_of(image, waves):
    return 2 * np.abs(np.fft.rfft2(image.astype(float))[0, waves]) / image.size


def lent(own, other, waves, shape=(224, 224), **options):
    """How strong waves of one strength become when they borrow from those of another strength."""
    images = (wave(strength, waves, shape).astype(np.uint8) for strength in (own, other))
    return strength_of(match_spectrum(*images, **options), waves)


def test_detail_takes_the_strength_that_it_has_in_the_other_image():
    assert lent(20, 60, 30) == pytest.approx(60, rel=0.03)
    assert lent(60, 20, 30) == pytest.approx(20, rel=0.03)
    assert lent(20, 60, 30, strength=0.5) == pytest.approx(20 * np.sqrt(3), rel=0.03)
    assert lent(20, 60, 30, strength=0.0) == pytest.approx(20, rel=0.01)


def test_detail_becomes_no_more_than_four_and_a_half_times_as_strong_and_no_less_than_a_twentieth():
    assert lent(10, 100, 30) == pytest.approx(10 * np.exp(1.5), rel=0.02)
    assert lent(100, 0, 30) == pytest.approx(100 * np.exp(-3.0), rel=0.05)


@pytest.mark.parametrize("waves", [1, 6, 10, 11, 12])
def test_the_twelve_coarsest_rings_borrow_from_nothing_to_all(waves):
    share = min(waves / 11, 1)
    assert lent(10, 100, waves) == pytest.approx(10 * np.exp(1.5 * share), rel=0.03)


def test_waves_are_counted_along_the_longer_side():
    assert lent(10, 100, 14, (112, 224)) == pytest.approx(10 * np.exp(1.5), rel=0.02)


@pytest.mark.parametrize("middle", [60, 128, 195])
def test_what_becomes_too_strong_is_cut_off_at_black_and_white(middle):
    own, other = (wave(strength, 30) - 128 for strength in (40, 120))
    matched = match_spectrum((own + middle).astype(np.uint8), (other + 128).astype(np.uint8))
    np.testing.assert_allclose(matched, np.clip(other + middle, 0, 255), atol=4)
    assert {60: matched.min() == 0, 128: True, 195: matched.max() == 255}[middle]


def test_an_image_of_odd_sides_keeps_them():
    image = np.ascontiguousarray(WIDE[:45, :63])
    matched = match_spectrum(image, image)
    assert np.abs(matched.astype(int) - image).max() <= 1


def test_greys_are_borrowed_by_their_shares_whatever_the_sizes():
    tiled = np.tile(OTHER, (2, 3))
    np.testing.assert_array_equal(match_histogram(WIDE, tiled), match_histogram(WIDE, OTHER))


def test_all_is_borrowed_unless_told_otherwise():
    for match in (match_histogram, match_spectrum):
        np.testing.assert_array_equal(match(WIDE, OTHER), match(WIDE, OTHER, 1.0))
        assert not np.array_equal(match(WIDE, OTHER, 0.9), match(WIDE, OTHER, 1.0))
