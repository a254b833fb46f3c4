"""The article's own listing, where the page quotes what it would print."""

import cv2
import numpy as np
import pytest

from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.reporting.reproduction.claims import class_claims
from cxr_core.reporting.reproduction.data_sections import article_image_u8, printed_sizes


def test_the_listing_prints_the_greatest_height_as_the_greatest_width():
    # The widest image, 900, is lost: the last width is compared with the heights before it.
    assert printed_sizes([(900, 100), (200, 700), (300, 400)]) == (200, 700, 100, 700)


def test_of_square_images_the_listing_prints_what_is_there():
    assert printed_sizes([(200, 200), (512, 512), (300, 300)]) == (200, 512, 200, 512)


@pytest.mark.parametrize("shape", [(300, 260), (300, 260, 3)])
def test_the_articles_preprocessing_gives_our_pixels(shape):
    noise = np.random.default_rng(0).normal(128, 40, shape)
    image = np.clip(cv2.GaussianBlur(noise, (0, 0), 3), 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(article_image_u8(image), Preprocessing().image_u8(image))


@pytest.mark.parametrize(
    ("classes", "has_claims"),
    [
        (("normal", "covid", "virus"), True),
        (("NORMAL", "COVID-19", "Viral Pneumonia"), True),
        (("normal", "covid"), False),
        (("normal", "covid", "virus", "other"), False),
        (("cat", "dog"), False),
    ],
)
def test_only_a_data_set_of_the_articles_classes_has_its_claims(classes, has_claims):
    assert set(class_claims(classes)) == (set(classes) if has_claims else set())
