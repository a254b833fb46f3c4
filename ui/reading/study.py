"""What has this visit read: which images, which answers of which reader, and which comes next?"""

from dataclasses import dataclass, field

import pandas as pd
import streamlit as st

from cxr_core.data.dataset import Dataset
from cxr_core.evaluation.readers.reader_study import draw_cases

READERS = ("Reader A", "Reader B")
_STUDY = "reading"


@dataclass
class Study:
    """One reading: it lasts as long as the visit, so whoever leaves the page goes on where they were.

    Attributes:
        roots: of the data set that is read.
        cases: rows of its table, in the order in which they are read.
        class_names: what can be answered.
        readers: who reads; of two, the second sees no answer of the first.
        answers: {reader: one (class, confidence in [0, 1]) per case read so far}.
        handed_over: readers who have begun.
    """

    roots: tuple[str, ...]
    cases: pd.DataFrame
    class_names: tuple[str, ...]
    readers: tuple[str, ...]
    answers: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    handed_over: set[str] = field(default_factory=set)

    @property
    def reader(self) -> str | None:
        """Who reads now; None when everybody has read every case."""
        return next((name for name in self.readers if len(self.answers.get(name, ())) < len(self.cases)), None)

    def table(self) -> pd.DataFrame:
        """Return one row per reader and case that was read: `reader`, `file`, `truth`, `answer`, `confidence`."""
        rows = [
            {"reader": reader, "file": file, "truth": truth, "answer": answer, "confidence": confidence}
            for reader, answers in self.answers.items()
            for file, truth, (answer, confidence) in zip(
                self.cases["file"], self.cases["class_name"], answers, strict=False
            )
        ]
        return pd.DataFrame(rows, columns=["reader", "file", "truth", "answer", "confidence"])


def open_study(dataset: Dataset) -> Study | None:
    """Return the reading of this visit; None where none has begun, or where it is of another data set."""
    study: Study | None = st.session_state.get(_STUDY)
    return study if study and study.roots == dataset.roots else None


def ask_study(dataset: Dataset) -> None:
    """Ask how many images are read, by whom and from which draw, and begin."""
    with st.form("reading_form"):
        columns = st.columns(3)
        count = columns[0].slider("Images", 4, 30, 10, help="About as many of each class, each of another patient.")
        seed = columns[1].number_input("Draw", 0, 10_000, 0, help="The same number draws the same images again.")
        two = columns[2].toggle(
            "Two readers", help="The second reads the same images afterwards, without the answers of the first."
        )
        if st.form_submit_button("Begin", type="primary", help="The labels stay hidden until everybody has read."):
            rows = dataset.table.iloc[draw_cases(dataset.table, count, seed=int(seed))]
            readers = READERS if two else ("You",)
            st.session_state[_STUDY] = Study(dataset.roots, rows.reset_index(drop=True), dataset.classes, readers)
            st.rerun()


def forget_study() -> None:
    """Begin anew."""
    st.session_state.pop(_STUDY, None)
