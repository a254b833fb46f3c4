"""Which pages are there, how does a visit begin, and which of its choices are kept from page to page?"""

from collections.abc import Collection, Hashable

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from cxr_core.system.memory import keep_memory_small, set_imports_aside
from cxr_core.system.processes import tie_to_parent
from cxr_core.system.visit_folders import remove_abandoned
from ui.common.permissions import may_come_in, require_sign_in, show_who

keep_memory_small()

_SECTIONS = {
    "": (("overview", "Overview", ":material/home:"),),
    "Data": (
        ("dataset", "Dataset", ":material/photo_library:"),
        ("duplicates", "Duplicates", ":material/content_copy:"),
        ("quality", "Quality", ":material/flag:"),
        ("splits", "Splits", ":material/call_split:"),
        ("map", "Map", ":material/scatter_plot:"),
    ),
    "Classifier": (
        ("preprocessing", "Preprocessing", ":material/tune:"),
        ("training", "Training", ":material/model_training:"),
        ("evaluation", "Evaluation", ":material/analytics:"),
        ("shortcuts", "Shortcuts", ":material/troubleshoot:"),
        ("predict", "Predict", ":material/search:"),
    ),
}


def navigate() -> StreamlitPage:
    """Set up the app for this visit.

    Returns:
        The page that the visitor asked for, to be run. Whoever may not use the app is told so, and the run ends.
    """
    set_imports_aside()
    st.session_state["navigated"] = True
    # A training keeps running when a page changes or a browser closes, but not when this server ends.
    tie_to_parent()
    st.set_page_config(page_title="CXR Lab", page_icon=":material/radiology:", layout="wide")
    _sweep()
    pages = {
        section: [
            st.Page(f"pages/{name}.py", title=title, icon=icon, default=name == "overview")
            for name, title, icon in pages
        ]
        for section, pages in _SECTIONS.items()
    }
    # Before the sign-in, too, so that a link to a page leads there afterwards.
    chosen = st.navigation(pages, position="sidebar" if may_come_in() else "hidden")
    require_sign_in()
    show_who()
    return chosen


@st.cache_resource(show_spinner=False)
def _sweep() -> None:
    """Remove, once per server, the uploads that an earlier server could not remove."""
    remove_abandoned()


def ensure_navigation() -> None:
    """Set up the app where Streamlit ran a page on its own.

    The first visit after a server start follows Streamlit's older rule, by which a link to a page
    runs its file alone, without `streamlit_app.py`. No page is shown that way without the sign-in either.
    """
    if "navigated" not in st.session_state:
        navigate()
        st.rerun()
    require_sign_in()


def keep_choice(name: str, default: Hashable, options: Collection[Hashable] | None = None) -> str:
    """Keep what is chosen in a widget for the whole visit.

    Streamlit forgets a widget's value when a page is shown that has no such widget.

    Args:
        name: of the choice, the same on all pages that ask for it.
        default: chosen at first, and again where what was chosen is no longer offered.
        options: what is offered; None where anything can be entered.

    Returns:
        The widget's `key`. The widget itself must be given no default.
    """
    key, kept = f"{name}_choice", f"{name}_kept"
    value = st.session_state.get(key, st.session_state.get(kept, default))
    if options is not None and value not in options:
        value = default
    st.session_state[key] = st.session_state[kept] = value
    return key
