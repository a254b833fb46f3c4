"""What a visitor may train, who sees it, and when it goes."""

import os
import time

import pytest

from cxr_core.config import TEACHING_DIR
from cxr_core.jobs import training_queue, visit_training
from cxr_core.jobs.visit_training import VisitChoices, place_in_queue, queue_visit_training, visit_config
from cxr_core.recipes import memory_estimate
from cxr_core.recipes.training_config import make_config
from cxr_core.runs.run import VISIT_FILE, RunStatus, list_runs
from cxr_core.splits.curation import Curation


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """An empty folder of runs; no process is started."""
    monkeypatch.setattr(training_queue, "spawn_detached", lambda words, folder: None)
    monkeypatch.setattr(memory_estimate, "memory_limit", lambda: 64_000_000_000)
    monkeypatch.setattr("cxr_core.runs.run.list_runs.__defaults__", (tmp_path,))
    return tmp_path


def put(folder, own=(), **choices):
    return queue_visit_training(VisitChoices(**choices), own, curation=Curation(), runs_dir=folder)


def let_end(run):
    run.write_status(RunStatus("finished"))


def put_ended(folder, n):
    ended = []
    for number in range(n):
        run = put(folder)
        let_end(run)
        os.utime(run.path / VISIT_FILE, (time.time() - 1_000 + number,) * 2)
        ended.append(run)
    return ended


@pytest.mark.parametrize(
    ("choice", "rule"),
    [
        ({"split": "given"}, "split must be one of grouped"),
        ({"split": "../../etc"}, "split must be one of grouped"),
        ({"epochs": 41}, "epochs must be from 5 to 40"),
        ({"epochs": 4}, "epochs must be from 5 to 40"),
        ({"epochs": 7.5}, "epochs must be from 5 to 40"),
        ({"batch_size": 512}, "batch_size must be one of 16, 32, 64"),
        ({"learning_rate": 1.0}, "learning_rate must be one of"),
        ({"seed": 100}, "seed must be from 0 to 99"),
        ({"seed": "<script>"}, "seed must be from 0 to 99"),
    ],
)
def test_a_choice_that_is_not_offered_is_refused(choice, rule):
    with pytest.raises(ValueError, match=rule):
        VisitChoices(**choice)


def test_what_is_trained_is_quick_on_the_teaching_set_and_needs_no_download():
    config = visit_config(VisitChoices(epochs=7, seed=3))
    expected = make_config("quick", roots=(str(TEACHING_DIR),), settings=["start=shipped", "epochs=7", "seed=3"])
    assert config == expected


def test_the_defaults_are_those_of_the_recipe():
    assert visit_config(VisitChoices()) == make_config("quick", roots=(str(TEACHING_DIR),), start="shipped")


def test_a_visitors_run_is_seen_by_its_visitor_alone(runs):
    run = put(runs)
    assert list_runs(runs) == []
    assert visit_training.visit_runs([run.name]) == [run]
    assert visit_training.visit_runs([]) == visit_training.visit_runs(["another"]) == []


def test_it_waits_behind_those_who_came_first_whoever_they_are(runs):
    first = training_queue.queue_training(make_config("quick", roots=("/data",)), runs, Curation())
    second, third = put(runs), put(runs)
    assert [place_in_queue(run) for run in (second, third)] == [1, 2]
    first.write_status(RunStatus("finished"))
    assert [place_in_queue(run) for run in (second, third)] == [0, 1]


def test_the_worker_trains_those_of_visitors_too(runs, monkeypatch):
    waiting, begun = [put(runs), put(runs)], []
    monkeypatch.setattr(training_queue, "_POLL_SECONDS", 0.0)
    monkeypatch.setenv("CXR_LAB_OWNER", "")
    monkeypatch.setattr(training_queue, "resume_run", lambda run: (begun.append(run), let_end(run)))
    training_queue.work_queue(runs)
    assert begun == waiting


def test_a_visitor_has_one_training_at_a_time(runs):
    run = put(runs)
    with pytest.raises(ValueError, match="A training of yours is waiting or running"):
        put(runs, [run.name])
    let_end(run)
    assert put(runs, [run.name]).status().state == "queued"


def test_visitors_leave_half_of_the_queue_to_others(runs):
    for _ in range(10):
        put(runs)
    with pytest.raises(ValueError, match="At most 10 trainings of visitors may wait"):
        put(runs)
    training_queue.queue_training(make_config("quick", roots=("/data",)), runs, Curation())


def test_twenty_are_kept_and_the_oldest_goes_for_a_new_one(runs):
    ended = put_ended(runs, 20)
    put(runs)
    left = list_runs(runs, of_visits=True)
    assert len(left) == 20
    gone = {run.name for run in ended} - {run.name for run in left}
    assert len(gone) == 1
    assert min(run.name for run in ended) in gone


def test_after_a_day_it_is_gone_and_what_trains_stays(runs, monkeypatch):
    old, young, training = put_ended(runs, 3)
    day_old = (time.time() - visit_training.KEPT_SECONDS - 1,) * 2
    for run in (old, training):
        os.utime(run.path / VISIT_FILE, day_old)
    training.write_status(RunStatus("running"))
    monkeypatch.setattr("cxr_core.runs.work_folder.process_is_alive", lambda status: True)
    # It is no longer shown, even before anybody removes it.
    assert visit_training.visit_runs([old.name, young.name]) == [young]
    visit_training.remove_visit_runs(runs)
    assert set(list_runs(runs, of_visits=True)) == {young, training}


def test_what_others_train_is_never_removed(runs):
    run = training_queue.queue_training(make_config("quick", roots=("/data",)), runs, Curation())
    let_end(run)
    visit_training.remove_visit_runs(runs, keep=0)
    assert list_runs(runs) == [run]
