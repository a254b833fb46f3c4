"""run_tables.py: what a run wrote comes back as it was."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_core.runs.run_tables import read_run_table

NAMES = ["0", "1", "01", "1.0", "1e5", "None", "NA", "nan", "NaN", "null", "True", "False", "inf", "-", " spaced"]


@pytest.mark.parametrize("column", ["class_name", "true", "predicted", "file", "patient", "digest"])
def test_names_that_look_like_something_else_come_back_as_they_were(tmp_path, column):
    pd.DataFrame({column: NAMES, "confidence": 0.5}).to_csv(tmp_path / "t.csv", index=False)
    assert read_run_table(tmp_path / "t.csv")[column].tolist() == NAMES


@given(st.lists(st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1), min_size=1))
def test_any_name_comes_back(tmp_path_factory, names):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    pd.DataFrame({"class_name": names, "confidence": 0.5}).to_csv(path, index=False)
    assert read_run_table(path)["class_name"].tolist() == names


def test_numbers_truth_values_and_gaps_come_back_as_such(tmp_path):
    table = pd.DataFrame(
        {"patient": ["1", None], "right": [True, False], "group": [3, 4], "loss": [0.1, np.nan], "note": ["a", "1"]}
    )
    table.to_csv(tmp_path / "t.csv", index=False)
    read = read_run_table(tmp_path / "t.csv")
    assert read["patient"].isna().tolist() == [False, True]
    assert read["right"].dtype == bool and read["right"].tolist() == [True, False]
    assert read["group"].dtype == int and read["group"].tolist() == [3, 4]
    assert read["loss"].tolist()[0] == 0.1 and np.isnan(read["loss"].tolist()[1])
    assert read["note"].tolist() == ["a", "1"]
