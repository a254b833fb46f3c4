"""How is the training of the form started: at once, as a job, or through the queue of a shared installation?"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import streamlit as st

from cxr_core.data.dataset import Dataset
from cxr_core.jobs.job import Job
from cxr_core.jobs.lifecycle import start_job
from cxr_core.jobs.training_queue import queue_training
from cxr_core.recipes.memory_estimate import check_memory
from cxr_core.recipes.training_config import TrainingConfig, alone
from cxr_core.runs.lifecycle import start_run
from cxr_core.runs.run import Run
from cxr_core.splits.curation import Curation
from ui.common.components import plain_error
from ui.common.markdown import Markdown, plain_name
from ui.common.permissions import is_open_to_strangers, may
from ui.training.job_view import ask_plan
from ui.training.queue_view import queue_note


def offer_start(
    config: TrainingConfig | None, curation: Curation, active: Run | Job | None, sources: Sequence[str]
) -> None:
    """Offer to start a training run, or a job of several runs.

    Args:
        config: None where the form is not valid.
        curation: the decisions about the data set.
        active: what is training now, if anything.
        sources: of the data set.
    """
    if is_open_to_strangers():
        _offer_queue(config, curation)
        return
    plan = ask_plan(config, sources)
    if active:
        st.info(
            f"{plain_name(active.name)} is still training. Stop it under Watch or wait: only one can train at a time."
        )
    if not st.button(
        "Start training",
        type="primary",
        disabled=active is not None or config is None,
        help="Starts a separate process; its curves appear under Watch. It keeps running when the browser is closed, "
        "and pauses when this app ends.",
        icon=":material/play_arrow:",
    ):
        return
    if plan is not None:
        _begin("watched_job", partial(start_job, plan, curation=curation))
    elif config is not None:
        _begin("watched_run", partial(start_run, config, curation=curation))


def _begin(watched: str, start: Callable[[], Run | Job]) -> None:
    """Start something and watch it; where it cannot be started, a sentence says why."""
    try:
        st.session_state[watched] = start().name
    except ValueError as error:
        st.error(plain_error(error))
    else:
        st.rerun()


def offer_another_seed(run: Run, dataset: Dataset, curation: Curation) -> None:
    """Offer to train once more as an ended run on the open data set did, with the next seed: one training is one draw.

    Args:
        run: with a model; nothing is offered where it was trained on something else.
        dataset: the open data set.
        curation: the decisions about it.
    """
    if is_open_to_strangers() or not may("training") or not run.has_model:
        return
    try:
        config = alone(run.config())
    except (FileNotFoundError, ValueError):
        return
    if config.roots == dataset.roots and st.button(
        f"Train again with seed {config.seed + 1:d}",
        icon=":material/replay:",
        help="The same settings with another split, initial weights and order: how much is due to chance.",
    ):
        _begin("watched_run", partial(start_run, replace(config, seed=config.seed + 1), curation=curation))


def _offer_queue(config: TrainingConfig | None, curation: Curation) -> None:
    queue_note()
    problem = _memory_problem(config)
    if problem:
        st.warning(problem)
    if (
        st.button(
            "Queue this training",
            type="primary",
            disabled=config is None or problem is not None,
            help="It starts when its turn comes; its curves then appear under Watch.",
            icon=":material/schedule:",
        )
        and config is not None
    ):
        _begin("watched_run", partial(queue_training, config, curation=curation))


def _memory_problem(config: TrainingConfig | None) -> Markdown | None:
    if config is None:
        return None
    try:
        check_memory(config)
    except ValueError as error:
        return plain_error(error)
    return None
