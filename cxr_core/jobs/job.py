"""What is in a job folder, and how far is the job?"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from cxr_core.config import JOBS_DIR
from cxr_core.jobs.plan import JobPlan
from cxr_core.recipes.training_config import TrainingConfig, config_from_dict
from cxr_core.runs.run import Run
from cxr_core.runs.work_folder import ACTIVE, RESUMABLE, JobState, RunState, WorkFolder
from cxr_core.system.files import read_json, write_json
from cxr_core.system.validation import settings_from_dict

_ENDED = "Ended by request; finished runs are kept, the others continue when the job is resumed."
_UNREPORTED = "The job's process ended unexpectedly. Resume it: finished runs are not repeated."

# The run of a job over sources that trains on all of them, with patients kept together.
ALL_SOURCES = "all sources"


@dataclass(frozen=True)
class Member:
    """One run of a job.

    Attributes:
        label: such as "fold 2 of 5"; the second word is unique.
        run: its folder is created when the run begins.
        config: of the run.
        values: what a trial of a search tries; else empty.
    """

    label: str
    run: Run
    config: TrainingConfig
    values: dict[str, float] = field(default_factory=dict)

    @property
    def state(self) -> RunState | Literal["waiting"]:
        """Its run's state, or "waiting" before it begins."""
        return self.run.status().state if has_begun(self.run) else "waiting"


@dataclass(frozen=True)
class JobStatus:
    """A job's state at one moment.

    Attributes:
        state: of the job.
        message: why it stopped or failed, else what it is doing, or "".
        started: Unix seconds, when this process began.
        updated: Unix seconds of the last sign of life.
        done_before: how many runs were done when this process began, unfinished ones as fractions.
        pid: the process, as for `run.RunStatus`.
        pid_started: likewise.
        host: likewise.
    """

    state: JobState
    message: str = ""
    started: float = 0.0
    updated: float = 0.0
    done_before: float = 0.0
    pid: int | None = None
    pid_started: float | None = None
    host: str = ""

    @property
    def is_active(self) -> bool:
        """True while a process works on the job."""
        return self.state in ACTIVE


@dataclass(frozen=True)
class Job(WorkFolder):
    """A job folder; every method reads the disk anew."""

    def plan(self) -> JobPlan:
        """Return what the job is to do.

        Raises:
            FileNotFoundError: the folder holds no job.
            ValueError: the plan cannot be read.
        """
        values = read_json(self.path / "job.json")
        if not isinstance(values, dict):
            raise ValueError(f"{self.path / 'job.json'} holds no job.")
        tuples = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
        config = config_from_dict(values.get("config"))
        return settings_from_dict(JobPlan, values | tuples | {"config": config})

    def members(self) -> list[Member]:
        """Return its runs so far; a search adds them as it goes."""
        folder = Path(self.plan().runs_dir)
        return [
            Member(row["label"], Run(folder / row["run"]), config_from_dict(row["config"]), row["values"])
            for row in read_json(self.path / "members.json")
        ]

    def status(self) -> JobStatus:
        """Return the job's status; if its process ended unexpectedly, "failed", or what it had been asked for."""
        status = self.read_status(JobStatus, "job")
        state = self.unreported_end(status)
        if state is None:
            return status
        return replace(status, state=state, message=_UNREPORTED if state == "failed" else _ENDED)


def is_job(folder: str | Path) -> bool:
    """Return True if a folder holds a job."""
    return (Path(folder) / "job.json").exists()


def list_jobs(jobs_dir: str | Path | None = None) -> list[Job]:
    """Return all jobs of a folder (by default `config.JOBS_DIR`), newest first."""
    folder = Path(jobs_dir or JOBS_DIR)
    paths = [p.parent for p in folder.glob("*/job.json")] if folder.is_dir() else []
    return [Job(p) for p in sorted(paths, key=lambda p: p.name, reverse=True)]


def first_members(plan: JobPlan) -> list[Member]:
    """Return the runs that a new job begins with: one per fold, seed or source, none for a search."""
    if plan.kind == "folds":
        return [
            build_member(plan, f"fold {i} of {plan.count}", replace(plan.config, folds=plan.count, fold=i))
            for i in range(1, plan.count + 1)
        ]
    if plan.kind == "sources":
        without = [replace(plan.config, split="source", test_source=name) for name in plan.sources]
        labels = [f"without {number}: {name}" for number, name in enumerate(plan.sources, start=1)]
        apart = [build_member(plan, label, config) for label, config in zip(labels, without, strict=True)]
        return [build_member(plan, ALL_SOURCES, plan.config), *apart]
    return [build_member(plan, f"seed {seed}", replace(plan.config, seed=seed)) for seed in plan.seeds]


def build_member(plan: JobPlan, label: str, config: TrainingConfig, values: dict[str, float] | None = None) -> Member:
    """Return the run of a label such as "fold 2 of 5"; its folder is not created."""
    # "fold-2": the folder's name ends with the first two words of the label.
    folder = f"{plan.prefix}-{label.split()[0]}-{label.split()[1].rstrip(':')}"
    return Member(label, Run(Path(plan.runs_dir) / folder), config, values or {})


def save_members(job: Job, members: list[Member]) -> None:
    """Write a job's runs to its folder."""
    rows = [{"label": m.label, "run": m.run.name, "config": m.config.to_dict(), "values": m.values} for m in members]
    write_json(job.path / "members.json", rows)


def has_begun(run: Run) -> bool:
    """Return True once a run's folder is created."""
    return (run.path / "status.json").exists()


def count_done(job: Job) -> float:
    """Return how many of a job's runs are done, unfinished ones as fractions."""
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
