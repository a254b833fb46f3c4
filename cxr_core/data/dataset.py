"""Which images does a folder hold, and of which class, size and patient?"""

import hashlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from cxr_core.classes import merged_spellings, order_classes
from cxr_core.config import INDEX_DIR, MAX_FILE_BYTES
from cxr_core.data.file_index import INDEX_KEYS, INDEX_SCHEMA, index_folder, load_index, save_index
from cxr_core.data.layouts.class_folders import is_named_like_text
from cxr_core.data.layouts.data_layout import DataLayout
from cxr_core.data.layouts.found_image import LISTED_COLUMNS, NOT_OPENED, VANISHED, Problem
from cxr_core.data.layouts.layout_sentence import layout_sentence
from cxr_core.data.layouts.registry import find_layout
from cxr_core.data.layouts.tables.table_file import TABLE_ENDINGS
from cxr_core.data.patient_ids import find_patients
from cxr_core.data.patients.dicom_patients import HashedIdentity, hash_identity, patient_salt, salt_check
from cxr_core.imaging.files.file_kinds import IN_NO_CLASS_FOLDER
from cxr_core.imaging.reader import (
    IMAGE_ENDINGS,
    UnreadableImage,
    check_complete,
    is_image_file,
    left_out_reason,
    read_header,
)
from cxr_core.system.progress import Progress
from cxr_core.system.text import as_text, is_text

_COLUMNS = [
    "path", "file", "class_name", "width", "height", "format", "bytes", "patient", "patient_from", "digest", "mtime_ns",
]  # fmt: skip
# The fields of FoundImage, and which of the roots the file belongs to.
_FOUND_SCHEMA = pa.schema(
    [
        ("file", pa.large_string()),
        ("path", pa.large_string()),
        ("class_name", pa.large_string()),
        ("bytes", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("in_list", pa.bool_()),
        ("listed_patient", pa.large_string()),
        *((name, pa.large_string()) for name in LISTED_COLUMNS),
        ("ctime_ns", pa.int64()),
        ("root", pa.int16()),
    ]
)
# The columns `dicom_…` of a file that is no DICOM.
_NO_IDENTITY = (None, *HashedIdentity())
# A scan takes some milliseconds for each source, and a page draws each class; a column of more tells of something else.
_MOST_SOURCES, _MOST_CLASSES = 1_000, 300
# A look at all files that takes more than the first seconds is repeated only after so many times as long, and after the
# last at most.
_LONG_LOOK, _LOOK_SHARE, _LONGEST_PAUSE = 0.25, 10, 600.0
# So many files are read before their facts are gathered: it bounds what waits in memory.
_BATCH = 512


@dataclass(frozen=True)
class Dataset:
    """A scanned data set.

    Attributes:
        roots: tuple of str, the folders (or CSV files) scanned.
        classes: tuple of str, class names in display order.
        table: DataFrame, one row per readable image, sorted by class and path: `path`
            (absolute), `file` (relative to its root), `class_name`, `width`, `height` (pixels),
            `format`, `bytes`, `patient` (str or missing), `patient_from` (a key of
            `patient_ids.PATIENT_SOURCES`, or missing), `digest` (SHA-256 of the content) and
            `mtime_ns`; where a table tells it, also `split` (of `SPLIT_WORDS`), `view`, `age_group`
            (of `AGE_GROUPS`), `sex`, `source` and `mask` (absolute path), or missing.
        unreadable: DataFrame of `file` and `error` (one sentence), sorted by file; also each row of a label table that
            was passed over, and each value in it that was not understood, under the name of the table.
        stamp: str, what `folder_stamp` told of the roots when they were scanned.
        layouts: one sentence per root: as what it was read, and what was passed over for which reasons.
        listing_seconds: what it took to list the files, without opening any.

    Example:
        >>> from tempfile import mkdtemp
        >>> from cxr_core import draw_demo_data, scan_dataset
        >>> dataset = scan_dataset(draw_demo_data(mkdtemp() + "/demo", images_per_class=2))
        >>> dataset.classes, len(dataset.table), len(dataset.unreadable)
        (('normal', 'covid', 'virus'), 6, 0)
    """

    roots: tuple[str, ...]
    classes: tuple[str, ...]
    table: pd.DataFrame
    unreadable: pd.DataFrame
    stamp: str = ""
    layouts: tuple[str, ...] = ()
    listing_seconds: float = field(default=0.0, compare=False)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over every file's class and content: equal exactly when the data are."""
        rows = (self.table["class_name"] + ":" + self.table["digest"]).sort_values()
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def scan_dataset(*roots: str | Path, index_dir: str | Path = INDEX_DIR, progress: Progress | None = None) -> Dataset:
    """Look at every image under `root/<class>/…` without decoding it.

    A file whose name, size and times are those of the last scan is not opened again: what was
    seen then comes from the index. The system's own time of the last change counts as well, so
    that new content is noticed whatever time it was given; a renamed or copied file, or one whose
    permissions changed, is opened once more. A scan that was stopped goes on where it stopped.

    Args:
        *roots: one folder or more, each with one sub-folder per class, or with train, validation and test that
            hold such. Spellings of one class (`NORMAL` and `normal`, see `classes.class_key`) are one class.
            A label table (CSV, TSV or text) stands for its images, and so does a folder in which one lies: a table of
            a public set (`layouts.tables.adapters`), one whose columns were explained (`layouts.tables.label_mapping`),
            or one with the columns `path` and `label` and, if wanted, `patient`, `split`, `view` (PA, say), `age` (in
            years; only its group is kept), `sex`, `source` and `mask`. Images are looked for below the table's folder.
        index_dir: where indexes are kept, see `file_index.index_folder`.
        progress: counts the files.

    Returns:
        Unreadable files are listed, never raised.

    Raises:
        FileNotFoundError: a root is missing or no folder.
        ValueError: no root holds a class folder with a readable image, a table's columns are not known, or there are
            too many classes or sources.

    Example:
        >>> from tempfile import mkdtemp
        >>> from cxr_core import draw_demo_data, scan_dataset
        >>> table = scan_dataset(draw_demo_data(mkdtemp() + "/demo", images_per_class=2)).table
        >>> table["class_name"].value_counts().to_dict()
        {'normal': 2, 'covid': 2, 'virus': 2}
    """
    layouts = _find_roots(roots)
    found = tuple(root for root, _ in layouts)
    start = time.monotonic()
    rows, problems_by_root = _list_files(layouts)
    listing_seconds = time.monotonic() - start
    problems = list(chain.from_iterable(problems_by_root))
    stamp = _stamp(rows, problems)
    salt = cache(partial(patient_salt, index_dir))
    facts, unread = _read_facts(_frame(rows, _FOUND_SCHEMA), index_folder(found, index_dir), salt, progress)
    broken = facts[facts["error"].notna() & (facts["error"] != "")]
    problems += [*unread, *zip(broken["file"], broken["error"], strict=True)]
    unreadable = pd.DataFrame(sorted(problems), columns=["file", "error"], dtype="str")
    facts = facts[facts["error"].isna()]
    if facts.empty:
        raise ValueError(_no_images(found, unreadable))
    facts = facts.assign(class_name=facts["class_name"].map(merged_spellings(facts["class_name"])))
    _check_counts(facts)
    classes = order_classes(facts["class_name"].unique())
    order = pd.Categorical(facts["class_name"], categories=classes).codes
    table = facts.join(find_patients(facts).astype("str")).assign(_order=order).sort_values("path")
    table = table.sort_values("_order", kind="stable", ignore_index=True)
    names = _COLUMNS + [name for name in LISTED_COLUMNS if table[name].notna().any()]
    sentences = (
        layout_sentence(root.name, layout.description(root), facts[facts["root"] == number], passed_over)
        for number, ((root, layout), passed_over) in enumerate(zip(layouts, problems_by_root, strict=True))
    )
    table = table[names].copy()
    return Dataset(tuple(map(str, found)), classes, table, unreadable, stamp, tuple(sentences), listing_seconds)


def folder_stamp(*roots: str | Path) -> str:
    """Return a short text that changes when an image file is added, removed or changed.

    No image is opened: it costs little more than the system takes to tell names, sizes and
    times. To be compared within one process only.

    Args:
        *roots: as for `scan_dataset`.

    Raises:
        FileNotFoundError, ValueError: as for `scan_dataset`.
    """
    rows, problems = _list_files(_find_roots(roots))
    return _stamp(rows, list(chain.from_iterable(problems)))


class ChangeWatch:
    """Asks whether the files of a data set have changed since its scan.

    Small data sets are looked at whenever somebody asks. A look at a hundred thousand files takes a second, which each
    rerun of a page would cost: after such a look none follows for ten times as long, ten minutes at most, and a change
    is seen so much later.

    Args:
        dataset: as scanned.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._next_look = 0.0
        self._pause(dataset.listing_seconds)

    def has_changed(self) -> bool:
        """Return whether a file was added, removed or changed, as far as was looked.

        Raises:
            FileNotFoundError, ValueError: as for `scan_dataset`.
        """
        start = time.monotonic()
        if start < self._next_look:
            return False
        stamp = folder_stamp(*self._dataset.roots)
        self._pause(time.monotonic() - start)
        return stamp != self._dataset.stamp

    def _pause(self, look_seconds: float) -> None:
        if look_seconds > _LONG_LOOK:
            self._next_look = time.monotonic() + min(_LOOK_SHARE * look_seconds, _LONGEST_PAUSE)


def size_statistics(table: pd.DataFrame) -> pd.DataFrame:
    """Summarise image sizes per class.

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
    return statistics.loc[list(order_classes(table["class_name"].unique()))]


def _find_roots(roots: Sequence[str | Path]) -> list[tuple[Path, DataLayout]]:
    """Return the roots as absolute Paths, each with its layout, or say which one is not there."""
    if not roots:
        raise ValueError("Name at least one folder of images.")
    found = []
    for root in map(Path, roots):
        layout = find_layout(root)
        if layout is None:
            kind = "file" if root.name.lower().endswith(TABLE_ENDINGS) else "folder"
            raise FileNotFoundError(f"There is no {kind} {as_text(str(root))}.")
        if not is_text(str(root.resolve())):
            raise ValueError(f"The name of {as_text(str(root))} is no readable text; rename it.")
        found.append((root.resolve(), layout))
    return found


def _no_images(roots: Sequence[Path], unreadable: pd.DataFrame) -> str:
    sentence = (
        f"No images were found under {', '.join(map(str, roots))}. "
        f"Put one folder per class in it, each with its images ({' '.join(IMAGE_ENDINGS)})."
    )
    if len(unreadable):
        first = unreadable.iloc[0]
        sentence += f" Passed over: {len(unreadable)}, the first of them {first['file']}: {first['error']}"
    return sentence


def _check_counts(facts: pd.DataFrame) -> None:
    """Refuse a data set of more classes or sources than can be told apart."""
    for name, words, most in (("class_name", "classes", _MOST_CLASSES), ("source", "sources", _MOST_SOURCES)):
        if (count := facts[name].nunique()) > most:
            raise ValueError(
                f"At most {most:,} {words} are told apart; received {count:,}. Is another column, or are other "
                f"folders, meant by {words}?"
            )


def _list_files(roots: Sequence[tuple[Path, DataLayout]]) -> tuple[list[tuple[Any, ...]], list[list[Problem]]]:
    """List the files of all roots with their sizes and times, opening none.

    Returns:
        (rows, problems): a list of tuples in the order of `_FOUND_SCHEMA`, in no order of their
        own, and for each root a list of (file, sentence).
    """
    rows: list[tuple[Any, ...]] = []
    problems: list[list[Problem]] = [[] for _ in roots]
    for number, (root, layout) in enumerate(roots):
        rows += [(*image, number) for image in layout.images(root, problems[number])]
    return rows, problems


def _stamp(rows: Sequence[tuple[Any, ...]], problems: Sequence[Problem]) -> str:
    # A sum does not depend on the order in which the system lists the files.
    return f"{(sum(map(hash, rows)) + sum(map(hash, problems))) % 2**64:016x}"


def _read_facts(
    found: pd.DataFrame, folder: Path, salt: Callable[[], bytes], progress: Progress | None
) -> tuple[pd.DataFrame, list[Problem]]:
    """Join what was found with what is known of it, opening the files that are new or changed.

    Returns:
        (files, problems): DataFrame of the columns of both, and (file, sentence) of what could
        not be opened this time, which the index does not keep.
    """
    keys = list(INDEX_KEYS)
    # The index keeps one number for both times, which changes with either.
    found = found.assign(mtime_ns=found["mtime_ns"] + found["ctime_ns"])
    stored = load_index(folder)
    if stored["dicom_key"].notna().any():
        # Identifiers hashed with another key would make one patient two.
        stored = stored[stored["dicom_key"].isna() | (stored["dicom_key"] == salt_check(salt()))]
    files = found.merge(stored, on=keys)
    # Notes and annotations are opened once, too, but do not count: there can be one for each image.
    done, total = (len(table) - sum(map(is_named_like_text, table["file"])) for table in (files, found))
    read: list[tuple[Any, ...]] = []
    problems: list[Problem] = []
    try:
        new = _not_in(files, found)
        with ThreadPoolExecutor() as pool:
            for start in range(0, len(new), _BATCH):
                batch = new.iloc[start : start + _BATCH]
                described = pool.map(partial(_describe_file, salt=salt), batch.itertuples(index=False))
                for file, (facts, problem) in zip(batch["file"], described, strict=True):
                    read += [facts] if facts else []
                    problems += [problem] if problem else []
                    done += not is_named_like_text(file)
                    if progress and total and done % 50 == 0:
                        progress(done, total)
    finally:
        if read or len(files) < len(stored):
            known = pd.concat([files[INDEX_SCHEMA.names], _frame(read, INDEX_SCHEMA)], ignore_index=True)
            # Without a place to keep it, the next scan takes as long as this one.
            with suppress(OSError):
                save_index(known, folder)
            files = found.merge(known, on=keys)
    if progress and total:
        progress(total, total)
    return files.assign(mtime_ns=files["mtime_ns"] - files["ctime_ns"]), problems


def _not_in(known: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `found` that are not in `known`, which holds nothing else."""
    if not 0 < len(known) < len(found):
        return found[: 0 if len(known) else None]
    keys = list(INDEX_KEYS)
    marked = found.merge(known[keys], how="left", on=keys, indicator="seen")
    return found[marked["seen"].to_numpy() == "left_only"]


def _describe_file(found: Any, *, salt: Callable[[], bytes]) -> tuple[tuple[Any, ...] | None, Problem | None]:
    """Open a file of `_FOUND_SCHEMA`: (values in the order of `INDEX_SCHEMA`, None) or (None, its problem)."""
    same = (found.root, found.file, found.bytes, found.mtime_ns)
    try:
        if not (found.in_list or is_image_file(found.path)):
            return (*same, 0, 0, None, *_NO_IDENTITY, None, left_out_reason(found.path)), None
        if not found.class_name:
            raise UnreadableImage(IN_NO_CLASS_FOLDER)
        if found.bytes > MAX_FILE_BYTES:
            raise UnreadableImage(
                f"The file has {found.bytes / 1e6:.0f} MB; at most {MAX_FILE_BYTES / 1e6:.0f} MB are read."
            )
        data = Path(found.path).read_bytes()
        header = read_header(data)
        check_complete(data, header)
    except UnreadableImage as error:
        return (*same, 0, 0, None, *_NO_IDENTITY, None, str(error)), None
    except FileNotFoundError:
        return None, (found.file, VANISHED)
    except OSError:
        return None, (found.file, NOT_OPENED)
    digest = hashlib.sha256(data).hexdigest()
    identity = _hashed_identity(data, salt) if header.format == "DICOM" else _NO_IDENTITY
    return (*same, header.width, header.height, header.format, *identity, digest, None), None


def _hashed_identity(data: bytes, salt: Callable[[], bytes]) -> tuple[str | None, ...]:
    """Return the values of `dicom_key` and of a HashedIdentity for the index."""
    from cxr_core.imaging.dicom.examination import patient_identity

    return salt_check(salt()), *hash_identity(*patient_identity(data), salt())


def _frame(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pd.DataFrame:
    columns = zip(*rows, strict=True) if rows else [[]] * len(schema)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    frame: pd.DataFrame = pa.table(arrays, schema=schema).to_pandas()
    return frame
