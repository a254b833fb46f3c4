"""Which classes cannot be left out of an answer?"""

from pathlib import Path

import streamlit as st

from cxr_core.evaluation.hospitals.conformal_sets import coverage_sentences, run_sets, set_coverage
from cxr_core.inference.model_card import load_card
from cxr_core.inference.prediction_rows import prediction_set, set_words
from cxr_core.inference.selective_prediction import Answer
from cxr_core.runs.run import Run
from ui.common.markdown import plain_text
from ui.common.model_picker import export_stamp
from ui.common.navigation import keep_choice

_HELP = (
    "In place of one answer, all classes that cannot be left out, so that the true one is among them in 90 % of images "
    "like those that chose the limits."
)
_NONE_HELP = "This classifier has no predictions on validation images, which such sets are made from."


def show_set(answer: Answer, folder: Path) -> None:
    """Let the user see the prediction set of an answer, and how well such sets do on the classifier's test images."""
    classes = answer.prediction.classes
    limits, told = _sets(str(folder), export_stamp(folder))
    wanted = st.toggle(
        "All classes that cannot be left out",
        key=keep_choice("prediction_set", False),
        disabled=not limits,
        help=_HELP if limits else _NONE_HELP,
    )
    if wanted and limits:
        probabilities = dict(zip(classes, answer.prediction.probabilities.tolist(), strict=True))
        st.markdown(f"**{plain_text(set_words(prediction_set(probabilities, limits)))}**")
        st.caption(plain_text(" ".join(told)))


@st.cache_data(max_entries=10, show_spinner=False)
def _sets(folder: str, stamp: tuple[int, ...]) -> tuple[dict[str, float], list[str]]:
    """Return from which probability on a class is in a set, and how often the sets hold the true class of test images.

    Both are empty where the classifier's folder has no predictions on validation images.
    """
    limits = run_sets(folder, load_card(folder).classes)
    if limits is None:
        return {}, []
    predictions = Run(Path(folder)).predictions()
    test = predictions[predictions["split"] == "test"]
    return limits, coverage_sentences(set_coverage(test, limits)) if len(test) else []
