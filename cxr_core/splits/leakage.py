"""Which test images has training seen in another form: their patient, or a copy of them?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cxr_core.data.patient_ids import find_patients
from cxr_core.splits.split import make_split, split_kinds
from cxr_core.system.arrays import IntArray, ObjectArray
from cxr_core.system.text import percent

CAUSES = {
    "copy": "a file of equal content",
    "patient": "an image of the same patient",
    "duplicate": "a near copy, or a file that differs only in its name's endings",
}
_SIDES = ("test", "validation")


@dataclass(frozen=True)
class Leakage:
    """What test and validation share with training.

    Attributes:
        images: dict of "test" and "validation" to int, images on that side.
        rows: DataFrame, one row per image of these sides that shares its group with a training
            image, sorted by row: `row` (position in the table), `file`, `class_name`, `path`
            (where the table has it), `split`, `group`, `cause` (a key of `CAUSES`: the first that
            holds), `train_row` and `train_file` (one training image it shares that with).
        all_images: images on any side, training included.
        unknown_patients: for how many of these nothing tells the patient, so that only a copy would be noticed.
    """

    images: dict[str, int]
    rows: pd.DataFrame
    all_images: int
    unknown_patients: int

    def count(self, side: str = "test") -> int:
        """Return how many images of a side share their group with a training image."""
        return int((self.rows["split"] == side).sum())

    def causes(self, side: str = "test") -> dict[str, int]:
        """Return a dict of every key of `CAUSES` to a count of images."""
        counts = self.rows.loc[self.rows["split"] == side, "cause"].value_counts()
        return {cause: int(counts.get(cause, 0)) for cause in CAUSES}

    @property
    def sentence(self) -> str:
        """The answer for the test side in one sentence, which says for how many images the patient is unknown."""
        leaking, total, unknown = self.count(), self.images["test"], self.unknown_patients
        if not total:
            return "There are no test images."
        limit = f"; for {unknown:,} of {self.all_images:,} images nothing tells the patient" if unknown else ""
        if leaking:
            who = f"{leaking:,} of {total:,} test images" if total > 1 else "The one test image"
            verb = "shares" if leaking == 1 else "share"
            return f"{who} {verb} a patient or a duplicate with training{limit}."
        if not unknown:
            return "No test image shares a patient or a duplicate with training."
        if unknown == self.all_images:
            return f"No duplicate is shared{limit}."
        return f"No known patient is shared, and no duplicate{limit}."

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return, for "test" and "validation", the counts and the files as plain values for JSON."""
        return {
            side: {
                "images": self.images[side],
                "share_with_train": self.count(side),
                "causes": self.causes(side),
                "files": self.rows.loc[self.rows["split"] == side, "file"].tolist(),
            }
            for side in _SIDES
        }


def leakage_of(sides: Sequence[str] | ObjectArray | pd.Series, table: pd.DataFrame, groups: ArrayLike) -> Leakage:
    """Find the test and validation images whose patient or duplicate is in training.

    Args:
        sides: sequence of str (N,), "train", "validation", "test" or anything else for none: as
            `Split.names` gives it, or the column `split` of a run's `split.csv`.
        table: DataFrame (N rows) with `file`, `class_name`, `digest`, and `patient` and `path` where known, such as
            a run's `split.csv`. Without `patient` it is read from folder and file names.
        groups: int (N,), as `split.image_groups` makes it, or the column `group` of `split.csv`.

    Returns:
        Leakage.

    Raises:
        ValueError: the three differ in length.
    """
    sides, groups = np.asarray(sides, object), np.asarray(groups)
    if not len(sides) == len(table) == len(groups):
        raise ValueError(
            "The sides, the table and the groups need one row per image; "
            f"received {len(sides)}, {len(table)} and {len(groups)}."
        )
    table = table.reset_index(drop=True)
    patients = table["patient"] if "patient" in table else find_patients(table)["patient"]
    train = np.flatnonzero(sides == "train")
    rows = np.flatnonzero(np.isin(sides, _SIDES) & np.isin(groups, groups[train]))
    found = {
        "copy": _train_partner(table["digest"], train).iloc[rows],
        "patient": _train_partner(patients, train).iloc[rows],
        "duplicate": _train_partner(pd.Series(groups), train).iloc[rows],
    }
    holds = [partners.notna().to_numpy() for partners in found.values()]
    partners = pd.concat(found, axis=1).bfill(axis=1).iloc[:, 0].astype(int).to_numpy()
    kept = [c for c in ("file", "class_name", "path") if c in table]
    leaks = table.loc[rows, kept].assign(
        row=rows,
        split=sides[rows],
        group=groups[rows],
        cause=np.select(holds, list(found), default="").astype(object),
        train_row=partners,
        train_file=table["file"].to_numpy()[partners],
    )
    order = ["row", *kept, "split", "group", "cause", "train_row", "train_file"]
    on_a_side = np.isin(sides, ("train", *_SIDES))
    return Leakage(
        images={side: int((sides == side).sum()) for side in _SIDES},
        rows=leaks[order].reset_index(drop=True),
        all_images=int(on_a_side.sum()),
        unknown_patients=int(patients.isna().to_numpy()[on_a_side].sum()),
    )


def compare_splits(table: pd.DataFrame, groups: ArrayLike, *, seed: int = 0, **options: Any) -> pd.DataFrame:
    """Count what every kind of split would leak on one data set.

    Args:
        table: DataFrame, as `split.make_split` takes it.
        groups: int (N,), as `split.image_groups` makes it; the grouped split is made from them.
        seed: int.
        **options: further keywords of `split.make_split`, such as `test_share`.

    Returns:
        DataFrame, one row per kind that fits the table: `kind`, `test_images`, `share_with_train`
        (how many of these share their group with a training image), `validation_images`,
        `validation_share_with_train`, `chose_the_epoch` (how many test images also choose the best
        epoch) and `note`: "" or, with all numbers missing, why this kind is impossible here.
    """
    groups = np.asarray(groups)
    rows: list[dict[str, Any]] = []
    for kind in split_kinds(table):
        try:
            split = make_split(table, kind, seed=seed, groups=groups, **options)
        except ValueError as error:
            rows.append({"kind": kind, "note": str(error)})
            continue
        seen = np.isin(groups, groups[split.train])
        rows.append(
            {
                "kind": kind,
                "test_images": len(split.test),
                "share_with_train": int(seen[split.test].sum()),
                "validation_images": len(split.validation),
                "validation_share_with_train": int(seen[split.validation].sum()),
                "chose_the_epoch": len(np.intersect1d(split.test, split.validation)),
                "note": "",
            }
        )
    counts = ["test_images", "share_with_train", "validation_images", "validation_share_with_train", "chose_the_epoch"]
    frame = pd.DataFrame(rows, columns=["kind", *counts, "note"])
    return frame.astype(dict.fromkeys(counts, "Int64"))


def score_without_leaks(predictions: pd.DataFrame, leaks: pd.DataFrame, *, side: str = "test") -> dict[str, Any]:
    """Score a classifier with and without the images that share something with training.

    Images are joined by path where both tables have one, else by file and class. Two roots may
    hold the same file name: where only some of the images of one name leak, none can be told
    from the other, so all of them are left out of "without" and counted as unclear.

    Args:
        predictions: DataFrame with `file`, `true`, `predicted`, and `path` and `split` where
            known, as in a run's `predictions.csv`.
        leaks: DataFrame with `file`, `class_name`, `split` and perhaps `path`: `Leakage.rows` of the same run.
        side: "test" or "validation". In the article's way ask for "test"; both sides are the same images there.

    Returns:
        dict of `all` and `without` (accuracy in [0, 1], None without images), `n_all`,
        `n_without` and `unclear` (int).
    """
    if "split" in predictions:
        predictions = predictions[predictions["split"] == side]
    leaks = leaks[leaks["split"] == side]
    by_path = all("path" in t and t["path"].notna().all() for t in (predictions, leaks))
    ours = _keys(predictions, ["path"] if by_path else ["file", "true"])
    theirs = _keys(leaks, ["path"] if by_path else ["file", "class_name"])
    leaking = ours.isin(theirs)
    unclear = leaking & (ours.map(ours.value_counts()) > ours.map(theirs.value_counts()))
    right = predictions["true"] == predictions["predicted"]
    return {
        "all": _mean(right),
        "without": _mean(right[~leaking]),
        "n_all": len(right),
        "n_without": int((~leaking).sum()),
        "unclear": int(unclear.sum()),
    }


def leakage_sentence(score: Mapping[str, Any]) -> str:
    """Say what `score_without_leaks`, with the `sentence` of its Leakage, found; for a run's `metrics.json`."""
    sentence = score["sentence"]
    if score["n_without"] < score["n_all"] and score["without"] is not None:
        sentence += f" Accuracy is {percent(score['all'])} with them and {percent(score['without'])} without."
    return sentence


def _train_partner(keys: pd.Series, train: IntArray) -> pd.Series:
    """Return for every row the first training row of the same key as a float Series; NaN where there is none."""
    known = keys.iloc[train].dropna().drop_duplicates()
    first = pd.Series(known.index.to_numpy(float), index=known.to_numpy())
    return keys.map(first).astype(float)


def _keys(table: pd.DataFrame, columns: list[str]) -> pd.Series:
    return pd.Series(list(table[columns].itertuples(index=False, name=None)), index=table.index, dtype=object)


def _mean(right: pd.Series) -> float | None:
    return float(right.mean()) if len(right) else None
