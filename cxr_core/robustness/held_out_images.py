"""On which images may a classifier be tested?"""

import numpy as np
import pandas as pd

from cxr_core.runs.run import Run
from cxr_core.splits.split import make_split
from cxr_core.system.arrays import IntArray, ObjectArray


def held_out_table(
    table: pd.DataFrame, groups: IntArray, run: Run, *, seed: int = 0
) -> tuple[pd.DataFrame, IntArray, ObjectArray, str]:
    """Choose the images of a data set that a classifier is tested on.

    The run's `split.csv` counts first: its test images are tested, its validation images left out, all others are
    learned from, in the groups that it names. Otherwise the test images that `predictions.csv` names are tested, with
    their whole groups, where at least half of them are in the data set. Otherwise a grouped split is made.

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
        return *_as_in_split(table, split), ""
    named = run.predictions()
    tested = set(named.loc[named["split"] == "test", "file"]) if len(named) else set()
    here = table["file"].isin(tested).to_numpy()
    if tested and here.sum() >= len(tested) / 2:
        sides = np.where(np.isin(groups, groups[here]), "test", "learn").astype(object)
        return table, groups, sides, ""
    made = make_split(table, "grouped", seed=seed, groups=groups)
    sides = np.full(len(table), "learn", object)
    sides[made.test] = "test"
    note = "The classifier may have been trained on some of these images; where it was, its own scores flatter it."
    return table, groups, sides, note


def _as_in_split(table: pd.DataFrame, split: pd.DataFrame) -> tuple[pd.DataFrame, IntArray, ObjectArray]:
    """Return the images that a run's `split.csv` knows, without validation, with its groups and sides."""
    known = split.drop_duplicates("digest").set_index("digest")
    here = table["digest"].isin(known.index[known["split"] != "validation"]).to_numpy()
    table = table[here].reset_index(drop=True)
    if not len(table):
        raise ValueError("None of these images is in the run's split; choose the data set that it was trained on.")
    rows = known.loc[table["digest"]]
    sides = np.where(rows["split"] == "test", "test", "learn").astype(object)
    return table, rows["group"].to_numpy(), sides
