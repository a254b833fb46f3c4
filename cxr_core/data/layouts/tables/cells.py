"""What does one cell of a label table mean?"""

import math
import re

from cxr_core.data.layouts.found_image import OLDEST, age_group
from cxr_core.data.layouts.side_names import sides_of

# A number and its unit, `54`, `54 yrs`, `7 months`; the units as abbreviated in tables, and in some languages.
_PART = r"(\d+(?:[.,]\d+)?)[\s-]*([^\W\d_]*)\.?(?:[\s-]*old)?"
_AGE = re.compile(rf"(?P<sign>[<≤>≥~]?=?)\s*{_PART}(?:[\s,]*(?:and\s+)?{_PART})?\s*(?P<more>\+?)", re.IGNORECASE)
_YEARS_OLD = re.compile(r"y\.?/?o\b", re.IGNORECASE)
_UNIT_FIRST = re.compile(r"([YMWD])(\d{3})", re.IGNORECASE)
_RANGE = re.compile(r"(\d{1,3})\s*(?:-|–|to)\s*(\d{1,3})", re.IGNORECASE)
_UNITS = {
    **dict.fromkeys(("", "y", "yr", "yrs", "year", "years", "yo", "j", "jahr", "jahre", "an", "ans", "año", "años",
                     "anno", "anni", "jaar", "år", "let", "lat", "лет", "год", "года", "岁", "歳", "세"), 1.0),
    **dict.fromkeys(("m", "mo", "mos", "mth", "mths", "month", "months", "monat", "monate", "mois", "mes", "meses",
                     "mese", "mesi", "maand", "maanden", "месяц", "месяца", "месяцев"), 12.0),
    **dict.fromkeys(("w", "wk", "wks", "week", "weeks", "woche", "wochen", "semaine", "semaines", "semana", "semanas",
                     "settimana", "settimane"), 52.18),
    **dict.fromkeys(("d", "day", "days", "tag", "tage", "jour", "jours", "día", "días", "giorno", "giorni"), 365.25),
}  # fmt: skip
_SEXES = {
    **dict.fromkeys(("m", "male", "man", "boy", "männlich", "maennlich", "mann", "homme", "masculin", "hombre",
                     "masculino", "uomo", "maschio", "masc", "mand", "mężczyzna", "erkek", "м", "муж", "мужской", "男",
                     "男性"), "male"),
    **dict.fromkeys(("f", "female", "w", "woman", "girl", "weiblich", "frau", "femme", "féminin", "feminin", "mujer",
                     "femenino", "donna", "femmina", "fem", "vrouw", "kvinna", "kvinde", "kobieta", "kadın", "ж", "жен",
                     "женский", "女", "女性"), "female"),
}  # fmt: skip
# No age is longer; of a longer cell every way to part it would be tried.
_LONGEST_AGE = 60
# What stands in a cell about which nothing is known.
_SAYS_NOTHING = {
    "nan", "none", "null", "n/a", "na", "<na>", "nat", "nil", "unknown", "unk", "not available", "not specified",
    "missing", "unbekannt", "k.a.", "?", "-", "--", "–",
}  # fmt: skip


def said(cell: str) -> str:
    """Return what a cell tells, "" where it says that nothing is known; not for a label, which may be called `None`."""
    cell = cell.strip()
    return "" if cell.lower() in _SAYS_NOTHING else cell


def read_age(cell: str) -> str:
    """Return the age group that a cell tells.

    Args:
        cell: such as `45`, `45.0`, `058Y`, `Y058`, `54 yrs`, `7 months`, `2 years 3 months`, `>89`, `<1` or `50-59`.

    Raises:
        ValueError: it tells no age, an impossible one, or a range across groups, as `18+` does.
    """
    cell = cell.strip()
    if len(cell) > _LONGEST_AGE:
        raise ValueError("it is no age in years")
    if match := _RANGE.fullmatch(cell):
        return _only_group(*map(float, match.groups()))
    cell = _UNIT_FIRST.sub(r"\2\1", cell) if _UNIT_FIRST.fullmatch(cell) else _YEARS_OLD.sub("yo", cell)
    match = _AGE.fullmatch(cell)
    if match is None or match[3].lower() not in _UNITS or (match[5] or "y").lower() not in _UNITS:
        raise ValueError("it is no age in years")
    if match[4] and not (match[3] and match[5]):
        raise ValueError("it is no age in years")
    years = sum(float(n.replace(",", ".")) / _UNITS[u.lower()] for n, u in (match.group(2, 3), match.group(4, 5)) if n)
    sign = match["sign"]
    if sign.startswith(("<", "≤")):
        return _only_group(0, math.nextafter(years, 0) if sign == "<" else years)
    return _only_group(years, OLDEST if sign.startswith((">", "≥")) or match["more"] else years)


def _only_group(least: float, most: float) -> str:
    groups = {_group(least), _group(most)}
    if len(groups) > 1:
        raise ValueError("it lies in several age groups")
    return groups.pop()


def _group(years: float) -> str:
    try:
        return age_group(years)
    except ValueError as error:
        raise ValueError(f"an age lies from 0 to {OLDEST} years") from error


def read_split(cell: str) -> str:
    """Return the word of `SPLIT_WORDS` that a cell means; ValueError where it means none."""
    split = sides_of([cell]).get(cell)
    if split is None:
        raise ValueError("a split is train, validation or test")
    return split


def read_sex(cell: str) -> str:
    """Return male or female where a cell says M, F or so, in some languages; else what it says."""
    return _SEXES.get(cell.strip().lower(), cell)
