"""When the classifier answers, when it abstains, and which notes go with it."""

import os
from dataclasses import replace

import cv2
import numpy as np
import pytest
from image_files import dicom

from cxr_core.data.phantoms import draw_phantom
from cxr_core.explain.overlay import overlay_map
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.prediction_rows import answer_row
from cxr_core.inference.selective_prediction import answer_upload, assess_prediction, look_at
from cxr_core.inference.track_record import confidence_sentence, load_track_record
from cxr_core.system.files import write_text


@pytest.fixture(scope="module")
def classifier(ungated_model):
    return load_classifier(ungated_model)


def png(image):
    return cv2.imencode(".png", image)[1].tobytes()


DRAWING = png(draw_phantom("covid", np.random.default_rng(1)))


def with_probabilities(classifier, *probabilities):
    prediction = replace(classifier.predict_image(DRAWING), probabilities=np.array(probabilities, np.float32))
    return assess_prediction(classifier, prediction, look_at(prediction.image))


def test_a_clear_answer_is_the_class_of_the_highest_probability(classifier):
    answer = with_probabilities(classifier, 0.1, 0.8, 0.1)
    assert (answer.status, answer.label, answer.reasons) == ("ok", "covid", ())


def with_limit(classifier, abstain_below):
    return replace(classifier, card=replace(classifier.card, abstain_below=abstain_below))


def test_where_the_card_names_no_limit_two_classes_nearly_as_likely_are_no_answer(classifier):
    answer = with_probabilities(with_limit(classifier, 0.0), 0.15, 0.5, 0.35)
    assert (answer.status, answer.label) == ("abstain", None)
    assert answer.reasons == ("The classifier is not sure: COVID-19 and Viral are almost equally likely.",)


def test_the_limit_that_the_card_names_decides_what_is_an_answer(classifier):
    limited = with_limit(classifier, 0.9)
    assert with_probabilities(limited, 0.05, 0.91, 0.04).status == "ok"
    refused = with_probabilities(limited, 0.05, 0.89, 0.06)
    assert (refused.status, refused.label) == ("abstain", None)
    assert refused.reasons == (
        "The classifier is not sure. Its confidence in COVID-19 is 89.0 %; it abstains below 90.0 %.",
    )


def test_what_looks_like_another_finding_is_none_of_the_classes(classifier):
    answer = with_probabilities(classifier, 0.02, 0.05, 0.03, 0.9)
    assert (answer.status, answer.label) == ("abstain", None)
    assert answer.reasons == ("None of Normal, COVID-19, Viral: it looks like another finding.",)
    assert answer.prediction.probabilities[3] == pytest.approx(0.9)


def test_another_finding_that_is_unlikely_stands_in_no_answers_way(classifier):
    answer = with_probabilities(classifier, 0.02, 0.9, 0.03, 0.05)
    assert (answer.status, answer.label) == ("ok", "covid")


@pytest.mark.parametrize(
    ("sure", "words"),
    [
        (0.99, "very high confidence"),
        (0.85, "high confidence"),
        (0.7, "moderate confidence"),
        (0.5, "low confidence"),
    ],  # fmt: skip
)
def test_how_sure_it_is_comes_in_words(classifier, sure, words):
    assert with_probabilities(classifier, sure, 1 - sure, 0).in_words == words


def test_a_header_that_names_another_examination_is_a_reason_for_no_answer(classifier):
    image = draw_phantom("normal", np.random.default_rng(0))
    assert answer_upload(classifier, dicom(image, Modality="CT")).status == "abstain"


def test_words_burned_in_are_warned_of(classifier):
    image = np.full((500, 500), 90, np.uint8)
    plain = answer_upload(classifier, png(image))
    cv2.putText(image, "PORTABLE 1234", (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 1, 255, 2)
    written = answer_upload(classifier, png(image))
    assert not any("letters" in note for note in plain.notes)
    assert any("letters" in note for note in written.notes)


def test_a_photographed_film_is_warned_of(classifier):
    grey = draw_phantom("normal", np.random.default_rng(0))
    tinted = cv2.merge([grey, (grey * 0.8).astype(np.uint8), (grey * 0.6).astype(np.uint8)])
    assert any("tint" in note for note in answer_upload(classifier, png(tinted)).notes)
    assert not any("tint" in note for note in answer_upload(classifier, png(grey)).notes)


def test_the_overlay_is_the_map_of_the_class_laid_over_the_image_where_it_looked(classifier):
    answer = answer_upload(classifier, DRAWING)
    prediction = answer.prediction
    height, width = prediction.image.shape
    map_ = cv2.resize(prediction.maps[2], (width, height), interpolation=cv2.INTER_LINEAR)
    # The built-in network looks 15.5 of 224 pixels further down and right than its maps' grid.
    matrix = np.array([[1, 0, 15.5 / 224 * width], [0, 1, 15.5 / 224 * height]])
    map_ = cv2.warpAffine(map_, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    np.testing.assert_array_equal(answer.overlay(classifier, "virus"), overlay_map(prediction.image, map_))


def test_a_row_of_no_answer_keeps_the_numbers_and_has_no_label(classifier):
    row = answer_row("a.png", with_probabilities(with_limit(classifier, 0.0), 0.4, 0.35, 0.2, 0.05))
    assert (row["status"], row["label"], row["error"]) == ("abstain", None, None)
    assert row["probabilities"] == pytest.approx({"normal": 0.4, "covid": 0.35, "virus": 0.2, "other": 0.05})


def test_the_record_is_that_of_the_test_images_alone(tmp_path):
    lines = ["file,true,predicted,right,confidence,split", "a,x,x,True,0.9,test", "b,x,y,False,0.8,validation"]
    (tmp_path / "predictions.csv").write_text("\n".join([*lines, "c,x,y,False,0.7,test"]))
    confidence, right = load_track_record(tmp_path)
    assert confidence.tolist() == [0.9, 0.7]
    assert right.tolist() == [True, False]


def test_predictions_that_were_replaced_within_one_tick_of_the_clock_are_read_anew(tmp_path):
    path = tmp_path / "predictions.csv"
    for confidence in (0.9, 0.7):
        write_text(path, f"file,true,predicted,right,confidence,split\na,x,x,True,{confidence},test\n")
        os.utime(path, ns=(10**18, 10**18))
        assert load_track_record(tmp_path)[0].tolist() == [confidence]


def test_a_model_without_predictions_has_no_record(tmp_path):
    assert confidence_sentence(0.9, load_track_record(tmp_path)) is None


def test_how_often_it_was_right_is_counted_among_images_it_was_as_sure_of():
    record = (np.array([0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.2]), np.array([1, 1, 1, 0, 1, 0, 0], bool))
    sentence = confidence_sentence(0.93, record)
    assert sentence == "Of the 5 test images with a confidence between 90 % and 95 %, 4 were right (80 %)."


def test_one_wrong_among_hundreds_is_not_called_all_right():
    record = (np.full(318, 0.995), np.arange(318) > 0)
    assert confidence_sentence(0.995, record).endswith("317 were right (99.7 %).")


def test_too_few_images_are_said_to_be_too_few():
    assert "only 1 of its test images" in confidence_sentence(0.97, (np.array([0.96]), np.array([True])))


def test_how_much_of_a_map_lies_in_the_lungs_is_said_in_words(classifier):
    answer = with_probabilities(classifier, 0.1, 0.8, 0.1)
    height, width = answer.prediction.image.shape[:2]
    half = np.zeros((height, width), bool)
    half[:, : width // 2] = True
    lungs = replace(answer.view.lungs, mask=half, found=True)
    map_ = np.zeros_like(answer.prediction.maps)
    # Three quarters of the weight stand in the left half, as far as the map's own cells tell.
    map_[:, :, : map_.shape[2] // 2] = 0.3
    map_[:, :, -(map_.shape[2] // 2) :] = 0.1
    flat = replace(classifier, card=replace(classifier.card, map_offsets={}))
    view = answer.view.at(answer.prediction.image.shape)
    object.__setattr__(view, "lungs", lungs)
    told = replace(answer, view=view, prediction=replace(answer.prediction, maps=map_)).lungs_sentence(flat, "covid")
    share = int(told.split("%")[0])
    assert 68 <= share <= 80
    assert told.endswith("of the map's weight lies in the lungs, which fill 50 % of the image.")
    empty = replace(answer.prediction, maps=np.zeros_like(map_))
    assert "This map is empty" in replace(answer, view=view, prediction=empty).lungs_sentence(flat, "covid")


def test_without_lungs_the_sentence_says_why(classifier):
    flat = png(np.full((200, 200), 90, np.uint8))
    told = answer_upload(classifier, flat).lungs_sentence(classifier, "covid")
    assert told == "No lungs found: Nothing in the image looks like lungs."
