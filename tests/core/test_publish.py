"""What is shipped carries no path of the machine it was made on, and its card holds what was measured."""

import json
import re

import pytest

from cxr_core.card import card_figures, load_card
from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.publish import figures_markdown

MOST_BYTES = 30_000_000


def test_the_shipped_classifier_is_small_enough():
    sizes = [path.stat().st_size for path in SHIPPED_MODEL_DIR.parent.rglob("*") if path.is_file()]
    assert sum(sizes) <= MOST_BYTES


@pytest.mark.parametrize("name", ["card.json", "CARD.md", "predictions.csv", "epochs.csv"])
def test_no_shipped_text_names_an_absolute_path(name):
    text = (SHIPPED_MODEL_DIR / name).read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.:/])/(home|work|root|tmp|Users)/", text)


def test_the_card_for_people_shows_the_figures_of_the_card_for_programs():
    card = load_card(SHIPPED_MODEL_DIR)
    assert figures_markdown(card) in (SHIPPED_MODEL_DIR / "CARD.md").read_text(encoding="utf-8")


def test_headline_figures_follow_from_the_confusion_matrices():
    metrics = json.loads((SHIPPED_MODEL_DIR / "card.json").read_text(encoding="utf-8"))["metrics"]
    figures = {(figure.label, figure.where): figure.value for figure in card_figures(load_card(SHIPPED_MODEL_DIR))}
    matrix = metrics["test"]["confusion_matrix"]
    assert figures["Accuracy", "own test split"] == sum(matrix[i][i] for i in range(3)) / sum(map(sum, matrix))
    assert figures["COVID-19 found", "own test split"] == matrix[1][1] / sum(matrix[1])
    nih = metrics["external"]["nih"]["confusion_matrix"][0]
    assert figures["False alarms", "healthy, nih"] == nih[1] / sum(nih)
