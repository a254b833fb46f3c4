"""The Predict page with many images at once, and what it offers of an answer."""

import io
import re
import shutil
import zipfile

import cv2
import numpy as np
import pytest
from image_files import dicom, zip_of

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.data.phantoms import draw_phantom
from cxr_core.recipes.training_config import make_config
from cxr_core.runs.lifecycle import create_run

from .test_pages import open_page, png, said

pytestmark = pytest.mark.usefixtures("ungated")
NOISE = png(np.random.default_rng(0).integers(0, 255, (300, 300), np.uint8))
SCANS = {f"{name}.png": png(draw_phantom(name, np.random.default_rng(1))) for name in ("normal", "covid", "virus")}


def uploaded(*files):
    app = open_page("predict")
    app.file_uploader[0].set_value([(name, data, "application/octet-stream") for name, data in files]).run()
    assert not app.exception
    return app


def test_a_zip_becomes_a_table_and_its_broken_file_a_row_with_a_sentence():
    app = uploaded(("scans.zip", zip_of(SCANS | {"half.png": SCANS["covid.png"][:500]})))
    assert said(app.header).startswith("4 images: ")
    assert said(app.header).endswith("1 unreadable")
    table = app.dataframe[0].value
    assert table["file"].tolist() == [*SCANS, "half.png"]
    assert table["why"].iloc[-1] == "The PNG file is cut short or broken."
    assert table["image"].notna().tolist() == [True, True, True, False]


def test_several_files_are_sorted_by_the_probability_that_was_asked_for():
    app = uploaded(*SCANS.items())
    next(s for s in app.selectbox if s.label == "Order").select("virus").run()
    assert not app.exception
    assert app.dataframe[0].value["p_virus"].is_monotonic_decreasing


REFUSED = dicom(draw_phantom("covid", np.random.default_rng(1)), Modality="CT")


def test_the_table_withholds_the_numbers_of_an_image_without_an_answer_until_they_are_asked_for():
    app = uploaded(("covid.png", SCANS["covid.png"]), ("ct", REFUSED))
    numbers = ["p_normal", "p_covid", "p_virus", "margin"]
    table = app.dataframe[0].value
    assert table["answer"].iloc[1] == "no answer"
    assert "this is not a radiograph" in table["why"].iloc[1]
    assert table[numbers].notna().all(axis=1).tolist() == [True, False]
    assert table[numbers].iloc[1].isna().all()
    next(t for t in app.toggle if t.label == "Show the numbers without an answer, too").set_value(True).run()
    assert not app.exception
    assert app.dataframe[0].value[numbers].notna().all(axis=None)


def test_where_every_image_has_an_answer_nothing_is_offered_to_be_shown():
    assert "Show the numbers without an answer, too" not in [t.label for t in uploaded(*SCANS.items()).toggle]


def test_why_there_is_no_answer_stands_beside_the_answer():
    columns = list(uploaded(("covid.png", SCANS["covid.png"]), ("ct", REFUSED)).dataframe[0].value)
    assert columns[:3] == ["image", "answer", "why"]


@pytest.mark.parametrize("width, last", [("phone", ["file"]), ("tablet", ["why", "file"]), ("wide", None)])
def test_a_narrow_screen_shows_the_columns_that_matter(monkeypatch, width, last):
    monkeypatch.setattr("ui.predict.batch.screen", lambda: width)
    shown = list(uploaded(*SCANS.items()).dataframe[0].proto.column_order)
    assert shown == (["image", "answer", *last] if last else [])


def test_a_single_file_goes_straight_to_its_answer():
    app = uploaded(("covid.png", SCANS["covid.png"]))
    assert said(app.header).startswith("Prediction: ")
    assert not app.dataframe


def test_an_archive_that_cannot_be_trusted_gets_one_sentence_and_the_next_file_works():
    app = uploaded(("scans.zip", zip_of({"inner.zip": b"x"})))
    assert said(app.error).startswith("The archive holds nothing but another archive: inner.zip.")
    app.file_uploader[0].set_value([("covid.png", SCANS["covid.png"], "image/png")]).run()
    assert not app.exception
    assert not app.error


def test_an_archive_that_cannot_be_trusted_is_a_row_among_other_files():
    app = uploaded(("scans.zip", zip_of({"inner.zip": b"x"})), ("covid.png", SCANS["covid.png"]))
    table = app.dataframe[0].value
    assert table["file"].tolist() == ["scans.zip", "covid.png"]
    assert table["why"].iloc[0].startswith("The archive holds nothing but another archive: inner.zip.")


def test_nothing_is_kept_of_an_upload_that_was_taken_back():
    app = uploaded(*SCANS.items())
    assert "many" in app.session_state
    app.file_uploader[0].clear().run()
    assert "many" not in app.session_state


def test_more_images_than_a_page_takes_are_refused_with_the_way_out(monkeypatch):
    monkeypatch.setattr("ui.predict.batch.MAX_FILES", 2)
    assert "python -m cxr_core predict" in said(uploaded(*SCANS.items()).error)


def test_the_owner_may_name_a_folder_and_visitors_are_not_asked(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(SCANS["normal.png"])
    app = open_page("predict")
    next(t for t in app.text_input if t.label == "Folder or ZIP on this computer").set_value(str(tmp_path)).run()
    assert not app.exception
    assert app.dataframe[0].value["file"].tolist() == [str(tmp_path / "a.png")]
    monkeypatch.setenv("CXR_LAB_SHARED", "1")
    assert not open_page("predict").text_input


def test_the_overlays_of_many_are_made_when_asked_for_and_kept():
    app = uploaded(("scans.zip", zip_of(SCANS)))
    next(b for b in app.button if b.label == "Make a ZIP file of overlays").click().run()
    assert not app.exception
    data = app.session_state["many"]["overlays"][1]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        drawn = [cv2.imdecode(np.frombuffer(archive.read(n), np.uint8), cv2.IMREAD_COLOR) for n in archive.namelist()]
    assert len(drawn) == 3
    assert all(image is not None for image in drawn)


def downloads(app):
    return [button.proto.label for button in app.get("download_button")]


def test_every_answer_offers_a_report():
    assert "Download a report" in downloads(uploaded(("covid.png", SCANS["covid.png"])))


def test_only_of_a_dicom_file_a_dicom_overlay_is_offered():
    scan = dicom(draw_phantom("covid", np.random.default_rng(1)))
    assert "Download the overlay as DICOM" in downloads(uploaded(("IM0001", scan)))
    assert "Download the overlay as DICOM" not in downloads(uploaded(("covid.png", SCANS["covid.png"])))


def test_another_method_makes_the_maps_and_where_it_cannot_the_page_says_why():
    app = uploaded(("covid.png", SCANS["covid.png"]))
    next(s for s in app.selectbox if s.label == "Map").select("Grad-CAM++").run()
    assert not app.exception
    assert "(Grad-CAM++)" in said(app.markdown)
    next(s for s in app.selectbox if s.label == "Layer").select("block_16_depthwise").run()
    assert not app.exception
    assert "never negative" in said(app.info)
    assert "(Grad-CAM)" in said(app.markdown)


def numbers_of(app):
    """Show the numbers of a scan that the gate refused."""
    next(t for t in app.toggle if t.label == "Show the numbers anyway").set_value(True).run()
    assert not app.exception
    return app


@pytest.fixture
def with_gate(monkeypatch):
    """The pages' built-in classifier as it is, with its gate."""
    monkeypatch.setattr("ui.common.model_picker.SHIPPED_MODEL_DIR", SHIPPED_MODEL_DIR)


def test_the_nearest_training_images_are_shown_where_they_are_found(with_gate, monkeypatch, tmp_path):
    (tmp_path / "near.png").write_bytes(SCANS["covid.png"])
    monkeypatch.setattr(
        "ui.predict.single_answer.find_neighbours", lambda *_: [tmp_path / "near.png", None, None, None, None]
    )
    app = numbers_of(uploaded(("noise.png", NOISE)))
    assert "4 more could not be found" in said(app.caption)


def test_where_training_images_are_not_here_their_classes_are_named(with_gate):
    app = numbers_of(uploaded(("normal.png", png(np.random.default_rng(2).integers(0, 255, (90, 90), np.uint8)))))
    assert "not included with the classifier; open its data set" in said(app.caption)


def test_visitors_of_a_shared_installation_see_no_training_images(with_gate, monkeypatch):
    monkeypatch.setenv("CXR_LAB_SHARED", "1")
    monkeypatch.setattr("ui.predict.single_answer.find_neighbours", lambda *_: pytest.fail("was looked for"))
    assert "not included with the classifier." in said(numbers_of(uploaded(("noise.png", NOISE))).caption)


# After a visit to another page


def back_from(app, page="evaluation"):
    """Go to another page and come back."""
    app.switch_page(f"pages/{page}.py").run()
    assert not app.exception
    app.switch_page("pages/predict.py").run()
    assert not app.exception
    return app


def test_uploads_and_their_answers_are_still_there_after_another_page(monkeypatch):
    app = uploaded(*SCANS.items())
    before, answers = app.dataframe[0].value, app.session_state["many"]["items"]
    back_from(app)
    assert app.dataframe[0].value.equals(before)
    # Nothing was classified again.
    assert app.session_state["many"]["items"] is answers
    assert f"Kept from before: {', '.join(SCANS)}" in said(app.caption).replace("\\", "")


@pytest.mark.parametrize("page", ["evaluation", "dataset", "training"])
def test_a_single_scan_and_its_answer_are_still_there_after_another_page(page):
    app = uploaded(("covid.png", SCANS["covid.png"]))
    before = said(app.header)
    assert before.startswith("Prediction: ")
    assert said(back_from(app, page).header) == before


def test_files_that_are_added_after_another_page_stand_beside_those_from_before():
    app = back_from(uploaded(("covid.png", SCANS["covid.png"])))
    app.file_uploader[0].set_value([("virus.png", SCANS["virus.png"], "image/png")]).run()
    assert app.dataframe[0].value["file"].tolist() == ["covid.png", "virus.png"]
    back_from(app)
    assert app.dataframe[0].value["file"].tolist() == ["covid.png", "virus.png"]
    app.file_uploader[0].set_value([("normal.png", SCANS["normal.png"], "image/png")]).run()
    assert app.dataframe[0].value["file"].tolist() == ["covid.png", "virus.png", "normal.png"]


def test_nothing_is_left_of_files_from_before_once_they_are_removed():
    app = back_from(uploaded(*SCANS.items()))
    next(b for b in app.button if b.label == "Remove them").click().run()
    assert not app.exception
    assert "many" not in app.session_state
    assert "The answer appears here." in said(app.info)
    assert app.session_state["kept_scans"].earlier == app.session_state["kept_scans"].in_field == ()
    assert "The answer appears here." in said(back_from(app).info)


def test_a_file_that_was_taken_back_does_not_return_with_another_page():
    app = uploaded(*SCANS.items())
    app.file_uploader[0].clear().run()
    assert "The answer appears here." in said(back_from(app).info)


def test_more_than_fits_into_the_memory_of_a_visit_is_refused_with_the_way_out(monkeypatch):
    monkeypatch.setattr("ui.predict.uploads.MAX_TOTAL_MEGABYTES", {False: 0.01, True: 0.01})
    app = uploaded(*SCANS.items())
    assert "together; this page keeps at most" in said(app.error)
    assert "many" not in app.session_state


@pytest.mark.usefixtures("run_folder")
def test_the_choices_of_the_page_are_still_made_after_another_page(tmp_path, ungated_model):
    run = create_run(make_config("quick", roots=("/data",)), tmp_path / "runs" / "20260101-000000-quick-other")
    shutil.copytree(ungated_model, run.path, dirs_exist_ok=True)
    app = uploaded(*SCANS.items())
    wanted = {
        "Classifier": run.name, "Map": "Grad-CAM++", "Layer": "block_16_depthwise", "Order": "virus",
    }  # fmt: skip
    for label, value in wanted.items():
        next(s for s in app.selectbox if s.label == label).select(value).run()
        assert not app.exception
    next(s for s in app.slider if s.label == "Opacity of the map").set_value(0.7).run()
    next(s for s in app.segmented_control if s.label == "Colours").select("inferno").run()
    back_from(app, "overview")
    assert {s.label: s.value for s in app.selectbox if s.label in wanted} == wanted
    assert app.slider[0].value == 0.7
    assert app.segmented_control[0].value == "inferno"


def test_a_classifier_that_is_gone_gives_way_to_the_built_in_one():
    app = open_page("predict", classifier_kept="a run that was deleted")
    assert not app.exception
    assert next(s for s in app.selectbox if s.label == "Classifier").value == "The built-in classifier"


def test_an_example_and_a_folder_are_still_chosen_after_another_page(tmp_path):
    (tmp_path / "a.png").write_bytes(SCANS["normal.png"])
    app = open_page("predict")
    next(s for s in app.selectbox if s.label == "Or choose an example").select("Clear answer").run()
    before = said(app.header)
    assert said(back_from(app).header) == before
    next(s for s in app.selectbox if s.label == "Or choose an example").set_value(None).run()
    next(t for t in app.text_input if t.label == "Folder or ZIP on this computer").set_value(str(tmp_path)).run()
    assert back_from(app).dataframe[0].value["file"].tolist() == [str(tmp_path / "a.png")]


def test_of_a_few_scans_each_stands_with_its_map_and_one_without_an_answer_without():
    app = uploaded(("covid.png", SCANS["covid.png"]), ("ct", REFUSED), ("half.png", SCANS["covid.png"][:500]))
    drawn = _alternatives(app)
    assert any(re.fullmatch("covid.png: Grad-CAM of .+", text) for text in drawn)
    assert "ct: Without a map" in drawn
    told = said(app.markdown)
    assert "**No answer.**" in told and "this is not a radiograph" in told
    assert "**Unreadable.** The PNG file is cut short or broken" in told
    next(s for s in app.sidebar.slider if s.label == "Opacity of the map").set_value(0.8).run()
    assert not app.exception
    assert _alternatives(app) == drawn


def test_of_more_scans_than_fit_on_a_screen_no_maps_are_drawn():
    app = uploaded(*((f"{i}.png", SCANS["covid.png"]) for i in range(7)))
    assert "open_maps" not in app.session_state["many"]


def _alternatives(app):
    return [image.alt for element in app.image for image in element.proto.imgs]


def the_sets(app):
    return next(t for t in app.toggle if t.label == "All classes that cannot be left out")


def test_all_classes_that_cannot_be_left_out_are_shown_where_they_are_asked_for():
    app = uploaded(("normal.png", SCANS["normal.png"]))
    assert not the_sets(app).value
    the_sets(app).set_value(True).run()
    assert not app.exception
    shown = said(app.markdown)
    assert any(f"**{words}" in shown for words in ("Normal", "COVID-19", "Viral", "Other finding", "no class fits"))
    assert "Sets that should hold the true class in 90 % of images hold it in" in said(app.caption)
    assert "The promise fails at" in said(app.caption)


def test_a_classifier_without_validation_predictions_offers_no_sets(ungated_model, tmp_path, monkeypatch):
    shutil.copytree(ungated_model, tmp_path / "model", ignore=shutil.ignore_patterns("predictions.csv"))
    monkeypatch.setattr("ui.common.model_picker.SHIPPED_MODEL_DIR", tmp_path / "model")
    app = uploaded(("normal.png", SCANS["normal.png"]))
    assert the_sets(app).disabled
    assert "no predictions on validation images" in the_sets(app).help
