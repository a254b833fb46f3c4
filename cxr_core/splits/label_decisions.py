"""Which class has each image, where somebody has looked at its label?"""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from cxr_core.data.dataset import Dataset
from cxr_core.splits.curation import Curation
from cxr_core.splits.groups import ImageGroups


def decide_label(curation: Curation, rows: pd.DataFrame, class_name: str, dataset: Dataset) -> Curation:
    """Note of which class some images are; it may be the class that they have, which is then confirmed.

    Args:
        curation: what was decided before.
        rows: of a data set's table, with `digest`.
        class_name: one of the data set's classes.
        dataset: the one that the rows are of.

    Raises:
        ValueError: the data set has no such class.
    """
    if class_name not in dataset.classes:
        raise ValueError(f"{class_name!r} is no class of this data set; it has {', '.join(dataset.classes)}.")
    return replace(curation, labels=curation.labels | dict.fromkeys(rows["digest"], class_name))


def forget_label(curation: Curation, rows: pd.DataFrame) -> Curation:
    """Forget what was noted about the labels of some images: they have the class again that the data set gives them."""
    digests = set(rows["digest"])
    return replace(curation, labels={d: name for d, name in curation.labels.items() if d not in digests})


def with_decided_labels(dataset: Dataset, curation: Curation) -> Dataset:
    """Return a data set in which every image has the class that was decided; the order of the images stays.

    A class that the data set does not have, decided elsewhere, is passed over.
    """
    return replace(dataset, table=_decided(dataset.table, dataset.classes, curation))


def with_decided_groups(group: ImageGroups, dataset: Dataset, curation: Curation) -> ImageGroups:
    """Return groups of a data set's images in which every image has the class that was decided."""
    table = _decided(group.table, dataset.classes, curation)
    return replace(group, prepared=replace(group.prepared, table=table))


def _decided(table: pd.DataFrame, classes: Sequence[str], curation: Curation) -> pd.DataFrame:
    # Asked at every rerun of a page, of however many images.
    if not curation.labels:
        return table
    decided = table["digest"].map(curation.labels)
    taken = decided.isin(classes)
    return table.assign(class_name=table["class_name"].mask(taken, decided)) if taken.any() else table
