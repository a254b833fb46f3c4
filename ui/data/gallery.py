"""How are images of a data set shown in pages, each with a button to exclude it or to include it again?"""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from cxr_core.classes import class_label
from cxr_core.data.dataset import Dataset
from cxr_core.splits.curation import Curation, exclude, excluded_rows, include
from ui.common.curation import BY_HAND, dataset_curation, decide
from ui.common.markdown import Markdown, plain_name
from ui.common.metrics import images_text
from ui.common.navigation import tell_of_disk
from ui.common.thumbnails import image_tile, show_tile
from ui.data.whole_image import show_whole

# Four of them side by side at 1280 pixels, two on a phone.
_TILE_PIXELS = 152
_NAME_LENGTH = 16


def image_tiles(rows: pd.DataFrame, facts: Sequence[Markdown], key: str) -> None:
    """Show images side by side, each with its file name, and a fact; a click on one shows it whole.

    Args:
        rows: of a data set's table; the index becomes part of the buttons' keys.
        facts: one per row, in a few words.
        key: unique on the page.
    """
    with st.grid("auto", min_column_width=_TILE_PIXELS):
        for i, fact in enumerate(facts):
            with st.container(border=True, height="stretch", key=f"tile_{key}_{rows.index[i]}"):
                _show_row(rows.iloc[i], fact)
                _offer_whole(rows.iloc[i], key)


def offer_all(dataset: Dataset, rows: pd.DataFrame, key: str, *, reason: str = BY_HAND, because: Markdown = "") -> None:
    """Offer to exclude all of some images, or to include them again.

    Args:
        dataset: the one that they belong to.
        rows: of the table of `grouping`, under its index.
        key: unique on the page.
        reason: as for `curation.exclude`.
        because: the reason in words, for the message.
    """
    curation, n = dataset_curation(dataset), len(rows)
    these = "this image" if n == 1 else f"all {n:,}"
    with st.container(horizontal=True):
        if st.button(
            f"Exclude {these}",
            key=f"out_all_{key}",
            disabled=rows.empty,
            help="From all later splits; no file is deleted.",
        ):
            changed = _exclude(dataset, rows, reason)
            decide(dataset, changed, f"{images_text(n)} excluded{': ' + because if because else ''}.")
        if st.button(f"Include {these}", key=f"in_all_{key}", disabled=rows.empty, help="Back into all later splits."):
            decide(dataset, include(curation, rows), f"{images_text(n)} included again.")


@st.fragment
@tell_of_disk()
def image_gallery(
    dataset: Dataset, rows: pd.DataFrame, facts: Sequence[Markdown], key: str, *, selectable: bool = True
) -> None:
    """Show images side by side, each with its buttons, and a bar to decide about several at once.

    Args:
        dataset: the one that they belong to.
        rows: of a data set's table; the index becomes part of the buttons' keys.
        facts: one per row, in a few words.
        key: unique on the page.
        selectable: whether several can be selected.
    """
    curation = dataset_curation(dataset)
    excluded = excluded_rows(rows, curation)
    if selectable and len(rows) > 1:
        _offer_selected(dataset, rows, key)
    with st.grid("auto", min_column_width=_TILE_PIXELS):
        for i, fact in enumerate(facts):
            row = rows.iloc[[i]]
            name = plain_name(row["file"].iloc[0])
            with st.container(border=True, height="stretch", key=f"tile_{key}_{row.index[0]}"):
                _show_row(rows.iloc[i], fact + (" · excluded" if excluded[i] else ""))
                with st.container(horizontal=True, gap="small", vertical_alignment="center"):
                    if selectable and len(rows) > 1:
                        st.checkbox(f"Select {name}", key=_pick_key(key, row.index[0]), label_visibility="collapsed")
                    _offer_whole(rows.iloc[i], key)
                    if excluded[i]:
                        if st.button("Include", key=f"in_{key}_{row.index[0]}", help="Back into all later splits."):
                            decide(dataset, include(curation, row), f"{name} is included again.")
                    elif st.button(
                        "Exclude", key=f"out_{key}_{row.index[0]}", help="From all later splits; the file stays."
                    ):
                        decide(dataset, _exclude(dataset, row, BY_HAND), f"{name} is excluded.")


def _offer_selected(dataset: Dataset, rows: pd.DataFrame, key: str) -> None:
    """Offer to decide about the images whose boxes are ticked; a decision unticks them."""
    keys = [_pick_key(key, index) for index in rows.index]
    ticked = [bool(st.session_state.get(name)) for name in keys]
    chosen = rows[ticked]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Select none" if all(ticked) else "Select this page",
            key=f"tick_{key}",
            help="All images that are shown.",
            on_click=st.session_state.update,
            args=(dict.fromkeys(keys, not all(ticked)),),
        )
        out = st.button("Exclude selected", key=f"out_some_{key}", disabled=chosen.empty, help="From all later splits.")
        back = st.button("Include selected", key=f"in_some_{key}", disabled=chosen.empty, help="Back into all splits.")
        st.caption(f"{sum(ticked):,} of {images_text(len(rows))} selected")
    if out or back:
        st.session_state.update(dict.fromkeys(keys, False))
        n = images_text(len(chosen))
        if out:
            decide(dataset, _exclude(dataset, chosen, BY_HAND), f"{n} excluded.")
        decide(dataset, include(dataset_curation(dataset), chosen), f"{n} included again.")


def _exclude(dataset: Dataset, rows: pd.DataFrame, reason: str) -> Curation:
    # A gallery shows some rows, under an index of their own.
    by_path = rows.set_index("path"), dataset.table.set_index("path")
    return exclude(dataset_curation(dataset), by_path[0], reason, among=by_path[1])


def _pick_key(key: str, index: object) -> str:
    return f"pick_{key}_{index}"


def _show_row(row: pd.Series, fact: Markdown) -> None:
    name = row["file"].rpartition("/")[2]
    tile = image_tile(row["path"], row["mtime_ns"])
    show_tile(tile, f"{plain_name(name, _NAME_LENGTH)}  \n{fact}", alt=f"{class_label(row['class_name'])}: {name}")


def _offer_whole(row: pd.Series, key: str) -> None:
    # It lies over the image: see the rules of `navigation`.
    if st.button(
        f"Enlarge {plain_name(row['file'])}",
        icon=":material/zoom_in:",
        key=f"enlarge_{key}_{row.name}",
        help="Shows the whole image.",
        type="tertiary",
    ):
        show_whole(row)
