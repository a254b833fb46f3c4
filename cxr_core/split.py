"""Which image teaches, which one chooses, and which one is looked at once."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from cxr_core.dataset import picture_stem

SPLIT_KINDS = {
    "grouped": "By patient: all pictures of one patient, and copies of one picture, stay on one side.",
    "stratified": "At random with the same share of every class on each side.",
    "random": "At random, as in the article (80:20), but with a validation part of its own.",
    "article": "The article's way: 80:20 at random, and the test images also choose the best epoch.",
}


@dataclass(frozen=True)
class Split:
    """Row positions of a table, each int64 (n,) and sorted.

    In the article's way `validation` and `test` are the same rows; otherwise all three are apart.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def names(self, n):
        """Return an object array (n,) of "train", "validation" or "test" per row."""
        names = np.full(n, "", object)
        for name in ("validation", "train", "test"):
            names[getattr(self, name)] = name
        return names


def make_split(table, kind, *, seed, validation_share=0.15, test_share=0.2):
    """Split a data set table into train, validation and test.

    Args:
        table: DataFrame with `class_name`, `file`, `patient` and `digest`.
        kind: a key of `SPLIT_KINDS`.
        seed: int.
        validation_share: float, share of all images that choose the best epoch.
        test_share: float, share of all images kept for the end. A grouped split takes the nearest 1/k.

    Returns:
        Split.

    Raises:
        ValueError: unknown kind, fewer than two classes, shares outside (0, 1), or a class with
            too few images (or groups) to stand on every side.
    """
    if kind not in SPLIT_KINDS:
        raise ValueError(f"split must be one of {', '.join(SPLIT_KINDS)}; received {kind!r}.")
    if not (0 < validation_share < 1 and 0 < test_share < 1 and validation_share + test_share < 1):
        raise ValueError(
            "The validation and test shares must be above 0 and together below 1; "
            f"received {validation_share} and {test_share}."
        )
    labels = table["class_name"].to_numpy()
    counts = pd.Series(labels).value_counts()
    if len(counts) < 2:
        raise ValueError(f"A classifier needs at least two classes; this data set has {len(counts)}.")
    if counts.min() < 5:
        raise ValueError(f"Each class needs at least 5 images; {counts.idxmin()!r} has {counts.min()}.")
    rows = np.arange(len(table))
    if kind == "grouped":
        return _grouped_split(rows, labels, picture_groups(table), seed, validation_share, test_share)
    rest, test = _part(rows, labels, test_share, seed, stratify=kind == "stratified")
    if kind == "article":
        return Split(rest, test, test)
    share = validation_share / (1 - test_share)
    train, validation = _part(rest, labels, share, seed, stratify=kind == "stratified")
    return Split(train, validation, test)


def picture_groups(table):
    """Number the groups of pictures that must not be parted.

    Two pictures belong together if they share a patient, a content, or a class and a name that
    differs only by further endings; groups are the connected components of that relation.

    Args:
        table: DataFrame with `class_name`, `file`, `patient` and `digest`.

    Returns:
        int (N,), a group number per row.
    """
    names = table["file"].map(lambda f: picture_stem(f.rsplit("/", 1)[-1]))
    keys = [
        "name:" + table["class_name"] + ":" + names,
        "digest:" + table["digest"],
        ("patient:" + table["patient"].astype("string")).dropna(),
    ]
    rows = np.concatenate([table.index.get_indexer(k.index) for k in keys])
    codes = pd.factorize(pd.concat(keys).to_numpy())[0]
    n = len(table)
    side = n + codes.max() + 1
    # A bipartite graph: pictures on one side, the keys they carry on the other.
    graph = coo_matrix((np.ones(len(rows)), (rows, n + codes)), shape=(side, side))
    return connected_components(graph, directed=False)[1][:n]


def _part(rows, labels, share, seed, *, stratify):
    kept, taken = train_test_split(
        rows, test_size=share, random_state=seed, stratify=labels[rows] if stratify else None
    )
    return np.sort(kept), np.sort(taken)


def _grouped_split(rows, labels, groups, seed, validation_share, test_share):
    per_class = pd.DataFrame({"label": labels, "group": groups}).groupby("label")["group"].nunique()
    if per_class.min() < 3:
        raise ValueError(
            "A grouped split needs at least 3 patients or pictures per class; "
            f"{per_class.idxmin()!r} has {per_class.min()}. Choose the stratified split instead."
        )
    rest, test = _group_part(rows, labels, groups, test_share, seed)
    train, validation = _group_part(rest, labels, groups, validation_share / (1 - test_share), seed)
    return Split(train, validation, test)


def _group_part(rows, labels, groups, share, seed):
    folds = max(2, round(1 / share))
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    kept, taken = next(splitter.split(rows, labels[rows], groups[rows]))
    return rows[kept], rows[taken]
