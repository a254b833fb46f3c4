"""Images in pages, each with a button to leave it out of every split or take it in again."""

import streamlit as st

from cxr_core.splits.curation import exclude, excluded_rows, include
from ui.common.curation import dataset_curation, decide
from ui.common.markdown import plain_name
from ui.common.thumbnails import show_image

BY_HAND = "left out by hand"


def image_gallery(dataset, rows, captions, key):
    """Show images side by side, each with its button.

    Args:
        dataset: dataset.Dataset.
        rows: DataFrame with `path`, `file`, `digest`; its index makes the buttons' keys.
        captions: sequence of str, one per row.
        key: str, unique on the page.
    """
    curation = dataset_curation(dataset)
    out = excluded_rows(rows, curation)
    with st.container(horizontal=True, gap="small"):
        for i, caption in enumerate(captions):
            row = rows.iloc[[i]]
            name = plain_name(row["file"].iloc[0])
            with st.container(width=150, border=True):
                show_image(row["path"].iloc[0], caption + (" · left out" if out[i] else ""))
                if out[i]:
                    if st.button("Take in", key=f"in_{key}_{row.index[0]}", help="Back into every later split."):
                        decide(dataset, include(curation, row), f"{name} is taken in again.")
                elif st.button(
                    "Leave out", key=f"out_{key}_{row.index[0]}", help="Out of every later split; the file stays."
                ):
                    decide(dataset, exclude(curation, row, BY_HAND), f"{name} is left out.")
