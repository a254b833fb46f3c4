"""The Overview tells a newcomer how to begin, in which order the pages follow, and what the scores are worth."""

import pytest

from cxr_core.classes import class_label
from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.inference.model_card import load_card
from cxr_core.robustness.shortcut_verdict import LEVELS, card_shortcuts, load_shortcut_result
from ui.common.thumbnails import examples

from .test_pages import open_page, said


@pytest.mark.parametrize(
    ("label", "title"),
    [("Try a scan", "Predict"), ("Look at a data set", "Dataset"), ("Train your own in a minute", "Training")],
)
def test_each_of_three_buttons_leads_to_its_page(label, title):
    app = open_page("overview")
    next(b for b in app.button if b.label == label).click().run()
    assert not app.exception
    assert app.title[0].value == title


@pytest.mark.parametrize(("shared", "source"), [("", "folder"), ("1", "zip")])
def test_ones_own_images_are_one_click_away(monkeypatch, shared, source):
    monkeypatch.setenv("CXR_LAB_SHARED", shared)
    app = open_page("overview")
    next(b for b in app.button if b.label == "Open your own images").click().run()
    assert not app.exception
    assert app.title[0].value == "Dataset"
    assert app.selectbox(key="source_choice").value == source


def test_the_verdict_of_the_shortcut_test_stands_with_the_scores():
    level = card_shortcuts(load_card(SHIPPED_MODEL_DIR))["verdict"]["level"]
    assert f"Shortcut test: {LEVELS[level]}." in said(open_page("overview").markdown)


def test_calibration_and_the_test_of_the_maps_stand_with_the_scores():
    told = said(open_page("overview").markdown)
    card, maps = load_card(SHIPPED_MODEL_DIR), load_shortcut_result(SHIPPED_MODEL_DIR)["maps"]
    assert f"differ by {100 * card.metrics['test']['ece']:.1f} percentage points" in told
    assert f"(correlation {maps['randomised'][-1]['correlation']:.2f})" in told.replace("\\", "")


def test_a_score_from_elsewhere_names_the_hospital_as_people_know_it():
    told = said(open_page("overview").caption)
    assert "healthy, NIH Clinical Center" in told and "Hannover Medical School" in told


def test_the_pages_are_numbered_in_order():
    app = open_page("overview")
    assert not app.exception
    labels = [link.proto.label for link in app.get("page_link")]
    numbered = [label.strip("*").split(". ") for label in labels if label.startswith("**")]
    assert [int(number) for number, _ in numbered] == list(range(1, 12))
    names = [name for _, name in numbered]
    assert names[:4] == ["Dataset", "Duplicates", "Labels", "Splits"]
    assert names[-3:] == ["Your hospital", "Predict", "Reading"]


def test_it_begins_with_a_radiograph_its_answer_and_whose_image_it_is():
    app = open_page("overview")
    assert [image.proto.imgs[0].caption for image in app.image][:2] == ["Lungs outlined", "Grad-CAM"]
    told, example = said(app.markdown), examples()["Clear answer"]
    assert f"answers **{class_label(example.truth)}**" in told and f"truth is **{class_label(example.truth)}**" in told
    assert example.credit[:30] in said(app.caption)
    next(b for b in app.button if b.label == "See this answer in full").click().run()
    assert app.title[0].value == "Predict" and app.selectbox(key="example_choice").value == "Clear answer"


def test_a_damaged_teaching_set_costs_the_radiograph_alone(monkeypatch):
    monkeypatch.setattr("ui.overview.example.examples", dict)
    app = open_page("overview")
    assert not app.exception and not app.image
    assert any(b.label == "Try a scan" for b in app.button)
