"""What may a visitor of a shared installation train, and what is shown in place of the form?"""

import streamlit as st

from cxr_core.config import TEACHING_DIR
from cxr_core.data.dataset import Dataset
from cxr_core.jobs.visit_training import (
    BATCH_SIZES,
    EPOCHS,
    LEARNING_RATES,
    SEEDS,
    SPLITS,
    VisitChoices,
    place_in_queue,
    queue_visit_training,
)
from cxr_core.runs.lifecycle import stop_run
from cxr_core.runs.run import Run
from cxr_core.splits.curation import Curation
from cxr_core.splits.split import SPLIT_KINDS
from ui.common.components import plain_error
from ui.common.model_picker import own_run_names
from ui.common.permissions import may_train_shortly, refusal, show_refusal
from ui.training.replay import show_replay

_DEFAULTS = VisitChoices()


def show_visitors_place(dataset: Dataset, curation: Curation) -> None:
    """Show what a visitor may train, and the recorded training of the built-in classifier.

    Args:
        dataset: the one that is open; only the teaching set can be trained on.
        curation: the visitor's decisions about it.
    """
    if not may_train_shortly():
        show_refusal("training")
    elif dataset.roots != (str(TEACHING_DIR),):
        st.info(
            f"{refusal('training')} What visitors can do is a short training on the teaching set: choose it in the "
            "sidebar.",
            icon=":material/lock:",
        )
    else:
        _offer_training(curation)
    show_replay()


def _offer_training(curation: Curation) -> None:
    st.header("Train a classifier in a minute", help="Recipe quick: a frozen backbone and a small classifier on it.")
    st.caption(
        f":material/lock: {refusal('training')} A short training on the teaching set is open to everyone. One runs at "
        "a time; only you see yours, until you close or reload this page. It is deleted after a day."
    )
    try:
        choices = _ask_choices()
    except ValueError as error:
        st.error(plain_error(error))
        return
    if not st.button(
        "Train on the teaching set",
        type="primary",
        icon=":material/play_arrow:",
        help="Starts when its turn comes; its curves then appear under Watch.",
    ):
        return
    try:
        run = queue_visit_training(choices, own_run_names(), curation=curation)
    except (ValueError, OSError) as error:
        st.error(plain_error(error))
        return
    own_run_names().append(run.name)
    st.session_state["watched_run"] = run.name
    st.rerun()


def _ask_choices() -> VisitChoices:
    first, second, third, fourth, fifth = st.columns([2, 2, 2, 1, 1])
    split = first.selectbox(
        "Split", SPLITS, key="visit_split", persist_state="session", help="Which images train, validate and test."
    )
    first.caption(SPLIT_KINDS[split])
    epochs = second.slider(
        "Epochs", *EPOCHS, _DEFAULTS.epochs, key="visit_epochs", persist_state="session",
        help="Passes over the training images; training stops early where it gains nothing for four epochs.",
    )  # fmt: skip
    rate = third.select_slider(
        "Learning rate", LEARNING_RATES, _DEFAULTS.learning_rate, key="visit_rate", persist_state="session",
        help="Of the Adam optimiser. Try the largest and the smallest, too.",
    )  # fmt: skip
    batch = fourth.selectbox(
        "Batch size", BATCH_SIZES, BATCH_SIZES.index(_DEFAULTS.batch_size), key="visit_batch",
        persist_state="session", help="Images per training step.",
    )  # fmt: skip
    seed = fifth.number_input(
        "Seed", *SEEDS, _DEFAULTS.seed, key="visit_seed", persist_state="session",
        help="Of the split, the initial weights and the order of the images.",
    )  # fmt: skip
    return VisitChoices(split=split, epochs=epochs, batch_size=batch, learning_rate=rate, seed=int(seed))


def show_own_actions(run: Run) -> None:
    """Say how many trainings are ahead of a visitor's own, and offer to stop it."""
    status = run.status()
    waits = status.state == "queued"
    if not (waits or status.is_active):
        return
    if waits:
        ahead = place_in_queue(run)
        st.info(
            "Next in the queue; it begins in a moment." if not ahead else f"Ahead of yours in the queue: {ahead:d}.",
            icon=":material/schedule:",
        )
    if st.button("Stop", icon=":material/stop:", help="Ends your training; the best model so far is kept for a day."):
        with st.spinner("Stopping…"):
            stop_run(run)
        st.rerun()
