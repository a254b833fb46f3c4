"""The training page: jobs of several runs, and the queue of a shared installation."""

from dataclasses import replace

import pandas as pd
import pytest

from cxr_core.jobs.job import JobStatus, list_jobs
from cxr_core.jobs.lifecycle import create_job
from cxr_core.jobs.plan import JobPlan
from cxr_core.recipes.training_config import make_config
from cxr_core.runs.lifecycle import create_run
from cxr_core.runs.run import RunStatus, list_runs
from cxr_core.splits.curation import Curation
from cxr_core.system.files import write_json
from cxr_core.system.processes import process_facts
from pages.test_pages import open_page, said, tables


def job_of(homes, kind="seeds", states=("finished", "finished"), **values):
    runs, jobs = homes
    what = {"seeds": {"seeds": (0, 1)}, "search": {"count": 2, "tune": ("dropout",)}}[kind]
    plan = JobPlan(kind=kind, config=make_config("quick", roots=("/data",)), runs_dir=str(runs), **what | values)
    job = create_job(plan, jobs / f"20260101-{kind}", Curation())
    for i, (member, state) in enumerate(zip(job.members(), states, strict=False)):
        run = create_run(member.config, member.run.path, Curation())
        run.write_status(RunStatus(state, epoch=1, epochs=40, **(process_facts() if state == "running" else {})))
        if state == "finished":
            per_class = {name: {"recall": 0.8 + i / 10, "auc": 0.9} for name in ("normal", "covid")}
            test = {"accuracy": 0.8 + i / 10, "n": 10, "classes": ["normal", "covid"], "per_class": per_class}
            write_json(run.path / "metrics.json", {"test": test})
            pd.DataFrame({"split": ["train"] * 8 + ["test"] * 2}).to_csv(run.path / "split.csv", index=False)
    return job


def button(app, label):
    return next(b for b in app.button if b.label == label)


def test_a_finished_job_shows_mean_and_spread(homes):
    job_of(homes).write_status(JobStatus("finished"))
    app = open_page("training", training_view="Jobs")
    assert not app.exception
    assert "test accuracy 85.0 % on average" in said(app.markdown)
    spread = next(table for table in tables(app) if "mean" in table)
    assert spread.set_index("figure").loc["Accuracy", "mean"] == pytest.approx(85)


def test_an_active_job_comes_first_can_be_paused_and_keeps_others_from_starting(homes):
    job = job_of(homes, states=("finished", "running"))
    job.write_status(JobStatus("running", "Training seed 1", **process_facts()))
    app = open_page("training")
    assert not app.exception
    assert "Training seed 1" in said(app.markdown)
    app.segmented_control(key="show_choice").select("New").run()
    assert button(app, "Start training").disabled
    app.segmented_control(key="show_choice").select("Watch").run()
    button(app, "Pause the job").click().run()
    assert job.pause_requested
    assert button(app, "Pausing after this epoch").disabled


def test_a_job_that_ended_early_can_be_resumed_from_the_page(homes, monkeypatch):
    job = job_of(homes, states=("finished",))
    job.write_status(JobStatus("stopped", "Stopped by request."))
    resumed = []
    monkeypatch.setattr("ui.training.job_view.resume_job", resumed.append)
    app = open_page("training", training_view="Jobs")
    button(app, "Resume the job").click().run()
    assert not app.exception and resumed == [job]


def test_a_broken_job_is_a_sentence(homes):
    job = job_of(homes)
    (job.path / "job.json").write_text("[]")
    app = open_page("training", training_view="Jobs")
    assert not app.exception
    assert "cannot be read" in said(app.error)


@pytest.mark.parametrize("kind", ["folds", "seeds", "search"])
def test_the_form_starts_a_job_of_every_kind(homes, kind, monkeypatch):
    plans = []

    def start(plan, curation):
        plans.append(plan)
        return create_job(plan, homes[1] / "new", Curation())

    monkeypatch.setattr("ui.training.start.start_job", start)
    app = open_page("training", job_kind_choice=kind)
    assert not app.exception and not app.error
    button(app, "Start training").click().run()
    assert not app.exception
    assert plans[0].kind == kind and plans[0].total == {"folds": 5, "seeds": 5, "search": 20}[kind]
    assert replace(list_jobs(homes[1])[0].plan(), prefix="") == plans[0]


def test_a_shared_installation_queues_and_shows_the_queue(homes, monkeypatch):
    monkeypatch.setenv("CXR_LAB_SHARED", "1")
    monkeypatch.setenv("CXR_LAB_ALLOW", "training")
    monkeypatch.setattr("cxr_core.recipes.memory_estimate.memory_limit", lambda: 64_000_000_000)
    app = open_page("training")
    assert "runs are queued and train one at a time" in said(app.caption)
    button(app, "Queue this training").click().run()
    assert not app.exception
    (run,) = list_runs(homes[0])
    assert run.status().state == "queued"
    queue = next(t.value for t in app.dataframe if "position" in t.value)
    assert queue["run"].tolist() == [run.name]
    button(app, "Remove from the queue").click().run()
    assert run.status().state == "stopped"
    button(app, "Resume").click().run()
    assert run.status().state == "queued"


def test_a_training_that_does_not_fit_a_shared_installation_cannot_be_queued(homes, monkeypatch):
    monkeypatch.setenv("CXR_LAB_SHARED", "1")
    monkeypatch.setenv("CXR_LAB_ALLOW", "training")
    monkeypatch.setattr("cxr_core.recipes.memory_estimate.memory_limit", lambda: 700_000_000)
    app = open_page("training")
    assert "GB of memory" in said(app.warning)
    assert button(app, "Queue this training").disabled
