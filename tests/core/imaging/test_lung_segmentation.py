"""lung_segmentation.py on drawings whose lungs are known, and on real radiographs."""

import cv2
import numpy as np
import pytest

from cxr_core.data.phantoms import draw_phantom
from cxr_core.imaging.lung_segmentation import (
    FALLBACK_BOX,
    MASK_SIDE,
    ChestView,
    look_at_chest,
    lung_region,
    whole_log_odds,
)
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.imaging.reader import read_image


def drawn(class_name, seed, size=224):
    return cv2.resize(draw_phantom(class_name, np.random.default_rng(seed)), (size, size), interpolation=cv2.INTER_AREA)


def drawn_lungs(size=224):
    """Where `draw_phantom` puts the lungs, up to a hundredth of the side; the heart is drawn over them."""
    y, x = (np.mgrid[0:size, 0:size] + 0.5) / size
    return np.minimum(*(np.hypot((x - c) / 0.155, (y - 0.5) / 0.31) for c in (0.3, 0.7))) <= 1


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("class_name", ["normal", "covid", "virus"])
def test_drawn_lungs_are_found_where_they_were_drawn(class_name):
    regions = [lung_region(drawn(class_name, seed)) for seed in range(12)]
    found = [overlap(region.whole, drawn_lungs()) for region in regions if region.found]
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


def view_of(*lungs, certainty=1.0, shape=(96, 96)):
    """What the network says of lungs at (rows, columns) of its cells."""
    cells = np.zeros((MASK_SIDE, MASK_SIDE, 2), np.float32)
    for rows, columns in lungs:
        cells[rows[0] : rows[1], columns[0] : columns[1]] = certainty
    return ChestView(shape, cells, "whole", 5.0)


LEFT, RIGHT = ((20, 70), (14, 40)), ((24, 74), (56, 82))


@pytest.mark.parametrize(
    ("lungs", "reason"),
    [
        ([LEFT, RIGHT], ""),
        ([LEFT, RIGHT, ((90, 94), (40, 44))], ""),  # a speck
        ([], "Nothing in the image looks like lungs."),
        ([((40, 44), (40, 44))], "Nothing in the image looks like lungs."),
        ([LEFT], "Only one lung can be made out."),
        ([LEFT, ((50, 58), (60, 68))], "Only one lung can be made out."),
        ([((5, 40), (14, 40)), ((45, 80), (56, 82))], "The lungs are not beside each other."),
        ([((40, 56), (10, 45)), ((40, 56), (50, 85))], "The lungs are not wholly in the image."),
    ],
)
def test_two_parts_beside_each_other_are_lungs_and_nothing_else_is(lungs, reason):
    region = view_of(*lungs).lungs
    assert (region.found, region.reason) == (not reason, reason)
    if region.found:
        assert region.mask[45, 27] and region.mask[45, 69] and not region.mask[45, 48] and not region.mask[92, 42]


@pytest.mark.parametrize(("certainty", "found"), [(0.81, True), (0.79, False)])
def test_lungs_that_the_network_is_not_sure_of_are_not_found(certainty, found):
    assert view_of(LEFT, RIGHT, certainty=certainty).lungs.found == found


@pytest.mark.parametrize("shape", [(96, 96), (300, 180), (2000, 1500)])
def test_a_mask_lies_where_its_cells_do_at_any_size(shape):
    region = view_of(LEFT, RIGHT).at(shape).lungs
    assert region.mask.shape == shape
    # Columns 14 to 82 and rows 20 to 74 of 96, up to half a cell.
    expected = np.array([14 / 96 * shape[1], 20 / 96 * shape[0], 82 / 96 * shape[1], 74 / 96 * shape[0]])
    assert np.abs(np.array(region.box) - expected).max() <= max(shape) / 96


def test_the_aspect_is_that_of_the_box_around_both_lungs_in_pixels():
    assert view_of(LEFT, RIGHT).aspect == pytest.approx(68 / 54)
    assert view_of(LEFT, RIGHT).at((100, 300)).aspect == pytest.approx(3 * 68 / 54)
    assert view_of(LEFT).aspect is None


def test_the_log_odds_of_a_whole_chest_are_against_all_other_views():
    logits = np.random.default_rng(0).normal(size=(5, 5)).astype(np.float32)
    odds = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(whole_log_odds(logits), np.log(odds[:, 0] / (1 - odds[:, 0])), rtol=1e-5)


@pytest.mark.parametrize("change", ["darker", "16 bits", "colour", "larger"])
def test_neither_exposure_nor_kind_of_pixels_nor_size_changes_what_is_seen(change):
    image = drawn("normal", 2)
    changed = {
        "darker": (image // 4 + 7).astype(np.uint8),
        "16 bits": image.astype(np.uint16) * 257,
        "colour": cv2.cvtColor(image, cv2.COLOR_GRAY2BGR),
        "larger": cv2.resize(image, (448, 448), interpolation=cv2.INTER_CUBIC),
    }[change]
    one, other = look_at_chest(image), look_at_chest(changed)
    assert one.likeliest == other.likeliest
    assert overlap(one.lungs.whole, other.at(image.shape).lungs.whole) > 0.9


@pytest.mark.parametrize("degrees", [90, 180])
def test_a_radiograph_that_is_turned_is_seen_to_be_turned(real_radiographs, degrees):
    whole = [look_at_chest(read_image(path)) for path in real_radiographs]
    turned = [look_at_chest(np.rot90(read_image(path), degrees // 90)) for path in real_radiographs]
    assert np.mean([view.likeliest == "whole" for view in whole]) > 0.9
    assert np.mean([view.likeliest == "turned" for view in turned]) > 0.9
    assert max(view.whole for view in turned) < np.median([view.whole for view in whole])


def test_half_a_radiograph_is_seen_to_be_a_part(real_radiographs):
    views = [look_at_chest(image[:, : image.shape[1] // 2]) for image in map(read_image, real_radiographs)]
    assert np.mean([view.likeliest == "part" for view in views]) > 0.9


def test_without_lungs_the_mask_is_the_documented_box():
    region = lung_region(np.zeros((100, 200), np.uint8))
    left, top, right, bottom = region.box
    assert region.box == tuple(round(share * side) for share, side in zip(FALLBACK_BOX, (200, 100) * 2, strict=True))
    assert region.mask[top:bottom, left:right].all()
    assert region.mask.sum() == (bottom - top) * (right - left)


@pytest.mark.parametrize("image", [np.zeros((64, 64), np.float32), np.zeros(64, np.uint8), np.zeros((64, 64), bool)])
def test_what_is_no_decoded_image_is_refused(image):
    with pytest.raises(ValueError, match="uint8 or uint16, \\(H, W\\)"):
        lung_region(image)


def test_an_image_of_a_few_pixels_has_no_lungs():
    assert not lung_region(np.zeros((1, 3), np.uint8)).found


def test_most_real_radiographs_have_lungs_on_either_side_of_the_middle(real_radiographs):
    images = [Preprocessing().image_u8(read_image(path)) for path in real_radiographs]
    regions = [lung_region(image) for image in images]
    found = [region for region in regions if region.found]
    assert len(found) >= 0.8 * len(images)
    for region in found:
        left, right = region.mask[:, :112].mean(), region.mask[:, 112:].mean()
        assert 0.05 < min(left, right) < max(left, right) < 0.6
