"""Which place of the Training page is shown: the form, a run or job, all runs beside each other, or the article?"""

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from cxr_core.jobs.job import Job
from cxr_core.runs.run import Run
from ui.common.navigation import choose, keep_choice

Place = Literal["New", "Watch", "Compare", "Article"]
_PLACES: dict[Place, str] = {
    "New": ":material/add: New",
    "Watch": ":material/monitoring: Watch",
    "Compare": ":material/compare_arrows: Compare",
    "Article": ":material/menu_book: Reproduce the article",
}


def choose_place(runs: Sequence[Run], jobs: Sequence[Job]) -> Place:
    """Let the user choose a place.

    What was just started is watched, and what was just cloned is in the form. A visit begins with Watch where there is
    something to see.

    Args:
        runs: all of them.
        jobs: all of them.
    """
    if {"watched_run", "watched_job"} & set(st.session_state):
        choose("show", "Watch")
    elif st.session_state.pop("just_cloned", False):
        choose("show", "New")
    place = st.segmented_control(
        "Training",
        list(_PLACES),
        key=keep_choice("show", "Watch" if runs or jobs else "New", _PLACES),
        format_func=_PLACES.__getitem__,
        required=True,
        label_visibility="collapsed",
        help="New: settings of a new training. Watch: one run or job, during and after training. Compare: all runs. "
        "Reproduce the article: its training, and its ten sections with our figures.",
    )
    return place or "New"
