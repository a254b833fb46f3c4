"""Which images, which split and which environment does a run begin with?"""

import importlib.metadata
import os
import platform
from dataclasses import dataclass
from itertools import chain
from typing import TypedDict

import numpy as np
import pandas as pd

from cxr_core.classes import order_classes
from cxr_core.config import PROJECT_DIR
from cxr_core.data.dataset import Dataset, scan_dataset
from cxr_core.data.layouts.tables.label_mapping import load_mapping, mapping_words
from cxr_core.data.lung_masks import lung_masks
from cxr_core.data.prepared_images import PreparedImages, prepare_images
from cxr_core.data.sources import image_sources
from cxr_core.recipes.image_weights import class_weights, source_weights
from cxr_core.recipes.training_config import TrainingConfig, command_for
from cxr_core.runs.run import Run
from cxr_core.runs.run_tables import read_run_table
from cxr_core.runs.training_images import are_seen, start_digests
from cxr_core.splits.curation import CURATION_FILE, Curation, decisions_about, load_curation, save_curation
from cxr_core.splits.groups import group_images
from cxr_core.splits.label_decisions import with_decided_labels
from cxr_core.splits.split import Split, make_split, move_to_training, split_table
from cxr_core.system.arrays import FloatArray, IntArray, UInt8Array
from cxr_core.system.files import read_json, write_json, write_text
from cxr_core.system.progress import Phase
from cxr_core.system.text import table_csv
from cxr_core.system.visit_folders import keep_until_exit

_PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "opencv-python-headless", "onnxruntime", "scikit-learn")


class SeenCounts(TypedDict):
    """What the starting weights have seen: how many of a run's images, and how many were moved off each side."""

    images: int
    moved: dict[str, int]


@dataclass(frozen=True)
class RunInputs:
    """What a run trains on.

    Attributes:
        prepared: the N images that take part, prepared, and their table.
        split: positions of the images that train, validate and test.
        classes: in the order of the network's outputs. Of the images that take part, not of the whole data set: a
            class may be excluded altogether.
        lungs: uint8 (N, side, side), see `lung_masks`; None where no augmentation asks for them.
    """

    prepared: PreparedImages
    split: Split
    classes: tuple[str, ...]
    lungs: UInt8Array | None = None

    @property
    def targets(self) -> IntArray:
        """Each image's position in `classes`, int (N,)."""
        return self.prepared.table["class_name"].map(self.classes.index).to_numpy()

    @property
    def labels(self) -> FloatArray:
        """One-hot targets, float32 (N, C)."""
        return np.eye(len(self.classes), dtype=np.float32)[self.targets]

    def weights(self, config: TrainingConfig) -> FloatArray | None:
        """Return how much each image counts, float32 (N,), 0 outside training; None where all count alike."""
        if not (config.source_weights or config.class_weights):
            return None
        train, table = self.split.train, self.prepared.table
        weights = np.zeros(len(table), np.float32)
        if config.source_weights:
            rows = table.iloc[train]
            weights[train] = source_weights(
                rows["class_name"], image_sources(rows), balanced_classes=config.class_weights
            )
        else:
            targets = self.targets[train]
            by_class = class_weights(targets)
            weights[train] = [by_class[target] for target in targets]
        return weights


def read_inputs(run: Run, config: TrainingConfig, *, phase: Phase, resumed: bool) -> RunInputs:
    """Scan, split and prepare a run's images.

    Args:
        run: the split and the environment are written to its folder.
        config: names the data set, and how it is split and prepared.
        phase: reports on each step.
        resumed: whether the run goes on with the split that it began with.

    Raises:
        OSError: an image disappeared meanwhile.
        ValueError: the images do not allow the split, or are others than the resumed run began with.
    """
    keep_until_exit(config.roots)
    scanned = scan_dataset(*config.roots, progress=phase("Listing the images"))
    dataset = with_decided_labels(scanned, load_curation(run.path / CURATION_FILE))
    if resumed:
        table, split = load_split(run, config, dataset)
    else:
        table, split = make_run_split(run, config, dataset, phase=phase)
    prepared = prepare_images(table, config.preprocessing, progress=phase("Preparing the images"))
    if len(prepared.table) < len(table):
        raise OSError("Images disappeared or changed while the run began; start it again.")
    wants_lungs = config.augmentation.outside_lungs and config.train_from != "head"
    lungs = lung_masks(prepared, phase("Finding the lungs")) if wants_lungs else None
    return RunInputs(prepared, split, order_classes(table["class_name"]), lungs)


def make_run_split(run: Run, config: TrainingConfig, dataset: Dataset, *, phase: Phase) -> tuple[pd.DataFrame, Split]:
    """Split the data set and write down how; returns the table of the images that take part and their split."""
    curation = decisions_about(load_curation(run.path / CURATION_FILE), dataset.table)
    save_curation(curation, run.path / CURATION_FILE)
    find_copies = not config.copies_come_later
    grouping = group_images(dataset.table, curation, phase=phase, find_copies=find_copies)
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
        test_source=config.test_source,
    )
    split, seen = keep_seen_out(table, groups, split, config)
    _check_split(table, config, split)
    write_text(run.path / "split.csv", table_csv(split_table(table, groups, split)))
    _write_environment(run, config, dataset, table, split, curation, seen)
    return table, split


def keep_seen_out(
    table: pd.DataFrame, groups: IntArray, split: Split, config: TrainingConfig
) -> tuple[Split, SeenCounts | None]:
    """Move what the starting weights were trained on from validation and test to training.

    A grouped split keeps its groups together. The article's split and a given one stay as they are; there the test is
    scored without these images, too, see `export_run`.

    Returns:
        The split, and how many images were seen and moved; None where none was seen.

    Raises:
        ValueError: no image of a class would be left in validation or test.
    """
    seen = are_seen(table, start_digests(config)).to_numpy()
    if not seen.any():
        return split, None
    counts: SeenCounts = {"images": int(seen.sum()), "moved": {"validation": 0, "test": 0}}
    if config.split in ("article", "given"):
        return split, counts
    only_train = np.isin(groups, groups[seen]) if config.keeps_groups else seen
    kept = move_to_training(split, only_train, table["class_name"])
    for side in counts["moved"]:
        counts["moved"][side] = len(getattr(split, side)) - len(getattr(kept, side))
    return kept, counts


def load_split(run: Run, config: TrainingConfig, dataset: Dataset) -> tuple[pd.DataFrame, Split]:
    """Return the table and the split that an interrupted run began with."""
    if dataset.fingerprint != read_json(run.path / "environment.json")["data"]["fingerprint"]:
        raise ValueError(
            "The images have changed since this run began, so it cannot go on as it was; "
            "start a new run with its settings."
        )
    table = read_run_table(run.path / "split.csv")
    sides = {"train": "train", "validation": config.validation_side, "test": "test"}
    return table, Split(**{name: np.flatnonzero(table["split"] == side) for name, side in sides.items()})


def _check_split(table: pd.DataFrame, config: TrainingConfig, split: Split) -> None:
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
                "Use the stratified split or another seed."
            )


def _write_environment(
    run: Run,
    config: TrainingConfig,
    dataset: Dataset,
    table: pd.DataFrame,
    split: Split,
    curation: Curation,
    seen: SeenCounts | None,
) -> None:
    """Write what a person needs to repeat the run."""
    command = ["python", *command_for(config, run.path)]
    mappings = dict.fromkeys(tuple(mapping_words(load_mapping(root))) for root in config.roots)
    command += chain.from_iterable(mappings)
    if curation != Curation():
        command += ["--decisions", str(run.path / CURATION_FILE)]
    values = {
        "command": command,
        "folder": str(PROJECT_DIR),
        "python": platform.python_version(),
        "platform": platform.platform(),
        # Losses are the same to the last digit only on as many threads: sums are taken in another order.
        "threads": int(os.environ.get("TF_NUM_INTRAOP_THREADS") or os.cpu_count() or 1),
        "packages": _package_versions(),
        "data": {
            "classes": list(order_classes(table["class_name"])),
            "images": _class_counts(table, split),
            "unreadable": len(dataset.unreadable),
            "excluded": curation.reasons(),
            "fingerprint": dataset.fingerprint,
        }
        | ({"seen_by_start": seen} if seen else {}),
    }
    write_json(run.path / "environment.json", values)


def _class_counts(table: pd.DataFrame, split: Split) -> dict[str, dict[str, int]]:
    """Count the images per side and class."""
    return {
        side: {c: int(n) for c, n in table["class_name"].iloc[getattr(split, side)].value_counts().items()}
        for side in ("train", "validation", "test")
    }


def _package_versions() -> dict[str, str]:
    """Return the versions of those packages that decide a training's numbers, where installed."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
