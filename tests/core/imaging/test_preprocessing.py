"""preprocessing.py against the article's own way, written with numpy and OpenCV alone."""

import io
from dataclasses import FrozenInstanceError

import cv2
import numpy as np
import pytest
from image_files import dicom, saved, stretched
from imagecodecs import jpeg2k_encode, jpeg8_encode
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1

from cxr_core.imaging import preprocessing
from cxr_core.imaging.grey_range import count_values
from cxr_core.imaging.preprocessing import Preprocessing, balance_channel, preprocessing_from_dict
from cxr_core.imaging.reader import decode_image, read_image


def article_stretch(channel, percent=0.05):
    low, high = np.percentile(channel, [percent, 100 - percent])
    return np.clip((channel - low) * 255.0 / (high - low), 0, 255).astype(np.uint8)


def article_image(path):
    balanced = np.dstack([article_stretch(c) for c in cv2.split(cv2.imread(str(path)))])
    grey = cv2.cvtColor(balanced, cv2.COLOR_BGR2GRAY)
    return cv2.resize(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), (224, 224))


def smooth_image(height, width, channels=None, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(20, 220, (6, 7) if channels is None else (6, 7, channels), dtype=np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return cv2.add(image, rng.integers(0, 12, image.shape, dtype=np.uint8))


@pytest.mark.parametrize("ending", [".png", ".jpg"])
@pytest.mark.parametrize("channels", [None, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("size", [(300, 411), (611, 240), (100, 90)], ids=str)
def test_an_image_is_prepared_bit_for_bit_as_in_the_article(tmp_path, ending, channels, size):
    path = tmp_path / f"image{ending}"
    cv2.imwrite(str(path), smooth_image(*size, channels))
    prepared = Preprocessing().image_u8(read_image(path))
    np.testing.assert_array_equal(np.dstack([prepared] * 3), article_image(path))


@pytest.mark.parametrize("by", ["inverted", "one more"])
@pytest.mark.parametrize("different", [None, 0, 1, 2], ids=["all equal", "blue", "green", "red"])
def test_channels_that_are_equal_or_nearly_so_are_prepared_bit_for_bit_as_in_the_article(tmp_path, different, by):
    image = np.dstack([smooth_image(300, 411)] * 3)
    if different is not None:
        part = image[100:200, 100:200, different]
        image[100:200, 100:200, different] = 255 - part if by == "inverted" else part + 1
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), image)
    prepared = Preprocessing().image_u8(read_image(path))
    np.testing.assert_array_equal(np.dstack([prepared] * 3), article_image(path))


def test_real_radiographs_are_prepared_bit_for_bit_as_in_the_article(real_radiographs):
    different = [
        path.name
        for path in real_radiographs
        if not np.array_equal(np.dstack([Preprocessing().image_u8(read_image(path))] * 3), article_image(path))
    ]
    assert different == []


def film(bits):
    """A full-size film of so many bits, with grain."""
    grain = np.random.default_rng(0).normal(0, 2 ** (bits - 9), (2520, 2048))
    coarse = smooth_image(315, 256).astype(np.float32)
    values = cv2.resize(coarse, (2048, 2520), interpolation=cv2.INTER_CUBIC) * 2 ** (bits - 8) + grain
    return np.clip(values, 0, 2**bits - 1).astype(np.uint8 if bits == 8 else np.uint16)


def lossless_dicom(syntax, encode, **options):
    """A function that returns a film's DICOM file, its pixels compressed."""

    def file(pixels):
        frame = encapsulate([encode(pixels, **options)])
        return dicom(pixels, syntax=syntax, PixelData=frame, BitsStored=12, HighBit=11)

    return file


# Each format: the bits of the film in it, and how its file is made.
FILMS = {
    "8-bit JPEG": (8, lambda pixels: saved(Image.fromarray(pixels), "JPEG", quality=90)),
    "8-bit PNG": (8, lambda pixels: saved(Image.fromarray(pixels), "PNG", compress_level=1)),
    "16-bit PNG": (16, lambda pixels: saved(Image.fromarray(pixels), "PNG", compress_level=1)),
    "16-bit TIFF": (16, lambda pixels: saved(Image.fromarray(pixels), "TIFF")),
    "12-bit DICOM": (12, lambda pixels: dicom(pixels, BitsStored=12, HighBit=11)),
    "12-bit DICOM, JPEG 2000": (12, lossless_dicom(JPEG2000Lossless, jpeg2k_encode, level=0, codecformat="J2K")),
    "12-bit DICOM, JPEG lossless": (
        12, lossless_dicom(JPEGLosslessSV1, jpeg8_encode, lossless=True, predictor=1, bitspersample=16)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILMS)
def test_a_full_size_film_of_every_format_is_balanced_between_numpys_percentiles(name):
    bits, make = FILMS[name]
    pixels, data = film(bits), make(film(bits))
    # A lossy file holds other pixels than were saved: those that Pillow reads, too.
    stored = np.asarray(Image.open(io.BytesIO(data))) if name == "8-bit JPEG" else pixels
    expected = stretched(stored) if "DICOM" in name else stored
    decoded = decode_image(data)
    np.testing.assert_array_equal(decoded, expected)
    np.testing.assert_array_equal(balance_channel(decoded, 0.05), article_stretch(expected))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("percent", [0, 0.05, 1, 7.3, 49.9])
def test_the_stretch_lies_between_numpys_percentiles_exactly(dtype, percent):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        highest = rng.integers(2, np.iinfo(dtype).max)
        channel = rng.integers(0, highest, rng.integers(2, 60, 2), dtype=dtype, endpoint=True)
        low, high = np.percentile(channel, percent), np.percentile(channel, 100.0 - percent)
        if high > low:
            expected = np.clip((channel - low) * 255.0 / (high - low), 0, 255).astype(np.uint8)
            np.testing.assert_array_equal(balance_channel(channel, percent), expected)


@pytest.mark.parametrize("percent", [23.0, 26.5])
def test_the_stretch_between_percentiles_of_three_values_agrees_to_the_last_bit(percent):
    # Among so few values a stretched one often is whole, and the last bit of a percentile takes it below that.
    for seed in range(1_000):
        channel = np.random.default_rng(seed).integers(0, 256, (1, 3), dtype=np.uint8)
        low, high = np.percentile(channel, [percent, 100 - percent])
        if high > low:
            np.testing.assert_array_equal(balance_channel(channel, percent), article_stretch(channel, percent))


def test_a_value_in_more_pixels_than_float32_can_count_is_counted():
    channel = np.full((1, 2**24 + 2), 90, np.uint8)
    channel[0, 0] = 10
    assert balance_channel(channel, 0)[0, [0, 1, -1]].tolist() == [0, 255, 255]


def test_a_channel_too_large_for_opencvs_counts_is_still_exact():
    channel = np.random.default_rng(0).integers(3, 250, (4100, 4100), dtype=np.uint8)
    np.testing.assert_array_equal(balance_channel(channel, 0.05), article_stretch(channel))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 3)], ids=str)
def test_a_flat_image_prepares_to_zeros(dtype, shape):
    assert not Preprocessing().image_u8(np.full(shape, 137, dtype)).any()


def test_values_above_two_equal_percentiles_become_white():
    channel = np.full((100, 100), 90, np.uint8)
    channel[0, :2] = (10, 200)
    with np.errstate(all="raise"):
        assert balance_channel(channel, 5)[0, :3].tolist() == [0, 255, 0]


def test_a_16_bit_image_prepares_like_its_8_bit_twin():
    image = smooth_image(200, 260)
    wide = Preprocessing().image_u8(image.astype(np.uint16) * 257)
    np.testing.assert_allclose(wide.astype(int), Preprocessing().image_u8(image), atol=1)


def test_without_white_balance_16_bits_are_scaled_to_8():
    channel = np.array([[0, 257, 65535, 128 * 257]], np.uint16)
    assert balance_channel(channel, None).tolist() == [[0, 1, 255, 128]]
    every = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(balance_channel(every[None], None)[0], np.floor(every / 257))


def test_without_white_balance_a_grey_image_is_only_resized():
    image = smooth_image(300, 200)
    expected = cv2.resize(image, (224, 224), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(Preprocessing(white_balance_percent=None).image_u8(image), expected)


@pytest.mark.parametrize("clahe", ["off", "before", "after"])
@pytest.mark.parametrize("channels", [None, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_image_handed_in_is_not_changed(clahe, channels, dtype):
    image = smooth_image(120, 160, channels).astype(dtype)
    before = image.copy()
    Preprocessing(clahe=clahe, aspect="pad").image_u8(image)
    np.testing.assert_array_equal(image, before)


def test_without_white_balance_8_bits_are_not_copied():
    channel = smooth_image(20, 30)
    assert np.shares_memory(balance_channel(channel, None), channel)


@pytest.fixture
def calls(monkeypatch):
    """The names of the functions, of those that only make it faster, in the order in which they are called."""
    made = []

    def watch(module, name):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, **kwargs: made.append(name) or real(*args, **kwargs))

    watch(cv2, "LUT")
    watch(cv2, "calcHist")
    watch(preprocessing, "balance_channel")
    return made


def test_three_equal_channels_are_balanced_once(calls):
    image = smooth_image(20, 30)
    Preprocessing(white_balance_percent=None).image_u8(np.dstack([image] * 3))
    assert calls == ["balance_channel"]


def test_opencv_counts_and_looks_up_the_values_of_an_8_bit_channel(calls):
    balance_channel(smooth_image(20, 30), 0.05)
    assert calls == ["calcHist", "LUT"]


@pytest.mark.parametrize(("pixels", "by_opencv"), [(2**24 - 1, ["calcHist"]), (2**24, [])])
def test_opencv_counts_as_long_as_float32_can(calls, pixels, by_opencv):
    counts = count_values(np.zeros((1, pixels), np.uint8))
    assert calls == by_opencv
    assert (counts[0], counts[1:].any()) == (pixels, False)


def test_clahe_after_is_opencvs_on_the_balanced_image():
    image = smooth_image(300, 260)
    expected = cv2.createCLAHE(3.0, (4, 4)).apply(article_stretch(image))
    expected = cv2.resize(expected, (224, 224), interpolation=cv2.INTER_LINEAR)
    prepared = Preprocessing(clahe="after", clahe_clip_limit=3.0, clahe_tiles=4).image_u8(image)
    np.testing.assert_array_equal(prepared, expected)


def test_clahe_before_is_opencvs_on_the_raw_image():
    image = smooth_image(300, 260)
    expected = article_stretch(cv2.createCLAHE(2.0, (8, 8)).apply(image))
    expected = cv2.resize(expected, (224, 224), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(Preprocessing(clahe="before").image_u8(image), expected)


@pytest.mark.parametrize(
    ("base", "change"),
    [
        ({}, {"white_balance_percent": 5.0}),
        ({}, {"white_balance_percent": None}),
        ({}, {"clahe": "before"}),
        ({}, {"clahe": "after"}),
        ({"clahe": "after"}, {"clahe_clip_limit": 6.0}),
        ({"clahe": "after"}, {"clahe_tiles": 3}),
        ({}, {"aspect": "pad"}),
        ({}, {"interpolation": "area"}),
        ({}, {"interpolation": "cubic"}),
        ({}, {"size": 160}),
        ({}, {"scaling": "-1..1"}),
    ],
    ids=str,
)
def test_every_option_changes_what_the_classifier_sees(base, change):
    image = smooth_image(411, 300, 3)
    before, after = Preprocessing(**base), Preprocessing(**base | change)
    assert not np.array_equal(before.scaled(before.image_u8(image)), after.scaled(after.image_u8(image)))


@pytest.mark.parametrize(("scaling", "expected"), [("0..1", [0, 0.2, 1]), ("-1..1", [-1, -0.6, 1])])
def test_scaling_gives_three_equal_channels_in_its_range(scaling, expected):
    scaled = Preprocessing(scaling=scaling).scaled(np.array([[0, 51, 255]], np.uint8))
    assert scaled.dtype == np.float32
    assert scaled.shape == (1, 3, 3)
    for channel in range(3):
        np.testing.assert_allclose(scaled[0, :, channel], expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(400, 200), (200, 400), (333, 334), (900, 31)], ids=str)
def test_padding_keeps_the_aspect_and_fills_with_black(shape):
    prepared = Preprocessing(aspect="pad", white_balance_percent=None).image_u8(np.full(shape, 200, np.uint8))
    rows, columns = np.flatnonzero(prepared.any(axis=1)), np.flatnonzero(prepared.any(axis=0))
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert max(height, width) == 224
    np.testing.assert_allclose((height, width), np.array(shape) * 224 / max(shape), atol=0.5)
    assert set(np.unique(prepared)) <= {0, 200}


@pytest.mark.parametrize("shape", [(900, 1), (1, 900)], ids=str)
def test_the_narrowest_image_keeps_one_line_when_padded(shape):
    prepared = Preprocessing(aspect="pad", white_balance_percent=None).image_u8(np.full(shape, 200, np.uint8))
    assert sorted((prepared.any(axis=0).sum(), prepared.any(axis=1).sum())) == [1, 224]


@pytest.mark.parametrize(
    ("name", "opencv"), [("linear", cv2.INTER_LINEAR), ("area", cv2.INTER_AREA), ("cubic", cv2.INTER_CUBIC)]
)
def test_a_padded_image_is_resized_as_opencv_does(name, opencv):
    image = smooth_image(448, 300)
    prepared = Preprocessing(aspect="pad", interpolation=name, white_balance_percent=None).image_u8(image)
    np.testing.assert_array_equal(prepared[:, 37:187], cv2.resize(image, (150, 224), interpolation=opencv))
    assert not prepared[:, :37].any() and not prepared[:, 187:].any()


@pytest.mark.parametrize("aspect", ["stretch", "pad"])
def test_a_map_is_laid_on_an_image_of_three_channels_like_on_a_grey_one(aspect):
    map_, settings = np.random.default_rng(0).random((7, 7), np.float32), Preprocessing(aspect=aspect)
    expected = settings.map_on_image(map_, (40, 30))
    np.testing.assert_array_equal(settings.map_on_image(map_, (40, 30, 3)), expected)


@pytest.mark.parametrize("aspect", ["stretch", "pad"])
@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.07, -0.04)], ids=str)
def test_a_map_on_a_film_lies_within_one_grey_level_of_opencvs(monkeypatch, aspect, offset):
    map_, settings = np.random.default_rng(0).random((7, 7), np.float32), Preprocessing(aspect=aspect)
    by_matrices = settings.map_on_image(map_, (1600, 1400), offset)
    monkeypatch.setattr(preprocessing, "_FILM_PIXELS", 10**9)
    np.testing.assert_allclose(by_matrices, settings.map_on_image(map_, (1600, 1400), offset), atol=1 / 255)


@pytest.mark.parametrize("aspect", ["stretch", "pad"])
@pytest.mark.parametrize("shape", [(448, 224), (150, 300), (300, 301), (224, 224)], ids=str)
def test_a_map_on_the_image_lies_where_it_came_from(aspect, shape):
    image = cv2.GaussianBlur(smooth_image(*shape), (0, 0), 9)
    settings = Preprocessing(aspect=aspect, white_balance_percent=None)
    back = settings.map_on_image(settings.image_u8(image).astype(np.float32), shape)
    assert back.shape == shape
    inner = (slice(6, -6), slice(6, -6))
    np.testing.assert_allclose(back[inner], image[inner], atol=6)


@pytest.mark.parametrize(
    ("settings", "rule", "value"),
    [
        ({"clahe": "maybe"}, "clahe must be one of off, before, after", "'maybe'"),
        ({"aspect": "crop"}, "aspect must be one of stretch, pad", "'crop'"),
        ({"interpolation": "nearest"}, "interpolation must be one of linear, area, cubic", "'nearest'"),
        ({"scaling": "0..255"}, "scaling must be one of", "'0..255'"),
        ({"white_balance_percent": 50}, "white_balance_percent must lie in [0, 50)", "50"),
        ({"white_balance_percent": -0.1}, "white_balance_percent must lie in [0, 50)", "-0.1"),
        ({"white_balance_percent": float("nan")}, "white_balance_percent must lie in [0, 50)", "nan"),
        ({"clahe_clip_limit": 0}, "clahe_clip_limit must be above 0", "0"),
        ({"clahe_tiles": 0}, "clahe_tiles at least 1", "0"),
        ({"size": 31}, "size must be at least 32", "31"),
        ({"size": 64.0}, "size must be of kind int", "64.0"),
        ({"clahe": None}, "clahe must be one of off, before, after", "None"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused_with_the_rule_and_the_value(settings, rule, value):
    with pytest.raises(ValueError) as caught:
        Preprocessing(**settings)
    message, _, received = str(caught.value).partition("; received ")
    assert rule in message
    assert value in received


def test_the_values_at_the_edge_of_a_range_are_allowed():
    for percent in (0, 49.9):
        assert Preprocessing(white_balance_percent=percent).white_balance_percent == percent
    edge = Preprocessing(clahe_clip_limit=0.1, clahe_tiles=1, size=32)
    assert (edge.clahe_clip_limit, edge.clahe_tiles, edge.size) == (0.1, 1, 32)


def test_settings_are_named_and_cannot_be_changed():
    with pytest.raises(TypeError):
        Preprocessing(0.05)
    with pytest.raises(FrozenInstanceError):
        Preprocessing().size = 64


def test_opencv_leaves_the_processor_to_the_threads_that_prepare_images():
    assert cv2.getNumThreads() == 1


def test_settings_survive_the_way_through_a_dictionary():
    settings = Preprocessing(clahe="after", clahe_tiles=4, aspect="pad", white_balance_percent=None, size=160)
    assert preprocessing_from_dict(settings.to_dict()) == settings


def test_an_unknown_setting_in_a_dictionary_is_named():
    with pytest.raises(ValueError, match="sharpen"):
        preprocessing_from_dict(Preprocessing().to_dict() | {"sharpen": 3})
