"""saliency_checks.py on classifiers whose maps we made up, and on the shipped one."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.imaging.lung_segmentation import LungRegion
from cxr_core.inference.classifier import load_classifier
from cxr_core.robustness.saliency_checks import STEPS, attention_in_lungs, check_maps


class MadeUp:
    """Answers class 1 by how bright the upper left quarter is, and points there, or elsewhere."""

    classes = ("normal", "covid")
    path = None
    card = SimpleNamespace(map_layers=("made_up",))

    def __init__(self, points_at):
        self.points_at = points_at

    def predict(self, images_u8):
        bright = images_u8[:, :32, :32].mean(axis=(1, 2)) / 255
        return np.stack([1 - bright, bright], axis=1).astype(np.float32)

    def predict_with_maps(self, images_u8):
        map_ = np.zeros((8, 8), np.float32)
        map_[self.points_at] = 1
        return self.predict(images_u8), np.tile(map_, (len(images_u8), 2, 1, 1))

    def map_on_image(self, map_, image_shape):
        return cv2.resize(map_, image_shape[::-1], interpolation=cv2.INTER_LINEAR)


QUARTER, OPPOSITE = (slice(0, 4), slice(0, 4)), (slice(4, 8), slice(4, 8))
BRIGHT = np.full((6, 64, 64), 220, np.uint8)


def region(mask, found=True):
    return LungRegion(mask, mask, (0, 0, 64, 64), found, "")


def test_taking_away_what_counts_first_lowers_the_answer_faster_than_chance():
    deletion = check_maps(MadeUp(QUARTER), BRIGHT)["deletion"]
    assert deletion["map_area"] < 0.6 * deletion["random_area"]


def test_taking_away_what_does_not_count_leaves_the_answer_longer_than_chance():
    deletion = check_maps(MadeUp(OPPOSITE), BRIGHT)["deletion"]
    assert deletion["map_area"] > deletion["random_area"]


def test_the_curves_begin_and_end_at_whole_and_nothing():
    result = check_maps(MadeUp(QUARTER), BRIGHT)
    assert result["deletion"]["map"][0] == pytest.approx(220 / 255, abs=1e-3)
    assert result["deletion"]["map"][-1] == 0
    assert len(result["insertion"]["shares"]) == STEPS + 1


def test_without_a_folder_the_weights_cannot_be_shuffled():
    assert check_maps(MadeUp(QUARTER), BRIGHT)["randomised"] == []


def test_all_weight_inside_the_lungs_is_a_share_of_one():
    mask = np.zeros((64, 64), bool)
    mask[:48, :48] = True
    (row,) = attention_in_lungs(MadeUp(QUARTER), BRIGHT, [region(mask)] * 6, ["covid"] * 6)
    assert row["share"] == pytest.approx(1, abs=1e-6)
    assert row["ratio"] == pytest.approx(1 / mask.mean())


def test_a_map_elsewhere_has_no_share():
    mask = np.zeros((64, 64), bool)
    mask[:16, :16] = True
    (row,) = attention_in_lungs(MadeUp(OPPOSITE), BRIGHT, [region(mask)] * 6, ["covid"] * 6)
    assert row["share"] == 0


def test_images_without_lungs_are_not_counted():
    regions = [region(np.ones((64, 64), bool), found=i < 2) for i in range(6)]
    (row,) = attention_in_lungs(MadeUp(QUARTER), BRIGHT, regions, ["covid"] * 6)
    assert row["images"] == 2


def test_grad_cam_needs_the_trained_weights(demo_data):
    import cv2

    images = np.stack(
        [cv2.resize(cv2.imread(str(p), cv2.IMREAD_GRAYSCALE), (224, 224)) for p in sorted(demo_data.rglob("*.png"))[:4]]
    )
    randomised = check_maps(load_classifier(SHIPPED_MODEL_DIR), images)["randomised"]
    assert len(randomised) == 3
    assert abs(randomised[-1]["correlation"]) < 0.4
