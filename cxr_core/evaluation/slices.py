"""On which images is a classifier weakest? Its accuracy by source, size and format of the files, by view and age."""

from collections.abc import Hashable
from pathlib import Path

import numpy as np
import pandas as pd

from cxr_core.classes import class_label
from cxr_core.data.layouts.found_image import age_group
from cxr_core.data.patient_ids import patient_of
from cxr_core.data.sources import image_sources, source_label
from cxr_core.evaluation.confidence_intervals import share_interval
from cxr_core.evaluation.predictions import prediction_groups
from cxr_core.imaging.reader import ImageHeader, UnreadableImage, read_header
from cxr_core.system.text import percent

LEAST_IMAGES = 10
SLICES = {
    "true": "True class",
    "source": "Source",
    "size": "Longest side",
    "format": "File format",
    "patient": "Patient in the file name",
    "view": "View",
    "age_group": "Age of the patient",
}
_SIDES = (0, 300, 600, 1_200, 2_400, np.inf)
_SIDE_NAMES = ("up to 300 pixels", "to 600", "to 1,200", "to 2,400", "more")


def file_facts(predictions: pd.DataFrame) -> pd.DataFrame:
    """Read the properties of the files from their names and headers alone.

    Args:
        predictions: a predictions table with `path` where the images are at hand, and with `view` and `age_group`
            where a CSV file lists them.

    Returns:
        One row per image in the same order: `patient` ("yes" where the file name tells one, else "no") and, with
        paths, `source` (see `sources.image_sources`), `width` and `height` (pixels, missing where the file
        cannot be read), `size` (a band of the longest side) and `format`; `view` and `age_group` where the CSV file or
        a DICOM header tells them of any image.
    """
    names = predictions["file"].map(lambda file: file.rsplit("/", 1)[-1])
    facts = pd.DataFrame({"patient": np.where(names.map(patient_of).notna(), "yes", "no")}, index=predictions.index)
    facts = facts.join(predictions[[name for name in ("view", "age_group") if name in predictions]])
    if "path" not in predictions:
        return facts
    paths = predictions["path"].map(Path)
    facts["source"] = image_sources(predictions)
    read = [_read(path) for path in paths]
    for number, name in enumerate(("view", "age_group")):
        told = pd.Series([patient[number] for _, patient in read], index=facts.index, dtype=object)
        if told.notna().any():
            facts[name] = facts[name].fillna(told) if name in facts else told
    headers = [header for header, _ in read]
    facts["width"] = [header.width if header else np.nan for header in headers]
    facts["height"] = [header.height if header else np.nan for header in headers]
    sides = facts[["width", "height"]].max(axis=1)
    facts["size"] = pd.cut(sides, _SIDES, labels=_SIDE_NAMES).astype(object)
    formats = [header.format if header else None for header in headers]
    facts["format"] = pd.Series(formats, index=facts.index, dtype=object)
    return facts


def slice_table(predictions: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
    """Score every slice of the images.

    Args:
        predictions: a predictions table.
        facts: of the same images, as `file_facts` returns them.

    Returns:
        One row per slice, lowest accuracy first: `by` (a key of `SLICES`), `value`, `images`, `accuracy`, `low` and
        `high` (its 95 % interval, missing where there is only one patient). A slice of all images is left out.
    """
    facts = facts.assign(true=predictions["true"].map(class_label))
    groups = prediction_groups(predictions)
    rows: list[tuple[str, Hashable, int, float, float, float]] = []
    for by in SLICES:
        if by not in facts:
            continue
        for value, part in predictions.groupby(facts[by].to_numpy(), sort=False):
            if len(part) < len(predictions):
                own = groups[predictions.index.get_indexer(part.index)]
                low, high = share_interval(part["right"], own) or (np.nan, np.nan)
                rows.append((by, value, len(part), float(part["right"].mean()), low, high))
    table = pd.DataFrame(rows, columns=["by", "value", "images", "accuracy", "low", "high"])
    return table.sort_values("accuracy", kind="stable", ignore_index=True)


def worst_slice(table: pd.DataFrame, accuracy: float) -> str | None:
    """Name the worst slice of at least 10 images whose interval lies below the overall accuracy, in a sentence.

    Args:
        table: as `slice_table` returns it.
        accuracy: of all images.

    Returns:
        None where no slice is clearly weaker.
    """
    clear = table[(table["images"] >= LEAST_IMAGES) & (table["high"] < accuracy)]
    if clear.empty:
        return None
    row = named_sources(clear.head(1)).iloc[0]
    return (
        f"Weakest: {SLICES[row['by']].lower()} {row['value']}, accuracy {percent(row['accuracy'])} on {row['images']} "
        f"images (95 %: {percent(row['low'])} to {percent(row['high'])}), against {percent(accuracy)} on all images."
    )


def named_sources(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of `slice_table` with the names that people know the sources by."""
    labels = table["value"].map(lambda value: source_label(str(value)))
    return table.assign(value=table["value"].where(table["by"] != "source", labels))


def _read(path: Path) -> tuple[ImageHeader | None, tuple[str | None, str | None]]:
    """Return a file's header, None where it cannot be read, and the view and age group that a DICOM header tells."""
    try:
        data = path.read_bytes()
        header = read_header(data)
    except (UnreadableImage, OSError):
        return None, (None, None)
    if header.format != "DICOM":
        return header, (None, None)
    # Slow to import, and few data sets hold any.
    from cxr_core.imaging.dicom.examination import view_and_age

    view, years = view_and_age(data)
    return header, (view, age_group(years) if years is not None else None)
