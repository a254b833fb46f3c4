"""Copies lie over each other wherever they were cropped, resized or mirrored."""

import cv2
import numpy as np
import pytest
from conftest import draw_texture

from cxr_core.splits.copy_comparison import difference_u8, lay_over

IMAGE = draw_texture(1)


def error_within(laid, shows):
    """The mean difference from the image where the copy shows it, in grey values."""
    return float(difference_u8(IMAGE, laid)[shows].mean())


@pytest.mark.parametrize("mirrored", [False, True], ids=["as it is", "mirrored"])
def test_a_resized_copy_lies_over_its_image(mirrored):
    copy = cv2.resize(IMAGE, (400, 240), interpolation=cv2.INTER_AREA)
    laid, is_aligned = lay_over(IMAGE, cv2.flip(copy, 1) if mirrored else copy)
    assert is_aligned
    assert laid.shape == IMAGE.shape
    assert error_within(laid, np.s_[10:-10, 10:-10]) < 6
    # As far apart as two images are that show different things.
    assert error_within(draw_texture(2), np.s_[:, :]) > 30


def test_a_crop_lies_where_it_was_cut_from_and_the_rest_is_black():
    laid, is_aligned = lay_over(IMAGE, IMAGE[40:300, 20:280])
    assert is_aligned
    assert error_within(laid, np.s_[50:290, 30:270]) < 8
    assert laid[:30].max() == 0 and laid[:, 300:].max() == 0


def test_what_is_no_copy_is_only_resized():
    other = draw_texture(2)[:200]
    laid, is_aligned = lay_over(IMAGE, other)
    assert not is_aligned
    np.testing.assert_array_equal(laid, cv2.resize(other, IMAGE.shape[::-1], interpolation=cv2.INTER_AREA))


def test_equal_images_do_not_differ():
    assert difference_u8(IMAGE, IMAGE).max() == 0
