"""Processor seconds of opening a data set by a large label table, and of asking again whether anything changed.

The table is made up, with the columns of NIH ChestX-ray14; its images are empty files, as none is opened here.
"""

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.reporting import four_digits, print_table, summarize, write_result
from cxr_core.data.dataset import folder_stamp
from cxr_core.data.layouts.tables.root_tables import finding_counts, unknown_tables

_FINDINGS = ("No Finding", "Pneumonia|Infiltration", "Cardiomegaly", "Effusion|Mass")
_HEADER = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position\n"
_PER_FOLDER, _PER_PATIENT, _ROUNDS = 10_000, 4, 5


def write_set(root, rows):
    """Write a table of `rows` rows and an empty file for each."""
    with (root / "Data_Entry_2017.csv").open("w") as table:
        table.write(_HEADER)
        for i in range(rows):
            patient, number = divmod(i, _PER_PATIENT)
            name = f"{patient:08d}_{number:03d}.png"
            findings = _FINDINGS[i % len(_FINDINGS)]
            table.write(f"{name},{findings},{number},{patient},0{20 + i % 60}Y,{'MF'[i % 2]},PA\n")
            folder = root / f"images_{i // _PER_FOLDER:03d}" / "images"
            if i % _PER_FOLDER == 0:
                folder.mkdir(parents=True)
            (folder / name).touch()


def rerun(root):
    """Ask what a page asks at each rerun: has anything changed, is a table not read, and which findings are there?"""
    folder_stamp(root)
    unknown_tables(root)
    finding_counts(root)


def cpu_seconds(call, *arguments):
    start = time.process_time()
    call(*arguments)
    return time.process_time() - start


def main():
    """Write the set, measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.label_table", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000, help="of the table (default: 200000)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cxr-lab-table-") as folder:
        root = Path(folder)
        write_set(root, options.rows)
        first = four_digits(cpu_seconds(rerun, root))
        again = summarize([cpu_seconds(rerun, root) for _ in range(_ROUNDS)])
    print_table(("", "CPU seconds"), [("first opening", first), (f"rerun, median of {_ROUNDS}", again["median"])])
    write_result("label_table", {"rows": options.rows, "first_cpu_seconds": first, "rerun_cpu_seconds": again})


if __name__ == "__main__":
    main()
