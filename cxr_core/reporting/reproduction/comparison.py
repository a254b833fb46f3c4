"""How do several reproductions compare with the article's claims, seeds of the same settings put together?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from cxr_core.classes import class_label
from cxr_core.evaluation.confidence_intervals import Interval
from cxr_core.evaluation.metrics import Metrics, class_interval, figure_text, roc_curves
from cxr_core.evaluation.predictions import table_probabilities
from cxr_core.inference.model_card import load_card
from cxr_core.reporting.reproduction import claims
from cxr_core.reporting.reproduction.page import Table
from cxr_core.reporting.reproduction.texts import NOTHING, percent
from cxr_core.runs.looks import record_looks
from cxr_core.runs.overview import kept_accuracy, kept_epoch
from cxr_core.runs.run import Run

NOTE = (
    "Several seeds: mean (lowest to highest). One seed: value (95 % interval). Time and memory are those of the "
    "machine that each run had."
)


class Figure(TypedDict):
    """One figure of a group of runs.

    Attributes:
        figure: its name.
        kind: "proportion", "area" or "number".
        claimed: by the article, or None.
        values: per group, one value per run.
        intervals: per group, the 95 % interval of its only run; None where there are several, or none is known.
    """

    figure: str
    kind: str
    claimed: float | None
    values: list[list[float | None]]
    intervals: list[Interval | None]


class Comparison(TypedDict):
    """Several groups of runs, each of the same recipe, split and data set, and of several seeds.

    Attributes:
        groups: the name of each.
        seeds: of each group's runs.
        figures: see `Figure`.
    """

    groups: list[str]
    seeds: list[list[int]]
    figures: list[Figure]


@dataclass(frozen=True)
class _Measured:
    value: float | None
    ends: Interval | None = None


def compare_runs(runs: Sequence[Run]) -> Comparison:
    """Gather the figures of finished runs; it counts as a look at the test side of each.

    Args:
        runs: of the same classes; of each the tables and the card are enough, its networks may be gone.

    Raises:
        FileNotFoundError: a run has no card of a tested classifier, or no predictions.
        ValueError: the runs have different classes.
    """
    for run in runs:
        if not (run.path / "card.json").exists() or run.predictions().empty:
            raise FileNotFoundError(f"{run.path} has no card of a tested classifier, or no predictions.")
    cards = {run: load_card(run.path) for run in runs}
    classes = cards[runs[0]].classes
    for run, card in cards.items():
        if card.classes != classes:
            raise ValueError(
                f"Only runs of the same classes can be compared; {run.name} has {', '.join(card.classes)}."
            )
    groups: dict[str, list[Run]] = {}
    for run in runs:
        training = cards[run].training
        groups.setdefault(f"{training['recipe']}, {training['split']} split", []).append(run)
    record_looks(runs, "article page")
    measured = {run: _figures(run, cards[run].metrics["test"], classes) for run in runs}
    figures = [
        Figure(
            figure=name,
            kind=kind,
            claimed=_claimed(name, classes),
            values=[[measured[run][name][1].value for run in group] for group in groups.values()],
            intervals=[measured[group[0]][name][1].ends if len(group) == 1 else None for group in groups.values()],
        )
        for name, (kind, _) in measured[runs[0]].items()
    ]
    seeds = [[int(cards[run].training["seed"]) for run in group] for group in groups.values()]
    return {"groups": list(groups), "seeds": seeds, "figures": figures}


def comparison_table(found: Comparison) -> Table:
    """Return a comparison as a table of texts, for `NOTE` to stand below."""
    heads = [
        f"{name} (seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))})"
        for name, seeds in zip(found["groups"], found["seeds"], strict=True)
    ]
    rows = []
    for figure in found["figures"]:
        groups = zip(figure["values"], figure["intervals"], strict=True)
        cells = [_cell(figure["kind"], values, ends) for values, ends in groups]
        rows.append((figure["figure"], _claim_cell(figure["kind"], figure["claimed"]), *cells))
    return Table(("figure", "claimed", *heads), tuple(rows))


def comparison_text(found: Comparison) -> str:
    """Write a comparison as a Markdown table."""
    table = comparison_table(found)
    rule = "---:|" * (len(table.header) - 1)
    lines = [f"| {' | '.join(cells)} |" for cells in (table.header, *table.rows)]
    return "\n".join([lines[0], f"|---|{rule}", *lines[1:], "", NOTE])


def _figures(run: Run, test: Metrics, classes: Sequence[str]) -> dict[str, tuple[str, _Measured]]:
    """Return {figure: (kind, value)} of one run."""
    epochs, status, predictions = run.epochs(), run.status(), run.predictions()
    predictions = predictions[predictions["split"] == "test"]
    curves = roc_curves(predictions["true"], table_probabilities(predictions, classes), classes)
    ends = test["ci95"]["accuracy"] if "ci95" in test else None
    found = {"Test accuracy": ("proportion", _Measured(test["accuracy"], ends))}
    for name in classes:
        row = _Measured(test["per_class"][name]["recall"], class_interval(test, name, "recall"))
        found[f"Recall, {class_label(name)}"] = ("proportion", row)
    for name in classes:
        row = _Measured(test["per_class"][name]["auc"], class_interval(test, name, "auc"))
        found[f"AUC, {class_label(name)}"] = ("area", row)
    for name in ("micro", "macro"):
        found[f"AUC, {name} average"] = ("area", _Measured(curves[name]["auc"] if name in curves else None))
    return found | {
        "Validation accuracy": ("proportion", _Measured(kept_accuracy(epochs))),
        "Epoch kept": ("number", _Measured(kept_epoch(epochs))),
        "Epochs": ("number", _Measured(len(epochs))),
        "Test images": ("number", _Measured(test["n"])),
        "Minutes of training": ("number", _Measured(status.seconds_spent / 60)),
        "Peak memory in GB": ("number", _Measured(status.peak_memory_bytes / 1e9)),
    }


def _claimed(figure: str, classes: Sequence[str]) -> float | None:
    of_class = claims.class_claims(classes)
    if not of_class:
        return None
    said: dict[str, float] = {
        "Test accuracy": claims.ACCURACY,
        "Epochs": claims.EPOCHS,
        "Test images": claims.TEST_IMAGES,
    }
    for name, claim in of_class.items():
        said |= {f"Recall, {class_label(name)}": claim.recall, f"AUC, {class_label(name)}": claim.auc}
    return said.get(figure)


def _claim_cell(kind: str, claimed: float | None) -> str:
    """Write a claim with the digits that the article gives."""
    if claimed is None:
        return NOTHING
    return {"proportion": f"{100 * claimed:.4g} %", "area": f"{claimed:.2f}"}.get(kind, f"{claimed:,.0f}")


def _cell(kind: str, values: Sequence[float | None], ends: Interval | None) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return NOTHING
    if len(known) > 1:
        ends = [min(known), max(known)]
    mean = float(np.mean(known))
    if kind == "proportion":
        return percent(mean, ends)
    if kind == "area":
        return figure_text(mean, ends)
    written = [f"{value:,.3g}" if value < 1000 else f"{value:,.0f}" for value in (mean, *(ends or ()))]
    return written[0] + (f" ({written[1]} to {written[2]})" if ends else "")
