"""How is a job created, started, paused, resumed and stopped?

A job is the folds of a cross-validation, repeated seeds, or the trials of a search. Each training is an ordinary run
folder. A job's own folder holds:

job.json        the `JobPlan`
members.json    the runs: label, folder, configuration, and what a trial tries
decisions.json  the curation of the data set (excluded images, confirmed non-duplicates) when the job began
status.json     state, process, message
results.json    what `job_results` returns, once all runs are finished
log.txt         what the job's process printed
stop, pause     requests
.lock           held by the one process that works on the job
"""

import time
from dataclasses import asdict, replace
from pathlib import Path

from cxr_core.config import JOBS_DIR
from cxr_core.jobs.job import Job, JobStatus, count_done, first_members, save_members
from cxr_core.jobs.plan import JobPlan
from cxr_core.runs.lifecycle import run_lock, spawn_detached
from cxr_core.runs.work_folder import RESUMABLE, new_folder, stamped_name
from cxr_core.splits.curation import CURATION_FILE, Curation, save_curation, stored_decisions
from cxr_core.system.files import write_json
from cxr_core.system.processes import find_process, process_facts

_DYING_SECONDS = 3.0


def create_job(plan: JobPlan, path: str | Path | None = None, curation: Curation | None = None) -> Job:
    """Create a job folder; nothing is trained yet.

    Args:
        plan: what the job is to do.
        path: the folder, which must not hold a job; a new one in `config.JOBS_DIR` by default.
        curation: of the data set; by default all that is stored about images.

    Returns:
        A job that belongs to the calling process.

    Raises:
        ValueError: the folder already holds a job or cannot be written, or the stored curation cannot be read.
    """
    plan = replace(plan, prefix=stamped_name(plan.kind))
    job = Job(Path(path or JOBS_DIR / plan.prefix).resolve())
    curation = stored_decisions(plan.config.roots) if curation is None else curation
    with new_folder(job.path, "job.json", "job"):
        save_curation(curation, job.path / CURATION_FILE)
        save_members(job, first_members(plan))
        job.write_status(JobStatus("starting", "Starting", started=time.time(), **process_facts()))
        write_json(job.path / "job.json", asdict(plan) | {"config": plan.config.to_dict()})
    return job


def start_job(plan: JobPlan, path: str | Path | None = None, curation: Curation | None = None) -> Job:
    """Create a job and start it in a process of its own that outlives a page; see `create_job`."""
    job = create_job(plan, path, curation)
    _launch(job)
    return job


def resume_job(job: Job) -> None:
    """Continue a job with the runs that are not finished, in a process of its own.

    Raises:
        ValueError: the job is active or finished, or cannot be read or written.
    """
    _check_resumable(job)
    with run_lock(job, patience_seconds=_DYING_SECONDS):
        _launch(job)


def acquire_job(job: Job) -> None:
    """Make the calling process the one that resumes a job; see `resume_job`."""
    _check_resumable(job)
    with run_lock(job, patience_seconds=_DYING_SECONDS):
        job.forget_requests()
        mark_started(job, None)


def stop_job(job: Job, *, patience_seconds: float = 8.0) -> None:
    """Stop a job: its runs end at once, and continue when it is resumed. No effect on a job that is not active.

    Args:
        job: to be stopped.
        patience_seconds: how long to wait before its process is killed.
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
        # Its trainings end with it; see `processes.tie_to_parent`.
        process.kill()


def pause_job(job: Job) -> None:
    """Ask a job to end after the current epoch of each of its runs, so that no work is lost.

    Raises:
        ValueError: the job is not active.
    """
    if not job.status().is_active:
        raise ValueError(f"Only a running job can be paused; {job.name} is {job.status().state}.")
    (job.path / "pause").touch()


def _check_resumable(job: Job) -> None:
    job.plan()
    if job.status().state not in RESUMABLE:
        raise ValueError(f"Only a stopped, paused or failed job can be resumed; {job.name} is {job.status().state}.")


def _launch(job: Job) -> None:
    job.forget_requests()
    process = spawn_detached(["-m", "cxr_core", "resume", str(job.path), "--into-existing"], job.path)
    mark_started(job, process.pid)


def mark_started(job: Job, pid: int | None) -> None:
    """Write that a process (None for the calling one) works on a job from now on."""
    facts = process_facts(pid)
    job.write_status(JobStatus("starting", "Starting", started=time.time(), done_before=count_done(job), **facts))
