"""What does one cell of a label table mean?"""

import re

from cxr_core.data.layouts.found_image import age_group

_AGE = re.compile(r"[>≥]?=?\s*(\d+(?:[.,]\d+)?)\s*(y|m|w|d|years?)?\s*\+?", re.IGNORECASE)
_PER_YEAR = {"y": 1.0, "m": 12.0, "w": 52.18, "d": 365.25}
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_SEXES = {"m": "male", "male": "male", "f": "female", "female": "female"}


def read_age(cell: str) -> str:
    """Return the age group that `45`, `45.0`, `058Y`, `006M` or `>89` tells; ValueError where it tells none."""
    match = _AGE.fullmatch(cell.strip())
    if match is None:
        raise ValueError("it is no age in years")
    years = float(match[1].replace(",", ".")) / _PER_YEAR[(match[2] or "y")[0].lower()]
    try:
        return age_group(years)
    except ValueError as error:
        raise ValueError("an age lies from 0 to 130 years") from error


def read_split(cell: str) -> str:
    """Return the word of `SPLIT_WORDS` that a cell means; ValueError where it means none."""
    split = _SPLITS.get(cell.strip().lower())
    if split is None:
        raise ValueError("a split is train, validation or test")
    return split


def read_sex(cell: str) -> str:
    """Return male or female where a cell says M, F or so; else what it says."""
    return _SEXES.get(cell.strip().lower(), cell)
