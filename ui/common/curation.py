"""What was decided about a data set, and how is that undone?"""

import streamlit as st

from cxr_core.audit.quality_flags import FLAGS
from cxr_core.config import TEACHING_DIR
from cxr_core.data.dataset import Dataset
from cxr_core.splits.curation import (
    Curation,
    changed_decisions,
    dataset_decisions,
    decisions_about,
    save_decisions,
    stored_decisions,
    taken_back,
)
from ui.common.markdown import Markdown, plain_text
from ui.common.permissions import may

# As it stands in stored decisions.
BY_HAND = "left out by hand"


def dataset_curation(dataset: Dataset) -> Curation:
    """Return the decisions about a data set; those of visitors who may not save them last as long as their visit."""
    of_visit = None if may("keeping") else st.session_state.get("decisions")
    if of_visit is None:
        return dataset_decisions(dataset.table, dataset.roots)
    return decisions_about(of_visit, dataset.table)


def is_as_it_comes(dataset: Dataset) -> bool:
    """Return True for the teaching set as long as this visitor has decided nothing about it.

    What is computed of it then is the same in every visit, and of no image that a visitor has brought.
    """
    return dataset.roots == (str(TEACHING_DIR),) and dataset_curation(dataset) == Curation()


def decide(dataset: Dataset, curation: Curation, message: Markdown) -> None:
    """Save new decisions, remember the change for "Undo", and rerun the page."""
    st.session_state["undo"] = (dataset.roots, dataset_curation(dataset), curation, message)
    _save(dataset, curation)
    st.rerun()


def offer_undo(dataset: Dataset) -> None:
    """Say what was decided last, and offer to undo it."""
    change = st.session_state.get("undo")
    if change is None or change[0] != dataset.roots:
        return
    _, before, after, _ = change
    message: Markdown = change[-1]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.success(message, icon=":material/check:")
        if st.button("Undo", icon=":material/undo:", help="Takes back this change; what was decided since stays."):
            _save(dataset, taken_back(dataset_curation(dataset), before, after))
            del st.session_state["undo"]
            st.rerun()


def left_out_note(curation: Curation) -> None:
    """Say how many images are excluded, and why."""
    reasons = [f"{n:,} {_reason_words(reason)}" for reason, n in curation.reasons().items()]
    if reasons:
        st.caption(f"Excluded: {', '.join(reasons)}. Change this on the Quality and Duplicates pages.")


def _reason_words(reason: str) -> Markdown:
    if reason in FLAGS:
        return FLAGS[reason].title.lower()
    return "excluded by hand" if reason == BY_HAND else plain_text(reason)


def _save(dataset: Dataset, curation: Curation) -> None:
    if may("keeping"):
        save_decisions(curation, dataset.table, dataset.roots)
        return
    known = st.session_state.get("decisions") or stored_decisions(dataset.roots)
    st.session_state["decisions"] = changed_decisions(known, dataset_curation(dataset), curation)
