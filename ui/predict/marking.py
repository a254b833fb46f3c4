"""Was an answer wrong, and what is right? A person says so; and which answers were marked so far?"""

from pathlib import Path

import pandas as pd
import streamlit as st

from cxr_core.classes import class_label
from cxr_core.config import keeps_images
from cxr_core.inference.marked_answers import (
    UNKNOWN,
    MarkedAnswer,
    load_marked,
    mark_answer,
    marked_answer,
    marked_csv,
    take_back,
    truth_choices,
)
from cxr_core.inference.selective_prediction import Answer
from ui.common.components import offer_download, one_page, plain_error
from ui.common.markdown import Markdown, plain_name
from ui.common.permissions import may, show_refusal

_PER_PAGE = 20


def offer_marking(answer: Answer, data: bytes, folder: Path) -> None:
    """Let the user say that an answer is wrong, and what is right; or take that back.

    Args:
        answer: of the classifier.
        data: the file that it answered.
        folder: of the classifier.
    """
    with st.expander("Is this answer wrong?", icon=":material/flag:"):
        if show_refusal("marking"):
            return
        known = marked_answer(data, folder.name)
        if known:
            _show_known(known)
            return
        image = "The image is kept with it, without its name and header" if keeps_images() else "The image is not kept"
        st.caption(f"It goes on a list on this computer, where the image is known by its content alone. {image}.")
        choices = [name for name in truth_choices(answer.prediction.classes) if name != answer.label]
        truth = st.selectbox(
            "What is right?", choices, index=None, format_func=_label, placeholder="Choose", key="marked_truth",
            help="A class of the classifier, something else, or that you only know it to be wrong.",
        )  # fmt: skip
        if st.button("Mark as wrong", icon=":material/flag:", disabled=truth is None, help="Adds it to the list."):
            try:
                mark_answer(answer, data, truth=truth or "", classifier=folder.name, keep_image=keeps_images())
            except ValueError as error:
                st.error(plain_error(error))
            else:
                st.rerun()


def _show_known(known: MarkedAnswer) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.success(f"Marked as wrong; right is: {plain_name(_label(known.truth))}.", icon=":material/flag:")
        if st.button("Take it back", icon=":material/undo:", help="Takes this answer off the list."):
            take_back(known)
            st.rerun()


def show_marked() -> None:
    """Show which answers were marked as wrong, to be downloaded; nothing where there are none."""
    if not may("marking"):
        return
    try:
        marked = load_marked()
    except ValueError as error:
        st.warning(plain_error(error))
        return
    if not marked:
        return
    with st.expander(f"Answers marked as wrong: {len(marked):,}", icon=":material/checklist:"):
        rows = [
            (one.date, one.classifier, _label(one.answer), 100 * one.confidence, _label(one.truth), one.digest[:12])
            for one in one_page(marked, _PER_PAGE, "marked_page")
        ]
        table = pd.DataFrame(rows, columns=["date", "classifier", "answer", "confidence", "right", "image"])
        percent = st.column_config.NumberColumn(format="%.1f %%")
        st.dataframe(table, width="stretch", hide_index=True, placeholder="–", column_config={"confidence": percent})
        offer_download(
            "Download the list", lambda: marked_csv(marked), "marked-answers.csv", "text/csv",
            help="A CSV file; each image is named by the SHA-256 of its file.",
        )  # fmt: skip


def _label(name: str) -> Markdown:
    return "Don't know" if name == UNKNOWN else class_label(name) if name else "no answer"
