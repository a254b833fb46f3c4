"""The queue of an installation that many share: what waits, in which order."""

import pandas as pd
import streamlit as st

from cxr_core.jobs.training_queue import MAX_WAITING, ensure_worker, queued_runs
from cxr_core.runs.labels import display_name
from cxr_core.system.memory import memory_limit


def queue_note():
    """Say how trainings are started on a shared installation."""
    st.caption(
        f"This installation is shared: trainings wait for each other, one at a time, at most {MAX_WAITING}. Only those "
        f"that fit its {memory_limit() / 1e9:.1f} GB of memory can be started."
    )


def show_queue(runs):
    """Show what waits, the next one first; nothing where nobody waits. Sees to it that the queue is worked off.

    Args:
        runs: list of run.Run.
    """
    waiting = queued_runs(runs)
    if not waiting:
        return
    ensure_worker(waiting[0].path.parent)
    st.subheader("Queue", help="First come, first served. Choose one below to take it out.")
    rows = []
    for place, run in enumerate(waiting, start=1):
        config = run.config()
        since = pd.Timestamp(run.status().started, unit="s", tz="UTC")
        rows.append((place, display_name(run), config.recipe, config.epochs, since))
    st.dataframe(
        pd.DataFrame(rows, columns=["place", "training", "recipe", "epochs", "since"]), width="stretch",
        hide_index=True, column_config={"since": st.column_config.DatetimeColumn(format="distance")},
    )  # fmt: skip
