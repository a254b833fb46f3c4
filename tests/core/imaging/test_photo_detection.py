"""Photographs of films are told from radiographs by the edges around them."""

import cv2
import numpy as np
import pytest
from conftest import draw_texture

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.data.phantoms import draw_phantom
from cxr_core.imaging.photo_detection import FILM_SIDES, count_film_sides
from cxr_core.imaging.reader import read_image
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.input_gate import NO_CHEST, NOT_WHOLE
from cxr_core.inference.selective_prediction import answer_upload
from cxr_core.robustness.negative_images import small_grey

NOTE = "Straight edges surround"
CORNERS = np.float32([[60, 50], [350, 62], [340, 345], [52, 352]])


def photograph(image, around):
    """An image laid aslant into another one of 400 × 400 pixels."""
    height, width = image.shape
    aslant = cv2.getPerspectiveTransform(np.float32([[0, 0], [width, 0], [width, height], [0, height]]), CORNERS)
    film = cv2.warpPerspective(image, aslant, (400, 400))
    is_film = cv2.warpPerspective(np.ones_like(image), aslant, (400, 400))
    return np.where(is_film > 0, film, around).astype(np.uint8)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_all_four_edges_of_a_film_on_a_light_box_are_found(kind):
    lit = photograph(draw_texture(1) // 2, np.uint8(235))
    assert count_film_sides(lit.astype(kind) * (257 if kind == np.uint16 else 1)) == 4


def test_colour_changes_nothing():
    lit = photograph(draw_texture(1) // 2, np.uint8(235))
    assert count_film_sides(cv2.merge([lit, lit, lit])) == count_film_sides(lit)


def test_an_image_that_fills_its_frame_has_no_edges_inside():
    assert count_film_sides(draw_texture(1)) == 0


def test_a_radiograph_in_a_black_frame_is_no_photograph():
    assert count_film_sides(photograph(draw_texture(1) // 2 + 60, np.uint8(0))) == 0


def test_a_flat_image_has_no_edges():
    assert count_film_sides(np.full((300, 200), 90, np.uint8)) == 0


def test_the_image_is_not_changed():
    image = draw_texture(2)
    before = image.copy()
    count_film_sides(image)
    np.testing.assert_array_equal(image, before)


def test_real_radiographs_are_no_photographs(real_radiographs):
    assert [path for path in real_radiographs if count_film_sides(read_image(path)) >= FILM_SIDES] == []


def test_an_answer_about_a_photographed_film_says_so(ungated_model):
    classifier = load_classifier(ungated_model)
    drawing = draw_phantom("normal", np.random.default_rng(0))
    images = (drawing, photograph(drawing // 2, np.uint8(235)))
    plain, taken = (answer_upload(classifier, cv2.imencode(".png", image)[1].tobytes()) for image in images)
    assert not any(NOTE in note for note in plain.notes)
    assert any(NOTE in note for note in taken.notes)


def test_the_built_in_gate_refuses_photographs_of_real_radiographs(real_radiographs):
    classifier = load_classifier(SHIPPED_MODEL_DIR)
    for path in real_radiographs:
        shown = photograph(small_grey(read_image(path)) // 2, np.uint8(235))
        answer = answer_upload(classifier, cv2.imencode(".png", shown)[1].tobytes())
        assert answer.status == "abstain" and answer.label is None
        assert answer.reasons[0] in (NO_CHEST, NOT_WHOLE)
