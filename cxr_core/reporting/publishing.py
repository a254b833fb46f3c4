"""How is a run's classifier published: copied whole, without the paths of the computer it was trained on?"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cxr_core.evaluation.hospitals.source_scores import known_sources, score_sources
from cxr_core.evaluation.metrics import Metrics
from cxr_core.evaluation.scoring import answers_of, score_folders
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.input_gate import GATE_FILES
from cxr_core.inference.model_card import Card, load_card, write_card
from cxr_core.reporting.model_card_text import figures_markdown
from cxr_core.robustness.shortcut_results import SHORTCUTS_FILE, ShortcutResult, save_shortcut_result
from cxr_core.robustness.shortcut_verdict import judge_again
from cxr_core.runs.looks import count_looks, record_looks
from cxr_core.runs.run import Run, list_runs
from cxr_core.runs.training_images import TRAINING_IMAGES_FILE, save_training_images
from cxr_core.system.files import folder_names, write_text, written_together
from cxr_core.system.progress import Phase
from cxr_core.system.text import table_csv

_SHORTCUT_FIGURES = ("images", "tested", "chance", "majority", "lungs", "variants", "attention", "notes", "verdict")


def publish_run(
    run: Run,
    folder: str | Path,
    external: Sequence[str | Path] = (),
    *,
    shortcuts: ShortcutResult | None = None,
    progress: Phase | None = None,
) -> None:
    """Copy a finished run's classifier, history and predictions into a folder, and write its card.

    Args:
        run: with an exported classifier.
        folder: for example `models/cxr-mobilenetv2`; made where missing. Its ABOUT.md, written by hand, becomes the
            head of CARD.md.
        external: folders of external data sets; their metrics go into the card as they are.
        shortcuts: result of the shortcut test; stored beside the card, and summed up in it.
        progress: called with the name of each phase.

    Raises:
        FileNotFoundError: the run has no exported classifier.
    """
    folder = Path(folder)
    card, classifier = load_card(run.path), load_classifier(run.path)
    scores = {
        name: score_folders(classifier, folder, progress=progress)[0]
        for name, folder in zip(folder_names(external), external, strict=True)
    }
    # What belongs to an earlier classifier must not stand beside this one.
    with written_together(folder, instead_of=(*GATE_FILES, SHORTCUTS_FILE, TRAINING_IMAGES_FILE)) as part:
        _copy_files(run, part)
        save_training_images(run, part)
        if shortcuts:
            shortcuts = judge_again(shortcuts)
            save_shortcut_result(part, shortcuts)
        card = replace(card, name=folder.name, metrics=_published_metrics(run, card, scores, shortcuts))
        write_card(card, part)
        _write_card_text(card, part, about=folder / "ABOUT.md")


def write_card_text(folder: str | Path) -> None:
    """Write a published classifier's CARD.md anew: its ABOUT.md, then the figures of its `card.json`."""
    folder = Path(folder)
    _write_card_text(replace(load_card(folder), name=folder.name), folder, about=folder / "ABOUT.md")


def _write_card_text(card: Card, folder: Path, *, about: Path) -> None:
    head = about.read_text(encoding="utf-8") if about.exists() else f"# {card.name}\n"
    write_text(folder / "CARD.md", f"{head.rstrip()}\n\n{figures_markdown(card)}")


def _copy_files(run: Run, folder: Path) -> None:
    for name in ("model.onnx", "model.keras", "epochs.csv"):
        shutil.copyfile(run.path / name, folder / name)
    for name in GATE_FILES:
        if (run.path / name).exists():
            shutil.copyfile(run.path / name, folder / name)
    predictions = run.predictions()
    sources = known_sources(predictions)
    predictions = predictions.drop(columns=["path", "view", "age_group", "sex", "source"], errors="ignore")
    if sources is not None and sources.nunique() > 1:
        predictions = predictions.assign(source=sources)
    write_text(folder / "predictions.csv", table_csv(predictions, float_format="%.6g"))


def _published_metrics(
    run: Run, card: Card, external: Mapping[str, Metrics], shortcuts: ShortcutResult | None
) -> dict[str, Any]:
    """Return the metrics of a run's card, with what it answers where it may abstain, and what else was measured."""
    metrics = card.metrics | {"external": dict(external)}
    record_looks([run], "published card")
    looks = count_looks(run, list_runs(run.path.parent))
    if looks is not None:
        metrics["test_looks"] = looks
    test = run.predictions().query("split == 'test'").reset_index(drop=True)
    sources = score_sources(test, card.classes)
    if sources:
        metrics["test"] = metrics["test"] | {"sources": sources}
    if card.abstain_below:
        metrics["test"] = metrics["test"] | {"answers": answers_of(test, card)}
    if shortcuts:
        metrics["shortcuts"] = {name: value for name, value in shortcuts.items() if name in _SHORTCUT_FIGURES}
    return metrics
