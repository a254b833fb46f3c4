"""How well did people read, beside the classifier and each other?"""

import pandas as pd
import streamlit as st

from cxr_core.classes import class_label
from cxr_core.evaluation.metrics import Curve
from cxr_core.evaluation.readers.reader_study import (
    ReaderFigures,
    agreement,
    reader_curve,
    reader_figures,
    reader_scores,
)
from cxr_core.plots.evaluation import readers_figure
from cxr_core.system.text import percent
from ui.common.components import download_table, show_figure, show_table
from ui.common.markdown import Markdown, plain_label, plain_text
from ui.common.metrics import interval_text
from ui.reading.study import Study

_MACHINE = "Classifier"


def show_results(study: Study, predictions: pd.DataFrame) -> None:
    """Show sensitivity, specificity, agreement and ROC of readers and classifier, and offer the answers.

    Args:
        study: read by everybody.
        predictions: predictions table of the classifier on its cases, in their order.
    """
    class_name = st.segmented_control(
        "Class in question",
        study.class_names,
        format_func=plain_label,
        default="covid" if "covid" in study.class_names else study.class_names[-1],
        required=True,
        help="Sensitivity and specificity are those of this class against all else.",
    )
    truth = study.cases["class_name"]
    answers = {reader: [name for name, _ in given] for reader, given in study.answers.items()}
    scores = {
        reader: reader_scores(answers[reader], [sure for _, sure in given], class_name)
        for reader, given in study.answers.items()
    }
    answers[_MACHINE] = predictions["predicted"].tolist()
    if f"p_{class_name}" in predictions:
        scores[_MACHINE] = predictions[f"p_{class_name}"].to_numpy(float)
    figures = {who: reader_figures(truth, called, class_name) for who, called in answers.items()}
    rows = [_row(who, of_reader) for who, of_reader in figures.items()]
    show_table(pd.DataFrame(rows), percents=("sensitivity", "specificity", "class named rightly"))
    st.caption(" ".join(_agreements(answers)))
    curves: dict[str, Curve] = {
        who: curve for who, score in scores.items() if (curve := reader_curve(truth, score, class_name))
    }
    points = {
        who: (1 - of_reader.specificity, of_reader.sensitivity)
        for who, of_reader in figures.items()
        if of_reader.specificity is not None and of_reader.sensitivity is not None
    }
    if curves:
        show_figure(readers_figure(curves, points, class_name))
    else:
        st.caption("There is no ROC curve: it needs images of this class and of others.")
    table = study.table()
    table["classifier"] = table["file"].map(dict(zip(study.cases["file"], predictions["predicted"], strict=True)))
    for name in ("truth", "answer", "classifier"):
        table[name] = table[name].map(class_label)
    download_table("Answers (CSV)", table, "reading.csv")


def answers_text(study: Study, number: int) -> Markdown:
    """Say what each reader answered about one case."""
    given = ((who, answers[number]) for who, answers in study.answers.items())
    return " · ".join(f"{plain_text(who)}: {plain_label(name)} ({percent(sure, 0)})" for who, (name, sure) in given)


def _row(who: str, figures: ReaderFigures) -> dict[str, object]:
    return {
        "who": who,
        "sensitivity": figures.sensitivity,
        "sensitivity, interval": interval_text(figures.sensitivity_ci95),
        "specificity": figures.specificity,
        "specificity, interval": interval_text(figures.specificity_ci95),
        "class named rightly": figures.correct,
    }


def _agreements(answers: dict[str, list[str]]) -> list[Markdown]:
    """Say how far each two agree beyond chance."""
    names, told = list(answers), []
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            kappa = agreement(answers[first], answers[second])
            both = f"{first} and {second}" if first != "You" else f"You and the {second.lower()}"
            told.append(f"{both}: Cohen's kappa {'not defined' if kappa is None else f'{kappa:.2f}'}.")
    return [*told, "1 is full agreement, 0 what chance gives. Few images make wide intervals."]
