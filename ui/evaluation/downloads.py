"""What can be taken along of an evaluation."""

from functools import partial
from pathlib import Path

import streamlit as st

from cxr_core.classes import class_label
from cxr_core.evaluation.metrics import report_table
from cxr_core.reporting.model_report import REPORT_FILES, render_report, report_facts
from ui.common.components import download_table, offer_download


def report_download(metrics):
    """Offer the per-class figures as CSV."""
    download_table("The report per class", report_table(metrics).rename(index=class_label), "report.csv", index=True)


def report_downloads(folder):
    """Offer the classifier's report, made when somebody asks for it."""
    kinds = (
        ("Report (HTML)", "report.html", "text/html", "Opens in any browser, without a network."),
        ("Report (Markdown)", "report.md", "text/markdown", "The same without figures."),
        ("Model card", "model_card.md", "text/markdown", "In the layout of Mitchell et al. 2019."),
    )
    for column, (label, name, mime, help_text) in zip(st.columns(3), kinds, strict=True):
        offer_download(
            label,
            partial(_report_bytes, folder, REPORT_FILES[name]),
            f"{Path(folder).name}-{name}",
            mime,
            icon=":material/description:",
            help=f"{help_text} Made from what is stored with the classifier, by the CLAIM checklist.",
            place=column,
        )


def _report_bytes(folder, kind):
    return render_report(report_facts(folder), kind).encode()
