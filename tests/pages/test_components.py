"""components.py: the time left in round figures, and tables in which one column tells both ends of an interval."""

import errno

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from ui.common.components import plain_error, time_left

from .test_pages import tables


@pytest.mark.parametrize(
    ("done", "total", "seconds", "told"),
    [
        (10, 100, 1.9, ""), (0, 100, 60, ""), (100, 100, 60, ""), (10, 100, 2, ", about 20 s left"),
        (50, 100, 3, ", about 5 s left"), (1, 31, 10, ", about 5 min left"), (50, 100, 88, ", about 90 s left"),
        (50, 100, 89.9, ", about 90 s left"), (50, 100, 90, ", about 2 min left"),
    ],
)  # fmt: skip
def test_the_time_left_is_that_of_the_pace_so_far(done, total, seconds, told):
    assert time_left(done, total, seconds) == told


def test_one_column_of_a_table_tells_both_ends_of_an_interval():
    def page():
        import pandas as pd

        from ui.common.components import show_table

        ends = {"low": [0.123, None], "high": [0.5, None]}
        show_table(pd.DataFrame({"by": ["size", "age"], **ends, "images": [3, 4]}))

    (table,) = tables(AppTest.from_function(page).run())
    assert list(table) == ["by", "95 % interval", "images"]
    assert table["95 % interval"].iloc[0] == "12.3 to 50.0 %" and pd.isna(table["95 % interval"].iloc[1])


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, r"The disk is full, or has no room for further files\. Make room, then try again\."),
        (errno.EACCES, "Permission denied"),
    ],
)
def test_a_full_disk_says_what_helps_and_no_failed_call_names_its_file(number, told):
    assert plain_error(OSError(number, "Permission denied", "/srv/Zyxwv_Jane.png")) == told
