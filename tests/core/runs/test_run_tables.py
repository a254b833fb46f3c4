"""run_tables.py: what a run wrote comes back as it was."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_core.runs.run_tables import TEXT_COLUMNS, read_run_table
from cxr_core.system.files import write_text
from cxr_core.system.text import table_csv

NAMES = ["0", "1", "01", "1.0", "1e5", "None", "NA", "nan", "NaN", "null", "True", "False", "inf", "-", " spaced"]


@pytest.mark.parametrize("column", ["class_name", "true", "predicted", "file", "patient", "digest"])
def test_names_that_look_like_something_else_come_back_as_they_were(tmp_path, column):
    write_text(tmp_path / "t.csv", table_csv(pd.DataFrame({column: NAMES, "confidence": 0.5})))
    assert read_run_table(tmp_path / "t.csv")[column].tolist() == NAMES


@given(
    st.lists(
        st.text("=+-@'\t\r\n;\",x", min_size=1) | st.text(st.characters(blacklist_categories=("Cs",)), min_size=1),
        min_size=1,
    )
)
def test_any_name_comes_back_in_every_column_of_text(tmp_path_factory, names):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    written = pd.DataFrame(dict.fromkeys(sorted(TEXT_COLUMNS), names) | {"confidence": 0.5, "=p": 0.25})
    write_text(path, table_csv(written))
    read = read_run_table(path)
    assert list(read) == list(written)
    assert {column: read[column].tolist() for column in read} == {c: written[c].tolist() for c in written}


def test_a_table_of_an_earlier_version_without_guards_is_read_as_it_stands(tmp_path):
    pd.DataFrame({"file": ["=x", "-y"], "confidence": 0.5}).to_csv(tmp_path / "t.csv", index=False)
    assert read_run_table(tmp_path / "t.csv")["file"].tolist() == ["=x", "-y"]


def test_numbers_truth_values_and_gaps_come_back_as_such(tmp_path):
    table = pd.DataFrame(
        {"patient": ["1", None], "right": [True, False], "group": [3, 4], "loss": [0.1, np.nan], "note": ["a", "1"]}
    )
    write_text(tmp_path / "t.csv", table_csv(table))
    read = read_run_table(tmp_path / "t.csv")
    assert read["patient"].isna().tolist() == [False, True]
    assert read["right"].dtype == bool and read["right"].tolist() == [True, False]
    assert read["group"].dtype == int and read["group"].tolist() == [3, 4]
    assert read["loss"].tolist()[0] == 0.1 and np.isnan(read["loss"].tolist()[1])
    assert read["note"].tolist() == ["a", "1"]
