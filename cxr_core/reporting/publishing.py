"""Make a run's classifier ready to be shipped: copied whole, without this machine's paths."""

import shutil
from dataclasses import replace
from pathlib import Path

from cxr_core.evaluation.scoring import answers_of, score_folders
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.input_gate import GATE_FILES
from cxr_core.inference.model_card import load_card, write_card
from cxr_core.reporting.model_card_text import figures_markdown
from cxr_core.robustness.shortcut_results import SHORTCUTS_FILE, save_shortcut_result
from cxr_core.system.files import atomic_path, write_text

_SHORTCUT_FIGURES = ("images", "tested", "chance", "majority", "lungs", "variants", "attention", "notes", "verdict")


def publish_run(run, folder, external=(), *, shortcuts=None, progress=None):
    """Copy a finished run's classifier, history and predictions into a folder, and write its card.

    Args:
        run: run.Run that has a model.
        folder: str or Path, for example `models/cxr-mobilenetv2`; made where missing. Its ABOUT.md,
            written by hand, becomes the head of CARD.md.
        external: folders of data sets from elsewhere; their scores go into the card as they are.
        shortcuts: dict as `shortcut_test.run_shortcut_test` returns it, or None; it is kept beside the card, and its
            figures go into the card.
        progress: as for `scoring.score_folders`.

    Raises:
        FileNotFoundError: the run has no exported model.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    card = load_card(run.path)
    classifier = load_classifier(run.path)
    scores = {Path(f).name: score_folders(classifier, f, progress=progress)[0] for f in external}
    for name in ("model.onnx", "model.keras", "epochs.csv"):
        with atomic_path(folder / name) as temporary:
            shutil.copyfile(run.path / name, temporary)
    for name in GATE_FILES:
        if (run.path / name).exists():
            with atomic_path(folder / name) as temporary:
                shutil.copyfile(run.path / name, temporary)
        else:
            # A gate belongs to one model: that of an earlier one must not stand before this one.
            (folder / name).unlink(missing_ok=True)
    with atomic_path(folder / "predictions.csv") as temporary:
        run.predictions().drop(columns=["path", "view", "age_group"], errors="ignore").to_csv(
            temporary, index=False, float_format="%.6g"
        )
    metrics = card.metrics | {"external": scores}
    if card.abstain_below:
        test = run.predictions().query("split == 'test'")
        metrics["test"] = metrics["test"] | {"answers": answers_of(test, card)}
    # What was found of an earlier model must not stand before this one.
    (folder / SHORTCUTS_FILE).unlink(missing_ok=True)
    if shortcuts:
        save_shortcut_result(folder, shortcuts)
        metrics["shortcuts"] = {name: shortcuts[name] for name in _SHORTCUT_FIGURES}
    card = replace(card, name=folder.name, metrics=metrics)
    write_card(card, folder)
    about = folder / "ABOUT.md"
    head = about.read_text(encoding="utf-8") if about.exists() else f"# {folder.name}\n"
    write_text(folder / "CARD.md", f"{head.rstrip()}\n\n{figures_markdown(card)}")
