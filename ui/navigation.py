"""The app's pages and its page config."""

import streamlit as st

_PAGES = (
    ("overview", "Overview", ":material/home:"),
    ("dataset", "Dataset", ":material/photo_library:"),
    ("preprocessing", "Preprocessing", ":material/tune:"),
    ("training", "Training", ":material/model_training:"),
    ("evaluation", "Evaluation", ":material/analytics:"),
    ("predict", "Predict", ":material/search:"),
)


def navigate():
    """Set up the app for this visit.

    Returns:
        The page that the visitor asked for, to be run.
    """
    st.session_state["navigated"] = True
    st.set_page_config(page_title="CXR Lab", page_icon=":material/radiology:", layout="wide")
    pages = [
        st.Page(f"pages/{name}.py", title=title, icon=icon, default=name == "overview") for name, title, icon in _PAGES
    ]
    return st.navigation(pages)


def ensure_navigation():
    """Start the app properly where Streamlit ran a page on its own.

    The first visit after a server start follows Streamlit's older rule, by which a link to a page
    runs its file alone, without `streamlit_app.py`.
    """
    if "navigated" not in st.session_state:
        navigate()
        st.rerun()
