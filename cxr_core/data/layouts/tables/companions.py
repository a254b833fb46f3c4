"""What do tables without labels tell of the images that a label table beside them lists?

Of public sets: NIH's `train_val_list.txt` and `test_list.txt`, MIMIC-CXR's tables of splits and metadata, and Indiana
University's reports.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from cxr_core.data.layouts.tables.cells import read_split
from cxr_core.data.layouts.tables.table_file import first_columns, plain_name, read_table, read_text, table_bytes
from cxr_core.imaging.reader import IMAGE_ENDINGS

# Column of a table that names images by `dicom_id`: what it tells, a field of `adapters.Told`.
_TELLING = {"split": "split", "viewposition": "view"}
_IMAGE = "dicom_id"
# Columns of a table of reports: the number that a table of images names, too, and the findings.
_REPORT, _FINDINGS = "uid", "problems"


def is_companion(path: Path) -> bool:
    """Return whether a table adds to what another tells of images, and names no image file itself with its class.

    False where it cannot be opened.
    """
    try:
        columns = first_columns(read_text(path))[0]
    except OSError:
        return False
    if _REPORT in columns and _FINDINGS in columns:
        return True
    return _is_list_of_side(columns, path) or (_IMAGE in columns and any(name in columns for name in _TELLING))


def report_of(row: Mapping[str, str]) -> str:
    """Return what `read_companions` calls the report that a row of a table of images names."""
    return f"{_REPORT} {row.get(_REPORT, '')}"


def read_companions(paths: Iterable[Path]) -> Mapping[str, Mapping[str, str]]:
    """Return {name of an image without its ending: {field of `Told`: cell}} of tables that are companions.

    A report tells {`report_of` a row: {column: cell}}.

    Raises:
        ValueError: a table cannot be opened, or its quotes cannot be read.
    """
    told: dict[str, dict[str, str]] = defaultdict(dict)
    for path in paths:
        try:
            data = table_bytes(path)
        except OSError as error:
            raise ValueError(f"The file {path.name} cannot be opened.") from error
        table = read_table(data, path.name)
        if _FINDINGS in table.header:
            told |= {report_of(row): {_FINDINGS: row[_FINDINGS]} for _, row in table.rows}
        elif _IMAGE in table.header:
            for _, row in table.rows:
                told[row[_IMAGE]] |= {field: row[name] for name, field in _TELLING.items() if row.get(name)}
        else:
            # The first image stands where other tables have the names of their columns.
            (first,) = table.header
            stems = (_stem(name) for name in (first, *(row[first] for _, row in table.rows)))
            told |= {stem: told[stem] | {"split": split_of(path)} for stem in stems}
    return told


def _stem(name: str) -> str:
    """Return the name of an image without its ending and without the folders that a list may write before it."""
    return os.path.splitext(name.replace("\\", "/").rpartition("/")[2])[0]


def split_of(path: Path) -> str:
    """Return the split that a table's name tells, such as valid.csv or train_COVIDx9A.txt, or ""."""
    for word in os.path.splitext(plain_name(path))[0].lower().replace("-", "_").split("_"):
        try:
            return read_split(word)
        except ValueError:
            continue
    return ""


def _is_list_of_side(columns: tuple[str, ...], path: Path) -> bool:
    """Return whether a table is a list of image files, and its name tells the side of the split they belong to."""
    return len(columns) == 1 and columns[0].endswith(IMAGE_ENDINGS) and bool(split_of(path))
