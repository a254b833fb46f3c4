"""Which images, which split and which environment a run begins with."""

import importlib.metadata
import os
import platform

import numpy as np
import pandas as pd

from cxr_core.classes import order_classes
from cxr_core.config import PROJECT_DIR
from cxr_core.recipes.training_config import command_for
from cxr_core.splits.curation import CURATION_FILE, Curation, load_curation
from cxr_core.splits.groups import group_images
from cxr_core.splits.split import Split, make_split, split_table
from cxr_core.system.files import atomic_path, read_json, write_json

_PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "opencv-python-headless", "onnxruntime", "scikit-learn")


def make_run_split(run, config, dataset, recorder):
    """Split the data set, and write down how; returns the table of what takes part and its Split."""
    curation = load_curation(run.path / CURATION_FILE)
    find_copies = not config.copies_come_later
    grouping = group_images(dataset.table, curation, phase=recorder.phase, find_copies=find_copies)
    _, table, groups = grouping.taking_part(curation)
    split = make_split(
        table,
        config.split,
        seed=config.seed,
        groups=groups,
        validation_share=config.validation_share,
        test_share=config.test_share,
        folds=config.folds,
        fold=config.fold,
    )
    _check_split(table, config, split)
    with atomic_path(run.path / "split.csv") as temporary:
        split_table(table, groups, split).to_csv(temporary, index=False)
    _write_environment(run, config, dataset, table, split, curation)
    return table, split


def load_split(run, config, dataset):
    """Return the table and the Split that an interrupted run began with."""
    if dataset.fingerprint != read_json(run.path / "environment.json")["data"]["fingerprint"]:
        raise ValueError(
            "The images have changed since this run began, so it cannot go on as it was; "
            "start a new run with its settings."
        )
    table = pd.read_csv(run.path / "split.csv", dtype={"patient": str})
    sides = {"train": "train", "validation": config.validation_side, "test": "test"}
    return table, Split(**{name: np.flatnonzero(table["split"] == side) for name, side in sides.items()})


def _check_split(table, config, split):
    """Say before anything is computed what training or validation would lack."""
    if len(split.train) < config.batch_size:
        raise ValueError(
            f"One batch needs {config.batch_size} training images, but there are {len(split.train)}; lower batch_size."
        )
    for side in ("train", "validation"):
        missing = sorted(set(table["class_name"]) - set(table["class_name"].iloc[getattr(split, side)]))
        if missing:
            raise ValueError(
                f"Every class needs an image in {side}; {missing[0]!r} has none there. "
                "Take the stratified split, or another seed."
            )


def _write_environment(run, config, dataset, table, split, curation):
    counts = {
        name: {c: int(n) for c, n in table["class_name"].iloc[getattr(split, name)].value_counts().items()}
        for name in ("train", "validation", "test")
    }
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    command = ["python", *command_for(config, run.path)]
    if curation != Curation():
        command += ["--decisions", str(run.path / CURATION_FILE)]
    values = {
        "command": command,
        "folder": str(PROJECT_DIR),
        "python": platform.python_version(),
        "platform": platform.platform(),
        # Losses are the same to the last digit only on as many threads: sums are taken in another order.
        "threads": int(os.environ.get("TF_NUM_INTRAOP_THREADS") or os.cpu_count() or 1),
        "packages": versions,
        "data": {
            "classes": list(order_classes(table["class_name"])),
            "images": counts,
            "unreadable": len(dataset.unreadable),
            "excluded": curation.reasons(),
            "fingerprint": dataset.fingerprint,
        },
    }
    write_json(run.path / "environment.json", values)
