"""What is known of a finished run and its data set, gathered once for the page?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxr_core.classes import class_key, class_label
from cxr_core.data.dataset import Dataset, scan_dataset
from cxr_core.evaluation.metrics import Curve, Metrics, roc_curves
from cxr_core.evaluation.predictions import table_probabilities
from cxr_core.inference.model_card import Card, load_card
from cxr_core.reporting.reproduction.claims import ClassClaim, class_claims
from cxr_core.runs.run import Run, RunStatus
from cxr_core.system.files import read_json
from cxr_core.system.progress import Phase


@dataclass(frozen=True)
class RunRecord:
    """A run and its data set.

    Attributes:
        run: exported, with predictions.
        dataset: the folders it was trained on, as they are now.
        images: DataFrame, the run's `split.csv` with paths in `dataset` and the columns `width` and `height`.
        card: of the classifier.
        environment: what `environment.json` holds.
        stand_ins: {class: DataFrame with `path` and `file`}, images to show in place of a class's own, which may not
            be passed on.
    """

    run: Run
    dataset: Dataset
    images: pd.DataFrame
    card: Card
    environment: dict[str, Any]
    stand_ins: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...]:
        """In the order of the network's outputs."""
        return self.card.classes

    @property
    def labels(self) -> list[str]:
        """What a person calls the classes."""
        return [class_label(name) for name in self.classes]

    @property
    def claims(self) -> dict[str, ClassClaim]:
        """What the article says of each class; {} where the data set has others."""
        return class_claims(self.classes)

    @property
    def test(self) -> Metrics:
        """Scores on the test images."""
        metrics: Metrics = self.card.metrics["test"]
        return metrics

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """Of the test images, with the path of each."""
        table = self.run.predictions()
        table = table[table["split"] == "test"].reset_index(drop=True)
        paths = self.images.drop_duplicates("digest").set_index("digest")["path"]
        return table.assign(path=table["digest"].map(paths))

    @cached_property
    def curves(self) -> dict[str, Curve]:
        """ROC curves of the test images."""
        return roc_curves(self.predictions["true"], table_probabilities(self.predictions, self.classes), self.classes)

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """The history."""
        return self.run.epochs()

    @cached_property
    def status(self) -> RunStatus:
        """Of the run."""
        return self.run.status()

    @property
    def setting(self) -> dict[str, Any]:
        """The settings of the training."""
        return self.card.training

    def shown(self, class_name: str, split: str | None = None) -> pd.DataFrame:
        """Return the images of a class that may be shown, sorted by file: its own, or those that stand in for them.

        Args:
            class_name: of the run.
            split: "train" or "test" for those of one side alone; what stands in belongs to none.
        """
        if class_name in self.stand_ins:
            return self.stand_ins[class_name]
        rows = self.images[self.images["class_name"] == class_name]
        return (rows if split is None else rows[rows["split"] == split]).sort_values("file")

    def known_class(self, key: str) -> str:
        """Return the class of a key of `KNOWN_CLASSES`, or else the last one."""
        return next((name for name in self.classes if class_key(name) == key), self.classes[-1])

    def rng(self) -> np.random.Generator:
        """Return a generator that draws the same for the same seed of the run."""
        return np.random.default_rng(self.setting["seed"])


def load_record(
    run: Run, folders: Sequence[str | Path], stand_ins: Mapping[str, str | Path] | None = None, *, phase: Phase
) -> RunRecord:
    """Gather what the page tells.

    Args:
        run: finished, or stopped and exported.
        folders: the data set that it was trained on, wherever it lies now.
        stand_ins: {class: folder of images}, see `RunRecord`.
        phase: reports on the scan.

    Raises:
        FileNotFoundError: the run has no exported classifier or no predictions.
        ValueError: the folders lack images that the run was trained or tested on, or a folder of stand-ins has none.
    """
    if not run.has_model or run.predictions().empty:
        raise FileNotFoundError(f"{run.name} has no exported and tested classifier; the page needs a finished run.")
    dataset = scan_dataset(*folders, progress=phase("Listing the images"))
    split, found = run.split(), dataset.table.drop_duplicates("digest").set_index("digest")
    missing = ~split["digest"].isin(found.index)
    if missing.any():
        raise ValueError(
            f"{missing.sum():,} of the {len(split):,} images of {run.name} are not in {', '.join(map(str, folders))}, "
            f"the first of them {split.loc[missing, 'file'].iloc[0]}. Name the data set that it was trained on."
        )
    facts = {name: split["digest"].map(found[name]) for name in ("path", "width", "height")}
    card = load_card(run.path)
    return RunRecord(
        run=run,
        dataset=dataset,
        images=split.assign(**facts),
        card=card,
        environment=read_json(run.path / "environment.json"),
        stand_ins={name: _stand_ins(name, folder, card.classes, phase) for name, folder in (stand_ins or {}).items()},
    )


def _stand_ins(class_name: str, folder: str | Path, classes: Sequence[str], phase: Phase) -> pd.DataFrame:
    if class_name not in classes:
        raise ValueError(f"Images can stand in for the classes {', '.join(classes)}; received {class_name!r}.")
    table = scan_dataset(folder, progress=phase(f"Listing what stands in for {class_name}")).table
    rows = table[table["class_name"].map(class_key) == class_key(class_name)]
    if rows.empty:
        raise ValueError(f"{folder} has no images of class {class_name!r} to show.")
    return rows.sort_values("file")
