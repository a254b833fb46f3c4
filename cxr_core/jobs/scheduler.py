"""Which run is started next, and when is a job over?"""

import shutil
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol

from cxr_core.config import PROJECT_DIR
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.prepared_images import prepare_images
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.jobs.job import Job, Member, build_member, has_begun, save_members
from cxr_core.jobs.lifecycle import mark_started
from cxr_core.jobs.local_workers import LocalWorkers
from cxr_core.jobs.plan import JobPlan
from cxr_core.jobs.results import best_trial, job_results, member_loss
from cxr_core.recipes.hyperparameter_search import suggest_trial
from cxr_core.runs.lifecycle import create_run, halt_run, pause_run, run_lock
from cxr_core.runs.run import SEARCH_FILE, Run
from cxr_core.runs.work_folder import ACTIVE
from cxr_core.splits.curation import CURATION_FILE, excluded_rows, load_curation
from cxr_core.system.files import why_it_failed, write_json
from cxr_core.system.processes import tie_to_parent
from cxr_core.system.progress import ShareWork, in_threads
from cxr_core.system.visit_folders import keep_until_exit

if TYPE_CHECKING:
    from cxr_core.jobs.ray_workers import RayWorkers

_POLL_SECONDS = 0.5
# How often a run is tried whose process ends unexpectedly.
_TRIES = 3
# If this many runs fail before one finishes, something is wrong with all of them.
_HOPELESS = 3
_HALTED = "Ended together with its job; it can be resumed after its last finished epoch."
JobEnd = Literal["finished", "stopped", "paused", "failed"]


class Workers(Protocol):
    """What trains the runs of a job.

    Attributes:
        at_once: how many trainings run at the same time.
        share: how the images are prepared before the trainings begin; None leaves that to the first training.
    """

    @property
    def at_once(self) -> int: ...  # noqa: D102
    @property
    def share(self) -> ShareWork | None: ...  # noqa: D102

    def start(self, run: Run) -> None:
        """Begin a run, or continue it after its last finished epoch."""

    def has_ended(self, run: Run) -> bool:
        """Return True once no process works on a run."""


def carry_out_job(job: Job, workers: Workers | None = None) -> JobEnd:
    """Work on a job until all its runs are finished, or somebody asks it to stop or pause.

    Finished runs are never repeated, interrupted ones continue after their last finished epoch, and one whose process
    ends unexpectedly is tried up to three times.

    Args:
        job: to be carried out.
        workers: by default those that the plan asks for.

    Returns:
        The final state.

    Raises:
        lifecycle.RunTaken: another process works on the job.
        ValueError: the job, a run or the cluster does not allow it; the job is marked as failed with the same sentence.
        OSError: likewise.
    """
    with run_lock(job, patience_seconds=10.0):
        mark_started(job, None)
        # The trainings must not outlive this process: nobody would notice how they end.
        tie_to_parent()
        try:
            plan = job.plan()
            if workers is None:
                workers = ray_workers(plan.ray, plan.at_once) if plan.ray else LocalWorkers(plan.at_once)
            state, message = _Scheduler(job, plan, workers).work()
            if state == "finished":
                write_json(job.path / "results.json", job_results(job))
        except (ValueError, OSError) as error:
            job.write_status(replace(job.status(), state="failed", message=why_it_failed(error)))
            raise
        job.write_status(replace(job.status(), state=state, message=message))
        return state


class _AskedToEnd(Exception):
    """Somebody asked for a stop or a pause while the images were being prepared."""


class _Scheduler:
    """Hands out a job's runs to workers, and watches how they end."""

    def __init__(self, job: Job, plan: JobPlan, workers: Workers) -> None:
        self._job, self._plan, self._workers = job, plan, workers
        self._members = job.members()
        self._curation = load_curation(job.path / CURATION_FILE)
        unfinished = [m for m in self._members if m.state != "finished"]
        # A run that is still active belongs to an earlier process of this job, and is about to end.
        self._left_over = [m for m in unfinished if m.state in ACTIVE]
        self._waiting = [m for m in unfinished if m not in self._left_over]
        self._active: list[Member] = []
        self._failed: list[Member] = []
        # By the name of the run.
        self._tries: Counter[str] = Counter()

    def work(self) -> tuple[JobEnd, str]:
        """Return the final state and the message that the job then shows."""
        if self._workers.share and self._waiting:
            with suppress(_AskedToEnd):
                self._prepare()
        while True:
            if self._job.stop_requested:
                return self._end_now()
            if self._job.pause_requested:
                return self._end_after_epochs()
            self._look_after_ended()
            if len(self._failed) >= _HOPELESS and not any(m.state == "finished" for m in self._members):
                self._halt()
                return "failed", f"Every run fails: {self._failed[-1].run.status().message}"
            self._start_more()
            if not self._active and not self._left_over:
                return self._end()
            self._say()
            time.sleep(_POLL_SECONDS)

    def _prepare(self) -> None:
        """Prepare the images, unless they are cached: once to search for duplicates, once for the networks."""
        config = self._plan.config
        keep_until_exit(config.roots)
        prepare = partial(prepare_images, progress=self._report, share=self._workers.share or in_threads)
        dataset = scan_dataset(*config.roots, progress=partial(self._report, step="Listing the images"))
        table = prepare(dataset.table, Preprocessing()).table
        taking_part = table[~excluded_rows(table, self._curation)].reset_index(drop=True)
        prepare(taking_part, config.preprocessing)

    def _report(self, done: int, total: int, step: str = "Preparing the images") -> None:
        if self._job.stop_requested or self._job.pause_requested:
            raise _AskedToEnd
        self._say(f"{step}: {done:,} of {total:,}")

    def _look_after_ended(self) -> None:
        for member in [m for m in self._left_over if not m.run.status().is_active]:
            self._left_over.remove(member)
            if member.state != "finished":
                self._waiting.insert(0, member)
        for member in [m for m in self._active if self._workers.has_ended(m.run)]:
            self._active.remove(member)
            status = member.run.status()
            self._tries[member.run.name] += 1
            if status.state == "finished":
                continue
            if status.lost and self._tries[member.run.name] < _TRIES:
                self._waiting.insert(0, member)
            else:
                self._failed.append(member)

    def _start_more(self) -> None:
        while len(self._active) + len(self._left_over) < self._workers.at_once:
            if not self._waiting and self._plan.kind == "search" and len(self._members) < self._plan.count:
                self._add_trial()
            if not self._waiting:
                return
            member = self._waiting.pop(0)
            if not has_begun(member.run):
                # A killed job may have left a folder that it had only begun to fill.
                shutil.rmtree(member.run.path, ignore_errors=True)
                create_run(member.config, member.run.path, self._curation, queued=True)
            self._workers.start(member.run)
            self._active.append(member)

    def _add_trial(self) -> None:
        past = [(m.values, member_loss(m)) for m in self._members if m.state in ("finished", "failed")]
        number, base = len(self._members) + 1, replace(self._plan.config, export=False)
        config, values = suggest_trial(base, self._plan.tune, past, number=number, seed=base.seed)
        member = build_member(self._plan, f"trial {number} of {self._plan.count}", config, values)
        self._members.append(member)
        self._waiting.append(member)
        save_members(self._job, self._members)

    def _end(self) -> tuple[JobEnd, str]:
        if self._plan.kind == "search":
            return self._end_search()
        finished = [m for m in self._members if m.state == "finished"]
        if len(finished) < self._plan.total:
            member = next(m for m in self._members if m.state != "finished")
            told = f"{len(finished)} of {self._plan.total} runs are finished. {member.label} is {member.state}"
            return "failed", f"{told}: {member.run.status().message} Resume the job to try the others again."
        return "finished", ""

    def _end_search(self) -> tuple[JobEnd, str]:
        best = best_trial(self._members)
        if best is None:
            return "failed", "No trial finished."
        if best.run.needs_export:
            self._say(f"Testing the chosen trial, {best.label}")
            told = {"trials": len(self._members), "tune": list(self._plan.tune)}
            write_json(best.run.path / SEARCH_FILE, told)
            _export(best.run)
        if best.run.needs_export:
            return "failed", f"{best.label} was chosen, but could not be exported: {best.run.log_tail(3)}"
        return "finished", f"{best.label} has the lowest validation loss."

    def _end_now(self) -> tuple[JobEnd, str]:
        self._halt()
        return "stopped", "Stopped by request; finished runs are kept, the others can be resumed."

    def _halt(self) -> None:
        for member in self._active + self._left_over:
            halt_run(member.run, _HALTED)

    def _end_after_epochs(self) -> tuple[JobEnd, str]:
        for member in self._active + self._left_over:
            if member.run.status().is_active:
                pause_run(member.run)
        while any(m.run.status().is_active for m in self._active + self._left_over):
            if self._job.stop_requested:
                return self._end_now()
            self._say("Pausing after the current epochs")
            time.sleep(_POLL_SECONDS)
        return "paused", "Paused after finished epochs; resume it whenever you like."

    def _say(self, message: str = "") -> None:
        status = self._job.status()
        message = message or f"Training {', '.join(m.label for m in self._active)}"
        self._job.write_status(replace(status, state="running", message=message))


def _export(run: Run) -> None:
    words = [sys.executable, "-m", "cxr_core", "export", str(run.path)]
    with (run.path / "log.txt").open("ab") as log:
        subprocess.run(words, cwd=PROJECT_DIR, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)


def ray_workers(address: str, at_once: int = 1) -> "RayWorkers":
    """Return the workers of a Ray cluster.

    Raises:
        ValueError: Ray is not installed, or there is no cluster at that address.
    """
    try:
        from cxr_core.jobs.ray_workers import RayWorkers
    except ModuleNotFoundError as error:
        raise ValueError("Ray is not installed; pip install -r requirements-extra.txt.") from error
    return RayWorkers(address, at_once)
