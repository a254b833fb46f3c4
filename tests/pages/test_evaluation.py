"""The Evaluation page's views: figures with intervals, a threshold that is kept, and clear sentences."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from streamlit.elements.lib import image_utils

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.evaluation.scoring import score_table
from cxr_core.inference.model_card import load_card, write_card
from cxr_core.system.files import atomic_path
from ui.common.model_picker import export_stamp
from ui.common.thumbnails import known_teaching_images

from .test_pages import open_page, said, tables

VIEW = 1


@pytest.fixture
def shipped_copy(tmp_path, monkeypatch, ungated_model):
    """A copy of the built-in classifier in its place, so that saving something changes no file of the project."""
    folder = shutil.copytree(ungated_model, tmp_path / "model")
    monkeypatch.setattr("ui.common.model_picker.SHIPPED_MODEL_DIR", folder)
    return folder


def open_view(name):
    app = open_page("evaluation")
    app.segmented_control[VIEW].select(name).run()
    assert not app.exception
    return app


def score_other_data(app):
    """Have the data set of the sidebar classified."""
    app.segmented_control[0].select("dataset").run()
    next(b for b in app.button if b.label.startswith("Classify ")).click().run()
    assert not app.exception


def metric(app, label):
    return next(m.value for m in app.metric if m.label == label)


@pytest.mark.parametrize("name", ["Summary", "Confidence", "Threshold", "Errors"])
def test_every_view_opens_and_its_controls_explain_themselves(name):
    app = open_view(name)
    controls = [*app.button, *app.selectbox, *app.slider, *app.number_input]
    assert [control.label for control in controls if not control.help] == []
    assert not app.error


@pytest.mark.parametrize("name", ["Summary", "Errors"])
def test_maps_are_sent_as_they_are_kept(name, monkeypatch):
    sent, encoded = [], []
    ensure, encode = image_utils._ensure_image_size_and_format, image_utils._pil_to_bytes
    monkeypatch.setattr(image_utils, "_ensure_image_size_and_format", lambda *a: sent.append(a) or ensure(*a))
    monkeypatch.setattr(image_utils, "_pil_to_bytes", lambda *a, **k: encoded.append(a) or encode(*a, **k))
    open_view(name)
    assert len(sent) > 5
    # To encode an image takes longer than all else of showing it, and would be done whenever the page runs.
    assert not encoded


def test_accuracy_stands_with_its_interval():
    accuracy = next(m for m in open_page("evaluation").metric if m.label == "Accuracy")
    assert accuracy.delta.startswith("95 %: ")


def test_moving_the_threshold_moves_sensitivity_and_specificity():
    app = open_view("Threshold")
    next(s for s in app.slider if s.label == "Threshold").set_value(0.0).run()
    assert (metric(app, "Sensitivity"), metric(app, "Specificity")) == ("100.0 %", "0.0 %")
    next(s for s in app.slider if s.label == "Threshold").set_value(1.0).run()
    assert metric(app, "Specificity") == "100.0 %"


def test_one_click_goes_to_ninety_percent_specificity():
    app = open_view("Threshold")
    next(b for b in app.button if b.label.startswith("Set to 90 %")).click().run()
    assert not app.exception
    assert 90 <= float(metric(app, "Specificity").rstrip("%")) < 92


def test_at_a_low_prevalence_fewer_alarms_are_true():
    app = open_view("Threshold")
    before = metric(app, "PPV")
    next(n for n in app.number_input if n.label == "Prevalence in %").set_value(1.0).run()
    assert float(metric(app, "PPV").rstrip("%")) < float(before.rstrip("%"))


def test_an_operating_point_is_kept_with_the_model(shipped_copy):
    app = open_view("Threshold")
    next(s for s in app.slider if s.label == "Threshold").set_value(0.3).run()
    next(b for b in app.button if b.label == "Save to model").click().run()
    assert said(app.success) == "Saved: COVID-19 from 0.300."
    assert load_card(shipped_copy).operating_point["threshold"] == 0.3


def test_a_kept_abstention_is_heeded_by_the_next_prediction(shipped_copy):
    app = open_view("Confidence")
    next(s for s in app.slider if s.label.startswith("Abstain below")).set_value(1.0).run()
    next(b for b in app.button if b.label == "Save to model").click().run()
    assert load_card(shipped_copy).abstain_below == 1
    app.switch_page("pages/predict.py").run()
    next(s for s in app.selectbox if s.label == "Or choose an example").select("Clear answer").run()
    assert "The classifier is not sure." in said(app.warning)


def test_a_visitor_of_a_shared_installation_can_keep_nothing(monkeypatch, shipped_copy):
    monkeypatch.setenv("CXR_LAB_SHARED", "1")
    for name in ("Threshold", "Confidence"):
        assert not [b for b in open_view(name).button if b.label.startswith("Save")]


def test_abstaining_on_everything_leaves_no_accuracy():
    app = open_view("Confidence")
    next(s for s in app.slider if s.label.startswith("Abstain below")).set_value(1.0).run()
    assert not app.exception
    assert float(metric(app, "Answered").rstrip("%")) < 100


def test_the_errors_begin_with_all_mistakes_and_name_the_slices():
    matrix = np.array(load_card(SHIPPED_MODEL_DIR).metrics["test"]["confusion_matrix"])
    app = open_view("Errors")
    headings = [s.value for s in app.header]
    assert f"Misclassified: {matrix.sum() - matrix.trace():,} of {matrix.sum():,} images" in headings
    assert "Slices" in headings


def test_predictions_of_the_built_in_classifier_show_the_images_that_come_with_the_app():
    held, predictions = set(known_teaching_images()), pd.read_csv(SHIPPED_MODEL_DIR / "predictions.csv")
    wrong = predictions[(predictions["split"] == "test") & ~predictions["right"] & predictions["digest"].isin(held)]
    app = open_page("evaluation")
    # Twelve drawn at random, then the mistakes; a table holds those whose images are elsewhere.
    assert said(app.markdown).count(":material/check: ") + said(app.markdown).count(":material/close: ") >= 12 + len(
        wrong
    )
    assert "Guangzhou Women" in said(app.caption)
    assert 0 < len([t for t in tables(app) if "predicted" in t][-1]) <= 12
    app.segmented_control[VIEW].select("Errors").run()
    assert not app.exception
    assert said(app.markdown).count(":material/close: ") == min(12, len(wrong)) > 1


def test_images_that_are_at_hand_are_shown_with_their_probabilities():
    app = open_page("evaluation")
    score_other_data(app)
    app.segmented_control[VIEW].select("Errors").run()
    assert not app.exception
    assert any(caption.value.startswith("Normal ") and "Viral" in caption.value for caption in app.caption)


def test_whoever_uses_no_mouse_chooses_a_cell_a_point_or_a_bar_below_the_figure():
    app = open_view("Errors")
    cell = app.selectbox(key="choose_cell")
    option = next(one for one in cell.options if one.startswith("True Normal, predicted COVID-19 ("))
    cell.select(("normal", "covid")).run()
    count = option.partition("(")[2].rstrip(")")
    assert app.header[0].value.startswith(f"True Normal, predicted COVID\\-19: {count} image")

    next(s for s in app.segmented_control if s.label == "Pick from").select("ROC").run()
    app.selectbox(key="choose_class").select("covid").run()
    app.number_input(key="choose_threshold").set_value(0.7).run()
    assert app.header[0].value == "Missed COVID\\-19 and false alarms at a threshold of 0.700"

    next(s for s in app.segmented_control if s.label == "Pick from").select("Reliability").run()
    ranges = app.selectbox(key="choose_bin")
    ends = ranges.options[-1].partition(" (")[0]
    assert ends.endswith("to 100 %")
    ranges.select(len(ranges.options) - 1).run()
    assert not app.exception
    assert app.header[0].value == f"Confidence between {ends.replace('to', 'and')}"


def test_the_history_is_a_table_too():
    app = open_view("Summary")
    assert "These values as a table" in [expander.label for expander in app.expander]
    assert any("validation loss" in table for table in tables(app))


def test_a_data_set_of_one_class_gets_sentences_and_no_error(tmp_path):
    import cv2
    import numpy as np

    from cxr_core.data.phantoms import draw_phantom

    (tmp_path / "normal").mkdir()
    for i in range(3):
        cv2.imwrite(str(tmp_path / "normal" / f"{i}.png"), draw_phantom("normal", np.random.default_rng(i)))
    app = open_page("evaluation", source_choice="folder", folders_choice=str(tmp_path))
    score_other_data(app)
    for name in ("Summary", "Confidence", "Threshold", "Errors"):
        app.segmented_control[VIEW].select(name).run()
        assert not app.exception
    assert not app.error


def test_what_is_exported_anew_has_another_stamp_whatever_part_of_it_changed(tmp_path):
    names = ("model.onnx", "card.json", "gate.npz", "gate.json")
    folder = tmp_path / "model"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"one")
    seen = {export_stamp(folder)}
    assert seen == {export_stamp(folder)}
    for name in names:
        with atomic_path(folder / name) as path:
            path.write_bytes(b"two")
        seen.add(export_stamp(folder))
    (folder / "gate.npz").unlink()
    seen.add(export_stamp(folder))
    assert len(seen) == 6
    (folder / "card.json").unlink()
    with pytest.raises(FileNotFoundError):
        export_stamp(folder)


@pytest.mark.slow
def test_an_open_visit_scores_a_data_set_anew_after_another_export(shipped_copy, monkeypatch):
    scored = []

    def score(classifier, table, **options):
        scored.append(classifier.card.temperature)
        return score_table(classifier, table, **options)

    monkeypatch.setattr("ui.evaluation.predictions.score_table", score)
    app = open_page("evaluation")
    score_other_data(app)
    app.run()
    assert not app.exception and len(scored) == 1
    card = load_card(shipped_copy)
    write_card(replace(card, temperature=3.0), shipped_copy)
    app.run()
    score_other_data(app)
    assert scored == [card.temperature, 3.0]


def test_no_other_data_set_is_classified_before_somebody_says_so(monkeypatch):
    def score(*_, **__):
        raise AssertionError

    monkeypatch.setattr("ui.evaluation.predictions.score_table", score)
    app = open_page("evaluation")
    app.segmented_control[0].select("dataset").run()
    assert not app.exception
    assert [b.label for b in app.button if b.label.startswith("Classify ")] == ["Classify 188 images"]
    assert not app.metric and not app.get("plotly_chart")


def test_each_source_has_a_row_and_the_worst_is_named_in_words():
    app = open_page("evaluation")
    assert "At each source" in [heading.value for heading in app.header]
    assert "Worst source: " in said(app.warning)
    table = next(table for table in tables(app) if "Source" in table)
    assert set(table["Source"]) >= {"COVID-CXNet", "NIH Clinical Center", "OpenIST"}
    # Of few images, and so the last in each figure.
    assert set(table.groupby("Figure")["Source"].last()) == {"Figure 1 COVID-19 collection"}
    choice = app.selectbox(key="source_figure_choice")
    assert choice.options == list(dict.fromkeys(table["Figure"]))
    choice.select("Wrongly called COVID-19").run()
    titles = [json.loads(chart.proto.spec)["layout"]["title"]["text"] for chart in app.get("plotly_chart")]
    assert not app.exception and any(title.startswith("Wrongly called COVID-19, at sources") for title in titles)


def test_on_the_page_a_sources_name_is_shown_as_it_is(shipped_copy):
    card = load_card(shipped_copy)
    scores = card.metrics["test"]["sources"]
    scores[0]["source"] = "**[ward](http://x)**"
    write_card(card, shipped_copy)
    assert any("\\*\\*\\[ward\\]" in warning.value for warning in open_page("evaluation").warning)


def test_where_prediction_sets_break_their_promise_is_said():
    app = open_view("Confidence")
    assert "Prediction sets" in [heading.value for heading in app.header]
    assert "Sets that should hold the true class in 90 % of images" in said([*app.warning, *app.info])
