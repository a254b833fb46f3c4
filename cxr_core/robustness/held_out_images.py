"""On which images a classifier may be tested."""

import numpy as np

from cxr_core.splits.split import make_split


def held_out_table(table, groups, run, *, seed=0):
    """Say which of a data set's images the lab tests a classifier on.

    Args:
        table: DataFrame (N rows) with `file`, `digest` and `class_name`, as `groups.ImageGroups.taking_part` gives it.
        groups: int (N,).
        run: run.Run of the classifier's folder; the shipped one's folder is one, too.
        seed: int, of a split made here.

    Returns:
        (table, groups, sides, note): the images that take part, their groups, str array of "learn" and "test",
        and a sentence where the classifier may have learned from the test images, else "". What the run's
        `split.csv` says comes first: its test images are tested, its validation images left out, all
        others learned from, groups as it has them. Then the test files named in `predictions.csv`, where at least half
        of them are here. Else a grouped split.
    """
    groups = np.asarray(groups)
    split = run.split()
    if len(split):
        known = split.drop_duplicates("digest").set_index("digest")
        here = table["digest"].isin(known.index[known["split"] != "validation"]).to_numpy()
        table = table[here].reset_index(drop=True)
        if len(table):
            rows = known.loc[table["digest"]]
            sides = np.where(rows["split"] == "test", "test", "learn").astype(object)
            return table, rows["group"].to_numpy(), sides, ""
        raise ValueError("None of these images is in the run's split; choose the data set that it was trained on.")
    named = run.predictions()
    tested = set(named.loc[named["split"] == "test", "file"]) if len(named) else set()
    here = table["file"].isin(tested).to_numpy()
    if tested and here.sum() >= len(tested) / 2:
        # A group that was tested in part is tested as a whole.
        sides = np.where(np.isin(groups, groups[here]), "test", "learn").astype(object)
        return table, groups, sides, ""
    split = make_split(table, "grouped", seed=seed, groups=groups)
    sides = np.full(len(table), "learn", object)
    sides[split.test] = "test"
    note = "Which of these images the classifier learned from is not known; where it did, its own scores flatter it."
    return table, groups, sides, note
