"""Make a run's classifier ready to be shipped: copied whole, without this machine's paths."""

import shutil
from dataclasses import replace
from pathlib import Path

from cxr_core.card import load_card, write_card
from cxr_core.files import atomic_path


def publish_run(run, folder):
    """Copy a finished run's classifier, history and predictions into a folder.

    Args:
        run: runs.Run that has a model.
        folder: str or Path, for example `models/cxr-mobilenetv2`; made where missing.

    Raises:
        FileNotFoundError: the run has no exported model.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    card = load_card(run.path)
    for name in ("model.onnx", "model.keras", "epochs.csv"):
        with atomic_path(folder / name) as temporary:
            shutil.copyfile(run.path / name, temporary)
    with atomic_path(folder / "predictions.csv") as temporary:
        run.predictions().drop(columns="path").to_csv(temporary, index=False)
    write_card(replace(card, name=folder.name), folder)
