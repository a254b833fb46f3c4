"""What was chosen stays chosen: on other pages, after a reload and for whoever follows a link."""

import shutil

import pytest
from streamlit.testing.v1 import AppTest

from cxr_core.config import PROJECT_DIR
from cxr_core.runs.labels import RunLabel, save_label

from .test_pages import TIMEOUT_SECONDS, open_page, said
from .test_training import ended_run


@pytest.fixture
def own_classifier(run_folder, ungated_model):
    """A finished run with a classifier, called "Mine"."""
    run = ended_run(run_folder, "20260101-a", "finished")
    shutil.copytree(ungated_model, run.path, dirs_exist_ok=True)
    save_label(run, RunLabel(name="Mine"))
    return run


def follow(app, name):
    """Open a page anew with the address that another visit shows."""
    again = AppTest.from_file(str(PROJECT_DIR / "streamlit_app.py"), default_timeout=TIMEOUT_SECONDS)
    again.query_params.update(app.query_params)
    again.run()
    return again.switch_page(f"pages/{name}.py").run()


def box(app, label):
    return next(s for s in app.selectbox if s.label == label)


def test_pages_name_the_classifier_that_they_show(own_classifier):
    app = open_page("evaluation")
    assert "Classifier: **The built-in classifier**" in said(app.caption)
    box(app, "Classifier").select(own_classifier.name).run()
    for name in ("predict", "shortcuts", "evaluation"):
        app.switch_page(f"pages/{name}.py").run()
        assert not app.exception
        assert box(app, "Classifier").value == own_classifier.name
        assert "Classifier: **Mine " in said(app.caption)


@pytest.mark.parametrize("name", ["dataset", "duplicates", "quality", "splits", "map", "preprocessing", "training"])
def test_pages_name_the_data_set_that_they_show(name):
    assert "Data set: **Teaching set**, 188 images" in said(open_page(name).caption)


def test_folders_are_called_by_their_names(few):
    app = open_page("splits", source_kept="folder", folders_kept=str(few))
    assert f"Data set: **{few.name}**, 27 images" in said(app.caption)


def test_the_classifier_survives_a_page_without_one_and_a_reload_of_it(own_classifier):
    app = open_page("evaluation")
    box(app, "Classifier").select(own_classifier.name).run()
    app.switch_page("pages/splits.py").run()
    again = follow(app, "splits").switch_page("pages/evaluation.py").run()
    assert not again.exception
    assert box(again, "Classifier").value == own_classifier.name


def test_the_view_of_an_evaluation_survives_a_page_change_and_a_reload():
    app = open_page("evaluation")
    app.segmented_control(key="view_choice").select("Threshold").run()
    app.switch_page("pages/overview.py").run()
    app.switch_page("pages/evaluation.py").run()
    assert app.segmented_control(key="view_choice").value == "Threshold"
    assert follow(app, "evaluation").segmented_control(key="view_choice").value == "Threshold"


def test_split_and_seed_survive_a_page_change_and_a_reload():
    app = open_page("splits")
    app.segmented_control(key="split_choice").select("article").run()
    next(n for n in app.number_input if n.label == "Seed").set_value(7).run()
    app.switch_page("pages/overview.py").run()
    for again in (app.switch_page("pages/splits.py").run(), follow(app, "splits")):
        assert not again.exception
        assert again.segmented_control(key="split_choice").value == "article"
        assert next(n for n in again.number_input if n.label == "Seed").value == 7


def test_the_run_survives_a_page_change_and_a_reload(run_folder):
    for name in ("20260101-a", "20260102-b"):
        ended_run(run_folder, name)
    app = open_page("training")
    box(app, "Run").select("20260101-a").run()
    app.switch_page("pages/overview.py").run()
    for again in (app.switch_page("pages/training.py").run(), follow(app, "training")):
        assert box(again, "Run").value == "20260101-a"


def test_the_training_form_survives_a_page_change():
    app = open_page("training")
    box(app, "Recipe").select("article").run()
    next(n for n in app.number_input if n.label == "Epochs").set_value(3).run()
    app.switch_page("pages/overview.py").run()
    app.switch_page("pages/training.py").run()
    assert box(app, "Recipe").value == "article"
    assert next(n for n in app.number_input if n.label == "Epochs").value == 3


def test_the_address_stays_short_while_nothing_is_chosen():
    assert open_page("evaluation").query_params == {}


@pytest.mark.parametrize(
    "link",
    [{"seed": "-1"}, {"seed": "9" * 30}, {"split": "none"}, {"source": "x"}, {"classifier": "../x"}, {"view": "x"}],
)
def test_a_link_that_offers_nothing_known_opens_the_page_as_it_is(link):
    app = AppTest.from_file(str(PROJECT_DIR / "streamlit_app.py"), default_timeout=TIMEOUT_SECONDS)
    app.query_params.update(link)
    app.run()
    for name in ("splits", "evaluation"):
        app.switch_page(f"pages/{name}.py").run()
        assert not app.exception
        assert not app.error
    assert app.query_params == {}
