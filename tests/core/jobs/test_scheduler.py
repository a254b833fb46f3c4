"""lifecycle.py and scheduler.py with a stand-in for training: real processes, locks and kills, no network."""

import json
import os
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from conftest import PROJECT
from filelock import FileLock

from cxr_core.data.dataset import scan_dataset
from cxr_core.data.prepared_images import prepare_images
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.jobs.job import Job, JobStatus, list_jobs
from cxr_core.jobs.left_out_sources import left_out_sentence, left_out_table
from cxr_core.jobs.lifecycle import acquire_job, create_job, pause_job, resume_job, start_job, stop_job
from cxr_core.jobs.plan import JobPlan
from cxr_core.jobs.results import job_progress, job_results, job_summary, members_table
from cxr_core.jobs.scheduler import carry_out_job
from cxr_core.recipes.training_config import config_from_dict, make_config
from cxr_core.runs.lifecycle import RunTaken, create_run
from cxr_core.runs.run import SEARCH_FILE, RunStatus, list_runs
from cxr_core.splits.curation import Curation, exclude
from cxr_core.splits.groups import group_images
from cxr_core.system.files import read_json
from cxr_core.system.processes import process_facts

CONFIG = make_config("quick", roots=("/data",), settings=("epochs=3",))
# Trains nothing: writes what a training writes, epoch by epoch, as soon as `RUNS/go` allows it.
TRAINER = """
import sys, time
from dataclasses import replace
from functools import partial
from pathlib import Path
import pandas as pd
from cxr_core.system.processes import on_owner_exit, process_facts
from cxr_core.runs.lifecycle import Run, abandon_run, run_lock

run = Run(Path(sys.argv[sys.argv.index("resume") + 1]))
on_owner_exit(partial(abandon_run, run))
with run_lock(run, patience_seconds=10):
    go, table = run.path.parent / "go", run.epochs()
    (run.path / "starts").open("a").write("x")
    status = replace(run.status(), state="running", **process_facts())
    while len(table) < 3:
        run.write_status(replace(status, epoch=len(table)))
        if run.pause_requested:
            run.write_status(replace(status, state="paused", epoch=len(table), message=run.pause_reason))
            sys.exit()
        if int(go.read_text()) <= len(table):
            time.sleep(0.01)
            continue
        row = {"epoch": len(table) + 1, "loss": 1, "accuracy": 0.5, "val_loss": 1, "val_accuracy": 0.5}
        table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
        table.to_csv(run.path / "epochs.csv", index=False)
    run.write_status(replace(status, state="finished", epoch=3))
"""


class Workers:
    """Train in no time, and as each run's settings say: at a rate above 0.03 the loss is no number."""

    share = None

    def __init__(self, at_once=1, act=lambda run: None):
        self.at_once, self.act, self.starts = at_once, act, []

    def start(self, run):
        self.starts.append(run.name.rsplit("-", 1)[-1])
        status = replace(run.status(), epoch=2, epochs=3, pid=2**22 + 1, pid_started=1.0)
        rate = run.config().learning_rate
        row = {"epoch": 1, "loss": 1, "accuracy": 0.5, "val_loss": abs(rate - 0.004) + 0.1, "val_accuracy": 0.5}
        pd.DataFrame([row]).to_csv(run.path / "epochs.csv", index=False)
        ended = {"state": "failed", "message": "The loss became nan."} if rate > 0.03 else {"state": "finished"}
        run.write_status(replace(status, **(self.act(run) or ended)))

    def has_ended(self, run):
        return run.status().state != "running"


@pytest.fixture(autouse=True)
def unowned(monkeypatch):
    """What a test changes in the environment is undone."""
    monkeypatch.setenv("CXR_LAB_OWNER", "")
    monkeypatch.setattr("cxr_core.jobs.scheduler._POLL_SECONDS", 0.01)
    monkeypatch.setattr("cxr_core.jobs.lifecycle._DYING_SECONDS", 0.0)


@pytest.fixture
def trainer(tmp_path, monkeypatch):
    """Every process that is started trains like `TRAINER`; returns the file that says how many epochs may be done."""
    stub = tmp_path / "stub"
    stub.write_text(f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(PROJECT)!r})\n{TRAINER}")
    stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(stub))
    (tmp_path / "runs").mkdir()
    go = tmp_path / "runs" / "go"
    go.write_text("3")
    return go


def plan_of(tmp_path, kind="seeds", **values):
    start = {
        "folds": {"count": 3},
        "seeds": {"seeds": (0, 1, 2)},
        "sources": {"sources": ("Town hospital", "cohen")},
        "search": {"count": 4, "tune": ("learning_rate",)},
    }
    return JobPlan(kind=kind, config=CONFIG, runs_dir=str(tmp_path / "runs"), **start[kind] | values)


def new_job(tmp_path, kind="seeds", **values):
    return create_job(plan_of(tmp_path, kind, **values), tmp_path / "job", Curation())


def scheduler_process(job, real=sys.executable):
    """A process of its own that works on a job; its trainings are the stand-in's."""
    code = (
        f"import sys; sys.executable = {sys.executable!r}\n"
        "from pathlib import Path\n"
        "from cxr_core.jobs.scheduler import carry_out_job\nfrom cxr_core.jobs.lifecycle import Job\n"
        f"carry_out_job(Job(Path({str(job.path)!r})))"
    )
    return subprocess.Popen([real, "-c", code], cwd=PROJECT, start_new_session=True)


# Plans


def test_a_cross_validation_gives_each_run_a_fold_and_nothing_else(tmp_path):
    members = new_job(tmp_path, "folds").members()
    assert [m.label for m in members] == ["fold 1 of 3", "fold 2 of 3", "fold 3 of 3"]
    assert [replace(m.config, folds=0, fold=0) for m in members] == [CONFIG] * 3
    assert [(m.config.folds, m.config.fold) for m in members] == [(3, 1), (3, 2), (3, 3)]


def test_repeats_differ_in_the_seed_alone(tmp_path):
    members = new_job(tmp_path, seeds=(4, 0, 9)).members()
    assert [m.config for m in members] == [replace(CONFIG, seed=seed) for seed in (4, 0, 9)]


def test_a_job_over_sources_trains_once_on_all_and_once_without_each(tmp_path):
    job = new_job(tmp_path, "sources")
    members = job.members()
    assert [m.label for m in members] == ["all sources", "without 1: Town hospital", "without 2: cohen"]
    assert [(m.config.split, m.config.test_source) for m in members] == [
        ("grouped", ""), ("source", "Town hospital"), ("source", "cohen"),
    ]  # fmt: skip
    assert [replace(m.config, split="grouped", test_source="") for m in members] == [CONFIG] * 3
    assert job.plan().total == 3 and len({m.run.name for m in members}) == 3
    assert all(m.run.name.replace("-", "").isalnum() for m in members)


@pytest.mark.parametrize("kind", ["folds", "seeds", "sources", "search"])
def test_a_plan_is_read_as_it_was_written(tmp_path, kind):
    assert replace(new_job(tmp_path, kind).plan(), prefix="") == plan_of(tmp_path, kind)


def test_two_jobs_of_one_name_share_no_run(tmp_path):
    jobs = [create_job(plan_of(tmp_path), tmp_path / folder / "job", Curation()) for folder in "ab"]
    first, second = ({m.run.path for m in job.members()} for job in jobs)
    assert not first & second


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"kind": "folds", "count": 1}, "at least 2 folds"),
        ({"kind": "seeds", "seeds": (1,)}, "at least 2 seeds"),
        ({"kind": "seeds", "seeds": (1, 1)}, "each once"),
        ({"kind": "seeds", "seeds": (0, -1)}, "whole numbers from 0"),
        ({"kind": "sources", "sources": ("one",)}, "at least 2 sources"),
        ({"kind": "sources", "sources": ("one", "one")}, "each once"),
        ({"kind": "search", "count": 0, "tune": ("dropout",)}, "at least 1 trial"),
        ({"kind": "search", "count": 3, "tune": ("augmentation",)}, "can tune learning_rate, dropout"),
        ({"kind": "search", "count": 3}, "can tune"),
        ({"kind": "holiday"}, "kind must be one of"),
        ({"kind": "folds", "count": 3, "at_once": 0}, "at_once"),
    ],
)
def test_an_impossible_plan_is_refused_with_its_rule(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        JobPlan(config=CONFIG, **values)


def test_folds_of_a_split_that_parts_patients_are_refused():
    for values in ({"kind": "folds", "count": 3}, {"kind": "sources", "sources": ("a", "b")}):
        with pytest.raises(ValueError, match="need the grouped split"):
            JobPlan(config=replace(CONFIG, split="random"), **values)


def test_a_folder_that_holds_a_job_is_refused(tmp_path):
    job = new_job(tmp_path)
    with pytest.raises(ValueError, match="already holds a job"):
        new_job(tmp_path, "folds")
    assert job.plan().kind == "seeds"


def test_jobs_are_listed_newest_first_and_a_broken_one_says_so(tmp_path):
    for name in ("20260101-a", "20260102-b"):
        create_job(plan_of(tmp_path), tmp_path / "jobs" / name, Curation())
    jobs = list_jobs(tmp_path / "jobs")
    assert [job.name for job in jobs] == ["20260102-b", "20260101-a"]
    (jobs[0].path / "job.json").write_text("{")
    with pytest.raises(ValueError):
        jobs[0].plan()


# Carrying out


def test_every_run_of_a_job_is_an_ordinary_run_and_is_trained_once(tmp_path):
    job, workers = new_job(tmp_path), Workers()
    assert carry_out_job(job, workers) == "finished"
    assert {run.config() for run in list_runs(tmp_path / "runs")} == {replace(CONFIG, seed=s) for s in (0, 1, 2)}
    assert workers.starts == ["0", "1", "2"]
    assert job.status().state == "finished" and job_progress(job)[:2] == (3, 3)
    assert set(members_table(job)["state"]) == {"finished"}


def test_no_more_runs_are_active_than_wanted(tmp_path):
    job = new_job(tmp_path, seeds=tuple(range(6)))
    active = []

    def count(run):
        active.append(sum(m.state == "running" for m in job.members()) + 1)
        # The oldest one ends once two are active.
        for member in [m for m in job.members() if m.state == "running"][: active[-1] - 1]:
            member.run.write_status(replace(member.run.status(), state="finished"))
        own = process_facts()
        return {"state": "running", **own} if len(active) < 6 else {"state": "finished"}

    assert carry_out_job(job, Workers(2, count)) == "finished"
    assert max(active) == 2 and len(active) == 6


def test_a_killed_job_leaves_no_training_behind_and_goes_on_without_repeating(tmp_path, trainer, until):
    job = new_job(tmp_path)
    first, second, _ = (m.run for m in job.members())
    create_run(job.members()[0].config, first.path, Curation())
    first.write_status(RunStatus("finished"))
    trainer.write_text("1")
    process = scheduler_process(job)
    until(lambda: second.path.exists() and second.status().epoch >= 1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    until(lambda: not second.status().is_active)
    assert second.status().state == "paused" and "has ended" in second.status().message
    assert job.status().state == "failed" and "not repeated" in job.status().message
    workers = Workers()
    acquire_job(job)
    assert carry_out_job(job, workers) == "finished"
    assert workers.starts == ["1", "2"]


def test_a_run_that_outlives_its_job_for_a_moment_is_waited_for_and_then_goes_on(tmp_path):
    job = new_job(tmp_path, seeds=(0, 1))
    run = job.members()[0].run
    create_run(job.members()[0].config, run.path, Curation())
    run.write_status(RunStatus("running", **process_facts()))

    class Late(Workers):
        def start(self, other):
            if other.name != run.name:
                run.write_status(RunStatus("paused"))
            super().start(other)

    workers = Late(2)
    assert carry_out_job(job, workers) == "finished"
    assert workers.starts == ["1", "0"]


@pytest.mark.parametrize("request_name", ["stop", "pause"])
def test_a_request_ends_the_runs_and_the_job_can_be_resumed(tmp_path, monkeypatch, request_name):
    job, asked = new_job(tmp_path), []

    def ask(run):
        (job.path / request_name).touch()
        return {"state": "running", **process_facts()}

    def obey(run, *_):
        asked.append(run.name)
        run.write_status(RunStatus("paused"))

    monkeypatch.setattr(
        "cxr_core.jobs.scheduler.halt_run" if request_name == "stop" else "cxr_core.jobs.scheduler.pause_run", obey
    )
    assert carry_out_job(job, Workers(1, ask)) == {"stop": "stopped", "pause": "paused"}[request_name]
    assert asked == [job.members()[0].run.name]
    acquire_job(job)
    workers = Workers()
    assert carry_out_job(job, workers) == "finished"
    assert workers.starts == ["0", "1", "2"]


def test_two_processes_on_one_job_are_refused(tmp_path):
    job = new_job(tmp_path)
    with pytest.raises(ValueError, match="job is starting"):
        resume_job(job)
    with FileLock(job.path / ".lock"), pytest.raises(RunTaken):
        job.write_status(replace(job.status(), state="paused"))
        acquire_job(job)


def test_a_job_that_heeds_no_request_is_ended_by_force(tmp_path):
    job = new_job(tmp_path)
    with subprocess.Popen(["sleep", "600"]) as deaf:
        job.write_status(JobStatus("running", **process_facts(deaf.pid)))
        stop_job(job, patience_seconds=0.1)
        assert deaf.wait() == -signal.SIGKILL
    assert job.status().state == "stopped"


def test_a_run_folder_that_a_killed_job_only_began_to_make_is_made_anew(tmp_path):
    job = new_job(tmp_path)
    folder = job.members()[0].run.path
    folder.mkdir(parents=True)
    (folder / "config.json").touch()
    assert carry_out_job(job, Workers()) == "finished"


def test_stopping_an_ended_job_changes_nothing(tmp_path):
    job = new_job(tmp_path)
    carry_out_job(job, Workers())
    stop_job(job)
    assert job.status().state == "finished" and not job.stop_requested
    with pytest.raises(ValueError, match="job is finished"):
        pause_job(job)


def test_a_run_whose_process_vanishes_each_time_is_tried_three_times(tmp_path):
    workers = Workers(act=lambda run: {"state": "starting"})
    job = new_job(tmp_path, seeds=(0, 1))
    assert carry_out_job(job, workers) == "failed"
    assert workers.starts == ["0"] * 3 + ["1"] * 3
    assert "0 of 2 runs are finished" in job.status().message


def test_a_job_whose_runs_all_fail_gives_up(tmp_path):
    plan = replace(plan_of(tmp_path, seeds=tuple(range(9))), config=replace(CONFIG, learning_rate=0.5))
    job, workers = create_job(plan, tmp_path / "job", Curation()), Workers()
    assert carry_out_job(job, workers) == "failed"
    assert "The loss became nan" in job.status().message
    assert len(workers.starts) == 3


# Results


def with_scores(job, scores):
    """Give finished runs a test result: `scores` right of 10 images, those of the fold."""
    for number, (member, right) in enumerate(zip(job.members(), scores, strict=True)):
        files = [f"/data/a/{10 * number + i}.png" for i in range(10)]
        rows = pd.DataFrame({"file": files, "path": files, "true": ["a", "b"] * 5, "split": "test", "group": range(10)})
        said = [t if i < right else {"a": "b", "b": "a"}[t] for i, t in enumerate(rows["true"])]
        rows = rows.assign(predicted=said, right=rows["true"] == said, confidence=0.9)
        for name in "ab":
            rows[f"p_{name}"] = np.where(rows["predicted"] == name, 0.9, 0.1)
        rows["group"] += 10 * number
        rows.to_csv(member.run.path / "predictions.csv", index=False)
        others = [f"/data/a/{i}.png" for i in range(30) if i // 10 != number]
        split = pd.DataFrame({"path": [*files, *others], "split": ["test"] * 10 + ["train"] * 20})
        split.to_csv(member.run.path / "split.csv", index=False)
        per_class = {n: {"recall": right / 10, "auc": right / 10} for n in "ab"}
        test = {"accuracy": right / 10, "n": 10, "classes": ["a", "b"], "per_class": per_class}
        (member.run.path / "metrics.json").write_text(json.dumps({"test": test}))


def test_the_folds_together_test_every_image_once(tmp_path):
    job = new_job(tmp_path, "folds")
    carry_out_job(job, Workers())
    with_scores(job, (9, 8, 10))
    results = job_results(job)
    assert results["pooled"]["n"] == 30
    assert results["pooled"]["accuracy"] == pytest.approx(27 / 30)
    spread = {row["figure"]: row for row in results["spread"]}
    assert spread["Accuracy"]["mean"] == pytest.approx(0.9)
    assert spread["Accuracy"]["sd"] == pytest.approx(np.std([0.9, 0.8, 1.0], ddof=1))
    assert "All folds together: 30 images" in job_summary(job)


def score_at(member, right_at):
    """Give a finished run test images: of each source ten, of which so many are right."""
    rows = []
    for source, right in right_at.items():
        for i in range(10):
            name = f"{source}{i}.png"
            rows.append(
                {
                    "file": name, "path": f"/data/{name}", "digest": f"{source}-{i}", "true": "a", "group": len(rows),
                    "predicted": "a" if i < right else "b", "split": "test", "source": source,
                }
            )  # fmt: skip
    table = pd.DataFrame(rows)
    table.drop(columns="source").to_csv(member.run.path / "predictions.csv", index=False)
    table.drop(columns=["true", "predicted"]).to_csv(member.run.path / "split.csv", index=False)
    (member.run.path / "metrics.json").write_text(json.dumps({"test": {"accuracy": 0.5, "n": len(rows)}}))


def test_each_source_is_scored_where_it_was_left_out_and_where_it_was_not(tmp_path):
    job = new_job(tmp_path, "sources", sources=("north", "south", "west"))
    carry_out_job(job, Workers())
    everything, *left_out = job.members()
    score_at(everything, {"north": 10, "south": 8})
    # An image of another source that is tied to a left-out one is tested with it, and does not count for it.
    score_at(left_out[0], {"north": 6, "south": 0})
    score_at(left_out[1], {"south": 4})
    score_at(left_out[2], {"west": 9})
    results = job_results(job)
    rows = {row["source"]: row for row in results["sources"]}
    assert list(rows) == ["south", "north", "west"]
    assert [row["images"] for row in rows.values()] == [10, 10, 10]
    assert [row["accuracy"] for row in rows.values()] == [0.4, 0.6, 0.9]
    assert [row["known_accuracy"] for row in rows.values()] == [0.8, 1.0, None]
    assert all(row["low"] < row["accuracy"] < row["high"] for row in rows.values())
    assert job_summary(job).endswith(
        "At sources that it has trained on, 90.0 %; at one that it has not, 50.0 % on average over the 2 of 3 sources "
        "that both tested (worst: south, 40.0 % of 10 images)."
    )
    assert results["pooled"] is None and results["spread"] == []


def test_a_copy_in_another_source_counts_for_its_own(tmp_path):
    job = new_job(tmp_path, "sources", sources=("north", "south", "west"))
    carry_out_job(job, Workers())
    _, left_out, *_ = job.members()
    score_at(left_out, {"north": 6, "south": 10})
    for name in ("predictions.csv", "split.csv"):
        table = pd.read_csv(left_out.run.path / name)
        table["digest"] = table["digest"].str.replace("south", "north")
        table.to_csv(left_out.run.path / name, index=False)
    (row,) = left_out_table([left_out]).to_dict("records")
    assert (row["source"], row["images"], row["accuracy"]) == ("north", 10, 0.6)


def test_before_a_source_was_left_out_there_is_nothing_to_say(tmp_path):
    job = new_job(tmp_path, "sources")
    assert job_results(job)["sources"] == []
    assert left_out_sentence(left_out_table(job.members())) == ""


def test_an_image_that_two_folds_test_is_not_pooled(tmp_path):
    job = new_job(tmp_path, "folds")
    carry_out_job(job, Workers())
    with_scores(job, (9, 8, 10))
    first, second, _ = (m.run for m in job.members())
    (second.path / "predictions.csv").write_bytes((first.path / "predictions.csv").read_bytes())
    assert job_results(job)["pooled"] is None


def test_a_search_tries_the_settings_as_they_are_first_and_chooses_by_validation(tmp_path, monkeypatch):
    exported = []
    monkeypatch.setattr("cxr_core.jobs.scheduler._export", exported.append)
    monkeypatch.setattr("cxr_core.runs.run.Run.needs_export", property(lambda run: run not in exported))
    job = new_job(tmp_path, "search", count=5)
    assert carry_out_job(job, Workers()) == "finished"
    members = job.members()
    assert len(members) == 5 and all(not m.config.export for m in members)
    assert members[0].config == replace(CONFIG, export=False)
    rates = [m.config.learning_rate for m in members]
    assert len(set(rates)) == 5 and all(CONFIG.learning_rate / 10 <= r <= CONFIG.learning_rate * 10 for r in rates)
    # The stand-in's validation loss is lowest at a rate of 0.004.
    nearest = min(members, key=lambda m: abs(m.config.learning_rate - 0.004)).run
    assert job_results(job)["chosen"] == nearest.name
    assert exported == [nearest]
    # What its card will say of how it was chosen.
    assert read_json(nearest.path / SEARCH_FILE) == {"trials": 5, "tune": ["learning_rate"]}
    assert sum((m.run.path / SEARCH_FILE).exists() for m in members) == 1


def test_the_same_search_tries_the_same_trials(tmp_path, monkeypatch):
    monkeypatch.setattr("cxr_core.runs.run.Run.needs_export", property(lambda run: False))
    rates = []
    for name in "ab":
        plan = plan_of(tmp_path, "search", count=3)
        job = create_job(plan, tmp_path / name, Curation())
        carry_out_job(job, Workers())
        rates.append([m.config.learning_rate for m in job.members()])
    assert rates[0] == rates[1]


def test_a_failed_trial_does_not_end_a_search(tmp_path, monkeypatch):
    monkeypatch.setattr("cxr_core.runs.run.Run.needs_export", property(lambda run: False))
    plan = replace(plan_of(tmp_path, "search", count=4), config=replace(CONFIG, learning_rate=0.02))
    job = create_job(plan, tmp_path / "job", Curation())
    assert carry_out_job(job, Workers()) == "finished"
    states = [m.state for m in job.members()]
    rates = [m.config.learning_rate for m in job.members()]
    assert states == ["failed" if rate > 0.03 else "finished" for rate in rates]
    assert "failed" in states


def test_a_job_that_the_page_starts_runs_in_a_process_of_its_own(tmp_path, monkeypatch):
    words = []
    monkeypatch.setattr(
        "cxr_core.jobs.lifecycle.spawn_detached", lambda w, folder: words.append(w) or subprocess.Popen(["true"])
    )
    job = start_job(plan_of(tmp_path), tmp_path / "job", Curation())
    assert words == [["-m", "cxr_core", "resume", str(job.path), "--into-existing"]]
    assert Job(job.path).members()[0].config == config_from_dict(job.members()[0].config.to_dict())


def test_workers_that_share_prepare_what_the_trainings_will_open(tmp_path, demo_data, monkeypatch):
    workers, asked, seen = Workers(), [], []

    def share(function, chunks):
        assert not workers.starts
        asked.extend(path for chunk in chunks for path in chunk)
        return map(function, chunks)

    def notice(*words, **options):
        seen.append(prepare_images(*words, **options, cache_dir=tmp_path / "cache"))
        return seen[-1]

    workers.share = share
    monkeypatch.setattr("cxr_core.jobs.scheduler.prepare_images", notice)
    config = replace(CONFIG, roots=(str(demo_data),), preprocessing=Preprocessing(size=48))
    table = scan_dataset(demo_data).table
    left_out = exclude(Curation(), table[:5], "by_hand")
    job = create_job(replace(plan_of(tmp_path), config=config), tmp_path / "job", left_out)
    assert carry_out_job(job, workers) == "finished"
    grouping = group_images(table, left_out, phase=lambda _: None, find_copies=False)
    _, taking_part, _ = grouping.taking_part(left_out)
    assert [len(prepared.table) for prepared in seen] == [len(table), len(table) - 5]
    assert seen[1].key == prepare_images(taking_part, config.preprocessing, cache_dir=tmp_path / "again").key
    assert len(asked) == 2 * len(table) - 5


@pytest.mark.parametrize("request_name", ["stop", "pause"])
def test_a_request_is_heeded_while_workers_prepare(tmp_path, demo_data, monkeypatch, request_name):
    prepared, workers = [], Workers()

    def share(function, chunks):
        for chunk in chunks:
            prepared.append(chunk)
            (job.path / request_name).touch()
            yield function(chunk)

    workers.share = share
    monkeypatch.setattr("cxr_core.jobs.scheduler.prepare_images", partial(prepare_images, cache_dir=tmp_path / "cache"))
    config = replace(CONFIG, roots=(str(demo_data),), preprocessing=Preprocessing(size=48))
    job = create_job(replace(plan_of(tmp_path), config=config), tmp_path / "job", Curation())
    assert carry_out_job(job, workers) == {"stop": "stopped", "pause": "paused"}[request_name]
    assert len(prepared) == 1 and not workers.starts
    acquire_job(job)
    workers.share = None
    assert carry_out_job(job, workers) == "finished"


@pytest.mark.slow
def test_a_ray_cluster_prepares_and_audits_as_this_computer_would(demo_data, tmp_path):
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-extra.txt")
    from ray.cluster_utils import Cluster

    from cxr_core.jobs.ray_workers import RayWorkers

    table = scan_dataset(demo_data).table
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        workers = RayWorkers(cluster.address, 1)
        there = prepare_images(table, Preprocessing(), cache_dir=tmp_path / "there", share=workers.share)
        audited = audit_of(demo_data, tmp_path / "cluster", "--ray", cluster.address)
    finally:
        ray.shutdown()
        cluster.shutdown()
    here = prepare_images(table, Preprocessing(), cache_dir=tmp_path / "here")
    np.testing.assert_array_equal(there.images_u8, here.images_u8)
    assert audited == audit_of(demo_data, tmp_path / "alone")


def audit_of(folder, home, *options):
    """Audit a folder in a process of its own, with caches of its own; returns what it found."""
    home.mkdir()
    words = [sys.executable, "-m", "cxr_core", "audit", folder, "--json", home / "audit.json", *options]
    subprocess.run(words, check=True, capture_output=True, env=os.environ | {"CXR_LAB_HOME": str(home)})
    return json.loads((home / "audit.json").read_text())


def test_a_cluster_that_is_lost_is_one_sentence_and_a_broken_file_keeps_its_own(monkeypatch):
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-extra.txt")
    from cxr_core.jobs.ray_workers import _result_of

    def lose(_task):
        raise ray.exceptions.NodeDiedError("Details.\nThe node died.")

    def fail(_task):
        raise ray.exceptions.RayTaskError("f", "traceback", FileNotFoundError("It is gone.")).as_instanceof_cause()

    monkeypatch.setattr(ray, "get", lose)
    with pytest.raises(OSError, match="could not read the images: The node died. Go on"):
        _result_of(None)
    monkeypatch.setattr(ray, "get", fail)
    with pytest.raises(FileNotFoundError):
        _result_of(None)


def test_a_cluster_without_ray_is_one_sentence_and_the_job_can_be_resumed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "cxr_core.jobs.ray_workers", raising=False)
    job = new_job(tmp_path, ray="127.0.0.1:6379")
    with pytest.raises(ValueError, match="pip install -r requirements-extra.txt"):
        carry_out_job(job)
    assert job.status().state == "failed" and "Ray is not installed" in job.status().message
    acquire_job(job)
