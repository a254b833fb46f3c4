"""Which image trains, which validates, which tests?"""

from dataclasses import dataclass
from math import ceil

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from cxr_core.classes import order_classes
from cxr_core.data.layouts.found_image import SPLIT_WORDS
from cxr_core.data.patient_ids import image_folder, image_stem
from cxr_core.data.sources import image_sources
from cxr_core.splits.connected_components import chain_equal, component_numbers
from cxr_core.splits.stable_draw import draw_parts
from cxr_core.system.arrays import BoolArray, IntArray, ObjectArray

SPLIT_KINDS = {
    "grouped": "Grouped by patient and by copies; a group is never split.",
    "stratified": "At random with the same share of every class on each side.",
    "random": "At random, as in the article (80:20), but with a validation part of its own.",
    "article": "The article's way: 80:20 at random, and the test images also choose the best epoch.",
    "given": "As the data set itself says; where it says train and test only, validation is drawn from train.",
    "source": "One source, a hospital or a collection, is the test side; the others train and validate.",
}
_TRAIN, _VALIDATION, _TEST = range(3)


def split_kinds(table: pd.DataFrame) -> list[str]:
    """Return the keys of `SPLIT_KINDS` that fit a data set table and need no further choice: "given" only where a CSV
    brought a split, and not "source"."""
    return [kind for kind in SPLIT_KINDS if kind != "source" and (kind != "given" or "split" in table)]


@dataclass(frozen=True)
class Split:
    """Row positions of a table, each int64 (n,) and sorted.

    In the article's way `validation` and `test` are the same rows; otherwise all three are apart.
    """

    train: IntArray
    validation: IntArray
    test: IntArray

    def names(self, n: int) -> ObjectArray:
        """Return an object array (n,) of "train", "validation" or "test" per row."""
        names = np.full(n, "", object)
        for name in ("validation", "train", "test"):
            names[getattr(self, name)] = name
        return names


def make_split(
    table: pd.DataFrame,
    kind: str,
    *,
    seed: int,
    groups: IntArray | None = None,
    validation_share: float = 0.15,
    test_share: float = 0.2,
    folds: int = 0,
    fold: int = 0,
    test_source: str = "",
) -> Split:
    """Split a data set table into train, validation and test.

    Args:
        table: DataFrame with `class_name`, `file`, `patient` and `digest`.
        kind: a key of `SPLIT_KINDS`.
        seed: of the drawing.
        groups: int (N,), as `image_groups` makes it with near duplicates; without them by default.
        validation_share: share of all images that choose the best epoch.
        test_share: share of all images kept for the end. A grouped split comes as near as its groups allow.
        folds: 0, or into how many parts of about equal size a grouped split cuts the images; each is the
            test side once, and `test_share` does not count then.
        fold: from 1 to `folds`, which of them is the test side here.
        test_source: for "source", which one is the test side; see `sources.image_sources`. What shares a group with
            its images, such as a copy elsewhere, stands there, too.

    Raises:
        ValueError: unknown kind, fewer than two classes, shares outside (0, 1), or a class with
            too few images (or groups) to stand on every side; for "given", an image without a side; folds
            of another kind than "grouped", or a fold that is none of them; a source that is not there, or one that
            alone has a class.

    A grouped split has every class on every side. Which side a group stands on hangs on its content and the seed, so
    that an image more or less moves few others; see `stable_draw`. It was the first fold of
    scikit-learn's StratifiedGroupKFold before; older runs keep the sides of their `split.csv`.

    Example:
        >>> from tempfile import mkdtemp
        >>> from cxr_core import draw_demo_data, make_split, scan_dataset
        >>> table = scan_dataset(draw_demo_data(mkdtemp() + "/demo", images_per_class=10)).table
        >>> split = make_split(table, "stratified", seed=0)
        >>> len(split.train), len(split.validation), len(split.test)
        (19, 5, 6)
    """
    if kind not in SPLIT_KINDS:
        raise ValueError(f"split must be one of {', '.join(SPLIT_KINDS)}; received {kind!r}.")
    check_folds(kind, folds, fold)
    test_share = 1 / folds if folds else test_share
    if not (0 < validation_share < 1 and 0 < test_share < 1 and validation_share + test_share < 1):
        raise ValueError(
            "The validation and test shares must be above 0 and together below 1; "
            f"received {validation_share} and {test_share}."
        )
    _check_classes(table["class_name"])
    labels, rows = table["class_name"].to_numpy(), np.arange(len(table))
    if kind == "given":
        return _given_split(_with_validation(table, groups, seed, validation_share / (1 - test_share)))
    if kind == "grouped":
        groups = image_groups(table) if groups is None else groups
        return _grouped_split(table, groups, seed, validation_share, test_share, folds, fold)
    if kind == "source":
        groups = image_groups(table) if groups is None else groups
        return _source_split(table, groups, seed, validation_share, test_source)
    rest, test = _part(rows, labels, test_share, seed, stratify=kind == "stratified")
    if kind == "article":
        return Split(rest, test, test)
    share = validation_share / (1 - test_share)
    train, validation = _part(rest, labels, share, seed, stratify=kind == "stratified")
    return Split(train, validation, test)


def move_to_training(split: Split, rows: BoolArray, class_names: pd.Series) -> Split:
    """Move images from validation and test to training, such as those that the starting weights were trained on.

    Args:
        split: of N images, validation and test apart.
        rows: bool (N,), the images that may only train.
        class_names: of the N images.

    Raises:
        ValueError: no image of a class would be left in validation or test.
    """
    moved: dict[str, IntArray] = {}
    for side in ("validation", "test"):
        before: IntArray = getattr(split, side)
        moved[side] = before[~rows[before]]
        lost = sorted(set(class_names.iloc[before]) - set(class_names.iloc[moved[side]]))
        if lost:
            raise ValueError(
                f"The starting weights were trained on so many of these images that none of class {lost[0]!r} is left "
                f"for {side}. Start from ImageNet (start=imagenet), or add images."
            )
    kept = np.concatenate([moved["validation"], moved["test"]])
    train = np.setdiff1d(np.concatenate([split.train, split.validation, split.test]), kept)
    return Split(train, moved["validation"], moved["test"])


def _check_classes(class_names: pd.Series) -> None:
    counts = class_names.value_counts()
    if len(counts) < 2:
        raise ValueError(f"A classifier needs at least two classes; this data set has {len(counts)}.")
    if counts.min() < 5:
        raise ValueError(f"Each class needs at least 5 images; {counts.idxmin()!r} has {counts.min()}.")


def check_folds(kind: str, folds: int, fold: int) -> None:
    """Raise ValueError unless `fold` is one of `folds` of a grouped split, or both are 0; see `make_split`."""
    if (folds, fold) == (0, 0):
        return
    if kind != "grouped":
        raise ValueError(f"Folds keep patients together, so they need the grouped split; received {kind!r}.")
    if folds < 2 or not 1 <= fold <= folds:
        raise ValueError(
            f"There must be at least 2 folds, and fold must be one of them, counted from 1; received {fold} of {folds}."
        )


def split_table(table: pd.DataFrame, groups: IntArray, split: Split) -> pd.DataFrame:
    """Return a split as a table for people and files.

    Args:
        table: DataFrame of N rows with `file`, `class_name`, `path`, `patient` and `digest`.
        groups: int (N,), as `image_groups` makes it.
        split: Split of the N rows.

    Returns:
        DataFrame of `file`, `class_name`, `path`, `patient`, `digest`, `group` and `split`, and of
        `patient_from`, `view`, `age_group`, `sex` and `source` where the data set tells them.
    """
    told = [name for name in ("patient_from", "view", "age_group", "sex", "source") if name in table]
    columns = table[["file", "class_name", "path", "patient", "digest", *told]]
    return columns.assign(group=groups, split=split.names(len(table)))


def split_counts(table: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Count the images of every class on every side.

    Args:
        table: DataFrame of N rows with `class_name`.
        split: Split of the N rows.

    Returns:
        DataFrame of int, one row per class in display order, with the columns train, validation and test.
        In the article's way validation and test count the same images.
    """
    classes = pd.CategoricalIndex(table["class_name"], categories=order_classes(table["class_name"]))
    sides = {side: classes[getattr(split, side)].value_counts(sort=False) for side in SPLIT_WORDS}
    counts = pd.DataFrame(sides)
    return counts.set_axis(counts.index.astype(object)).rename_axis("class_name")


def image_groups(table: pd.DataFrame, pairs: pd.DataFrame | None = None) -> IntArray:
    """Number the groups of images that must not be parted.

    Two images belong together if they share a patient or a content, if they share a class, a folder and a
    name that differs only by further endings, or if they are a pair of duplicates; groups are the
    connected components of that relation.

    Args:
        table: DataFrame with `class_name`, `file`, `patient` and `digest`, and `path` where there may be several roots.
        pairs: DataFrame of `a` and `b`, row positions, as `duplicates.find_duplicates` gives it, or None.

    Returns:
        int (N,), a group number per row.
    """
    files = table["path"] if "path" in table else table["file"]
    names = files.map(lambda file: f"{image_folder(file)}/{image_stem(file)}")
    keys = (table["class_name"].str.cat(names, sep=":"), table["digest"], table["patient"])
    ties = [chain_equal(pd.factorize(key.to_numpy())[0]) for key in keys]
    if pairs is not None:
        ties.append(pairs[["a", "b"]].to_numpy(int))
    return component_numbers(np.concatenate(ties), len(table))


def _with_validation(table: pd.DataFrame, groups: IntArray | None, seed: int, share: float) -> pd.DataFrame:
    """Draw a validation set from the training images, in whole groups, where a data set brings train and test only.

    Public sets such as NIH ChestX-ray14 leave it to their users.
    """
    if "split" not in table or set(table["split"].dropna()) != {"train", "test"}:
        return table
    groups = image_groups(table) if groups is None else groups
    train = np.flatnonzero(table["split"] == "train")
    numbers, _ = pd.factorize(np.asarray(groups)[train])
    counts = pd.crosstab(numbers, table["class_name"].to_numpy()[train])
    described = counts.assign(digest=table["digest"].iloc[train].astype(str).groupby(numbers).min())
    try:
        parts = draw_parts(described, [1 - share, share], seed, purpose="validation")
    except LookupError as error:
        raise ValueError(
            "The data set's own split has no validation images, and its training images are of too few patients to "
            "draw some of every class."
        ) from error
    sides = table["split"].to_numpy(object, copy=True)
    sides[train[parts[numbers] == 1]] = "validation"
    return table.assign(split=sides)


def _given_split(table: pd.DataFrame) -> Split:
    if "split" not in table:
        raise ValueError("This data set brings no split of its own; a CSV with a column `split` does.")
    sides = table["split"].to_numpy(object)
    rows = {name: np.flatnonzero(sides == name) for name in ("train", "validation", "test")}
    if sum(map(len, rows.values())) < len(table):
        raise ValueError(
            "The data set's own split leaves images without a side; name train, validation or test for each."
        )
    for name, side in rows.items():
        missing = sorted(set(table["class_name"]) - set(table["class_name"].iloc[side]))
        if missing:
            raise ValueError(f"The data set's own split has no image of class {missing[0]!r} in {name}.")
    return Split(**rows)


def _part(rows: IntArray, labels: ObjectArray, share: float, seed: int, *, stratify: bool) -> tuple[IntArray, IntArray]:
    n_classes, n_taken = len(np.unique(labels)), ceil(share * len(rows))
    if stratify and min(n_taken, len(rows) - n_taken) < n_classes:
        raise ValueError(
            f"A stratified split needs an image of each of the {n_classes} classes on every side, but one side would "
            f"have {min(n_taken, len(rows) - n_taken)} images. Choose other shares, or add images."
        )
    kept, taken = train_test_split(
        rows, test_size=share, random_state=seed, stratify=labels[rows] if stratify else None
    )
    return np.sort(kept), np.sort(taken)


def _grouped_split(
    table: pd.DataFrame, groups: IntArray, seed: int, validation_share: float, test_share: float, folds: int, fold: int
) -> Split:
    numbers, _ = pd.factorize(np.asarray(groups))
    counts = pd.crosstab(numbers, table["class_name"].to_numpy())
    _check_groups((counts > 0).sum(), folds)
    # What a group is called does not depend on which other images there are.
    described = counts.assign(digest=table["digest"].astype(str).groupby(numbers).min())
    try:
        if folds:
            # Of two folds each is half of what the other learns from: for training and for validation.
            parts = draw_parts(described, [1 / folds] * folds, seed, purpose="folds", fewest=2 if folds == 2 else 1)
            parts = np.where(parts == fold - 1, _TEST, _TRAIN)
            rest, share = parts == _TRAIN, validation_share / (1 - test_share)
            parts[rest] += draw_parts(described[rest], [1 - share, share], seed, purpose="validation")
        else:
            shares = [1 - validation_share - test_share, validation_share, test_share]
            parts = draw_parts(described, shares, seed, purpose="sides")
    except LookupError as error:
        raise ValueError(
            "Too many patients have images of several classes: no grouped split was found with every class on every "
            "side. Choose the stratified split instead, or leave out the classes with the fewest patients."
        ) from error
    sides = parts[numbers]
    return Split(*(np.flatnonzero(sides == part) for part in (_TRAIN, _VALIDATION, _TEST)))


def _source_split(table: pd.DataFrame, groups: IntArray, seed: int, validation_share: float, test_source: str) -> Split:
    sources = image_sources(table)
    if test_source not in set(sources):
        known = ", ".join(sorted(set(sources)))
        raise ValueError(f"The source to test on must be one of {known}; received {test_source!r}.")
    numbers, _ = pd.factorize(np.asarray(groups))
    tested = np.isin(numbers, numbers[sources == test_source])
    classes = table["class_name"].to_numpy()
    missing = sorted(set(classes) - set(classes[~tested]))
    if missing:
        raise ValueError(
            f"Without {test_source} no image of class {missing[0]!r} is left to train on. Test on another source, or "
            "leave that class out."
        )
    counts = pd.crosstab(numbers, classes)
    described = counts.assign(digest=table["digest"].astype(str).groupby(numbers).min())
    rest = np.unique(numbers[~tested])
    parts = np.full(len(described), _TEST)
    try:
        shares = [1 - validation_share, validation_share]
        parts[rest] = draw_parts(described.iloc[rest], shares, seed, purpose="validation")
    except LookupError as error:
        raise ValueError(
            f"Without {test_source} the other sources have too few patients of some class to train and to validate on."
        ) from error
    sides = parts[numbers]
    return Split(*(np.flatnonzero(sides == part) for part in (_TRAIN, _VALIDATION, _TEST)))


def _check_groups(per_class: pd.Series, folds: int) -> None:
    """Raise ValueError where a class has too few groups to stand on every side."""
    fewest = max(3, folds) if folds != 2 else 4
    if per_class.min() < fewest:
        kind = f"A split into {folds} folds" if folds else "A grouped split"
        instead = "Choose fewer folds" if folds > 3 else "Choose the stratified split instead"
        raise ValueError(
            f"{kind} needs at least {fewest} patients or images per class; "
            f"{per_class.idxmin()!r} has {per_class.min()}. {instead}."
        )
