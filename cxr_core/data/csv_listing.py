"""Which images a CSV file lists, and what it says of them."""

import csv
import io
import os
import stat
from functools import lru_cache

SPLIT_WORDS = ("train", "validation", "test")
# What only a CSV file tells of an image; each a column of the table where it tells it of any.
LISTED_COLUMNS = ("split", "view", "age_group")
AGE_GROUPS = {18: "under 18 years", 40: "18 to 39", 65: "40 to 64", 131: "65 and over"}
NOT_OPENED = "This file cannot be opened."


def age_group(years):
    """Return the group of `AGE_GROUPS` that an age (float, years) belongs to; ValueError outside 0 to 130."""
    if not 0 <= years <= 130:
        raise ValueError(f"An age must lie from 0 to 130 years; received {years}.")
    return next(name for end, name in AGE_GROUPS.items() if years < end)


def csv_rows(path, number, problems):
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"The file {path.name} cannot be opened.") from error
    folder = str(path.parent)
    for listed, class_name, *told in _parse_csv(data, path.name, folder):
        file = listed.removeprefix(folder + os.sep).replace(os.sep, "/")
        try:
            facts = os.stat(listed)
        except PermissionError:
            problems.append((file, NOT_OPENED))
        except (OSError, ValueError):
            problems.append((file, f"This file is listed in {path.name}, but it is not there."))
        else:
            if stat.S_ISREG(facts.st_mode):
                yield file, listed, class_name, facts.st_size, facts.st_mtime_ns, True, *told, number
            else:
                problems.append((file, f"{path.name} lists this as an image, but it is no file."))


# Asked for at every rerun of a page; the content itself is the key.
@lru_cache(maxsize=2)
def _parse_csv(data, name, folder):
    """Return what a CSV file lists: absolute path, class, patient and `LISTED_COLUMNS`; None what is not told."""
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        lines = [(reader.line_num, [value.strip() for value in line]) for line in reader if any(line)]
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} must be text in UTF-8; save it again as “CSV UTF-8”.") from error
    except csv.Error as error:
        raise ValueError(f"{name} cannot be read as CSV: {error}.") from error
    header = [value.lower() for value in lines[0][1]] if lines else []
    if header.count("path") != 1 or header.count("label") != 1:
        raise ValueError(
            f"{name} must begin with the column names path,label (patient, split, view and age may follow), "
            f"separated by commas; received {','.join(header)[:80]!r}."
        )
    if len(lines) == 1:
        raise ValueError(f"{name} lists no images.")
    rows, paths = [], set()
    for number, values in lines[1:]:
        if any(values[len(header) :]):
            raise ValueError(f"Line {number} of {name} has more values than there are columns.")
        row = dict(zip(header, values, strict=False))
        path, label, split = row["path"], row.get("label"), row.get("split", "").lower()
        if not path or not label:
            raise ValueError(f"Each image needs a path and a label; line {number} of {name} lacks one.")
        if split not in ("", *SPLIT_WORDS):
            raise ValueError(f"split must be one of {', '.join(SPLIT_WORDS)}; line {number} of {name} has {split!r}.")
        path = os.path.normpath(os.path.join(folder, path))
        if path in paths:
            raise ValueError(f"Each image must be listed once; line {number} of {name} repeats {row['path']}.")
        paths.add(path)
        try:
            group = age_group(float(row["age"])) if row.get("age") else None
        except ValueError as error:
            raise ValueError(f"age must be years from 0 to 130; line {number} of {name} has {row['age']!r}.") from error
        rows.append((path, label, row.get("patient") or None, split or None, row.get("view") or None, group))
    return rows
