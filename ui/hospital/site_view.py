"""How does a classifier do on the images of one site, and which threshold does the site need?"""

from pathlib import Path

import pandas as pd
import streamlit as st

from cxr_core.classes import class_label
from cxr_core.config import TEACHING_DIR
from cxr_core.data.dataset import Dataset, scan_dataset
from cxr_core.evaluation.hospitals.site import (
    SiteAnswers,
    SiteReport,
    answer_site,
    site_report,
    table_images,
    threshold_profile,
)
from cxr_core.evaluation.hospitals.teaching_answers import teaching_answers
from cxr_core.evaluation.hospitals.training_look import LOOKS, Quartiles
from cxr_core.inference.classifier import Classifier
from cxr_core.inference.site_profile import save_profile
from cxr_core.system.text import percent
from ui.common.components import plain_error, progress_bar, show_short_table
from ui.common.markdown import plain_name, plain_text
from ui.common.metrics import plain_metric
from ui.common.model_picker import export_stamp, open_classifier
from ui.common.permissions import show_refusal

_CLEAR = 0.01
# From here on, as for sides in pixels, decimals tell nothing.
_WHOLE = 10


def site_answers(classifier: Classifier, folder: Path, dataset: Dataset) -> SiteAnswers:
    """Answer a data set's images, once for each classifier; with too few of them the page stops with a sentence."""
    if dataset.roots == (str(TEACHING_DIR),):
        return _teaching_answers(str(folder), export_stamp(folder), dataset.fingerprint)
    key = (str(folder), export_stamp(folder), dataset.fingerprint)
    if st.session_state.get("site_key") != key:
        try:
            with progress_bar("Predicting") as report:
                files = table_images(classifier, dataset.table)
                st.session_state["site_answers"] = answer_site(classifier, *files, progress=report)
        except ValueError as error:
            st.error(plain_error(error))
            st.stop()
        st.session_state["site_key"] = key
    answers: SiteAnswers = st.session_state["site_answers"]
    return answers


def answers_report(
    classifier: Classifier,
    answers: SiteAnswers,
    *,
    folder: Path,
    dataset: Dataset,
    class_name: str,
    miss_rate: float,
) -> SiteReport:
    """Return the report of `site_answers`; that of the teaching set is made once for all visits."""
    if dataset.roots == (str(TEACHING_DIR),):
        return _teaching_report(str(folder), export_stamp(folder), dataset.fingerprint, class_name, miss_rate)
    return site_report(classifier, answers, class_name=class_name, miss_rate=miss_rate)


@st.cache_data(max_entries=20, show_spinner=False)
def _teaching_report(
    folder: str, stamp: tuple[int, ...], changed: str, class_name: str, miss_rate: float
) -> SiteReport:
    answers = _teaching_answers(folder, stamp, changed)
    return site_report(open_classifier(Path(folder)), answers, class_name=class_name, miss_rate=miss_rate)


@st.cache_resource(max_entries=3, show_spinner="Predicting")
def _teaching_answers(folder: str, stamp: tuple[int, ...], changed: str) -> SiteAnswers:
    """Answer the images of the teaching set once for all visits."""
    return teaching_answers(open_classifier(Path(folder)), scan_dataset(TEACHING_DIR).table)


def show_site(report: SiteReport) -> None:
    """Show a site's report: what matters first, then how the images look, then what is answered."""
    columns = st.columns(3)
    plain_metric(columns[0], "Images", f"{report['images']:,}", help="Those that could be read.")
    plain_metric(
        columns[1], "Get an answer", percent(report['coverage']),
        help="The others are refused, or the classifier is not sure.",
    )  # fmt: skip
    difference = report["difference"]
    plain_metric(
        columns[2],
        "Told from training images",
        f"AUC {difference['auc']:.2f}" if difference else "–",
        f"p = {difference['p_value']:.3f}" if difference else "",
        help="How well a linear classifier tells these images from the training images by the network's features: 0.5 "
        "not at all, 1 entirely. p is of a permutation test that there is no difference.",
    )
    text = "\n".join(f"- {plain_text(sentence)}" for sentence in report["sentences"])
    if difference and difference["p_value"] <= _CLEAR:
        st.warning(text, icon=":material/local_hospital:")
    else:
        st.info(text, icon=":material/local_hospital:")
    _show_looks(report)
    _show_answers(report)


def offer_saving(classifier: Classifier, report: SiteReport) -> None:
    """Let those who may save something keep the site's threshold; nothing where the report has none."""
    if not (report["labelled"] and report["labelled"]["threshold"]):
        return
    st.header("Keep the threshold", help="Predict, `predict --site` and `serve --site` then tell who reaches it.")
    if show_refusal("keeping"):
        return
    name = st.text_input("Name of the site", max_chars=60, help="For the list on Predict; no name of a patient.")
    if st.button("Save threshold", help="In place of one of the same name. The classifier's folder is not changed."):
        try:
            save_profile(classifier, threshold_profile(report, name))
        except ValueError as error:
            st.error(plain_error(error))
        else:
            st.success(f"Saved: {plain_name(name)}. Choose it on Predict, in the sidebar.")


def _show_looks(report: SiteReport) -> None:
    st.header("How they look", help="Median, and in brackets quartiles, here and of the training images.")
    if not report["looks"]:
        st.info("This classifier's card does not tell what its training images look like.")
        return
    rows = [
        {
            "": LOOKS[row["measure"]][0],
            "here": _quartiles(row["site"]),
            "training images": _quartiles(row["training"]),
            "these are": row["words"] or "alike",
        }
        for row in report["looks"]
    ]
    show_short_table(pd.DataFrame(rows), hide_index=True)


def _quartiles(found: Quartiles) -> str:
    decimals = 0 if found["median"] >= _WHOLE else 3
    return f"{found['median']:.{decimals}f} ({found['low']:.{decimals}f} to {found['high']:.{decimals}f})"


def _show_answers(report: SiteReport) -> None:
    st.header("What it answers", help="Abstentions by their first reason.")
    answered = [(class_label(name), n) for name, n in report["answers"].items() if name != "no answer"]
    rows = answered + [(f"No answer: {reason}", n) for reason, n in report["reasons"].items()]
    show_short_table(pd.DataFrame(rows, columns=["answer", "images"]), hide_index=True)
