"""lung_segmentation.py on drawings whose lungs are known, and on real radiographs."""

import cv2
import numpy as np
import pytest

from cxr_core.data.phantoms import draw_phantom
from cxr_core.imaging.lung_segmentation import FALLBACK_BOX, lung_region
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.imaging.reader import read_image


def drawn(class_name, seed, size=224):
    return cv2.resize(draw_phantom(class_name, np.random.default_rng(seed)), (size, size), interpolation=cv2.INTER_AREA)


def drawn_lungs(size=224):
    """Where `draw_phantom` puts the lungs, up to a hundredth of the side."""
    y, x = (np.mgrid[0:size, 0:size] + 0.5) / size
    return np.minimum(*(np.hypot((x - c) / 0.155, (y - 0.5) / 0.31) for c in (0.3, 0.7))) <= 1


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("class_name", ["normal", "covid", "virus"])
def test_drawn_lungs_are_found_where_they_were_drawn(class_name):
    regions = [lung_region(drawn(class_name, seed)) for seed in range(12)]
    found = [overlap(region.mask, drawn_lungs()) for region in regions if region.found]
    assert len(found) >= 11
    assert np.median(found) > 0.65


def test_the_box_is_the_smallest_around_the_mask():
    region = lung_region(drawn("normal", 1))
    rows, columns = np.flatnonzero(region.mask.any(axis=1)), np.flatnonzero(region.mask.any(axis=0))
    assert region.box == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)


def test_a_mask_has_its_images_size():
    image = cv2.resize(drawn("normal", 1), (300, 180))
    assert lung_region(image).mask.shape == (180, 300)


def test_the_image_is_not_changed():
    image = drawn("normal", 1)
    before = image.copy()
    lung_region(image)
    np.testing.assert_array_equal(image, before)


def test_the_same_image_gives_the_same_answer():
    first, second = (lung_region(drawn("covid", 2)) for _ in range(2))
    np.testing.assert_array_equal(first.mask, second.mask)


def test_a_mirrored_image_has_mirrored_lungs():
    image = drawn("normal", 3)
    mirrored = lung_region(np.ascontiguousarray(image[:, ::-1]))
    assert overlap(lung_region(image).mask[:, ::-1], mirrored.mask) > 0.8


@pytest.mark.parametrize("brightness", [0, 128, 255])
def test_a_flat_image_has_no_lungs_and_says_why(brightness):
    region = lung_region(np.full((224, 224), brightness, np.uint8))
    assert not region.found
    assert region.reason.endswith(".")


def test_noise_has_no_lungs():
    found = [lung_region(np.random.default_rng(s).integers(0, 256, (224, 224), np.uint8)).found for s in range(20)]
    assert not any(found)


def test_a_body_with_one_lung_is_not_taken_for_two():
    image = np.full((224, 224), 200, np.uint8)
    cv2.ellipse(image, (65, 110), (35, 70), 0, 0, 360, 60, -1)
    assert not lung_region(image).found


def test_lungs_at_different_heights_are_refused():
    image = np.full((224, 224), 200, np.uint8)
    cv2.ellipse(image, (65, 70), (30, 55), 0, 0, 360, 60, -1)
    cv2.ellipse(image, (159, 150), (30, 55), 0, 0, 360, 60, -1)
    assert "different heights" in lung_region(image).reason


def test_without_lungs_the_mask_is_the_documented_box():
    region = lung_region(np.zeros((100, 200), np.uint8))
    left, top, right, bottom = region.box
    assert region.box == tuple(round(share * side) for share, side in zip(FALLBACK_BOX, (200, 100) * 2, strict=True))
    assert region.mask[top:bottom, left:right].all()
    assert region.mask.sum() == (bottom - top) * (right - left)


@pytest.mark.parametrize(
    "image", [np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.float32), np.zeros((31, 64), np.uint8)]
)
def test_what_is_no_grey_image_is_refused(image):
    with pytest.raises(ValueError, match="uint8 \\(H, W\\)"):
        lung_region(image)


def test_most_real_radiographs_have_lungs_on_either_side_of_the_middle(real_radiographs):
    images = [Preprocessing().image_u8(read_image(path)) for path in real_radiographs]
    regions = [lung_region(image) for image in images]
    found = [region for region in regions if region.found]
    assert len(found) >= 0.8 * len(images)
    for region in found:
        left, right = region.mask[:, :112].mean(), region.mask[:, 112:].mean()
        assert 0.05 < min(left, right) < max(left, right) < 0.6
