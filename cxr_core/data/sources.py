"""From which source, a hospital or collection, is each image?"""

import os

import pandas as pd


def image_sources(table: pd.DataFrame) -> pd.Series:
    """Return the source of each image: what a table says, else the name of its data set's folder, or of its own folder
    where it lies outside any.

    Args:
        table: DataFrame with `path`, `file` and, where told of any image, `source`; see `Dataset.table`.

    Returns:
        str (N,), of the table's index.
    """
    folders = [_folder(path, file) for path, file in zip(table["path"], table["file"], strict=True)]
    told = table["source"] if "source" in table else pd.Series(index=table.index, dtype=object)
    return told.where(told.notna(), pd.Series(folders, index=table.index)).astype(str).rename("source")


def source_names(table: pd.DataFrame) -> list[str]:
    """Return the sources of a data set table, those with the most images first."""
    return [str(name) for name in image_sources(table).value_counts(sort=True).index]


def _folder(path: str, file: str) -> str:
    """Return the name of the folder that a file's name is relative to; of its own folder for an absolute name."""
    root = os.path.dirname(path) if os.path.isabs(file) else path.removesuffix(file).rstrip("/")
    return os.path.basename(root)
