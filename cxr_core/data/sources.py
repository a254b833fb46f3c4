"""From which source, a hospital or collection, is each image?"""

import os

import pandas as pd


def image_sources(table: pd.DataFrame) -> pd.Series:
    """Return the source of each image: what a table says, else the name of its data set's folder.

    Args:
        table: DataFrame with `path`, `file` and, where told of any image, `source`; see `Dataset.table`.

    Returns:
        str (N,), of the table's index.
    """
    roots = [path.removesuffix(file).rstrip("/") for path, file in zip(table["path"], table["file"], strict=True)]
    folders = pd.Series([os.path.basename(root) for root in roots], index=table.index, dtype=object)
    told = table["source"] if "source" in table else pd.Series(index=table.index, dtype=object)
    return told.where(told.notna(), folders).astype(str).rename("source")
