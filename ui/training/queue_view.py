"""What waits in the queue of a shared installation, and in which order?"""

from collections.abc import Iterable

import streamlit as st

from cxr_core.jobs.training_queue import MAX_WAITING, all_runs, ensure_worker, queue_table, queued_runs
from cxr_core.runs.run import Run
from cxr_core.system.memory import memory_limit


def queue_note() -> None:
    """Say how training is started on a shared installation."""
    st.caption(
        f"This installation is shared: runs are queued and train one at a time; at most {MAX_WAITING} can wait. Only "
        f"runs that fit into its {memory_limit() / 1e9:.1f} GB of memory can be started."
    )


def show_queue(runs: Iterable[Run]) -> None:
    """Show what waits, the next one first, and make sure that it is worked through.

    Args:
        runs: those that this visit may see; of any other its place is shown alone.
    """
    waiting, visible = queued_runs(all_runs()), {run.name for run in runs}
    if not waiting:
        return
    ensure_worker(waiting[0].path.parent)
    st.header("Queue", help="First come, first served. Choose a run below to remove it.")
    since = st.column_config.DatetimeColumn(format="distance")
    table = queue_table(waiting)
    names = zip(table["run"], waiting, strict=True)
    table["run"] = [name if run.name in visible else "of another visit" for name, run in names]
    st.dataframe(table, width="stretch", placeholder="–", hide_index=True, column_config={"since": since})
