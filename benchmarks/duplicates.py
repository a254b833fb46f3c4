"""Which share of duplicates is found, and how many strangers are joined, for each number of points to agree on.

Images of one class whose names differ only by further endings stand for duplicates (some are crops of each other).
Strangers are images of two patients, or of two classes: drawn at random from the whole set, and, harder, those that
the search itself takes for the most alike. Where no patient is known, two names count as two patients.
"""

import argparse
import tempfile
import time
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd

from benchmarks.reporting import four_digits, write_result
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.patient_ids import image_stem
from cxr_core.data.prepared_images import prepare_images
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.splits import duplicates

_THRESHOLDS = range(20, 81, 10)


def find_candidates(prepared):
    """Run the search with nothing refused.

    Returns:
        (pairs, seconds): DataFrame as `duplicates.find_duplicates` gives it, with every pair that was compared, and
        how long that took.
    """
    # Nothing may come from a cache, nor get into one: its key does not know of another threshold.
    with tempfile.TemporaryDirectory(prefix="cxr-lab-duplicates-") as cache, patch.object(duplicates, "MIN_POINTS", 0):
        start = time.perf_counter()
        pairs = duplicates.find_duplicates(prepared, cache_dir=cache)
        return pairs, time.perf_counter() - start


def same_name_pairs(table):
    """Return int (M, 2), pairs of one class whose names differ only by further endings."""
    rows = _names(table).groupby(_names(table)).indices.values()
    return np.array([pair for same in rows for pair in combinations(sorted(same), 2)], int).reshape(-1, 2)


def draw_strangers(table, n, rng):
    """Return int (n, 2), pairs of rows of different patients, drawn from the whole set."""
    patients, drawn = table["patient"].fillna(_names(table)).to_numpy(), np.zeros((0, 2), int)
    while len(drawn) < n:
        more = rng.integers(0, len(table), (n, 2))
        drawn = np.concatenate([drawn, more[patients[more[:, 0]] != patients[more[:, 1]]]])
    return drawn[:n]


def alike_strangers(table, pairs):
    """Return int (M, 2), the compared pairs of two known patients or of two classes."""
    a, b = (table.iloc[pairs[side]].reset_index(drop=True) for side in "ab")
    known = a["patient"].notna() & b["patient"].notna() & (a["patient"] != b["patient"])
    strangers = (known | (a["class_name"] != b["class_name"])) & (a["digest"] != b["digest"])
    return pairs.loc[strangers.to_numpy(), ["a", "b"]].to_numpy()


def score_threshold(pairs, n, sets):
    """Join the pairs into groups and say which share of some sets of pairs is joined.

    Args:
        pairs: DataFrame, the pairs that count.
        n: int, number of images.
        sets: dict of name to int (M, 2).

    Returns:
        dict of name to float in [0, 1].
    """
    numbers = np.arange(n)
    for group in duplicates.duplicate_groups(pairs, n):
        numbers[group] = group[0]
    return {name: four_digits((numbers[rows[:, 0]] == numbers[rows[:, 1]]).mean()) for name, rows in sets.items()}


def _names(table):
    """The class and the name without its endings, per row."""
    return table["class_name"] + ":" + table["file"].map(image_stem)


def _print_markdown(rows):
    print("| points that agree | same name, found | random strangers, joined | most alike strangers, joined |")
    print("|---:|---:|---:|---:|")
    for points, row in rows.items():
        mark = " (chosen)" if points == duplicates.MIN_POINTS else ""
        print(f"| {points}{mark} | {row['same_name']:.1%} | {row['random']:.2%} | {row['alike']:.2%} |")
    print()


def main():
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.duplicates", description=__doc__)
    parser.add_argument("folders", metavar="DIR", nargs="+", type=Path, help="folder with one sub-folder per class")
    parser.add_argument("--pairs", type=int, default=2_000, help="random pairs of strangers (default: 2000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random pairs (default: 0)")
    options = parser.parse_args()
    prepared = prepare_images(scan_dataset(*options.folders).table, Preprocessing())
    table = prepared.table
    pairs, seconds = find_candidates(prepared)
    sets = {
        "same_name": same_name_pairs(table),
        "random": draw_strangers(table, options.pairs, np.random.default_rng(options.seed)),
        "alike": alike_strangers(table, pairs),
    }
    if not all(map(len, sets.values())):
        raise SystemExit("Error: the folders must hold images whose names differ only by endings, and two patients.")
    counts = pd.Series(pairs["score"].where(pairs["kind"] != "equal", np.inf))
    rows = {points: score_threshold(pairs[counts >= points], len(table), sets) for points in _THRESHOLDS}
    per_thousand = four_digits(1_000 * seconds / len(table))
    _print_markdown(rows)
    print(f"{len(table):,} images; {', '.join(f'{len(s):,} {name} pairs' for name, s in sets.items())}.")
    print(f"{len(pairs):,} pairs compared; {per_thousand} s per 1,000 images.")
    packages = {package: version(package) for package in ("scikit-learn", "usearch")}
    result = {
        "seed": options.seed,
        "further_packages": packages,
        "images": len(table),
        "pairs": {name: len(s) for name, s in sets.items()},
        "compared": len(pairs),
        "seconds_per_1000": per_thousand,
        "chosen": duplicates.MIN_POINTS,
        "points": rows,
    }
    write_result("duplicates", result)


if __name__ == "__main__":
    main()
