"""The built-in classifier names no path of the computer it was trained on, and its card holds what was measured."""

import json
import re
from dataclasses import replace

import pytest

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.data.sources import source_label
from cxr_core.evaluation.headline_metrics import calibration_sentence, card_figures, false_alarm_sentence
from cxr_core.inference.model_card import load_card
from cxr_core.reporting.model_card_text import figures_markdown

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
    assert figures["Accuracy", "own test split"] == sum(matrix[i][i] for i in range(len(matrix))) / sum(
        map(sum, matrix)
    )
    assert figures["COVID-19 recall", "own test split"] == matrix[1][1] / sum(matrix[1])
    nih = metrics["external"]["nih"]
    share = nih["answers"]["per_class"]["normal"]["covid"]["share"]
    assert figures["False alarms", "healthy, NIH Clinical Center"] == share
    assert share <= nih["confusion_matrix"][0][1] / nih["n"]


def with_intervals(card):
    """The shipped card as one would be that was measured with intervals, abstention and the shortcut test."""
    ends = {"accuracy": [0.9, 0.95], "per_class": {"covid": {"recall": [0.85, 0.96]}}}
    cell = {"share": 0.03, "ci95": [0.01, 0.06]}
    answers = {
        "abstain_below": 0.8, "coverage": 0.7, "accuracy": 0.9, "found": 0.5, "per_class": {"normal": {"covid": cell}},
    }  # fmt: skip
    test = card.metrics["test"] | {"ci95": ends, "ece": 0.02, "brier": 0.1}
    external = {"nih": card.metrics["external"]["nih"] | {"answers": answers}}
    lab = {
        "tested": 90, "chance": 0.4, "verdict": {"level": "shortcut", "sentences": ["It does not need the lungs."]},
        "variants": [
            {"title": "Lungs blacked out", "accuracy": 0.4, "accuracy_ci95": None, "retrained": 0.9,
             "retrained_ci95": [0.85, 0.95]}
        ],
    }  # fmt: skip
    validation = card.metrics["validation"] | {"ece": 0.03, "brier": 0.1, "uncalibrated": {"ece": 0.08, "brier": 0.2}}
    metrics = {"validation": validation, "test": test, "external": external, "shortcuts": lab}
    return replace(card, metrics=metrics, temperature=1.7)


def test_a_card_with_intervals_shows_them():
    card = with_intervals(load_card(SHIPPED_MODEL_DIR))
    text = figures_markdown(card)
    assert f"{100 * card.metrics['test']['accuracy']:.1f} % (90.0 % to 95.0 %)" in text
    assert "(0.850 to 0.960)" in text


def test_false_alarms_are_those_given_without_abstaining():
    figures = {f.label: f for f in card_figures(with_intervals(load_card(SHIPPED_MODEL_DIR)))}
    assert (figures["False alarms"].value, figures["False alarms"].interval) == (0.03, (0.01, 0.06))


def test_a_card_says_how_it_was_calibrated_and_what_the_shortcut_test_found():
    text = figures_markdown(with_intervals(load_card(SHIPPED_MODEL_DIR)))
    assert "| validation, before | 0.080 | 0.200 |" in text
    assert "Temperature 1.70" in text
    assert "- It does not need the lungs." in text
    assert "| Lungs blacked out | 0.400 | 0.900 (0.850 to 0.950) |" in text


def test_false_alarms_elsewhere_are_said_in_a_sentence_the_worst_first():
    card = load_card(SHIPPED_MODEL_DIR)
    told = false_alarm_sentence(card)
    rates = {}
    for name, metrics in card.metrics["external"].items():
        people = metrics["per_class"]["normal"]["support"]
        if people:
            share = metrics["answers"]["per_class"]["normal"]["covid"]["share"]
            rates[f"{100 * share:.1f} % ({source_label(name)}, {people} people)"] = share
    assert len(rates) > 1
    worst_first = ", ".join(sorted(rates, key=lambda words: -rates[words]))
    assert told == f"Of healthy people in images from elsewhere, it called COVID-19: {worst_first}."


def test_where_nobody_healthy_was_classified_elsewhere_nothing_is_said():
    card = load_card(SHIPPED_MODEL_DIR)
    ill = {name: metrics for name, metrics in card.metrics["external"].items() if name == "hannover"}
    for external in (ill, {}):
        assert false_alarm_sentence(replace(card, metrics=card.metrics | {"external": external})) is None


def test_calibration_is_said_in_a_sentence_where_it_was_measured():
    card = load_card(SHIPPED_MODEL_DIR)
    test = card.metrics["test"] | {"ece": 0.0316}
    assert "differ by 3.2 percentage points" in calibration_sentence(replace(card, metrics={"test": test}))
    assert calibration_sentence(replace(card, metrics={})) is None
