"""chest_alterations.py: what is done to an image is done to its mask, and each kind is what it is called."""

import cv2
import numpy as np
import pytest

from cxr_core.imaging.lung_segmentation import VIEWS
from cxr_core.training.lungs.chest_alterations import alter

SIDE = 96


@pytest.fixture(scope="module")
def chest():
    """An image whose lungs are dark on white, and their mask."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for middle in (30, 66):
        cv2.ellipse(mask, (middle, 48), (12, 30), 0, 0, 360, 255, -1)
    return np.where(mask > 0, 60, 200).astype(np.uint8), mask


def altered(kind, chest, seed):
    image, mask = chest
    return alter(kind, [image] * 4, mask, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", VIEWS)
def test_size_and_type_stay_and_the_original_is_untouched(chest, kind):
    before = [part.copy() for part in chest]
    for seed in range(12):
        image, mask = altered(kind, chest, seed)
        assert image.shape == (SIDE, SIDE) and image.dtype == np.uint8
        assert (mask is None) == (kind == "several")
        assert mask is None or (mask.shape == (SIDE, SIDE) and mask.dtype == np.uint8)
    for part, was in zip(chest, before, strict=True):
        np.testing.assert_array_equal(part, was)


@pytest.mark.parametrize("kind", VIEWS)
def test_the_same_seed_alters_in_the_same_way_and_another_one_differently(chest, kind):
    first, again, other = (altered(kind, chest, seed)[0] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.1


@pytest.mark.parametrize("kind", ["whole", "part", "turned", "negative"])
def test_the_mask_goes_where_the_lungs_go(chest, kind):
    agree = []
    for seed in range(40):
        image, mask = altered(kind, chest, seed)
        image = 255 - image if kind == "negative" else image
        inside, outside = image[mask > 200], image[mask < 50]
        if min(inside.size, outside.size) > 200:
            agree.append(np.quantile(outside, 0.9) > np.quantile(inside, 0.5))
    # What is covered, written or drawn may be of any grey.
    assert len(agree) > 25 and np.mean(agree) >= 0.85


def test_of_a_whole_chest_nearly_all_of_the_lungs_stays_in_the_image(chest):
    area = (chest[1] > 127).sum()
    kept = [(altered("whole", chest, seed)[1] > 127).sum() / area for seed in range(40)]
    assert min(kept) > 0.5 and max(kept) < 1.3


def lean(mask):
    """By how many degrees the longer axis of the left lung, the larger part of a mask, leans from upright."""
    parts, labels, boxes, _ = cv2.connectedComponentsWithStats((mask > 127).astype(np.uint8))
    assert parts > 1
    largest = 1 + boxes[1:, cv2.CC_STAT_AREA].argmax()
    rows, columns = np.nonzero(labels == largest)
    _, _, axes = np.linalg.svd(np.stack([columns - columns.mean(), rows - rows.mean()], axis=1), full_matrices=False)
    return abs(np.degrees(np.arctan2(axes[0, 0], abs(axes[0, 1]))))


def test_a_whole_chest_leans_little_and_a_turned_one_more_or_stands_on_its_head(chest):
    assert max(lean(altered("whole", chest, seed)[1]) for seed in range(40)) < 12
    marked = chest[0].copy(), chest[1].copy()
    # A third lung in the upper left corner tells top from bottom.
    cv2.circle(marked[1], (8, 8), 6, 255, -1)
    for seed in range(40):
        mask = altered("turned", marked, seed)[1]
        upside_down = mask[SIDE // 2 :].sum() > mask[: SIDE // 2].sum()
        assert lean(mask) > 10 or upside_down
