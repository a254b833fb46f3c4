"""Where a classifier is weakest: its accuracy by source, size and format of the files, by view and age."""

from pathlib import Path

import numpy as np
import pandas as pd

from cxr_core.classes import class_label
from cxr_core.data.csv_listing import age_group
from cxr_core.data.patient_ids import patient_of
from cxr_core.evaluation.confidence_intervals import share_interval
from cxr_core.evaluation.predictions import prediction_groups
from cxr_core.imaging.reader import UnreadableImage, read_header

LEAST_IMAGES = 10
SLICES = {
    "true": "True class",
    "source": "Source folder",
    "size": "Longest side",
    "format": "File format",
    "patient": "Patient named",
    "view": "View",
    "age_group": "Age of the patient",
}
_SIDES = (0, 300, 600, 1_200, 2_400, np.inf)
_SIDE_NAMES = ("up to 300 pixels", "to 600", "to 1,200", "to 2,400", "more")
_RESAMPLES = 500


def file_facts(predictions):
    """Read what the files themselves tell, from their headers alone.

    Args:
        predictions: DataFrame with `file`, `path` where the images are at hand, and `view` and `age_group`
            where a list told them.

    Returns:
        DataFrame in the same order, of `patient` ("yes" where the name tells one, else "no") and, with paths,
        `source` (the folder above the class's), `width`, `height` (pixels, missing where the file is gone), `size` (a
        band of the longest side) and `format`; `view` and `age_group` where the list or a DICOM header tells them of
        any image.
    """
    names = predictions["file"].map(lambda file: file.rsplit("/", 1)[-1])
    facts = pd.DataFrame({"patient": np.where(names.map(patient_of).notna(), "yes", "no")}, index=predictions.index)
    facts = facts.join(predictions[[name for name in ("view", "age_group") if name in predictions]])
    if "path" not in predictions:
        return facts
    paths = predictions["path"].map(Path)
    facts["source"] = paths.map(lambda path: path.parts[-3] if len(path.parts) > 2 else ".")
    headers, patients = zip(*paths.map(_read), strict=True) if len(paths) else ((), ())
    headers = pd.Series(headers, index=facts.index, dtype=object)
    for number, name in enumerate(("view", "age_group")):
        told = pd.Series([patient[number] for patient in patients], index=facts.index, dtype=object)
        if told.notna().any():
            facts[name] = facts[name].fillna(told) if name in facts else told
    facts["width"] = headers.map(lambda h: h.width if h else np.nan)
    facts["height"] = headers.map(lambda h: h.height if h else np.nan)
    sides = facts[["width", "height"]].max(axis=1)
    facts["size"] = pd.cut(sides, _SIDES, labels=_SIDE_NAMES).astype(object)
    facts["format"] = headers.map(lambda h: h.format if h else None)
    return facts


def slice_table(predictions, facts):
    """Score every slice of the images.

    Args:
        predictions: DataFrame with `true` and `right`, as `predictions.predictions_table` makes it.
        facts: DataFrame as `file_facts` gives it.

    Returns:
        DataFrame, worst first: `by` (a key of `SLICES`), `value`, `images`, `accuracy`, `low`, `high` (95 %, missing
        where there is one patient only). A slice that holds all images is left out.
    """
    facts = facts.assign(true=predictions["true"].map(class_label))
    groups, rows = prediction_groups(predictions), []
    for by in SLICES:
        if by not in facts:
            continue
        for value, part in predictions.groupby(facts[by].to_numpy(), sort=False):
            if len(part) < len(predictions):
                own = groups[predictions.index.get_indexer(part.index)]
                low, high = share_interval(part["right"], own, resamples=_RESAMPLES) or (np.nan, np.nan)
                rows.append((by, value, len(part), float(part["right"].mean()), low, high))
    table = pd.DataFrame(rows, columns=["by", "value", "images", "accuracy", "low", "high"])
    return table.sort_values("accuracy", kind="stable", ignore_index=True)


def worst_slice(table, accuracy):
    """Name the worst slice of at least 10 images whose interval lies below the whole's accuracy, or None."""
    clear = table[(table["images"] >= LEAST_IMAGES) & (table["high"] < accuracy)]
    if clear.empty:
        return None
    row = clear.iloc[0]
    return (
        f"Weakest: {SLICES[row['by']].lower()} {row['value']}, right in {row['accuracy']:.1%} of {row['images']} "
        f"images (95 %: {row['low']:.1%} to {row['high']:.1%}), where it is right in {accuracy:.1%} of all."
    )


def _read(path):
    """Return a file's ImageHeader, or None, and what a DICOM header says of view and age group."""
    try:
        data = path.read_bytes()
        header = read_header(data)
    except (UnreadableImage, OSError):
        return None, (None, None)
    if header.format != "DICOM":
        return header, (None, None)
    # Slow to import, and few data sets hold any.
    from cxr_core.imaging.dicom import view_and_age

    view, years = view_and_age(data)
    return header, (view, age_group(years) if years is not None else None)
