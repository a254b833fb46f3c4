"""From which source, a hospital or collection, is each image?"""

import os

import pandas as pd

from cxr_core.system.files import folder_names

# Short names of folders and tables, in lower case, and what people know the hospital or collection by.
_LABELS = {
    "bimcv": "BIMCV (Valencia)",
    "cohen": "COVID-19 Image Data Collection (Cohen)",
    "covid_cxr": "COVID CXR Image Dataset (Kaggle)",
    "cxnet": "COVID-CXNet",
    "figure1": "Figure 1 COVID-19 collection",
    "guangzhou": "Guangzhou Women and Children's Medical Center",
    "hannover": "Hannover Medical School",
    "jsrt": "JSRT (Japan)",
    "kermany": "Guangzhou Women and Children's Medical Center",
    "nih": "NIH Clinical Center",
    "nih_starter": "NIH Clinical Center (ChestX-ray14)",
    "openist": "OpenIST",
    "padchest": "PadChest (Alicante)",
    "siim_fisabio": "SIIM-FISABIO-RSNA (Valencia and others)",
}


def image_sources(table: pd.DataFrame) -> pd.Series:
    """Return the source of each image: what a table says, else the name of its data set's folder, or of its own folder
    where it lies outside any. Of data sets of one name, those of the folders above tell them apart.

    Args:
        table: DataFrame with `path`, `file` and, where told of any image, `source`; see `Dataset.table`.

    Returns:
        str (N,), of the table's index.
    """
    # As lists: going through a column of text itself takes ten times as long.
    paths, files = table["path"].tolist(), table["file"].tolist()
    roots = [_root(path, file) for path, file in zip(paths, files, strict=True)]
    different = sorted({root for root in roots if root})
    names = dict(zip(different, folder_names(different), strict=True))
    folders = [
        names[root] if root else os.path.basename(os.path.dirname(path))
        for path, root in zip(paths, roots, strict=True)
    ]
    told = table["source"] if "source" in table else pd.Series(index=table.index, dtype=object)
    return told.where(told.notna(), pd.Series(folders, index=table.index)).astype(str).rename("source")


def source_names(table: pd.DataFrame) -> list[str]:
    """Return the sources of a data set table, those with the most images first."""
    return [str(name) for name in image_sources(table).value_counts(sort=True).index]


def source_label(name: str) -> str:
    """Return the name that people know a source by: `hannover` becomes "Hannover Medical School".

    For what is read only: files, settings and tables for programs keep the name itself. An unknown one stays as it is.
    """
    return _LABELS.get(name.lower(), name)


def _root(path: str, file: str) -> str:
    """Return the folder that a file's name is relative to; "" for an absolute name."""
    return "" if os.path.isabs(file) else path.removesuffix(file).rstrip("/")
