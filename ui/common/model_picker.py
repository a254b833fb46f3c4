"""Which classifier is open: the built-in one or that of a run, opened once for all visitors?"""

import re
from pathlib import Path

import pandas as pd
import streamlit as st

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.evaluation.headline_metrics import HeadlineMetric, card_figures
from cxr_core.inference.classifier import Classifier, load_classifier
from cxr_core.inference.input_gate import GATE_FILES
from cxr_core.inference.model_card import load_card
from cxr_core.inference.site_profile import site_profiles, use_profile
from cxr_core.jobs.visit_training import visit_runs
from cxr_core.runs.labels import display_name
from cxr_core.runs.run import Run, list_runs
from cxr_core.system.files import file_stamp
from cxr_core.system.memory import release_memory
from ui.common.components import plain_error
from ui.common.markdown import Markdown, plain_name
from ui.common.navigation import keep_choice

SHIPPED = "The built-in classifier"
_HELP = "The built-in classifier, or that of any of your runs."


def choose_model() -> Path:
    """Let the user choose a classifier in the sidebar; returns its folder."""
    folders = model_folders()
    chosen = st.sidebar.selectbox(
        "Classifier",
        list(folders),
        format_func=lambda name: classifier_name(folders[name]),
        key=keep_choice("classifier", SHIPPED, folders),
        help=_HELP,
    )
    st.caption(f"Classifier: **{plain_name(classifier_name(folders[chosen]), 120)}**")
    return folders[chosen]


def classifier_name(folder: Path) -> str:
    """Return what a classifier is called."""
    return SHIPPED if folder == SHIPPED_MODEL_DIR else display_name(Run(folder))


def model_folders() -> dict[str, Path]:
    """Return {name: folder} of every classifier, the built-in one first."""
    return {SHIPPED: SHIPPED_MODEL_DIR} | {run.name: run.path for run in visible_runs() if run.has_model}


def own_run_names() -> list[str]:
    """Return the names of the runs that this visit has started on a shared installation; to be added to."""
    names: list[str] = st.session_state.setdefault("own_runs", [])
    return names


def visible_runs() -> list[Run]:
    """Return the runs that this visit may see, newest first: all but those that other visits started."""
    return sorted([*list_runs(), *visit_runs(own_run_names())], key=lambda run: run.name, reverse=True)


def open_classifier(folder: Path) -> Classifier:
    """Open a model folder; where that fails, the page stops with a sentence."""
    try:
        return _open_cached(str(folder), export_stamp(folder))
    except (FileNotFoundError, ValueError) as error:
        st.error(f"This classifier cannot be opened: {plain_error(error)} Choose another one in the sidebar.")
        st.stop()


def choose_site(classifier: Classifier) -> Classifier:
    """Let the user choose one of the sites whose thresholds were saved, if any; returns what tells it."""
    try:
        sites = site_profiles(classifier)
        if not sites:
            return classifier
        name = st.sidebar.selectbox(
            "Site", list(sites), index=None, placeholder="None", key=keep_choice("site", None, (None, *sites)),
            help="Each answer then tells whether this site's threshold is reached. Your hospital saves further ones.",
        )  # fmt: skip
        return use_profile(classifier, name) if name else classifier
    except ValueError as error:
        st.warning(plain_error(error))
        return classifier


def export_stamp(folder: Path) -> tuple[int, ...]:
    """Return what changes whenever a classifier is exported anew, its gate is fitted or its card is changed.

    Whatever is kept of a classifier's answers belongs to one such stamp.

    Raises:
        FileNotFoundError: there is no classifier.
    """
    gate = [name for name in GATE_FILES if (folder / name).exists()]
    return tuple(number for name in ("model.onnx", "card.json", *gate) for number in file_stamp(folder / name))


@st.cache_resource(max_entries=3, show_spinner="Opening the classifier…")
def _open_cached(folder: str, changed: tuple[int, ...]) -> Classifier:
    classifier = load_classifier(folder)
    release_memory()
    return classifier


def model_history(folder: Path) -> pd.DataFrame:
    """Return the training history of a model folder as `Run.epochs` gives it; empty where it has none."""
    return Run(folder).epochs()


def shipped_figures() -> list[HeadlineMetric]:
    """Return the built-in classifier's headline metrics."""
    return card_figures(load_card(SHIPPED_MODEL_DIR))


def shipped_card() -> Markdown:
    """Return the built-in classifier's model card as Markdown, its headings below those of a page."""
    text = (SHIPPED_MODEL_DIR / "CARD.md").read_text(encoding="utf-8")
    return re.sub("^#", "###", text, flags=re.MULTILINE)
