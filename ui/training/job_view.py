"""Ask for, watch, pause, stop and resume jobs: several trainings that belong together."""

from dataclasses import replace

import streamlit as st

from cxr_core.evaluation.repeated_runs import LEAST_RUNS
from cxr_core.jobs.lifecycle import pause_job, resume_job, stop_job
from cxr_core.jobs.plan import KINDS, JobPlan
from cxr_core.jobs.results import job_progress, job_results, members_table
from cxr_core.recipes.hyperparameter_search import TUNABLE, tunable
from ui.common.components import download_table, duration
from ui.common.permissions import show_refusal
from ui.common.repeated_runs import show_repeated_runs
from ui.training.run_monitor import MARKS

_ONCE = "Once"
_KIND_LABELS = {"folds": "Cross-validation", "seeds": "Several seeds", "search": "Search"}
_REFRESH_SECONDS = 1.0


def ask_plan(config):
    """Ask whether a training is to be done once or as a job of several.

    Args:
        config: training_config.TrainingConfig, or None where the form above it is not right yet.

    Returns:
        plan.JobPlan, or None for a single training.
    """
    kind = st.segmented_control(
        "Train",
        [_ONCE, *KINDS],
        default=_ONCE,
        format_func=lambda kind: _KIND_LABELS.get(kind, kind),
        key="job_kind",
        help="Once, or several times as one job that can be paused, stopped and resumed as a whole.",
    )
    if kind not in KINDS or config is None:
        return None
    st.caption(KINDS[kind])
    first, second, third = st.columns(3)
    at_once = third.number_input(
        "At the same time", 1, 64, 1, key="job_at_once",
        help="Trainings side by side. On few cores they only slow each other down; each needs about a gigabyte.",
    )  # fmt: skip
    common = {"kind": kind, "config": config, "at_once": int(at_once)}
    try:
        if kind == "folds":
            count = first.number_input(
                "Folds", 2, 50, 5, key="job_folds", help="Each is one training; 5 or 10 are usual."
            )
            if config.split != "grouped":
                st.info("Folds keep patients together: the grouped split is taken.")
            return JobPlan(count=int(count), **common | {"config": replace(config, split="grouped")})
        if kind == "seeds":
            count = first.number_input("Seeds", 2, 50, 5, key="job_seeds", help="Each is one training.")
            seeds = tuple(range(config.seed, config.seed + int(count)))
            second.markdown(f"From {seeds[0]} to {seeds[-1]}")
            return JobPlan(seeds=seeds, **common)
        count = first.number_input("Trials", 1, 500, 20, key="job_trials", help="Each is one training.")
        tune = second.multiselect(
            "Tune",
            tunable(config),
            default=tunable(config),
            format_func=lambda key: key.replace("_", " ").capitalize(),
            key=f"job_tune_{config.train_from}",
            help=" ".join(f"{key}: {text}" for key, text in TUNABLE.items()),
        )
        return JobPlan(count=int(count), tune=tuple(tune), **common)
    except ValueError as error:
        st.error(str(error))
        st.stop()


def choose_view(jobs, active):
    """Let the user look at single trainings or at jobs; whatever was just started, or is active, comes first.

    Args:
        jobs: list of job.Job.
        active: the run.Run or job.Job that is active, or None.

    Returns:
        str, "Trainings" or "Jobs"; "Trainings" without asking where there is no job.
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
        "Look at", ["Trainings", "Jobs"], key="training_view",
        help="Trainings: every single one, also those of a job. Jobs: folds, seeds and searches as a whole.",
    )  # fmt: skip
    return chosen or "Trainings"


def show_jobs(jobs, *, others_active=False):
    """Show one job, chosen among all: its state, its runs and what they found.

    Args:
        jobs: list of job.Job, not empty.
        others_active: bool, something else is training, so no job can be resumed now.
    """
    by_name = {job.name: job for job in jobs}
    started = st.session_state.pop("watched_job", None)
    if started in by_name:
        st.session_state["job_choice"] = started
    job = by_name[st.selectbox("Job", list(by_name), key="job_choice", help="The newest is on top.")]
    try:
        plan = job.plan()
    except (FileNotFoundError, ValueError) as error:
        st.error(f"This job cannot be read: {error}")
        return
    active = job.status().is_active

    @st.fragment(run_every=_REFRESH_SECONDS if active else None)
    def view():
        status = job.status()
        if active and not status.is_active:
            st.rerun()
        done, total, eta = job_progress(job)
        st.markdown(f"{MARKS[status.state]} **{status.state.capitalize()}** {status.message}")
        left = f", about {duration(eta)} left" if eta is not None else ""
        st.progress(min(1.0, done / total), f"{_KIND_LABELS[plan.kind]}: {int(done)} of {total} trainings done{left}")
        if status.state != "finished" and not show_refusal("training"):
            _show_actions(job, status, others_active)
        _show_members(job)

    view()
    if not active:
        _show_results(job, plan)


def _show_members(job):
    table = members_table(job)
    shares = {c: st.column_config.NumberColumn(format="percent") for c in table.columns if "accuracy" in c}
    numbers = {c: st.column_config.NumberColumn(format="%.4g") for c in (*TUNABLE, "lowest validation loss")}
    st.dataframe(table, width="stretch", hide_index=True, column_config=shares | numbers)


def _show_actions(job, status, others_active):
    with st.container(horizontal=True, vertical_alignment="center"):
        if status.is_active:
            pausing = job.pause_requested
            if st.button(
                "Pausing after this epoch" if pausing else "Pause the job", icon=":material/pause:", disabled=pausing,
                help="Its trainings end after their current epochs; nothing is lost.",
            ):  # fmt: skip
                pause_job(job)
                st.rerun()
            with st.popover("Stop the job", icon=":material/stop:", help="Ends its trainings now."):
                st.write("Finished trainings stay. Resume goes on with the others after their last finished epoch.")
                if st.button("Stop it now", type="primary", key="stop_job_now", help="Takes a few seconds."):
                    with st.spinner("Stopping…"):
                        stop_job(job)
                    st.rerun()
        elif st.button(
            "Resume the job", type="primary", icon=":material/play_arrow:", disabled=others_active,
            help="Goes on with what is not finished."
            + (" Wait until the other training has ended." if others_active else ""),
        ):  # fmt: skip
            try:
                resume_job(job)
            except (ValueError, OSError) as error:
                st.error(str(error))
            else:
                st.rerun()


def _show_results(job, plan):
    if plan.kind == "search":
        results = job_results(job)
        if results["chosen"]:
            st.markdown(f"Lowest validation loss: **{results['chosen']}**. Only this one met the test images.")
        download_table("All trials", members_table(job), f"{job.name}.csv")
        return
    tested = [member.run for member in job.members() if member.state == "finished" and member.run.metrics()]
    if len(tested) >= LEAST_RUNS:
        show_repeated_runs(tested)
    else:
        st.info("Mean and spread appear here once two of its trainings are finished.")
