"""A report of one classifier that opens anywhere: HTML and Markdown by the CLAIM checklist, and a model card."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from cxr_core.classes import class_label
from cxr_core.config import NOTICE
from cxr_core.evaluation.calibration import reliability_bins
from cxr_core.evaluation.headline_metrics import card_figures, figure_words
from cxr_core.evaluation.metrics import class_curves, evaluate_predictions, figure_text, roc_curves
from cxr_core.evaluation.predictions import prediction_groups, table_probabilities
from cxr_core.evaluation.repeated_runs import repeated_runs, repeats_sentence, seeds_table
from cxr_core.evaluation.slices import SLICES, file_facts, slice_table, worst_slice
from cxr_core.inference.model_card import load_card
from cxr_core.plots.evaluation import confusion_figure, reliability_figure, roc_figure
from cxr_core.plots.robustness import attention_figure, variants_figure
from cxr_core.reporting.claim_answers import answers
from cxr_core.reporting.claim_checklist import claim_items
from cxr_core.reporting.rendering import render_template
from cxr_core.robustness.shortcut_results import load_shortcut_result
from cxr_core.runs.run import Run, list_runs
from cxr_core.system.files import read_json, write_text

REPORT_FILES = {"report.html": "html", "report.md": "markdown", "model_card.md": "model card"}
_TEMPLATES = {"html": "report.html.j2", "markdown": "report.md.j2", "model card": "model_card.md.j2"}
_SIDES = {"validation": "Validation (chose the best epoch)", "test": "Test (looked at once)"}


def write_report(folder, target):
    """Write a model's report.

    Args:
        folder: str or Path of a run or a model folder with `card.json` and `predictions.csv`.
        target: str or Path of the folder to write `REPORT_FILES` into; made where missing.

    Returns:
        list of Path, what was written.

    Raises:
        FileNotFoundError: there is no card or no predictions.
        ValueError: the card is not understood.
    """
    facts = report_facts(folder)
    paths = []
    for name, kind in REPORT_FILES.items():
        path = Path(target) / name
        write_text(path, render_report(facts, kind))
        paths.append(path)
    return paths


def report_facts(folder):
    """Gather all that a report tells.

    Args:
        folder: as for `write_report`.

    Returns:
        dict for the templates: `name`, `notice`, `figures` (texts), `sets` (title, per-class rows), `claim` (tuple of
        claim_checklist.ClaimItem), `lab` (dict or None), `calibration` (rows), `answers` (dict of sentences), `counts`,
        `settings` (JSON text), `versions`, `slices`, `worst`, `repeats` (of the runs beside it: a sentence or ""), and
        `plots` (name to plotly Figure).

    Raises:
        as `write_report`.
    """
    folder = Path(folder)
    card = load_card(folder)
    if not (folder / "predictions.csv").exists():
        raise FileNotFoundError(f"There are no predictions in {folder}; a report needs a finished run.")
    predictions = pd.read_csv(folder / "predictions.csv")
    metrics = {side: _measured(card, predictions, side) for side in _SIDES}
    test = predictions[predictions["split"] == "test"].reset_index(drop=True)
    environment = read_json(folder / "environment.json") if (folder / "environment.json").exists() else {}
    lab = load_shortcut_result(folder) or card.metrics.get("shortcuts")
    slices = slice_table(test, file_facts(test))
    facts = {
        "name": card.name,
        "notice": NOTICE,
        "labels": {name: class_label(name) for name in card.classes},
        "figures": [figure_words(figure) for figure in card_figures(replace(card, metrics=card.metrics | metrics))],
        "sets": [_per_class(title, metrics[side]) for side, title in _SIDES.items()]
        + [_per_class(f"Elsewhere: {n} (never trained on)", m) for n, m in card.metrics.get("external", {}).items()],
        "calibration": _calibration(metrics),
        "temperature": card.temperature,
        "lab": _shortcut_rows(lab),
        "counts": card.training.get("data", {}).get("images", {}),
        "classes": card.classes,
        "settings": json.dumps(card.training, indent=2, ensure_ascii=False),
        "versions": environment.get("packages", {}),
        "slices": slices.assign(by=slices["by"].map(SLICES)).head(12).to_dict("records"),
        "worst": worst_slice(slices, metrics["test"]["accuracy"]),
        "repeats": repeats_sentence(seeds_table(repeated_runs(Run(folder), list_runs(folder.parent)))),
    }
    facts["answers"] = answers(card, metrics, environment, facts)
    facts["claim"] = claim_items(facts["answers"])
    facts["plots"] = _plots(card, metrics, test, lab)
    return facts


def render_report(facts, kind):
    """Turn a report's facts into a text.

    Args:
        facts: dict as `report_facts` gathers it.
        kind: a value of `REPORT_FILES`.

    Returns:
        str. HTML needs no network: its figures and the program that draws them are in it.
    """
    plots = _plots_html(facts["plots"]) if kind == "html" else {}
    return render_template(_TEMPLATES[kind], facts | {"plots": plots})


def _plots_html(plots):
    """Return each figure as HTML, and under "program" the script that draws them all."""
    config = {"displaylogo": False, "responsive": True}
    drawn = {"program": Markup(f"<script>{get_plotlyjs()}</script>")}
    for name, figure in plots.items():
        white = go.Figure(figure).update_layout(template="plotly_white")
        drawn[name] = Markup(white.to_html(full_html=False, include_plotlyjs=False, config=config))
    return drawn


def _plots(card, metrics, test, lab):
    probabilities = table_probabilities(test, card.classes)
    curves = roc_curves(test["true"], probabilities, card.classes)
    bins = reliability_bins(test["right"], test["confidence"])
    plots = {"confusion": confusion_figure(metrics["test"])}
    if curves:
        bands = {n: c["bands"]["roc"] for n, c in class_curves(test, card.classes).items() if c["bands"]}
        plots["roc"] = roc_figure(curves, bands)
    plots["reliability"] = reliability_figure(bins, "Reliability on the test split")
    if lab:
        plots["variants"] = variants_figure(lab)
        if lab["attention"]:
            plots["attention"] = attention_figure(lab["attention"])
    return plots


def _measured(card, predictions, side):
    """Return a side's metrics; cards from before intervals are measured again from their predictions."""
    metrics = card.metrics[side]
    if "ci95" in metrics:
        return metrics
    rows = predictions[predictions["split"] == side]
    again = evaluate_predictions(
        rows["true"], table_probabilities(rows, card.classes), card.classes, prediction_groups(rows)
    )
    return metrics | {key: again[key] for key in ("ci95", "ece", "brier")}


def _per_class(title, metrics):
    ends = (metrics.get("ci95") or {"per_class": {}})["per_class"]
    rows = []
    for name, row in metrics["per_class"].items():
        cells = {
            key: figure_text(row[key], ends.get(name, {}).get(key)) for key in ("precision", "recall", "f1", "auc")
        }
        rows.append({"label": class_label(name), "support": row["support"]} | cells)
    return {"title": title, "n": metrics["n"], "accuracy": metrics["accuracy"], "rows": rows}


def _calibration(metrics):
    rows = []
    before = metrics["validation"].get("uncalibrated")
    if before:
        rows.append({"label": "Validation, before the temperature"} | before)
    return rows + [{"label": side.capitalize(), "ece": m["ece"], "brier": m["brier"]} for side, m in metrics.items()]


def _shortcut_rows(lab):
    if not lab:
        return None
    rows = [
        {
            "title": v["title"],
            "accuracy": figure_text(v["accuracy"], v["accuracy_ci95"]),
            "retrained": figure_text(v["retrained"], v["retrained_ci95"]),
        }
        for v in lab["variants"]
    ]
    return {"rows": rows, "sentences": lab["verdict"]["sentences"], "tested": lab["tested"], "chance": lab["chance"]}
