"""How many test images of a grouped split have their patient in training, by what the names tell and by a list?

The list is of another collection that shares images with the data set, and tells their patients: an image's patient is
that of the listed images that are copies of it, or have its name. It was not used to make the split, so it also counts
what names do not tell. The way before knew the file names of two collections (Kermany, NIH) and took scikit-learn's
folds.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from benchmarks.reporting import write_result
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.patient_ids import image_stem, patient_of
from cxr_core.data.prepared_images import prepare_images
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.splits.connected_components import chain_equal, component_numbers
from cxr_core.splits.duplicates import find_duplicates
from cxr_core.splits.split import image_groups, make_split
from cxr_core.system.files import write_text
from cxr_core.system.text import table_csv

_SEEDS = range(5)


def listed_patients(table: pd.DataFrame, pairs: pd.DataFrame) -> pd.Series:
    """Return the patient of each image of a data set by the listed images that it equals.

    Args:
        table: of the data set (`listed` False) and of the list (`listed` True), with `class_name`, `file`, `patient`.
        pairs: duplicates among them.

    Returns:
        A patient or group of patients for each row, missing for images that equal no listed one.
    """
    patients = table["patient"].where(table["listed"])
    names = table["file"].map(lambda file: image_stem(file.rsplit("/", 1)[-1]))
    names = names.where(names.isin(names[table["listed"]]) & (names.str.len() > 8))
    ties = [chain_equal(pd.factorize(keys)[0]) for keys in (patients, names)]
    ties.append(pairs[["a", "b"]].to_numpy())
    groups = pd.Series(component_numbers(np.concatenate(ties), len(table)), index=table.index)
    return groups.where(groups.isin(groups[table["listed"]]))


def splits(table: pd.DataFrame, pairs: pd.DataFrame) -> Iterator[tuple[str, int, np.ndarray]]:
    """Split a data set in the way before and in the present one; yields the way, the seed and the side of every row."""
    before = table.assign(
        patient=table["file"].map(lambda file: patient_of(file.rsplit("/", 1)[-1])), path=table["file"]
    )
    groups, labels, rows = image_groups(before, pairs), table["class_name"].to_numpy(), np.arange(len(table))
    for seed in _SEEDS:
        rest, test = next(StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(rows, labels, groups))
        inner = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(rest, labels[rest], groups[rest])
        train = rest[next(inner)[0]]
        yield (
            "before",
            seed,
            np.where(np.isin(rows, test), "test", np.where(np.isin(rows, train), "train", "validation")),
        )
        split = make_split(table, "grouped", seed=seed, groups=image_groups(table, pairs))
        yield "now", seed, split.names(len(table))


def count_leaks(sides: np.ndarray, patients: pd.Series) -> int:
    """Count the test images whose patient, where known, has an image in training."""
    trained = set(patients[sides == "train"].dropna())
    return int(patients[sides == "test"].isin(trained).sum())


def scan_listed(index: Path) -> pd.DataFrame:
    """Scan the images of the covid-chestxray collection in a list of several; the collection tells their patients."""
    rows = pd.read_csv(index, dtype=str)
    rows = rows[rows["source"] == "cohen"]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "listed.csv"
        listed = rows.assign(path=rows["path"].map(lambda file: str(index.parent / file)))
        write_text(path, table_csv(listed[["path", "label", "patient"]]))
        return scan_dataset(path).table


def measure(folder: Path, index: Path) -> pd.DataFrame:
    """Count, per way and seed, test images and those whose patient is in training, by names and by the list."""
    ours = scan_dataset(folder).table.assign(listed=False)
    theirs = scan_listed(index).assign(listed=True)
    prepared = prepare_images(pd.concat([ours, theirs], ignore_index=True), Preprocessing())
    table, pairs = prepared.table, find_duplicates(prepared)
    own = np.flatnonzero(~table["listed"])
    known = listed_patients(table, pairs).iloc[own].reset_index(drop=True)
    place = pd.Series(np.arange(len(own)), index=own)
    inner = pairs[pairs["a"].isin(own) & pairs["b"].isin(own)]
    inner = inner.assign(a=inner["a"].map(place), b=inner["b"].map(place))
    mine = table.iloc[own].reset_index(drop=True)
    rows = []
    for way, seed, sides in splits(mine, inner):
        row = {"way": way, "seed": seed}
        for name, kept in (("all", np.full(len(mine), True)), ("covid", (mine["class_name"] == "covid").to_numpy())):
            test = kept & (sides == "test")
            seen = np.where(test | (sides == "train"), sides, "")
            row[f"{name}: test"] = int(test.sum())
            row[f"{name}: by names"] = count_leaks(seen, mine["patient"])
            row[f"{name}: by list"] = count_leaks(seen, known)
        rows.append(row)
    return pd.DataFrame(rows).assign(listed=int(known.notna().sum()), unknown=int(mine["patient"].isna().sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="such as covid_cxr")
    parser.add_argument("index", type=Path, help="a list that tells patients of some of its images")
    options = parser.parse_args()
    rows = measure(options.folder, options.index)
    print(rows.sort_values(["way", "seed"]).to_string(index=False))
    write_result("patient_leakage", {"rows": rows.to_dict("records")})


if __name__ == "__main__":
    main()
