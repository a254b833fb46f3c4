"""cells.py: what people write into a table's cells."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_core.data.layouts.found_image import age_group
from cxr_core.data.layouts.tables import cells
from cxr_core.data.layouts.tables.cells import read_age, read_sex, said


@pytest.mark.parametrize(
    ("cell", "years"),
    [
        ("45", 45), ("45.0", 45), ("058Y", 58), (">89", 90), ("90+", 90), ("006M", 0.5),
        ("54 yrs", 54), ("54 years old", 54), ("54-year-old", 54), ("17 y/o", 17), ("17 y.o.", 17), ("Y054", 54),
        ("7 months", 0.6), ("30 months", 2.5), ("M250", 20.8), ("3 weeks", 0.06), ("17 years 11 months", 17.9),
        ("54 Jahre", 54), ("54 años", 54), ("41 ans", 41), ("50-59", 55), ("50 to 59 ", 55),
        ("<1", 0.5), ("< 18", 17), ("≥ 65", 65), ("54 лет", 54), ("54歳", 54), ("54 år", 54), ("7 maanden", 0.6),
        ("17 Y/O", 17), ("≤17", 17), ("<= 17", 17), (">=65", 65),
    ],
)  # fmt: skip
def test_an_age_is_read_however_it_is_written(cell, years):
    assert read_age(cell) == age_group(years)


@pytest.mark.parametrize(
    "cell",
    [
        "411",
        "60-69",
        "12 feet",
        "old",
        "1 2",
        "54 years 3",
        "Y54",
        "2020-03-01",
        "-5",
        "",
        "1/12",
        "3/4",
        "4/5/20",
        "18+",
        ">40",
        "<40",
        "≤18",
        "<= 18",
        "≥ 18 years",
    ],
)
def test_what_is_no_age_is_refused(cell):
    with pytest.raises(ValueError, match="age"):
        read_age(cell)


def test_no_pattern_is_tried_on_a_long_cell(monkeypatch):
    """Every way to part 20,000 digits takes half a minute."""
    monkeypatch.setattr(cells, "_RANGE", SimpleNamespace(fullmatch=lambda cell: pytest.fail(f"tried on {cell[:9]}")))
    for cell in ("1" * 20_000 + "!", "1" + " " * 20_000 + "!", "1 y" + " " * 20_000 + "1!", "1" + "y" * 20_000 + "!"):
        with pytest.raises(ValueError, match="it is no age in years"):
            read_age(cell)


@given(
    st.integers(0, 130),
    st.sampled_from(["{}", "{} y", "{}yrs", "{} Years", "{}-year-old", "{:03d}Y", "Y{:03d}", "{}.0", " {} Jahre "]),
)
def test_every_spelling_of_an_age_is_in_the_same_group(years, spelling):
    assert read_age(spelling.format(years)) == age_group(years)


@pytest.mark.parametrize(
    ("cell", "sex"),
    [("M", "male"), ("male", "male"), ("F", "female"), ("W", "female"), ("weiblich", "female"), ("Männlich", "male"),
     ("Femme", "female"), ("hombre", "male"), ("O", "O"), ("Мужской", "male"), ("Ж", "female"), ("女", "female"),
     ("kadın", "female"), ("kvinna", "female")],
)  # fmt: skip
def test_a_sex_is_read_in_several_languages_and_else_kept_as_written(cell, sex):
    assert read_sex(cell) == sex


@pytest.mark.parametrize("cell", ["", " ", "nan", "Unknown", "N/A", "<NA>", "NaT", "-", "unbekannt"])
def test_a_cell_that_says_nothing_is_empty(cell):
    assert said(cell) == ""
