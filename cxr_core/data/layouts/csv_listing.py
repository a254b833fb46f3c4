"""Which images does a CSV file list, and what does it tell of them?"""

import csv
import io
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from cxr_core.data.layouts.found_image import (
    SPLIT_WORDS,
    FoundImage,
    ListedImage,
    Problem,
    age_group,
    find_listed,
)


def csv_images(root: Path, problems: list[Problem]) -> Iterator[FoundImage]:
    """Find the images that a CSV file lists; ValueError where it is none, or a line cannot be right."""
    try:
        data = root.read_bytes()
    except OSError as error:
        raise ValueError(f"The file {root.name} cannot be opened.") from error
    yield from find_listed(_parse_csv(data, root.name, str(root.parent)), root.parent, root.name, problems)


# Asked for at every rerun of a page; the content itself is the key.
@lru_cache(maxsize=2)
def _parse_csv(data: bytes, name: str, folder: str) -> list[ListedImage]:
    """Return what a CSV file tells; paths are made absolute from its folder."""
    header, lines = _read_lines(data, name)
    images, paths = [], set()
    for number, values in lines:
        if any(values[len(header) :]):
            raise ValueError(f"Line {number} of {name} has more values than there are columns.")
        row = dict(zip(header, values, strict=False))
        image = _listed_image(row, f"line {number} of {name}", folder)
        if image.path in paths:
            raise ValueError(f"Each image must be listed once; line {number} of {name} repeats {row['path']}.")
        paths.add(image.path)
        images.append(image)
    return images


def _read_lines(data: bytes, name: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the column names in small letters, and the number and values of each line after them."""
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
    return header, lines[1:]


def _listed_image(row: dict[str, str], where: str, folder: str) -> ListedImage:
    """Return what one line tells; `where` names it in errors."""
    path, label, split = row["path"], row.get("label"), row.get("split", "").lower()
    if not path or not label:
        raise ValueError(f"Each image needs a path and a label; {where} lacks one.")
    if split not in ("", *SPLIT_WORDS):
        raise ValueError(f"split must be one of {', '.join(SPLIT_WORDS)}; {where} has {split!r}.")
    try:
        group = age_group(float(row["age"])) if row.get("age") else None
    except ValueError as error:
        raise ValueError(f"age must be years from 0 to 130; {where} has {row['age']!r}.") from error
    path = os.path.normpath(os.path.join(folder, path))
    return ListedImage(path, label, row.get("patient") or None, split or None, row.get("view") or None, group)
