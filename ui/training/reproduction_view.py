"""How is the article reproduced from the dashboard, and what came out where it was done whole?"""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from cxr_core.config import ARTICLE_PAGE
from cxr_core.data.dataset import Dataset
from cxr_core.jobs.job import Job
from cxr_core.jobs.reproduction import find_reproduction
from cxr_core.jobs.training_queue import queue_run, queue_training
from cxr_core.recipes.batch_norm_lag import batches_per_epoch, lag_sentence
from cxr_core.recipes.memory_estimate import check_memory
from cxr_core.recipes.reproduction import VARIANTS, reproduction_config
from cxr_core.recipes.training_config import TrainingConfig
from cxr_core.reporting.reproduction.page import HTML_FILE
from cxr_core.reporting.reproduction.reproduction_page import PAGE_FOLDER, write_reproduction
from cxr_core.runs.lifecycle import resume_run, start_run
from cxr_core.runs.run import Run
from cxr_core.splits.curation import Curation
from ui.common.components import offer_download, plain_error, progress_bars
from ui.common.markdown import plain_name, plain_text
from ui.common.navigation import keep_choice
from ui.common.permissions import is_open_to_strangers, show_refusal

_HEIGHT = 900


def show_reproduction(dataset: Dataset, curation: Curation, runs: Sequence[Run], active: Run | Job | None) -> None:
    """Offer to train as the article does, and show the pages that were made of it.

    Args:
        dataset: to train on.
        curation: the decisions about it.
        runs: all of them, newest first.
        active: what is training now, if anything.
    """
    st.markdown(
        "The article's ten sections, each with its claim and what comes out here. On the command line: "
        "`python -m cxr_core reproduce DIR`."
    )
    if show_refusal("training"):
        _show_shipped_page()
        return
    config = _ask_config(dataset)
    expected = lag_sentence(config, batches_per_epoch(config, len(dataset.table)))
    if expected:
        st.info(f"{plain_text(expected)} The variant Sound does not wait.", icon=":material/hourglass_top:")
    run = find_reproduction(config, runs)
    if run is not None and run.has_model and not run.status().is_active:
        _show_own_page(run, dataset)
    if run is None or run.status().state != "finished":
        _offer_training(config, curation, run, active)
    _show_shipped_page()


def _ask_config(dataset: Dataset) -> TrainingConfig:
    left, right = st.columns([3, 1])
    variant = left.segmented_control(
        "Variant",
        list(VARIANTS),
        key=keep_choice("reproduction", "article", VARIANTS),
        format_func=lambda name: VARIANTS[name].label,
        required=True,
        help="As the article is written, with the smallest change that makes it sound, or quickly.",
    )
    left.caption(VARIANTS[variant or "article"].note)
    seed = right.number_input(
        "Seed", 0, 2**31 - 1, 0, key="reproduction_seed", persist_state="session",
        help="Of the split, the initial weights, the order of the images and the augmentation.",
    )  # fmt: skip
    return reproduction_config(variant or "article", dataset.roots, seed=int(seed))


def _offer_training(config: TrainingConfig, curation: Curation, run: Run | None, active: Run | Job | None) -> None:
    """Offer to begin the training, or to continue the one that was interrupted."""
    is_busy = active is not None and not is_open_to_strangers()
    if is_busy and active is not None:
        st.info(
            f"{plain_name(active.name)} is still training. Its curves are under Watch; only one can train at a time."
        )
    goes_on = run is not None and run.can_resume
    if not st.button(
        "Go on where it was interrupted" if goes_on else "Reproduce the article",
        type="primary",
        disabled=is_busy or (run is not None and not goes_on),
        icon=":material/play_arrow:",
        help="Its curves and the time that is left appear under Watch; the page is written here afterwards.",
    ):
        return
    try:
        check_memory(config)
        started = _begin(config, curation) if run is None or not goes_on else _continue(run)
    except (ValueError, OSError) as error:
        st.error(plain_error(error))
    else:
        st.session_state["watched_run"] = started.name
        st.rerun()


def _begin(config: TrainingConfig, curation: Curation) -> Run:
    begin = queue_training if is_open_to_strangers() else start_run
    return begin(config, curation=curation)


def _continue(run: Run) -> Run:
    if is_open_to_strangers():
        queue_run(run)
    else:
        resume_run(run)
    return run


def _show_own_page(run: Run, dataset: Dataset) -> None:
    """Show the page of a run of this visit's data set, and offer to write it."""
    page = run.path / PAGE_FOLDER / HTML_FILE
    st.header(plain_name(run.name), help="The newest run with these settings.")
    if st.button(
        "Write the page again" if page.exists() else "Write the page",
        icon=":material/description:",
        help="From the run and its images; it takes some seconds, and counts as a look at the test images.",
    ):
        try:
            with progress_bars() as phase:
                write_reproduction(run, dataset.roots, phase=phase)
        except (ValueError, OSError) as error:
            st.error(plain_error(error))
            return
    if page.exists():
        _show_page(page, f"{run.name}.html", "own")
    else:
        st.info("Its page has not been written yet.")


def _show_shipped_page() -> None:
    """Show the finished page of a whole training, where the installation has it."""
    if not ARTICLE_PAGE.exists():
        return
    st.header(
        "Reproduced for you",
        help="A whole training on the article's data, of which only openly licensed images are shown.",
    )
    _show_page(ARTICLE_PAGE, "article-reproduced.html", "shipped")


def _show_page(page: Path, file_name: str, key: str) -> None:
    offer_download("Download the page", page.read_bytes, file_name, "text/html", help="One file that needs no network.")
    if st.toggle("Show it here", key=f"show_page_{key}", help="The whole page, in a frame of its own."):
        st.iframe(page, height=_HEIGHT)
