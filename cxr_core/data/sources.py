"""From which source, a hospital or collection, is each image?"""

import os

import pandas as pd

from cxr_core.system.files import folder_names


def image_sources(table: pd.DataFrame) -> pd.Series:
    """Return the source of each image: what a table says, else the name of its data set's folder, or of its own folder
    where it lies outside any. Of data sets of one name, those of the folders above tell them apart.

    Args:
        table: DataFrame with `path`, `file` and, where told of any image, `source`; see `Dataset.table`.

    Returns:
        str (N,), of the table's index.
    """
    roots = [_root(path, file) for path, file in zip(table["path"], table["file"], strict=True)]
    different = sorted({root for root in roots if root})
    names = dict(zip(different, folder_names(different), strict=True))
    folders = [
        names[root] if root else os.path.basename(os.path.dirname(path))
        for path, root in zip(table["path"], roots, strict=True)
    ]
    told = table["source"] if "source" in table else pd.Series(index=table.index, dtype=object)
    return told.where(told.notna(), pd.Series(folders, index=table.index)).astype(str).rename("source")


def source_names(table: pd.DataFrame) -> list[str]:
    """Return the sources of a data set table, those with the most images first."""
    return [str(name) for name in image_sources(table).value_counts(sort=True).index]


def _root(path: str, file: str) -> str:
    """Return the folder that a file's name is relative to; "" for an absolute name."""
    return "" if os.path.isabs(file) else path.removesuffix(file).rstrip("/")
