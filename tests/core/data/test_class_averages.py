"""Averages and histograms per class, against numpy."""

import numpy as np

from cxr_core.data.class_averages import grey_histograms, mean_images
from cxr_core.data.sampling import sample_rows
from cxr_core.imaging.display import thumbnail

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
NAMES = np.array(["a", "b", "a", "b", "b"])


def test_mean_images_are_numpys_means_per_class():
    for name, image in mean_images(IMAGES, NAMES).items():
        np.testing.assert_array_equal(image, np.rint(IMAGES[name == NAMES].mean(axis=0)))


def test_grey_histograms_are_shares_of_pixels_per_class():
    shares = grey_histograms(IMAGES, NAMES)
    expected = np.histogram(IMAGES[NAMES == "b"], bins=256, range=(0, 256))[0] / (3 * 64)
    np.testing.assert_allclose(shares["b"], expected)


def test_sampling_never_takes_an_image_twice_and_repeats_with_its_seed():
    first = sample_rows(NAMES, 2, np.random.default_rng(3))
    again = sample_rows(NAMES, 2, np.random.default_rng(3))
    assert all(len(set(rows)) == 2 and set(NAMES[rows]) == {name} for name, rows in first.items())
    assert {k: v.tolist() for k, v in first.items()} == {k: v.tolist() for k, v in again.items()}


def test_a_thumbnail_keeps_the_aspect_and_never_enlarges():
    wide = np.zeros((50, 200), np.uint8)
    assert thumbnail(wide, 100).shape == (25, 100, 3)
    assert thumbnail(wide, 400).shape == (50, 200, 3)
