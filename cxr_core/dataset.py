"""From folders to a table: which pictures there are, of which class, size and patient."""

import hashlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cxr_core.config import order_classes
from cxr_core.pictures import PICTURE_ENDINGS, UnreadablePicture, check_complete, is_picture_file, read_header

_COLUMNS = ["path", "file", "class_name", "width", "height", "format", "bytes", "patient", "digest"]

# Kermany et al. 2018 name a pneumonia picture by its patient and a normal one by its study;
# NIH ChestX-ray8 begins a file name with the patient number.
_PATIENT_PATTERNS = (
    re.compile(r"^(person\d+)_(?:virus|bacteria)_\d+", re.IGNORECASE),
    re.compile(r"^((?:NORMAL2-)?IM-\d+)-\d+", re.IGNORECASE),
    re.compile(r"^(\d{8})_\d{3}$"),
)


@dataclass(frozen=True)
class Dataset:
    """A scanned data set.

    Attributes:
        roots: tuple of str, the folders scanned.
        classes: tuple of str, class folder names in display order.
        table: DataFrame, one row per readable picture, sorted by class and file: `path`
            (absolute), `file` (relative to its root), `class_name`, `width`, `height` (pixels),
            `format`, `bytes`, `patient` (str or None), `digest` (SHA-256 of the content).
        unreadable: DataFrame of `file` and `error` (one sentence).
    """

    roots: tuple
    classes: tuple
    table: pd.DataFrame
    unreadable: pd.DataFrame

    @property
    def fingerprint(self):
        """SHA-256 over every file's class and content: equal exactly when the data are."""
        rows = sorted(self.table["class_name"] + ":" + self.table["digest"])
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def scan_dataset(*roots, progress=None):
    """Look at every picture under `root/<class>/…` without decoding it.

    Args:
        *roots: str or Path, one folder or more, each with one sub-folder per class. Folders of
            the same name in several roots form one class.
        progress: callable(done, total) or None.

    Returns:
        Dataset. Unreadable files are listed, never raised.

    Raises:
        FileNotFoundError: a root is missing or no folder.
        ValueError: no root holds a class folder with a readable picture.
    """
    files, problems = [], []
    for root in map(Path, roots):
        if not root.is_dir():
            raise FileNotFoundError(f"There is no folder {root}.")
        for folder in sorted(root.iterdir()):
            if folder.is_symlink() and folder.is_dir():
                problems.append((folder.name, "This class folder is a link to elsewhere; links are not followed."))
            elif folder.is_dir() and not folder.name.startswith("."):
                files += [(root, folder.name, path) for path in _walk_pictures(folder, root, problems)]
    rows = []
    with ThreadPoolExecutor() as pool:
        for done, (row, problem) in enumerate(pool.map(_describe_file, files), start=1):
            rows += [row] if row else []
            problems += [problem] if problem else []
            if progress and (done % 50 == 0 or done == len(files)):
                progress(done, len(files))
    if not rows:
        raise ValueError(
            f"No pictures were found under {', '.join(map(str, roots))}. "
            "Put one folder per class in it, each with its pictures "
            f"({' '.join(PICTURE_ENDINGS)})."
        )
    table = pd.DataFrame(rows, columns=_COLUMNS)
    classes = order_classes(table["class_name"])
    order = table["class_name"].map({c: i for i, c in enumerate(classes)})
    table = table.assign(_order=order).sort_values(["_order", "path"], kind="stable").drop(columns="_order")
    unreadable = pd.DataFrame(problems, columns=["file", "error"])
    return Dataset(tuple(str(Path(r).resolve()) for r in roots), classes, table.reset_index(drop=True), unreadable)


def folder_stamp(*roots):
    """Return a short digest of every file's path, size and time below some folders.

    Cheap enough to ask on every rerun: it changes when a file is added, removed or changed.
    """
    facts = []
    for root in roots:
        for current, _, names in os.walk(root):
            for name in names:
                try:
                    stat = os.stat(os.path.join(current, name))
                except OSError:
                    continue
                facts.append(f"{current}/{name}:{stat.st_size}:{stat.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(facts)).encode(errors="surrogateescape")).hexdigest()[:16]


def patient_of(name):
    """Return the patient or study a file name tells of, or None.

    Args:
        name: str, a file name with or without ending.

    Returns:
        str such as "person23", "IM-0115" or "00002659", or None.
    """
    stem = picture_stem(name)
    for pattern in _PATIENT_PATTERNS:
        match = pattern.match(stem)
        if match:
            return match.group(1)
    return None


def picture_stem(name):
    """Return a file name without any picture endings: `x.jpeg.jpg` and `x.PNG` both give `x`."""
    path = Path(name)
    while path.suffix.lower() in PICTURE_ENDINGS:
        path = path.with_suffix("")
    return path.name


def size_statistics(table):
    """Summarise picture sizes per class.

    Args:
        table: DataFrame with `class_name`, `width` and `height` (pixels).

    Returns:
        DataFrame indexed by class in display order: `images`, then minimum, maximum and median
        of width and of height.
    """
    grouped = table.groupby("class_name")
    statistics = pd.DataFrame({"images": grouped.size()})
    for side in ("width", "height"):
        for name, function in (("min", "min"), ("max", "max"), ("median", "median")):
            statistics[f"{name}_{side}"] = grouped[side].agg(function)
    return statistics.loc[list(order_classes(table["class_name"]))]


def audit_report(dataset):
    """Return what `audit --json` prints: counts, sizes per class and unreadable files."""
    statistics = size_statistics(dataset.table)
    classes = {
        name: {key: (float(v) if key.startswith("median") else int(v)) for key, v in row.items()}
        for name, row in statistics.to_dict("index").items()
    }
    return {
        "images": len(dataset.table),
        "classes": classes,
        "unreadable": dataset.unreadable.to_dict("records"),
    }


def _walk_pictures(folder, root, problems):
    def note(error):
        problems.append((os.path.relpath(error.filename, root), "This folder cannot be opened."))

    for current, folders, names in os.walk(folder, onerror=note):
        folders.sort()
        for name in sorted(names):
            path = Path(current, name)
            try:
                if not name.startswith(".") and is_picture_file(path):
                    yield path
            except OSError:
                problems.append((path.relative_to(root).as_posix(), "This file cannot be opened."))


def _describe_file(item):
    root, class_name, path = item
    file = path.relative_to(root).as_posix()
    if not _is_text(file):
        return None, (file.encode(errors="replace").decode(), "This file's name is no readable text; rename it.")
    try:
        data = path.read_bytes()
        header = read_header(data)
        if header.format != "DICOM":
            check_complete(data, header)
    except UnreadablePicture as error:
        return None, (file, str(error))
    except FileNotFoundError:
        return None, (file, "This file vanished during the scan.")
    except OSError:
        return None, (file, "This file cannot be opened.")
    digest = hashlib.sha256(data).hexdigest()
    row = (str(path.resolve()), file, class_name, header.width, header.height, header.format, len(data))
    return (*row, patient_of(path.name), digest), None


def _is_text(name):
    """Return False for a name whose bytes are no UTF-8: it could not be written to any table."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
