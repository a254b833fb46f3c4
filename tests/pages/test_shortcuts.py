"""The Shortcuts page: it asks before it begins, shows what it does, and shows what it found."""

import shutil

import pytest

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.inference.model_card import load_card
from cxr_core.recipes.training_config import make_config
from cxr_core.robustness import saliency_checks, shortcut_test
from cxr_core.runs.lifecycle import create_run

from .test_pages import open_page, said


@pytest.fixture
def small_test(monkeypatch, tmp_path):
    """A shortcut test on a few images, with a cache of its own."""
    monkeypatch.setattr(saliency_checks, "CHECKED_IMAGES", 2)
    for function in (shortcut_test.run_shortcut_test, shortcut_test.result_path):
        defaults = function.__kwdefaults__ | {"limit": 18, "cache_dir": tmp_path}
        monkeypatch.setattr(function, "__kwdefaults__", defaults)


def open_on_own_images():
    app = open_page("shortcuts")
    app.segmented_control[0].set_value("Your own images").run(timeout=60)
    return app


def test_the_built_in_classifiers_verdict_is_there_at_once_without_any_image():
    app = open_page("shortcuts")
    card = load_card(SHIPPED_MODEL_DIR)
    assert all(sentence in said(app.warning) for sentence in card.metrics["shortcuts"]["verdict"]["sentences"])
    assert not app.exception
    assert "Run the shortcut test" not in [b.label for b in app.button]


@pytest.mark.slow
def test_the_test_begins_only_when_asked_and_then_shows_its_verdict(small_test):
    app = open_on_own_images()
    assert "eight planted copies and two planted wrong labels" in said(app.caption)
    assert "The result is saved." in said(app.info)
    assert not app.metric
    next(b for b in app.button if b.label == "Run the shortcut test").click().run(timeout=180)
    assert not app.exception
    assert [m.label for m in app.metric][-1] == "Lungs found"
    verdict = said([*app.error, *app.warning, *app.success, *app.info])
    assert any(title in verdict for title in shortcut_test.LEVELS.values())
    assert "Run the shortcut test" not in [b.label for b in app.button]
    # The result is kept: a new visit shows it at once.
    assert [m.label for m in open_on_own_images().metric][-1] == "Lungs found"


def test_an_external_folder_that_is_not_there_gets_one_sentence():
    app = open_on_own_images()
    next(t for t in app.text_area if t.label == "External data sets").set_value("/nowhere").run()
    assert not app.exception
    assert said(app.error) == "There is no folder /nowhere. Correct it in the sidebar."


def test_a_shared_installation_asks_for_no_folders(monkeypatch):
    monkeypatch.setenv("CXR_LAB_SHARED", "1")
    assert [t.label for t in open_on_own_images().text_area] == []


def test_a_runs_own_data_set_is_opened_by_itself_once_and_another_choice_stays(few, run_folder, ungated_model):
    run = create_run(make_config("quick", roots=(str(few),)), run_folder / "20260101-000000-quick-own")
    shutil.copytree(ungated_model, run.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("shortcuts.json"))
    app = open_page("shortcuts", classifier_kept=run.name)
    assert not app.exception
    assert app.selectbox(key="source_choice").value == "folder"
    assert app.text_area(key="folders_choice").value == str(few)
    app.selectbox(key="source_choice").select("teaching").run()
    assert app.selectbox(key="source_choice").value == "teaching"
