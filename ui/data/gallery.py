"""How are images of a data set shown in pages, each with a button to exclude it or to include it again?"""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from cxr_core.data.dataset import Dataset
from cxr_core.splits.curation import exclude, excluded_rows, include
from ui.common.curation import BY_HAND, dataset_curation, decide
from ui.common.markdown import plain_name
from ui.common.thumbnails import show_image


def image_gallery(dataset: Dataset, rows: pd.DataFrame, captions: Sequence[str], key: str) -> None:
    """Show images side by side, each with its button.

    Args:
        dataset: the one that they belong to.
        rows: with `path`, `file` and `digest`; the index becomes part of the buttons' keys.
        captions: one per row.
        key: unique on the page.
    """
    curation = dataset_curation(dataset)
    excluded = excluded_rows(rows, curation)
    with st.container(horizontal=True, gap="small"):
        for i, caption in enumerate(captions):
            row = rows.iloc[[i]]
            name = plain_name(row["file"].iloc[0])
            with st.container(width=150, border=True):
                show_image(row["path"].iloc[0], caption + (" · excluded" if excluded[i] else ""))
                if excluded[i]:
                    if st.button("Include", key=f"in_{key}_{row.index[0]}", help="Back into all later splits."):
                        decide(dataset, include(curation, row), f"{name} is included again.")
                elif st.button(
                    "Exclude", key=f"out_{key}_{row.index[0]}", help="From all later splits; the file stays."
                ):
                    # A gallery shows some rows, under an index of their own.
                    by_path = row.set_index("path"), dataset.table.set_index("path")
                    changed = exclude(curation, by_path[0], BY_HAND, among=by_path[1])
                    decide(dataset, changed, f"{name} is excluded.")
