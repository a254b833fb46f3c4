"""What a visitor of a shared installation can train, and what is shown in place of a form that cannot be sent."""

import pytest

from cxr_core.config import TEACHING_DIR
from cxr_core.jobs import visit_training
from cxr_core.runs.run import RunStatus, list_runs
from pages.test_pages import open_page, said
from pages.test_training import ended_run, labels

BUTTON = "Train on the teaching set"


@pytest.fixture
def shared(monkeypatch, homes):
    """A shared installation whose queue starts no process; yields its folder of runs."""
    monkeypatch.setenv("CXR_LAB_SHARED", "1")
    monkeypatch.setattr("cxr_core.jobs.visit_training.RUNS_DIR", homes[0])
    monkeypatch.setattr("cxr_core.recipes.memory_estimate.memory_limit", lambda: 64_000_000_000)
    return homes[0]


def press(app, label):
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception


def started(shared):
    """A visit that has queued its training, and the run."""
    app = open_page("training", show_kept="New")
    press(app, BUTTON)
    (run,) = list_runs(shared, of_visits=True)
    return app, run


def test_a_visitor_is_shown_nothing_that_cannot_be_sent_and_told_why_at_the_top(shared):
    app = open_page("training")
    assert not app.exception
    assert "Visitors cannot start training or other long computations here." in said(app.caption)
    assert BUTTON in labels(app.button)
    assert {"Start training", "Queue this training"}.isdisjoint(labels(app.button))
    assert {"Recipe", "Backbone"}.isdisjoint(labels(app.selectbox))
    app = open_page("training", show_kept="Article")
    assert not app.exception
    assert "Visitors cannot start training" in said(app.caption)
    assert "Variant" not in labels(app.segmented_control)


def test_a_short_training_is_queued_watched_and_of_the_teaching_set(shared):
    app, run = started(shared)
    assert run.config().roots == (str(TEACHING_DIR),)
    assert run.status().state == "queued"
    assert app.segmented_control(key="show_choice").value == "Watch"
    assert "Next in the queue" in said(app.info)
    assert "Stop" in labels(app.button)
    press(app, "Stop")
    assert run.status().state == "stopped"
    assert "Resume" not in labels(app.button)


def test_its_place_is_told_while_another_trains(shared, monkeypatch):
    monkeypatch.setattr("cxr_core.runs.work_folder.process_is_alive", lambda status: True)
    ended_run(shared, "20260101-a").write_status(RunStatus("running"))
    app, _ = started(shared)
    assert "Ahead of yours in the queue: 1" in said(app.info)


def test_another_visit_neither_sees_the_run_nor_can_ask_for_it(shared, ungated_model):
    _, run = started(shared)
    run.write_status(RunStatus("finished", epoch=2, epochs=9))
    for name in ("model.onnx", "card.json"):
        (run.path / name).write_bytes((ungated_model / name).read_bytes())
    ended_run(shared, "20260101-a")
    app = open_page("training", run_kept=run.name, watched_run=run.name)
    assert next(s for s in app.selectbox if s.label == "Run").options == ["20260101-a"]
    app = open_page("predict", classifier_kept=run.name)
    assert app.selectbox(key="classifier_choice").options == ["The built-in classifier"]
    mine = open_page("predict", own_runs=[run.name])
    assert mine.selectbox(key="classifier_choice").options == ["The built-in classifier", run.name]


def test_of_another_visits_training_the_queue_shows_its_place_alone(shared):
    _, run = started(shared)
    ended_run(shared, "20260101-a")
    app = open_page("training")
    table = app.dataframe[0].value
    assert table["run"].tolist() == ["of another visit"]
    assert run.name not in said([*app.markdown, *app.caption])


def test_a_second_training_waits_for_the_end_of_the_first(shared):
    app, _ = started(shared)
    app.segmented_control(key="show_choice").select("New").run()
    press(app, BUTTON)
    assert "A training of yours is waiting or running" in said(app.error)
    assert len(list_runs(shared, of_visits=True)) == 1


@pytest.mark.parametrize(("key", "value"), [("visit_seed", 10**6), ("visit_rate", 1.0), ("visit_epochs", 500)])
def test_a_choice_that_a_browser_made_up_starts_nothing(shared, key, value):
    app = open_page("training", **{key: value})
    for button in [button for button in app.button if button.label == BUTTON]:
        button.click().run()
    for run in list_runs(shared, of_visits=True):
        visit_training.VisitChoices(epochs=run.config().epochs, learning_rate=run.config().learning_rate)
        assert run.config().seed <= 99


def test_the_owner_can_switch_it_off(shared, monkeypatch):
    monkeypatch.setenv("CXR_LAB_VISITOR_TRAINING", "0")
    app = open_page("training")
    assert not app.exception
    assert BUTTON not in labels(app.button)
    assert "Visitors cannot start training" in said(app.caption)
    assert "How the built-in classifier learned" in said(app.header)


def test_a_setting_that_is_neither_on_nor_off_closes_the_app(shared, monkeypatch):
    monkeypatch.setenv("CXR_LAB_VISITOR_TRAINING", "yes")
    assert "CXR_LAB_VISITOR_TRAINING must be 0 or 1; received 'yes'" in said(open_page("overview").error)


def test_on_a_data_set_of_their_own_visitors_are_led_to_the_teaching_set(shared, few):
    app = open_page("training", source_choice="zip", unpacked=few)
    assert not app.exception
    assert BUTTON not in labels(app.button)
    assert "a short training on the teaching set: choose it in the sidebar" in said(app.info)


def test_the_recorded_training_of_the_built_in_classifier_is_shown_with_what_it_says(shared):
    app = open_page("training")
    told = said(app.markdown)
    assert "8 epochs on 5,088 images with the recipe finetune" in told
    assert "epoch 6 was kept" in told
    app.slider(key="replay_epoch").set_value(2).run()
    assert not app.exception
    assert "1.211, against 0.828 after epoch 1, which is kept for now." in said(app.markdown)
    assert "was kept" not in said(app.markdown)


def test_played_again_the_record_begins_with_its_first_epoch_and_ends_with_its_last(shared):
    app = open_page("training")
    press(app, "Play")
    for _ in range(9):
        app.run()
        assert not app.exception
    assert app.slider(key="replay_epoch").value == 8
    assert app.session_state["replaying"] is False


def test_those_who_may_train_have_the_form_and_no_replay(shared, monkeypatch):
    monkeypatch.setenv("CXR_LAB_ALLOW", "training")
    app = open_page("training")
    assert "Queue this training" in labels(app.button)
    assert "How the built-in classifier learned" not in said(app.header)
