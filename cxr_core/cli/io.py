"""How are data sets opened, progress shown and results written?"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from cxr_core.system.files import refusal_to_write, write_json
from cxr_core.system.progress import Progress

if TYPE_CHECKING:
    from cxr_core.data.dataset import Dataset
    from cxr_core.splits.curation import Curation

_STANDARD_OUTPUT = "-"
# What `--map` takes to forget what was said before.
_FORGET = "none"


def check_targets(options: argparse.Namespace) -> None:
    """Refuse targets of a command that cannot be written, before its work; nothing is created.

    Args:
        options: as parsed; `target_files` and `target_folders` name those that are targets.

    Raises:
        ValueError: a file or folder cannot be written; the sentence says why.
    """
    for name in options.target_files:
        target = getattr(options, name)
        if target not in (None, _STANDARD_OUTPUT):
            _check_target_file(Path(target))
    for name in options.target_folders:
        folder = getattr(options, name)
        if folder is not None:
            check_target_folder(folder)


def check_target_folder(folder: Path) -> None:
    """Refuse a folder that no file can be written into; a missing one is accepted if it can be created.

    Raises:
        ValueError: the sentence says why it cannot be written.
    """
    try:
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        # A file without a name, gone at once: permissions do not tell that a disk is read-only.
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise ValueError(refusal_to_write(str(folder), error)) from error


def _check_target_file(file: Path) -> None:
    if file.is_dir():
        raise ValueError(f"{file} cannot be written: it is a folder.")
    check_target_folder(file.parent)


def keep_label_mapping(options: argparse.Namespace) -> None:
    """Keep what `--map` and `--classes` say with the label tables of `options.folders`.

    Raises:
        ValueError: it is not written as it must be, or no table has such columns.
    """
    columns, classes = getattr(options, "columns", []), getattr(options, "classes", [])
    if not (columns or classes):
        return
    from cxr_core.data.layouts.tables import label_mapping
    from cxr_core.data.layouts.tables.root_tables import fits
    from cxr_core.data.layouts.wrapped_folders import folders_above_data

    forget = _FORGET in columns
    change = label_mapping.parse_mapping([text for text in columns if text != _FORGET], classes)
    folders = [folder for root in options.folders for folder in folders_above_data(root)]
    fitting = [folder for folder in folders if forget or fits(folder, change)]
    if not fitting:
        wanted = f"the columns {', '.join(change.columns.values())}" if change.columns else "findings"
        raise ValueError(f"There is no label table with {wanted} in {', '.join(map(str, options.folders))}.")
    for root in fitting:
        before = label_mapping.LabelMapping() if forget else label_mapping.load_mapping(root)
        label_mapping.save_mapping(label_mapping.changed_mapping(before, change), root)


def write_result(result: object, target: str | None, summary: str) -> None:
    """Print a result's summary, or write the result as JSON where that was asked for.

    Args:
        result: what JSON can hold.
        target: a file, "-" for standard output, or None for the summary.
        summary: for people to read.
    """
    if target is None:
        print(summary)
    elif target == _STANDARD_OUTPUT:
        print(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        write_json(target, result)


def progress_bar(description: str) -> Progress:
    """Start a progress bar on standard error; the returned callable updates it."""
    bar = tqdm(desc=description, disable=None, leave=False)

    def report(done: int, total: int) -> None:
        bar.total, bar.n = total, done
        bar.refresh()

    return report


def open_dataset(options: argparse.Namespace) -> "tuple[Dataset, Curation]":
    """Return the data set of `options.folders`, with the labels that were decided, and its stored curation."""
    from cxr_core.data.dataset import scan_dataset
    from cxr_core.splits.curation import dataset_decisions
    from cxr_core.splits.label_decisions import with_decided_labels

    dataset = scan_dataset(*options.folders, progress=progress_bar("Listing the images"))
    curation = dataset_decisions(dataset.table, dataset.roots)
    return with_decided_labels(dataset, curation), curation


def read_curation(path: Path | None) -> "Curation | None":
    """Return the curation in a file; None if no file was named.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds something else.
    """
    from cxr_core.splits.curation import load_curation

    if path is None:
        return None
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}.")
    return load_curation(path)
