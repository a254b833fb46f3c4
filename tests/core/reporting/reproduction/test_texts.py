"""Figures and differences as texts."""

import pytest

from cxr_core.reporting.reproduction.texts import counted, points, signed, verdict
from cxr_core.system.text import listed


@pytest.mark.parametrize(
    ("value", "digits", "text"), [(-44, 0, "−44"), (1200, 0, "+1,200"), (-0.04, 1, "0.0"), (0.04, 2, "+0.04")]
)
def test_a_difference_has_a_sign_unless_it_rounds_to_zero(value, digits, text):
    assert signed(value, digits) == text


def test_a_difference_of_proportions_is_in_percentage_points():
    assert points(0.949, 0.96) == "−1.1 points"
    assert points(None, 0.96) == points(0.949, None) == "–"


@pytest.mark.parametrize(
    ("ends", "expected"),
    [([0.92, 0.97], "cannot tell from no difference"), ([0.90, 0.95], "outside our 95 % interval")],
)
def test_a_claim_agrees_where_our_interval_holds_it(ends, expected):
    assert expected in verdict(0.94, ends, 0.956)


def test_one_is_not_several():
    assert (counted(0, "epoch"), counted(1, "epoch"), counted(1_234, "image")) == (
        "0 epochs",
        "1 epoch",
        "1,234 images",
    )


def test_words_are_listed():
    assert (listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])) == ("a", "a and b", "a, b and c")
