"""components.py: how long work still takes is told once its pace is known, in round figures."""

import pytest

from ui.common.components import time_left


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
