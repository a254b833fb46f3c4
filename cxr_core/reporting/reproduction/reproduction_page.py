"""How is the page of one run put together?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from cxr_core.classes import class_label
from cxr_core.reporting.reproduction import claims
from cxr_core.reporting.reproduction.comparison import NOTE, compare_runs, comparison_table
from cxr_core.reporting.reproduction.data_sections import data_sections
from cxr_core.reporting.reproduction.model_sections import main_figures, model_sections
from cxr_core.reporting.reproduction.page import Page, write_page
from cxr_core.reporting.reproduction.record import RunRecord, load_record
from cxr_core.reporting.reproduction.texts import counted, percent, verdict
from cxr_core.runs.looks import record_looks
from cxr_core.runs.run import Run
from cxr_core.splits.split import SPLIT_KINDS
from cxr_core.system.progress import Phase
from cxr_core.system.text import listed

PAGE_FOLDER = "article"


def write_reproduction(
    run: Run,
    folders: Sequence[str | Path],
    target: str | Path | None = None,
    *,
    stand_ins: Mapping[str, str | Path] | None = None,
    beside: Sequence[Run] = (),
    credits: str = "",
    phase: Phase,
) -> list[Path]:
    """Write the page "the article reproduced" of a finished run; it counts as a look at the run's test side.

    Args:
        run: finished, or stopped and exported.
        folders: the data set that it was trained on.
        target: folder to write into; `PAGE_FOLDER` in the run's by default.
        stand_ins: {class: folder of images}, shown in place of a class's own, which may not be passed on.
        beside: further finished runs, such as other seeds, whose figures stand in a table of their own.
        credits: whose images are shown, and under which terms.
        phase: reports on each step.

    Returns:
        The HTML file and the Markdown file.

    Raises:
        FileNotFoundError, ValueError: as for `record.load_record` and `comparison.compare_runs`.
    """
    record = load_record(run, folders, stand_ins, phase=phase)
    page = build_page(record, credits=credits)
    if beside:
        # It counts the looks at all of them, this run's included.
        found = compare_runs(list(dict.fromkeys([run, *beside])))
        page = replace(page, comparison=comparison_table(found), comparison_note=NOTE)
    else:
        record_looks([run], "article page")
    return write_page(page, target or run.path / PAGE_FOLDER)


def build_page(record: RunRecord, *, credits: str = "") -> Page:
    """Return the page of a run."""
    return Page(
        title=f"The article reproduced: {record.run.name}",
        summary=tuple(_summary(record)),
        table=main_figures(record),
        sections=(*data_sections(record), *model_sections(record)),
        command=" ".join(_command(record)),
        credits=credits,
    )


def _summary(record: RunRecord) -> list[str]:
    setting, metrics, status = record.setting, record.test, record.status
    recipe, done = setting["recipe"], len(record.epochs)
    told = []
    if recipe == "quick":
        told.append(
            "This page was made with the quick recipe, not the article's: the backbone stays frozen, and a small "
            "classifier is trained on its features. Its figures say nothing about the article's training."
        )
    elif recipe != "article":
        told.append(f"This page was made with the recipe {recipe}, not with the article's as it is written.")
    if not record.claims:
        told.append(
            f"The data set has the classes {listed([class_label(name) for name in record.classes])}, not the "
            "article's: the columns of its claims stay empty."
        )
    ends = metrics["ci95"]["accuracy"] if "ci95" in metrics else None
    result = f"Accuracy {percent(metrics['accuracy'], ends)} on {metrics['n']:,} test images."
    told.append(f"{result} {verdict(metrics['accuracy'], ends, claims.ACCURACY)}" if record.claims else result)
    changes = _changes(record)
    if changes:
        told.append(f"Settings that differ from the recipe's: {listed(changes)}.")
    told.append(f"Recipe {recipe}, seed {setting['seed']}. {SPLIT_KINDS[setting['split']]}")
    pace = f"{status.seconds_spent / 60:,.0f} minutes of training, {status.peak_memory_bytes / 1e9:.1f} GB of memory"
    short = (
        "" if done >= setting["epochs"] or setting["early_stopping_patience"] else f", of {setting['epochs']} planned"
    )
    told.append(f"{counted(done, 'epoch')}{short}; {pace}.")
    return told


def _command(record: RunRecord) -> list[str]:
    setting = record.setting
    words = ["python -m cxr_core reproduce", *setting["roots"], "--seed", str(setting["seed"])]
    words += {"quick": ["--quick"], "article-sound": ["--sound"]}.get(setting["recipe"], [])
    usual = "grouped" if setting["recipe"] == "article-sound" else "article"
    words += ["--split", setting["split"]] if setting["split"] != usual else []
    return words + [f"--set {change}" for change in _changes(record)]


def _changes(record: RunRecord) -> list[str]:
    """Return the settings that differ from the recipe's, as "key=value"."""
    command = record.environment.get("command", [])
    return [after for word, after in pairwise(command) if word == "--set"]
