"""On which images may a classifier be tested?"""

import numpy as np
import pandas as pd

from cxr_core.runs.run import Run
from cxr_core.runs.training_images import are_seen, seen_digests, start_digests
from cxr_core.splits.split import make_split
from cxr_core.system.arrays import BoolArray, IntArray, ObjectArray

# The side of an image whose name alone is known, where several images have that name.
UNCLEAR = "unclear"
_SIDES = ("train", "validation", "test")


def held_out_table(
    table: pd.DataFrame, groups: IntArray, run: Run, *, seed: int = 0
) -> tuple[pd.DataFrame, IntArray, ObjectArray, str]:
    """Choose the images of a data set that a classifier is tested on.

    The run's `split.csv` counts first: its test images are tested, its validation images left out, all others are
    learned from, in the groups that it names; a test image that the starting weights were trained on counts as
    learned. Otherwise the test images that `predictions.csv` names are tested, with their whole groups, where at least
    half of them are in the data set. Otherwise a grouped split is made, and groups with an image that the classifier
    was trained on are learned from, where its folder tells these.

    Args:
        table: N rows with `file`, `digest` and `class_name`, as `groups.ImageGroups.taking_part` returns it.
        groups: int (N,).
        run: the classifier's folder; that of the built-in classifier is one, too.
        seed: of a split made here.

    Returns:
        The images that take part, their groups, "learn" or "test" for each, and a sentence where the classifier may
        have been trained on the test images, else "".

    Raises:
        ValueError: none of the images is in the run's split.
    """
    groups = np.asarray(groups)
    split = run.split()
    if len(split):
        return *_as_in_split(table, _without_seen_tests(split, run)), ""
    named = run.predictions()
    if len(named):
        named_side = known_sides(table, named)
        here = (named_side == "test").to_numpy()
        if here.any() and here.sum() >= (named["split"] == "test").sum() / 2:
            sides = np.where(np.isin(groups, groups[here]), "test", "learn").astype(object)
            return _without_unclear(table, groups, sides, (named_side == UNCLEAR).to_numpy())
    made = make_split(table, "grouped", seed=seed, groups=groups)
    sides = np.full(len(table), "learn", object)
    sides[made.test] = "test"
    seen = seen_digests(run.path)
    if seen is not None:
        sides[np.isin(groups, groups[are_seen(table, seen).to_numpy()])] = "learn"
        return table, groups, sides, ""
    note = "The classifier may have been trained on some of these images; where it was, its own scores flatter it."
    return table, groups, sides, note


def known_sides(table: pd.DataFrame, named: pd.DataFrame) -> pd.Series:
    """Say on which side of a classifier's training each image stood.

    Images are known by their content. Content that stands on several sides counts for the side that saw most of it:
    training, then validation. Tables of earlier versions name files alone; there, images of one name cannot be told
    apart where their contents or their sides differ.

    Args:
        table: N rows with `file` and `digest`.
        named: rows with `split`, and with `digest` or, in tables of earlier versions, `file` alone.

    Returns:
        Series of str (N,), the index that of `table`: "train", "validation", "test", `UNCLEAR`, or missing where the
        image is not named.
    """
    order = {side: number for number, side in enumerate(_SIDES)}
    if "digest" in named and named["digest"].notna().all():
        first = named.sort_values("split", key=lambda sides: sides.map(order)).drop_duplicates("digest")
        return table["digest"].astype(str).map(dict(zip(first["digest"].astype(str), first["split"], strict=True)))
    sides = named.groupby("file")["split"].agg(lambda sides: sides.iloc[0] if sides.nunique() == 1 else UNCLEAR)
    contents = table.groupby("file")["digest"].transform("nunique")
    side = table["file"].map(sides)
    return side.mask(side.notna() & (contents > 1), UNCLEAR)


def _without_seen_tests(split: pd.DataFrame, run: Run) -> pd.DataFrame:
    """Count the test images that a run's starting weights were trained on as trained on."""
    if "digest" not in split or not (run.path / "config.json").exists():
        return split
    seen = are_seen(split, start_digests(run.config())) & (split["split"] == "test")
    return split.assign(split=split["split"].mask(seen, "train"))


def _without_unclear(
    table: pd.DataFrame, groups: IntArray, sides: ObjectArray, unclear: BoolArray
) -> tuple[pd.DataFrame, IntArray, ObjectArray, str]:
    """Leave out the images that the classifier may or may not have been trained on, and say so."""
    if not unclear.any():
        return table, groups, sides, ""
    note = (
        f"{unclear.sum():,} images are left out: the classifier names its images by their files alone, and several of "
        "these files have the same name."
    )
    return table[~unclear].reset_index(drop=True), groups[~unclear], sides[~unclear], note


def _as_in_split(table: pd.DataFrame, split: pd.DataFrame) -> tuple[pd.DataFrame, IntArray, ObjectArray]:
    """Return the images that a run's `split.csv` knows, without validation, with its groups and sides."""
    side = known_sides(table, split)
    here = side.isin(["train", "test"]).to_numpy()
    table, side = table[here].reset_index(drop=True), side[here]
    if not len(table):
        raise ValueError("None of these images is in the run's split; choose the data set that it was trained on.")
    key = "digest" if "digest" in split else "file"
    group = split.astype({key: str}).drop_duplicates(key).set_index(key)["group"]
    sides = np.where(side == "test", "test", "learn").astype(object)
    return table, group.loc[table[key].astype(str)].to_numpy(), sides
