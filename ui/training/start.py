"""Start what the form describes: at once, as a job, or through the queue where many share one computer."""

import streamlit as st

from cxr_core.jobs.lifecycle import start_job
from cxr_core.jobs.training_queue import queue_training
from cxr_core.recipes.memory_estimate import check_memory
from cxr_core.runs.lifecycle import start_run
from ui.common.permissions import is_open_to_strangers, show_refusal
from ui.training.job_view import ask_plan
from ui.training.queue_view import queue_note


def offer_start(config, curation, active):
    """Offer to start a training, or a job of several.

    Args:
        config: training_config.TrainingConfig, or None where the form is not right yet.
        decisions: curation.Curation about the data.
        active: the run.Run or job.Job that is active, or None.
    """
    if show_refusal("training"):
        return
    if is_open_to_strangers():
        _offer_queue(config, curation)
        return
    plan = ask_plan(config)
    if active:
        st.info(f"{active.name} is still running. One training at a time: stop it below or wait for it.")
    if not st.button(
        "Start training",
        type="primary",
        disabled=active is not None or config is None,
        help="Starts a process of its own; its curves appear below. It goes on when the browser is closed, and pauses "
        "when this app ends.",
        icon=":material/play_arrow:",
    ):
        return
    if plan is not None:
        st.session_state["watched_job"] = start_job(plan, curation=curation).name
    else:
        st.session_state["watched_run"] = start_run(config, curation=curation).name
    st.rerun()


def _offer_queue(config, curation):
    queue_note()
    problem = _memory_problem(config)
    if problem:
        st.warning(problem)
    if st.button(
        "Queue this training",
        type="primary",
        disabled=config is None or problem is not None,
        help="It begins when its turn comes; its curves then appear below.",
        icon=":material/schedule:",
    ):
        try:
            st.session_state["watched_run"] = queue_training(config, curation=curation).name
        except ValueError as error:
            st.error(str(error))
        else:
            st.rerun()


def _memory_problem(config):
    if config is None:
        return None
    try:
        check_memory(config)
    except ValueError as error:
        return str(error)
    return None
