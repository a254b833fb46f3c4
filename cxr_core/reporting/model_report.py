"""What does a report tell of a classifier?

It opens anywhere: as HTML and Markdown after the CLAIM checklist, and as a model card.
"""

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypedDict

import pandas as pd
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from cxr_core.classes import class_label
from cxr_core.config import NOTICE
from cxr_core.evaluation.calibration import reliability_bins
from cxr_core.evaluation.headline_metrics import FigureWords, card_figures, external_title, figure_words
from cxr_core.evaluation.hospitals.source_scores import (
    score_sources,
    source_notes,
    source_table,
    worst_source_sentences,
)
from cxr_core.evaluation.metrics import (
    Metrics,
    class_curves,
    class_texts,
    evaluate_predictions,
    figure_text,
    roc_curves,
)
from cxr_core.evaluation.predictions import prediction_groups, table_probabilities
from cxr_core.evaluation.repeated_runs import repeated_runs, repeats_sentence, seeds_table
from cxr_core.evaluation.slices import SLICES, file_facts, named_sources, slice_table, worst_slice
from cxr_core.inference.model_card import Card, load_card
from cxr_core.plots.evaluation import confusion_figure, reliability_figure, roc_figure
from cxr_core.plots.robustness import attention_figure, variants_figure
from cxr_core.reporting.claim_answers import ModelRecord, answers
from cxr_core.reporting.claim_checklist import ClaimItem, claim_items
from cxr_core.reporting.rendering import render_template
from cxr_core.reporting.run_statements import (
    factors_sentence,
    interval_words,
    temperature_sentence,
    title_of_test,
    title_of_validation,
)
from cxr_core.robustness.shortcut_results import ShortcutResult, ShortcutSummary
from cxr_core.robustness.shortcut_verdict import card_shortcuts, load_shortcut_result
from cxr_core.runs.looks import count_looks, record_looks
from cxr_core.runs.run import Run, list_runs
from cxr_core.runs.run_tables import read_run_table
from cxr_core.system.files import read_json, write_text, written_together

ReportKind = Literal["html", "markdown", "model card"]
REPORT_FILES: dict[str, ReportKind] = {
    "report.html": "html", "report.md": "markdown", "model_card.md": "model card",
}  # fmt: skip
_TEMPLATES: dict[ReportKind, str] = {
    "html": "report.html.j2", "markdown": "report.md.j2", "model card": "model_card.md.j2",
}  # fmt: skip
_SIDES = ("validation", "test")


class ClassRow(TypedDict):
    """One class of a classification report, its metrics as texts with intervals."""

    label: str
    support: int
    precision: str
    recall: str
    f1: str
    auc: str


class SetRows(TypedDict):
    """The classification report on one set of images."""

    title: str
    n: int
    accuracy: float
    rows: list[ClassRow]


class CalibrationRow(TypedDict):
    """Expected calibration error and Brier score on one set of images."""

    label: str
    ece: float
    brier: float


class VariantRow(TypedDict):
    """Scores on one variant of the images, as texts with intervals."""

    title: str
    accuracy: str
    retrained: str


class ShortcutRows(TypedDict):
    """What the shortcut test found."""

    rows: list[VariantRow]
    sentences: list[str]
    tested: int
    chance: float


class SourceRows(TypedDict):
    """How good the classifier is at each source: sentences, names of the columns, then texts row by row."""

    sentences: list[str]
    columns: list[str]
    rows: list[list[str]]


class ReportFacts(TypedDict):
    """All that a report tells; the templates read it.

    Attributes:
        name: of the classifier.
        notice: that it is no medical device.
        labels: {class: name for a person}.
        figures: the headline metrics.
        sets: classification reports: validation, test, then external data.
        calibration: per set of images.
        temperature: of the classifier, in a sentence.
        factors: which properties of patients and images are known, in sentences.
        shortcuts: the shortcut test, or None where it has not been run.
        counts: {"train", "validation" or "test": {class: number of images}}.
        classes: in the classifier's order.
        settings: of the training, as JSON text.
        versions: {package: version} of the training.
        sources: how good it is at each source of the test images, or None where there are not several.
        slices: rows of `slices.slice_table`, weakest first.
        worst: the weakest slice in a sentence, or None.
        repeats: what runs with other folds or seeds reached, in a sentence; "" without any.
        intervals: what stands in brackets, in words; "" where there are no intervals.
        answers: what is known about the CLAIM checklist.
        claim: the 42 items of the checklist.
        plots: {name: Plotly figure}.
    """

    name: str
    notice: str
    labels: dict[str, str]
    figures: list[FigureWords]
    sets: list[SetRows]
    calibration: list[CalibrationRow]
    temperature: str
    factors: str
    shortcuts: ShortcutRows | None
    counts: dict[str, dict[str, int]]
    classes: Sequence[str]
    settings: str
    versions: dict[str, str]
    sources: SourceRows | None
    slices: list[dict[Hashable, Any]]
    worst: str | None
    repeats: str
    intervals: str
    answers: dict[str, str]
    claim: tuple[ClaimItem, ...]
    plots: dict[str, go.Figure]


def write_report(folder: str | Path, target: str | Path) -> list[Path]:
    """Write a classifier's report.

    Args:
        folder: of a run or a classifier, with `card.json` and `predictions.csv`.
        target: folder to write `REPORT_FILES` into; made where missing.

    Returns:
        The files written.

    Raises:
        FileNotFoundError: there is no card, or there are no predictions.
        ValueError: the card is not understood.
    """
    record_looks([Run(Path(folder))], "report")
    facts = report_facts(folder)
    with written_together(target) as part:
        for name, kind in REPORT_FILES.items():
            write_text(part / name, render_report(facts, kind))
    return [Path(target) / name for name in REPORT_FILES]


def report_facts(folder: str | Path) -> ReportFacts:
    """Gather all that a report tells.

    Args:
        folder: of a run or a classifier, with `card.json` and `predictions.csv`.

    Raises:
        FileNotFoundError: there is no card, or there are no predictions.
        ValueError: the card is not understood.
    """
    folder = Path(folder)
    card = load_card(folder)
    predictions = _predictions(folder)
    test = predictions[predictions["split"] == "test"].reset_index(drop=True)
    slices = slice_table(test, file_facts(test))
    record = _model_record(folder, card, predictions, slices)
    known = answers(record)
    return {
        "name": card.name,
        "notice": NOTICE,
        "labels": {name: class_label(name) for name in card.classes},
        "figures": [figure_words(f) for f in card_figures(replace(card, metrics=card.metrics | record.metrics))],
        "sets": _sets(record),
        "calibration": _calibration(record.metrics),
        "temperature": temperature_sentence(card.training, card.temperature),
        "factors": factors_sentence(predictions.columns),
        "shortcuts": _shortcut_rows(record.shortcuts),
        "counts": record.data.get("images", {}),
        "classes": card.classes,
        "settings": json.dumps(card.training, indent=2, ensure_ascii=False),
        "versions": record.environment.get("packages", {}),
        "sources": _source_rows(record.metrics["test"], test, card),
        "slices": named_sources(slices.head(12)).replace({"by": SLICES}).to_dict("records"),
        "worst": record.worst,
        "repeats": record.repeats,
        "intervals": interval_words(record.metrics["test"]),
        "answers": known,
        "claim": claim_items(known),
        "plots": _plots(record, test),
    }


def render_report(facts: ReportFacts, kind: ReportKind) -> str:
    """Turn a report's facts into a text; HTML needs no network: its figures and what draws them are in it."""
    plots = _plots_html(facts["plots"]) if kind == "html" else {}
    return render_template(_TEMPLATES[kind], facts | {"plots": plots})


def _predictions(folder: Path) -> pd.DataFrame:
    path = folder / "predictions.csv"
    if not path.exists():
        raise FileNotFoundError(f"There are no predictions in {folder}; a report needs a finished run.")
    return read_run_table(path)


def _model_record(folder: Path, card: Card, predictions: pd.DataFrame, slices: pd.DataFrame) -> ModelRecord:
    environment, run = folder / "environment.json", Run(folder)
    metrics = {side: _measured(card, predictions, side) for side in _SIDES}
    return ModelRecord(
        card=card,
        metrics=metrics,
        environment=read_json(environment) if environment.exists() else {},
        shortcuts=load_shortcut_result(folder) or card_shortcuts(card),
        looks=card.metrics.get("test_looks", count_looks(run, list_runs(folder.parent))),
        worst=worst_slice(slices, metrics["test"]["accuracy"]),
        repeats=repeats_sentence(seeds_table(repeated_runs(run, list_runs(folder.parent)))),
    )


def _plots_html(plots: Mapping[str, go.Figure]) -> dict[str, Markup]:
    """Return each figure as HTML, and under "program" the script that draws them all."""
    config = {"displaylogo": False, "responsive": True}
    drawn = {"program": Markup(f"<script>{get_plotlyjs()}</script>")}
    for name, figure in plots.items():
        white = go.Figure(figure).update_layout(template="plotly_white")
        drawn[name] = Markup(white.to_html(full_html=False, include_plotlyjs=False, config=config))
    return drawn


def _plots(record: ModelRecord, test: pd.DataFrame) -> dict[str, go.Figure]:
    classes = record.card.classes
    curves = roc_curves(test["true"], table_probabilities(test, classes), classes)
    bins = reliability_bins(test["right"], test["confidence"])
    plots = {"confusion": confusion_figure(record.metrics["test"])}
    if curves:
        bands = {n: c["bands"]["roc"] for n, c in class_curves(test, classes).items() if c["bands"]}
        plots["roc"] = roc_figure(curves, bands)
    plots["reliability"] = reliability_figure(bins, "Reliability on the test images")
    if record.shortcuts:
        plots["variants"] = variants_figure(record.shortcuts)
        if record.shortcuts["attention"]:
            plots["attention"] = attention_figure(record.shortcuts["attention"])
    return plots


def _measured(card: Card, predictions: pd.DataFrame, side: str) -> Metrics:
    """Return the metrics of one side; cards from before intervals are measured again from their predictions."""
    metrics: Metrics = card.metrics[side]
    if "ci95" in metrics:
        return metrics
    rows = predictions[predictions["split"] == side]
    again = evaluate_predictions(
        rows["true"], table_probabilities(rows, card.classes), card.classes, prediction_groups(rows)
    )
    method = again["interval_method"]
    return {**metrics, "interval_method": method, "ci95": again["ci95"], "ece": again["ece"], "brier": again["brier"]}


def _sets(record: ModelRecord) -> list[SetRows]:
    external = record.card.metrics.get("external", {})
    training, metrics = record.training, record.metrics
    own = [
        _set_rows(title_of_validation(training), metrics["validation"]),
        _set_rows(title_of_test(training, record.looks), metrics["test"]),
    ]
    return own + [_set_rows(external_title(name, metrics), metrics) for name, metrics in external.items()]


def _set_rows(title: str, metrics: Metrics) -> SetRows:
    rows: list[ClassRow] = []
    for name, row in metrics["per_class"].items():
        texts = class_texts(metrics, name)
        rows.append(
            {
                "label": class_label(name),
                "support": row["support"],
                "precision": texts["precision"],
                "recall": texts["recall"],
                "f1": texts["f1"],
                "auc": texts["auc"],
            }
        )
    return {"title": title, "n": metrics["n"], "accuracy": metrics["accuracy"], "rows": rows}


def _source_rows(metrics: Metrics, test: pd.DataFrame, card: Card) -> SourceRows | None:
    scores = metrics.get("sources") or score_sources(test, card.classes)
    if not scores:
        return None
    table = source_table(scores)
    sentences = worst_source_sentences(scores) + source_notes(scores, metrics["n"])
    return {"sentences": sentences, "columns": list(table.columns), "rows": table.to_numpy().tolist()}


def _calibration(metrics: Mapping[str, Metrics]) -> list[CalibrationRow]:
    rows: list[CalibrationRow] = []
    before = metrics["validation"].get("uncalibrated")
    if before:
        rows.append({"label": "Validation, before the temperature", "ece": before["ece"], "brier": before["brier"]})
    return rows + [{"label": side.capitalize(), "ece": m["ece"], "brier": m["brier"]} for side, m in metrics.items()]


def _shortcut_rows(result: ShortcutResult | ShortcutSummary | None) -> ShortcutRows | None:
    if not result:
        return None
    rows: list[VariantRow] = [
        {
            "title": v["title"],
            "accuracy": figure_text(v["accuracy"], v["accuracy_ci95"]),
            "retrained": figure_text(v["retrained"], v["retrained_ci95"]),
        }
        for v in result["variants"]
    ]
    sentences = result["verdict"]["sentences"]
    return {"rows": rows, "sentences": sentences, "tested": result["tested"], "chance": result["chance"]}
