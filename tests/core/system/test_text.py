"""text.py: names that a terminal or a page could not show, and what a spreadsheet would evaluate."""

import csv
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cxr_core.system.text import as_text, csv_text, guarded, is_text, printable_name, table_csv, unguarded

FORMULA = "HYPERLINK(1)"
ATTACKS = [
    f"={FORMULA}", f"+{FORMULA}", f"-{FORMULA}", f"@{FORMULA}", f"\t={FORMULA}", f"\r={FORMULA}", f"\n={FORMULA}",
    "\tname", "\rname", "\nname", f" ={FORMULA}", f"\u200b={FORMULA}", f"\ufeff={FORMULA}", f"\uff1d{FORMULA}",
    f"\xad={FORMULA}", f"\u202e={FORMULA}", f"\u2066={FORMULA}", f"\ufe0f={FORMULA}",
    f"a;={FORMULA}", f"a\n+{FORMULA}", f"a\t@{FORMULA}", f"a; -{FORMULA}", f"\n\r\t={FORMULA}", f"a\r\n={FORMULA}",
]  # fmt: skip
# Texts of the signs that matter, and any others.
TEXTS = st.text("=+-@'\t\r\n; \",x") | st.text(st.characters(blacklist_categories=("Cs",)))


def evaluated(text):
    """Parts of a text that a spreadsheet would evaluate, whichever of the usual signs separates its cells."""
    parts = text.replace("\r", ";").replace("\n", ";").replace("\t", ";").split(";")
    return [
        part
        for part in parts
        if part.strip(" \xad\u200b\u202e\u2066\ufe0f\ufeff").startswith(("=", "+", "-", "@", "\uff1d"))
    ]


def read(text):
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("text", ATTACKS)
def test_no_text_begins_a_formula(text):
    assert evaluated(text) or text[0] in "\t\r\n"
    assert guarded(text) != text
    assert evaluated(guarded(text)) == []
    assert guarded(text)[0] not in "\t\r\n"


@pytest.mark.parametrize("text", ["", "scan.png", "a-b=c@d+e", "'quoted'", "it's", "a; b", "C:\\scans", "x, =1"])
def test_a_text_that_begins_no_formula_stays_as_it_is(text):
    assert guarded(text) == unguarded(text) == text


@given(TEXTS)
@example("'=x")
@example("\t'\t''=x")
@example(";'=;'=")
def test_what_was_guarded_comes_back(text):
    assert unguarded(guarded(text)) == text
    assert evaluated(guarded(text)) == []


@pytest.mark.parametrize("text", ATTACKS)
def test_headers_row_names_and_cells_of_any_kind_are_guarded(text):
    table = pd.DataFrame(
        {text: [text, "b"], "kind": pd.Categorical([text, "b"]), "mixed": [text, 1]}, index=[text, "r"]
    )
    before = table.copy()
    rows = read(table_csv(table, index=True))
    assert rows[0][1] == rows[1][0] == rows[1][1] == rows[1][2] == rows[1][3] == guarded(text)
    pd.testing.assert_frame_equal(table, before)
    assert read(csv_text(["a", text], [[1, text]])) == [["a", guarded(text)], ["1", guarded(text)]]


def test_numbers_stay_numbers_and_gaps_stay_empty():
    columns = {"n": [-1, 2], "f": np.float32([-0.1, np.nan]), "b": [True, False], "t": ["x", None]}
    assert read(table_csv(pd.DataFrame(columns))) == [
        ["n", "f", "b", "t"], ["-1", "-0.1", "True", "x"], ["2", "", "False", ""],
    ]  # fmt: skip
    assert read(table_csv(pd.DataFrame({"p": [0.123456]}), float_format="%.2g")) == [["p"], ["0.12"]]
    assert read(csv_text(["n", "t"], [[-1.5, None]])) == [["n", "t"], ["-1.5", ""]]


def test_two_columns_of_one_name_and_a_table_without_rows_are_written():
    assert read(table_csv(pd.DataFrame([["=a", "=b"]], columns=["c", "c"]))) == [["c", "c"], ["'=a", "'=b"]]
    assert read(table_csv(pd.DataFrame(columns=["=a"]))) == [["'=a"]]


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1))
def test_a_written_table_has_its_rows_whatever_line_breaks_are_in_them(pairs):
    rows = read(table_csv(pd.DataFrame(pairs, columns=["a", "b"], dtype=object)))[1:]
    assert [tuple(map(unguarded, row)) for row in rows] == pairs
    rows = read(csv_text(["a", "b"], pairs))[1:]
    assert [tuple(map(unguarded, row)) for row in rows] == pairs


@pytest.mark.parametrize("name", ["scan 1.png", "Größe.dcm", "肺.png", ""])
def test_a_printable_name_stays_as_it_is(name):
    assert printable_name(name) == name


@pytest.mark.parametrize("name", ["a\x1b[2Jb.png", "a\nb.png", "a\u202egnp.exe"])
def test_what_cannot_be_printed_becomes_a_replacement_character(name):
    shown = printable_name(name)
    assert shown.isprintable()
    assert len(shown) == len(name)
    assert shown.count("\N{REPLACEMENT CHARACTER}") == 1


def test_a_name_whose_bytes_are_no_utf_8_is_no_text_and_gets_question_marks():
    name = b"a\xff.png".decode(errors="surrogateescape")
    assert not is_text(name)
    assert as_text(name) == "a?.png"


def test_other_names_are_text():
    assert is_text("肺.png")
    assert as_text("肺.png") == "肺.png"
