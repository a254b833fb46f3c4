"""What was decided about a data set, and how that is undone."""

import streamlit as st

from cxr_core.audit.quality_flags import FLAGS
from cxr_core.splits.curation import curation_path, load_curation, save_curation
from ui.common.permissions import may


def dataset_curation(dataset):
    """Return what was decided about a data set; by a visitor who may not keep it, during this visit alone."""
    of_visit = {} if may("keeping") else st.session_state.get("decisions", {})
    return of_visit.get(dataset.roots) or load_curation(curation_path(dataset.roots))


def decide(dataset, curation, message):
    """Keep new decisions, remember the ones before for "Undo", and run the page again."""
    st.session_state["undo"] = (dataset.roots, dataset_curation(dataset), message)
    _keep(dataset, curation)
    st.rerun()


def offer_undo(dataset):
    """Say what was decided last, and offer to take it back."""
    roots, before, message = st.session_state.get("undo", (None, None, None))
    if roots != dataset.roots:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.success(message, icon=":material/check:")
        if st.button("Undo", icon=":material/undo:", help="Back to what was decided before."):
            _keep(dataset, before)
            del st.session_state["undo"]
            st.rerun()


def left_out_note(curation):
    """Say how many images are left out, and why."""
    reasons = [
        f"{n:,} {FLAGS[reason].title.lower() if reason in FLAGS else reason}"
        for reason, n in curation.reasons().items()
    ]
    if reasons:
        st.caption(f"Left out: {', '.join(reasons)}. Change this on the Quality and Duplicates pages.")


def _keep(dataset, curation):
    if may("keeping"):
        save_curation(curation, curation_path(dataset.roots))
    else:
        st.session_state.setdefault("decisions", {})[dataset.roots] = curation
