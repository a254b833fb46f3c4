"""How are several training runs that belong together asked for, monitored, paused, stopped and resumed as one job?"""

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cxr_core.data.sources import source_label
from cxr_core.evaluation.repeated_runs import LEAST_RUNS
from cxr_core.jobs.job import Job, JobStatus
from cxr_core.jobs.left_out_sources import left_out_sentence, left_out_table
from cxr_core.jobs.lifecycle import pause_job, resume_job, stop_job
from cxr_core.jobs.plan import KINDS, JobKind, JobPlan
from cxr_core.jobs.results import job_progress, job_results, members_table
from cxr_core.plots.training import left_out_figure
from cxr_core.recipes.hyperparameter_search import TUNABLE, tunable
from cxr_core.recipes.training_config import TrainingConfig
from cxr_core.runs.run import Run
from ui.common.components import download_table, duration, plain_error, show_figure, show_table
from ui.common.markdown import plain_name, plain_text
from ui.common.navigation import choose, keep_choice, tell_of_disk
from ui.common.permissions import show_refusal
from ui.common.repeated_runs import show_repeated_runs
from ui.training.run_monitor import MARKS

_ONCE = "Once"
_KIND_LABELS = {
    _ONCE: "Single run",
    "folds": "Cross-validation",
    "seeds": "Several seeds",
    "sources": "Leave one source out",
    "search": "Search",
}
_VIEW_LABELS = {"Trainings": "Runs", "Jobs": "Jobs"}
_REFRESH_SECONDS = 1.0


def ask_plan(config: TrainingConfig | None, sources: Sequence[str]) -> JobPlan | None:
    """Ask whether to train a single run, or a job of several.

    Args:
        config: None where the form above it is not valid.
        sources: of the data set; with fewer than two none can be left out.

    Returns:
        The job; None for a single run.
    """
    kinds = [_ONCE, *(kind for kind in KINDS if kind != "sources" or len(sources) > 1)]
    kind = st.segmented_control(
        "Train",
        kinds,
        required=True,
        format_func=_KIND_LABELS.__getitem__,
        key=keep_choice("job_kind", _ONCE, kinds),
        help="A single run, or several as one job that can be paused, stopped and resumed as a whole.",
    )
    if kind not in KINDS or config is None:
        return None
    st.caption(KINDS[kind])
    first, second, third = st.columns(3)
    at_once = third.number_input(
        "Runs in parallel", 1, 64, 1, key="job_at_once", persist_state="session",
        help="On few cores they only slow each other down; each needs about 1 GB of memory.",
    )  # fmt: skip
    try:
        return _ask_details(kind, config, sources, int(at_once), first, second)
    except ValueError as error:
        st.error(plain_error(error))
        st.stop()


def _ask_details(
    kind: JobKind,
    config: TrainingConfig,
    sources: Sequence[str],
    at_once: int,
    first: DeltaGenerator,
    second: DeltaGenerator,
) -> JobPlan:
    """Ask for folds, seeds, sources or trials; ValueError where they contradict a plan's rules."""
    if kind == "folds":
        folds = first.number_input(
            "Folds", 2, 50, 5, key="job_folds", persist_state="session", help="One run each; 5 or 10 are usual."
        )
        if config.split != "grouped":
            st.info("Folds keep patients together, so the grouped split is used.")
        return JobPlan(kind=kind, config=replace(config, split="grouped"), count=int(folds), at_once=at_once)
    if kind == "sources":
        left_out = first.multiselect(
            "Leave out", sources, default=sources, format_func=source_label, key=f"job_sources {' '.join(sources)}",
            help="One run without each of them, and one with all.",
        )  # fmt: skip
        return JobPlan(kind=kind, config=replace(config, split="grouped"), sources=tuple(left_out), at_once=at_once)
    if kind == "seeds":
        count = first.number_input("Seeds", 2, 50, 5, key="job_seeds", persist_state="session", help="One run each.")
        seeds = tuple(range(config.seed, config.seed + int(count)))
        second.markdown(f"From {seeds[0]:d} to {seeds[-1]:d}")
        return JobPlan(kind=kind, config=config, seeds=seeds, at_once=at_once)
    trials = first.number_input("Trials", 1, 500, 20, key="job_trials", persist_state="session", help="One run each.")
    tune = second.multiselect(
        "Tune",
        tunable(config),
        default=tunable(config),
        format_func=lambda key: key.replace("_", " ").capitalize(),
        key=f"job_tune_{config.train_from}",
        persist_state="session",
        help=" ".join(f"{key}: {text}" for key, text in TUNABLE.items()),
    )
    return JobPlan(kind=kind, config=config, count=int(trials), tune=tuple(tune), at_once=at_once)


def choose_view(jobs: Sequence[Job], active: Run | Job | None) -> str:
    """Let the user look at single runs or at jobs; what was just started, or is active, comes first.

    Args:
        jobs: all of them.
        active: what is training now, if anything.

    Returns:
        "Trainings" or "Jobs"; "Trainings" without asking where there is no job.
    """
    if not jobs:
        return "Trainings"
    if "watched_job" in st.session_state:
        st.session_state["training_view"] = "Jobs"
    elif "watched_run" in st.session_state:
        st.session_state["training_view"] = "Trainings"
    elif "training_view" not in st.session_state:
        st.session_state["training_view"] = "Jobs" if active in jobs else "Trainings"
    chosen = st.segmented_control(
        "Show", list(_VIEW_LABELS), key="training_view", persist_state="session", required=True,
        format_func=_VIEW_LABELS.__getitem__,
        help="Runs: every single one, including those of a job. Jobs: folds, seeds and searches as a whole.",
    )  # fmt: skip
    return chosen or "Trainings"


def show_jobs(jobs: Sequence[Job], *, others_active: bool = False) -> None:
    """Show one of the jobs: its state, its runs and what they found.

    Args:
        jobs: at least one.
        others_active: True while something else is training, so that no job can be resumed.
    """
    job = _choose_job(jobs)
    try:
        plan = job.plan()
    except (FileNotFoundError, ValueError) as error:
        st.error(f"This job cannot be read: {plain_error(error)}")
        return
    active = job.status().is_active

    @st.fragment(run_every=_REFRESH_SECONDS if active else None)
    @tell_of_disk()
    def view() -> None:
        status = job.status()
        if active and not status.is_active:
            st.rerun()
        done, total, eta = job_progress(job)
        st.markdown(f"{MARKS[status.state]} **{plain_text(status.state.capitalize())}** {plain_text(status.message)}")
        left = f", about {duration(eta)} left" if eta is not None else ""
        st.progress(min(1.0, done / total), f"{_KIND_LABELS[plan.kind]}: {int(done)} of {total:d} runs done{left}")
        if status.state != "finished" and not show_refusal("training"):
            _show_actions(job, status, others_active)
        _show_members(job)

    view()
    if not active:
        _show_results(job, plan)


def _choose_job(jobs: Sequence[Job]) -> Job:
    """Let the user choose a job; one that was just started is chosen."""
    by_name = {job.name: job for job in jobs}
    started = st.session_state.pop("watched_job", None)
    if started in by_name:
        choose("job", started)
    return by_name[st.selectbox("Job", list(by_name), key=keep_choice("job", None, by_name), help="Newest first.")]


def _show_members(job: Job) -> None:
    table = members_table(job)
    formats = dict.fromkeys(TUNABLE, "%.4g") | {"lowest validation loss": "%.4f"}
    show_table(table, percents=[str(c) for c in table if "accuracy" in str(c)], formats=formats)


def _show_actions(job: Job, status: JobStatus, others_active: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if status.is_active:
            _offer_pause_and_stop(job)
        elif st.button(
            "Resume the job", type="primary", icon=":material/play_arrow:", disabled=others_active,
            help="Continues with what is not finished."
            + (" Wait until the other training has ended." if others_active else ""),
        ):  # fmt: skip
            try:
                resume_job(job)
            except (ValueError, OSError) as error:
                st.error(plain_error(error))
            else:
                st.rerun()


def _offer_pause_and_stop(job: Job) -> None:
    pausing = job.pause_requested
    if st.button(
        "Pausing after this epoch" if pausing else "Pause the job", icon=":material/pause:", disabled=pausing,
        help="Its runs end after their current epochs; nothing is lost.",
    ):  # fmt: skip
        pause_job(job)
        st.rerun()
    with st.popover("Stop the job", icon=":material/stop:", help="Ends its runs now."):
        st.write("Finished runs are kept. Resuming continues the others after their last finished epoch.")
        if st.button("Stop it now", type="primary", key="stop_job_now", help="Takes a few seconds."):
            with st.spinner("Stopping…"):
                stop_job(job)
            st.rerun()


def _show_results(job: Job, plan: JobPlan) -> None:
    if plan.kind == "search":
        chosen = job_results(job)["chosen"]
        if chosen:
            st.markdown(
                f"Lowest validation loss: **{plain_name(chosen)}**. Only this run was evaluated on the test images."
            )
        download_table("All trials (CSV)", members_table(job), f"{job.name}.csv")
        return
    if plan.kind == "sources":
        _show_left_out(job)
        return
    tested = [member.run for member in job.members() if member.state == "finished" and member.run.metrics()]
    if len(tested) >= LEAST_RUNS:
        show_repeated_runs(tested)
    else:
        st.info("Mean and spread appear here once two of its runs are finished.")


def _show_left_out(job: Job) -> None:
    table = left_out_table(job.members())
    if table.empty:
        st.info("The accuracy at each source appears here once a run without it is finished.")
        return
    named = table.assign(source=table["source"].map(source_label))
    st.markdown(f"**{plain_text(left_out_sentence(named))}**")
    show_figure(left_out_figure(named))
    st.caption(
        "Line: the 95 % interval where the source was left out. Hollow: its own test images where all sources trained."
    )
    download_table("Accuracy at each source (CSV)", table, f"{job.name}.csv")
