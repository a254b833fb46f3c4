"""Several trainings as one job: the folds of a cross-validation, repeated seeds, or the trials of a search.

Each training is an ordinary run folder. A job's own folder holds:

job.json        the JobPlan
members.json    the runs: label, folder, configuration, and what a trial tries
decisions.json  pictures left out and look-alikes told apart, as they were decided when the job began
status.json     state, process, message
results.json    what `job_results` gathers, once all runs are finished
log.txt         what the job's process printed
stop, pause     requests
.lock           held by the one process that works on the job
"""

import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pandas as pd

from cxr_core.config import JOBS_DIR, RUNS_DIR
from cxr_core.evaluation.metrics import figure_text
from cxr_core.evaluation.repeated_runs import (
    pooled_metrics,
    pooled_predictions,
    repeats_sentence,
    repeats_table,
    spread_table,
)
from cxr_core.recipes.hyperparameter_search import tunable
from cxr_core.recipes.training_config import TrainingConfig, config_from_dict
from cxr_core.runs.lifecycle import hold_run, spawn_detached
from cxr_core.runs.run import Run
from cxr_core.runs.work_folder import ACTIVE, RESUMABLE, WorkFolder, claim_folder, stamped_name
from cxr_core.splits.curation import DECISIONS_FILE, decisions_path, load_decisions, save_decisions
from cxr_core.system.files import read_json, write_json
from cxr_core.system.processes import find_process, process_facts
from cxr_core.system.validation import check_kinds, settings_from_dict

KINDS = {
    "folds": "Cross-validation: every picture is tested once, by a network that never saw it or its patient. Costs as "
    "many trainings as there are folds.",
    "seeds": "The same training under several seeds, each with its own split, weights and order: how much of a score "
    "is luck. Costs one training per seed.",
    "search": "Tries learning rates, dropouts and strengths of augmentation; validation chooses, and only the chosen "
    "one is tested. Costs one training per trial.",
}
_DYING_SECONDS = 3.0
_ENDED = "Ended by request; finished runs stay, the others go on when it is resumed."
_WORDLESS = "The job's process ended without a word. Resume it: finished runs are not repeated."


@dataclass(frozen=True, kw_only=True)
class JobPlan:
    """What a job is to do.

    Attributes:
        kind: a key of `KINDS`.
        config: training_config.TrainingConfig that all its runs begin with; of a search, `seed` also decides what is tried.
        count: int, folds (at least 2) or trials (at least 1); 0 for seeds.
        seeds: tuple of different int, at least 2 for "seeds", else empty.
        tune: tuple of keys of `hyperparameter_search.TUNABLE`, at least one for "search", else empty.
        at_once: int >= 1, trainings at the same time. Each takes all cores it can get and about a gigabyte.
        ray: str, address of a Ray cluster that trains them, "" for this computer.
        runs_dir: str, where the run folders lie; every worker of a cluster must see it under this path.
        prefix: str, what their names begin with; chosen when the job is made, so that no two jobs share a run.

    Raises:
        ValueError: a value outside its range; the rule and the value are named.
    """

    kind: str
    config: TrainingConfig
    count: int = 0
    seeds: tuple = ()
    tune: tuple = ()
    at_once: int = 1
    ray: str = ""
    runs_dir: str = str(RUNS_DIR)
    prefix: str = ""

    def __post_init__(self):
        check_kinds(self)
        rules = (
            (self.kind in KINDS, f"kind must be one of {', '.join(KINDS)}", self.kind),
            (self.kind != "folds" or self.count >= 2, "a cross-validation needs at least 2 folds", self.count),
            (self.kind != "search" or self.count >= 1, "a search needs at least 1 trial", self.count),
            (
                self.kind != "search" or (self.tune and set(self.tune) <= set(tunable(self.config))),
                f"a search of this recipe can tune {', '.join(tunable(self.config))}",
                self.tune,
            ),
            (
                self.kind != "seeds" or len(set(self.seeds)) == len(self.seeds) >= 2,
                "repeating needs at least 2 seeds, each once",
                self.seeds,
            ),
            (all(type(s) is int and s >= 0 for s in self.seeds), "seeds must be whole numbers from 0", self.seeds),
            (self.at_once >= 1, "at_once must be at least 1", self.at_once),
        )
        for holds, rule, value in rules:
            if not holds:
                raise ValueError(f"{rule}; received {value!r}.")
        if self.kind == "folds" and self.config.split != "grouped":
            raise ValueError(
                f"Folds keep patients together: they need the grouped split; received {self.config.split!r}."
            )

    @property
    def total(self):
        """How many runs there will be."""
        return len(self.seeds) if self.kind == "seeds" else self.count


@dataclass(frozen=True)
class Member:
    """One run of a job.

    Attributes:
        label: str such as "fold 2 of 5".
        run: run.Run; its folder is made when it begins.
        config: training_config.TrainingConfig.
        values: dict, what a trial of a search tries; else empty.
    """

    label: str
    run: Run
    config: TrainingConfig
    values: dict = field(default_factory=dict)

    @property
    def state(self):
        """Its run's state, or "waiting" before it begins."""
        return self.run.status().state if has_begun(self.run) else "waiting"


@dataclass(frozen=True)
class JobStatus:
    """One look at a job.

    Attributes:
        state: "starting", "running", "finished", "stopped", "paused" or "failed".
        message: why it stopped or failed, else what it is doing, or "".
        started, updated: Unix seconds.
        done_before: how many runs, parts counted, were done when this process began.
        pid, pid_started, host: the process that works on it, as for `run.RunStatus`.
    """

    state: str
    message: str = ""
    started: float = 0.0
    updated: float = 0.0
    done_before: float = 0.0
    pid: int | None = None
    pid_started: float | None = None
    host: str = ""

    @property
    def is_active(self):
        """True while a process works on the job."""
        return self.state in ACTIVE


@dataclass(frozen=True)
class Job(WorkFolder):
    """A job folder; every method reads the disk anew."""

    def plan(self):
        """Return the JobPlan; ValueError or FileNotFoundError if it cannot be read."""
        values = read_json(self.path / "job.json")
        if not isinstance(values, dict):
            raise ValueError(f"{self.path / 'job.json'} holds no job.")
        tuples = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
        config = config_from_dict(values.get("config"))
        return settings_from_dict(JobPlan, values | tuples | {"config": config})

    def members(self):
        """Return its Members so far, a list; a search adds them as it goes."""
        folder = Path(self.plan().runs_dir)
        return [
            Member(row["label"], Run(folder / row["run"]), config_from_dict(row["config"]), row["values"])
            for row in read_json(self.path / "members.json")
        ]

    def status(self):
        """Return a JobStatus. A job whose process went without a word shows as failed, or as what it was asked for."""
        status = self.read_status(JobStatus, "job")
        state = self.end_without_a_word(status)
        if state is None:
            return status
        return replace(status, state=state, message=_WORDLESS if state == "failed" else _ENDED)


def is_job(folder):
    """Return True if a folder holds a job."""
    return (Path(folder) / "job.json").exists()


def create_job(plan, path=None, decisions=None):
    """Make a job folder; nothing is trained yet.

    Args:
        plan: JobPlan.
        path: str or Path of the folder, which may not hold a job; a new one in `config.JOBS_DIR` by default.
        decisions: curation.Decisions about the data; by default those kept beside their index.

    Returns:
        Job, with the calling process as its own.

    Raises:
        ValueError: the folder already holds a job, or cannot be written.
    """
    plan = replace(plan, prefix=stamped_name(plan.kind))
    job = Job(Path(path or JOBS_DIR / plan.prefix).resolve())
    decisions = load_decisions(decisions_path(plan.config.roots)) if decisions is None else decisions
    claim_folder(job.path, "job.json", "job")
    save_decisions(decisions, job.path / DECISIONS_FILE)
    save_members(job, _first_members(plan))
    job.write_status(JobStatus("starting", "Starting", started=time.time(), **process_facts()))
    write_json(job.path / "job.json", asdict(plan) | {"config": plan.config.to_dict()})
    return job


def start_job(plan, path=None, decisions=None):
    """Start a job in a process of its own that outlives a page; see `create_job`.

    Returns:
        Job, with status "starting".
    """
    job = create_job(plan, path, decisions)
    _launch(job)
    return job


def resume_job(job):
    """Let a job go on with the runs that are not finished, in a process of its own.

    Raises:
        ValueError: the job is active or finished, or cannot be read or written.
    """
    _check_resumable(job)
    with hold_run(job, patience_seconds=_DYING_SECONDS):
        _launch(job)


def claim_job(job):
    """Make the calling process the one that resumes a job; see `resume_job`."""
    _check_resumable(job)
    with hold_run(job, patience_seconds=_DYING_SECONDS):
        job.forget_requests()
        mark_started(job, None)


def stop_job(job, *, patience_seconds=8.0):
    """Ask a job to stop and see to it: its runs end at once, and can go on with it later.

    A job that is not active is left alone.
    """
    status = job.status()
    if not status.is_active:
        return
    (job.path / "stop").touch()
    end = time.monotonic() + patience_seconds
    while job.status().is_active and time.monotonic() < end:
        time.sleep(0.05)
    process = find_process(status) if job.status().is_active else None
    if process is not None:
        # Its trainings follow it; see `processes.own_children`.
        process.kill()


def pause_job(job):
    """Ask a job to end after the epochs that its runs are in, so that nothing is lost.

    Raises:
        ValueError: the job is not active.
    """
    if not job.status().is_active:
        raise ValueError(f"Only a running job can be paused; {job.name} is {job.status().state}.")
    (job.path / "pause").touch()


def list_jobs(jobs_dir=None):
    """Return all Jobs of a folder (by default `config.JOBS_DIR`), newest first."""
    folder = Path(jobs_dir or JOBS_DIR)
    paths = [p.parent for p in folder.glob("*/job.json")] if folder.is_dir() else []
    return [Job(p) for p in sorted(paths, key=lambda p: p.name, reverse=True)]


def job_progress(job):
    """Say how far a job is.

    Returns:
        (done, total, eta_seconds): float runs, parts counted; int; float at the pace so far, or None.
    """
    status, total = job.status(), job.plan().total
    done = _done(job)
    gained, spent = done - status.done_before, status.updated - status.started
    eta = (total - done) * spent / gained if status.is_active and gained > 0 and spent > 0 else None
    return done, total, eta


def members_table(job):
    """Return a DataFrame for people: one row per run of a job, with what it tries and how it does."""
    rows = []
    for member in job.members():
        state = member.state
        status, epochs, metrics = member.run.status(), member.run.epochs(), member.run.metrics()
        rows.append(
            {
                "part": member.label,
                "state": state,
                "epochs": "" if state == "waiting" else f"{status.epoch} of {status.epochs}",
                **member.values,
                "lowest validation loss": epochs["val_loss"].min() if len(epochs) else None,
                "best validation accuracy": epochs["val_accuracy"].max() if len(epochs) else None,
                "test accuracy": metrics["test"]["accuracy"] if metrics else None,
                "run": member.run.name,
                "message": "" if state in ("waiting", "finished") else status.message,
            }
        )
    return pd.DataFrame(rows)


def job_results(job):
    """Gather what a job found.

    Returns:
        dict of `kind`, `runs` (one dict per tested run), `spread` (one dict per figure, see
        `repeated_runs.spread_table`; empty for a search), `pooled` (all folds together, as
        `metrics.evaluate_predictions`, or None) and, for a search, `trials` and `chosen`, the name of the run with
        the lowest validation loss (or None).
    """
    plan, members = job.plan(), job.members()
    tested = [member.run for member in members if member.run.metrics() and member.state == "finished"]
    found = {"kind": plan.kind, "runs": _plain(repeats_table(tested)), "spread": [], "pooled": None}
    if plan.kind == "search":
        best = best_trial(members)
        trials = [{"part": m.label, "run": m.run.name, **m.values, "loss": member_loss(m)} for m in members]
        return found | {"trials": trials, "chosen": best.run.name if best else None}
    if len(tested) > 1:
        found["spread"] = _plain(spread_table(tested))
    pooled = pooled_predictions(tested) if plan.kind == "folds" else None
    if pooled is not None:
        found["pooled"] = pooled_metrics(pooled, tested[0].metrics()["test"]["classes"])
    return found


def job_summary(job):
    """Say in a few lines what a job found, str."""
    results = job_results(job)
    if results["kind"] == "search":
        table = pd.DataFrame(results["trials"]).sort_values("loss", na_position="last")
        return f"{table.to_string(index=False)}\nLowest validation loss: {results['chosen']}"
    lines = [repeats_sentence(pd.DataFrame(results["runs"]))] if len(results["runs"]) > 1 else []
    if results["spread"]:
        lines.append(pd.DataFrame(results["spread"]).round(4).to_string(index=False))
    if results["pooled"]:
        pooled = results["pooled"]
        told = figure_text(pooled["accuracy"], pooled["ci95"]["accuracy"])
        lines.append(f"All folds together: {pooled['n']} images, accuracy {told}")
    return "\n".join(lines)


def _first_members(plan):
    if plan.kind == "folds":
        return [
            build_member(plan, f"fold {i} of {plan.count}", replace(plan.config, folds=plan.count, fold=i))
            for i in range(1, plan.count + 1)
        ]
    return [build_member(plan, f"seed {seed}", replace(plan.config, seed=seed)) for seed in plan.seeds]


def build_member(plan, label, config, values=None):
    """Return the Member of a label such as "fold 2 of 5"; nothing is made on the disk."""
    # The number alone: "fold 2 of 5" and "seed 3" are the second word of a folder's name.
    folder = f"{plan.prefix}-{label.split()[0]}-{label.split()[1]}"
    return Member(label, Run(Path(plan.runs_dir) / folder), config, values or {})


def save_members(job, members):
    """Write a job's Members to its folder."""
    rows = [{"label": m.label, "run": m.run.name, "config": m.config.to_dict(), "values": m.values} for m in members]
    write_json(job.path / "members.json", rows)


def has_begun(run):
    """Return True once a run's folder is made."""
    return (run.path / "status.json").exists()


def member_loss(member):
    """Return the lowest validation loss of a finished Member, or None. The test images play no part in it."""
    epochs = member.run.epochs() if member.state == "finished" else ()
    return float(epochs["val_loss"].min()) if len(epochs) else None


def best_trial(members):
    """Return the finished Member with the lowest validation loss, or None."""
    losses = [(member_loss(member), i) for i, member in enumerate(members)]
    losses = [(loss, i) for loss, i in losses if loss is not None]
    return members[min(losses)[1]] if losses else None


def _done(job):
    done = 0.0
    for member in job.members():
        state = member.state
        if state == "finished":
            done += 1
        elif state in (*ACTIVE, *RESUMABLE):
            status = member.run.status()
            part = status.epoch + (status.batch / status.batches if status.batches else 0)
            done += min(0.99, part / max(1, status.epochs))
    return done


def _check_resumable(job):
    job.plan()
    if job.status().state not in RESUMABLE:
        raise ValueError(f"Only a stopped, paused or failed job can be resumed; {job.name} is {job.status().state}.")


def _launch(job):
    job.forget_requests()
    process = spawn_detached(["-m", "cxr_core", "resume", str(job.path), "--into-existing"], job.path)
    mark_started(job, process.pid)


def mark_started(job, pid):
    """Write that a process (None for the calling one) works on a job from now on."""
    facts = process_facts(pid)
    job.write_status(JobStatus("starting", "Starting", started=time.time(), done_before=_done(job), **facts))


def _plain(table):
    """Return a table's rows as dicts that JSON can hold."""
    return table.astype(object).where(table.notna(), None).to_dict("records")
