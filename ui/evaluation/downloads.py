"""What can be downloaded from an evaluation, and how was its classifier trained?"""

import json
from pathlib import Path

import pandas as pd
import streamlit as st

from cxr_core.classes import class_label
from cxr_core.evaluation.metrics import Metrics, report_table
from cxr_core.inference.model_card import load_card
from cxr_core.recipes.setting_words import settings_in_words
from cxr_core.recipes.training_config import config_of_card
from ui.common.components import (
    download_table,
    offer_download,
    offer_report,
    plain_error,
    show_short_table,
    show_table,
)
from ui.common.markdown import plain_text, without_paths
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
    """Show on which images and with which settings a classifier was trained, and offer it all as JSON.

    Strangers see the names of its folders alone.
    """
    card = load_card(folder)
    counts = pd.DataFrame(card.training["data"]["images"]).reindex(card.classes).fillna(0).astype(int)
    show_short_table(counts.rename(index=class_label).rename_axis("Images"))
    try:
        settings = settings_in_words(config_of_card(card.training))
    except ValueError as error:
        st.info(plain_error(error))
    else:
        changed = sum(setting.differs for setting in settings)
        own = f"with {changed:d} settings of its own, which come first." if changed else "as it is."
        st.caption(f"Recipe {plain_text(card.training['recipe'])}, {own}")
        rows = [(s.words, s.value, s.recipe_value if s.differs else "same") for s in settings]
        show_table(pd.DataFrame(rows, columns=["Setting", "Value", "Recipe"]))
    facts = json.dumps(card.training, indent=2)
    offer_download(
        "Settings (JSON)",
        without_paths(facts) if is_open_to_strangers() else facts,
        "training.json",
        "application/json",
        help="With the data set's folders and the numbers of images, as the model card has them.",
    )
