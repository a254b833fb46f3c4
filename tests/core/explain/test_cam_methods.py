"""cam_methods.py: every entry gives maps of one image, and the page that lists them needs no list of its own."""

import cv2
import numpy as np
import pytest

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.data.phantoms import draw_phantom
from cxr_core.explain.cam_methods import CAM_METHODS, CamMethod, find_cam_method
from cxr_core.inference.classifier import load_classifier


@pytest.fixture(scope="module")
def classifier():
    return load_classifier(SHIPPED_MODEL_DIR)


@pytest.fixture(scope="module")
def image_u8(classifier):
    return classifier.card.preprocessing.image_u8(draw_phantom("covid", np.random.default_rng(0)))


def test_grad_cam_comes_with_the_probabilities_and_by_its_name(classifier, image_u8):
    assert next(iter(CAM_METHODS)) == "Grad-CAM"
    np.testing.assert_array_equal(
        classifier.further_maps(image_u8, None, "Grad-CAM"), classifier.maps(image_u8[None])[0]
    )


def test_an_entry_is_all_that_a_method_needs(classifier, image_u8, monkeypatch):
    asked = []

    def uniform(tensors, image_u8, preprocessing, *, progress=None):
        asked.append((image_u8, preprocessing, progress))
        return np.full((3, 7, 7), 0.5, np.float32)

    def report(done, total):
        return None

    monkeypatch.setitem(CAM_METHODS, "Uniform", CamMethod("is the same everywhere.", uniform))
    assert (classifier.further_maps(image_u8, None, "Uniform", progress=report) == 0.5).all()
    ((seen, preprocessing, progress),) = asked
    np.testing.assert_array_equal(seen, image_u8)
    assert (preprocessing, progress) == (classifier.card.preprocessing, report)
    data = cv2.imencode(".png", draw_phantom("covid", np.random.default_rng(0)))[1].tobytes()
    prediction = classifier.predict_image(data, method="Uniform")
    assert (prediction.maps == 0.5).all()
    assert prediction.map_method == "Uniform"


def test_an_unknown_method_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match=r"one of Grad-CAM, Grad-CAM\+\+, Score-CAM; received 'Guess'"):
        find_cam_method("Guess")
