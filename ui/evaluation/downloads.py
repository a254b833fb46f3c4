"""What can be downloaded from an evaluation?"""

import json
from pathlib import Path

import streamlit as st

from cxr_core.classes import class_label
from cxr_core.evaluation.metrics import Metrics, report_table
from cxr_core.inference.model_card import load_card
from ui.common.components import download_table, offer_report
from ui.common.markdown import without_paths
from ui.common.permissions import is_open_to_strangers


def report_download(metrics: Metrics) -> None:
    """Offer the metrics of each class as CSV."""
    download_table("Metrics per class (CSV)", report_table(metrics).rename(index=class_label), "report.csv", index=True)


def report_downloads(folder: Path) -> None:
    """Offer the classifier's report in its further forms, made when somebody clicks."""
    kinds = (
        ("Report (Markdown)", "report.md", "text/markdown", "The same without plots."),
        ("Model card", "model_card.md", "text/markdown", "In the format of Mitchell et al. 2019."),
    )
    for column, (label, name, mime, help_text) in zip(st.columns(len(kinds)), kinds, strict=True):
        with column:
            offer_report(folder, label, name, mime, help=help_text)


def show_training(folder: Path) -> None:
    """Show how a classifier was trained; strangers see the names of its folders alone."""
    facts = json.dumps(load_card(folder).training)
    st.json(without_paths(facts) if is_open_to_strangers() else facts, expanded=1)
