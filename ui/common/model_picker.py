"""Which classifier a page works with: the shipped one or a run's, opened once for all visitors."""

from pathlib import Path

import streamlit as st

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.evaluation.headline_metrics import card_figures
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.model_card import load_card
from cxr_core.runs.run import Run, list_runs
from cxr_core.system.memory import release_memory

_SHIPPED = "The shipped classifier"


def choose_model(help_text):
    """Let the user choose a classifier in the sidebar.

    Returns:
        (name, folder): str and Path. The shipped classifier is called as such.
    """
    folders = model_folders()
    name = st.sidebar.selectbox("Classifier", list(folders), help=help_text)
    return name, folders[name]


def model_folders():
    """Return every model there is, a dict of name to Path, the shipped one first."""
    return {_SHIPPED: SHIPPED_MODEL_DIR} | {run.name: run.path for run in list_runs() if run.has_model}


def open_classifier(folder):
    """Open a model folder; the page stops with a sentence where it cannot be opened."""
    try:
        # The card changes when an operating point is kept.
        changed = tuple((folder / name).stat().st_mtime_ns for name in ("model.onnx", "card.json"))
        return _open_cached(str(folder), changed)
    except (FileNotFoundError, ValueError) as error:
        st.error(f"This classifier cannot be opened: {error} Choose another one at the left.")
        st.stop()


@st.cache_resource(max_entries=3, show_spinner="Opening the classifier…")
def _open_cached(folder, changed):
    classifier = load_classifier(folder)
    release_memory()
    return classifier


def model_history(folder):
    """Return a model folder's learning history, DataFrame, empty where it has none."""
    return Run(Path(folder)).epochs()


def shipped_figures():
    """Return the shipped classifier's headline figures, list of headline_metrics.Figure."""
    return card_figures(load_card(SHIPPED_MODEL_DIR))


def shipped_card():
    """Return the shipped classifier's card as Markdown."""
    return Path(SHIPPED_MODEL_DIR / "CARD.md").read_text(encoding="utf-8")
