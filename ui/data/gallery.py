"""Pictures in pages, each with a button to leave it out of every split or take it in again."""

import streamlit as st

from cxr_core.splits.curation import exclude, excluded_rows, include
from ui.common.dataset_analysis import dataset_decisions, decide
from ui.common.dataset_picker import show_picture
from ui.common.markdown import plain_name

BY_HAND = "left out by hand"


def one_page(items, per_page, key):
    """Return the items of the page a person has turned to, with the control below the heading.

    Args:
        items: a sequence or DataFrame.
        per_page: int.
        key: str, of the control.
    """
    pages = max(1, -(-len(items) // per_page))
    number = 1
    if pages > 1:
        number = st.number_input(
            f"Page (of {pages:,})",
            1,
            pages,
            1,
            key=key,
            width=180,
            help=f"{per_page} at a time, {len(items):,} in all.",
        )
    start = (number - 1) * per_page
    return items[start : start + per_page]


def picture_gallery(dataset, rows, captions, key):
    """Show pictures side by side, each with its button.

    Args:
        dataset: dataset.Dataset.
        rows: DataFrame with `path`, `file`, `digest`; its index makes the buttons' keys.
        captions: sequence of str, one per row.
        key: str, unique on the page.
    """
    decisions = dataset_decisions(dataset)
    out = excluded_rows(rows, decisions)
    with st.container(horizontal=True, gap="small"):
        for i, caption in enumerate(captions):
            row = rows.iloc[[i]]
            name = plain_name(row["file"].iloc[0])
            with st.container(width=150, border=True):
                show_picture(row["path"].iloc[0], caption + (" · left out" if out[i] else ""))
                if out[i]:
                    if st.button("Take in", key=f"in_{key}_{row.index[0]}", help="Back into every later split."):
                        decide(dataset, include(decisions, row), f"{name} is taken in again.")
                elif st.button(
                    "Leave out", key=f"out_{key}_{row.index[0]}", help="Out of every later split; the file stays."
                ):
                    decide(dataset, exclude(decisions, row, BY_HAND), f"{name} is left out.")
