"""How is a table of a run read back, so that no name is taken for a number, a truth value or a gap?"""

from pathlib import Path

import pandas as pd

from cxr_core.system.text import unguarded

# What these columns hold is text, whatever it looks like: a class may be called 0, 01, None, NA or True.
TEXT_COLUMNS = frozenset(
    (
        "file", "path", "class_name", "patient", "patient_from", "digest", "split", "view", "age_group", "source",
        "sex", "true", "predicted", "answer",
    )
)  # fmt: skip


def read_run_table(path: Path) -> pd.DataFrame:
    """Read a CSV file that a run wrote, as `text.table_csv` writes it.

    Returns:
        Columns of `TEXT_COLUMNS` as str, missing where nothing is written; of the others, bool where every value is
        True or False, numbers where every value is one or missing, and else str.

    Raises:
        FileNotFoundError, UnicodeDecodeError, pandas.errors.EmptyDataError, pandas.errors.ParserError: it cannot be
            read.
    """
    table = pd.read_csv(path, dtype=str, keep_default_na=False).rename(columns=unguarded).apply(_unguarded)
    return table.apply(lambda column: _text(column) if column.name in TEXT_COLUMNS else _value(column))


def _unguarded(column: pd.Series) -> pd.Series:
    return column.map(unguarded) if column.str.contains("'", regex=False).any() else column


def _text(column: pd.Series) -> pd.Series:
    return column.mask(column == "")


def _value(column: pd.Series) -> pd.Series:
    if len(column) and column.isin(("True", "False")).all():
        return column == "True"
    try:
        return pd.to_numeric(column.mask(column.isin(("", "nan"))))
    except ValueError:
        return _text(column)
