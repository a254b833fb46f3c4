"""What can be downloaded from an evaluation?"""

import json
from functools import partial
from pathlib import Path

import streamlit as st

from cxr_core.classes import class_label
from cxr_core.evaluation.metrics import Metrics, report_table
from cxr_core.inference.model_card import load_card
from cxr_core.reporting.model_report import REPORT_FILES, ReportKind, render_report, report_facts
from cxr_core.runs.run import Run
from ui.common.components import download_table, offer_download
from ui.common.markdown import without_paths
from ui.common.metrics import look_once
from ui.common.permissions import is_open_to_strangers


def report_download(metrics: Metrics) -> None:
    """Offer the metrics of each class as CSV."""
    download_table("Metrics per class (CSV)", report_table(metrics).rename(index=class_label), "report.csv", index=True)


def report_downloads(folder: Path) -> None:
    """Offer the classifier's report, made when somebody clicks."""
    kinds = (
        ("Report (HTML)", "report.html", "text/html", "Opens in any browser, also offline."),
        ("Report (Markdown)", "report.md", "text/markdown", "The same without plots."),
        ("Model card", "model_card.md", "text/markdown", "In the format of Mitchell et al. 2019."),
    )
    for column, (label, name, mime, help_text) in zip(st.columns(3), kinds, strict=True):
        offer_download(
            label,
            partial(_report_bytes, folder, REPORT_FILES[name]),
            f"{folder.name}-{name}",
            mime,
            icon=":material/description:",
            help=f"{help_text} Made from what is stored with the classifier, following the CLAIM checklist.",
            place=column,
        )


def show_training(folder: Path) -> None:
    """Show how a classifier was trained; strangers see the names of its folders alone."""
    facts = json.dumps(load_card(folder).training)
    st.json(without_paths(facts) if is_open_to_strangers() else facts, expanded=1)


def _report_bytes(folder: Path, kind: ReportKind) -> bytes:
    look_once([Run(folder)], "report")
    return render_report(report_facts(folder), kind).encode()
