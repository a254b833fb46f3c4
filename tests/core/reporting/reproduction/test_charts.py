"""Curves as SVG: well-formed, every value at its place, names escaped."""

import xml.etree.ElementTree as ElementTree

import pytest

from cxr_core.reporting.reproduction.charts import Line, line_chart

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*lines, x_range=(0.0, 10.0), y_range=(0.0, 1.0), **options):
    chart = line_chart("A chart", lines, x_title="x", y_title="y", x_range=x_range, y_range=y_range, **options)
    return ElementTree.fromstring(chart)


def points(root):
    return [
        [tuple(map(float, p.split(","))) for p in line.get("points").split()] for line in root.iter(f"{SVG}polyline")
    ]


def test_the_ends_of_both_axes_are_the_corners_of_the_plot():
    ((low, high),) = points(drawn(Line("a", [0, 10], [0, 1], "#000000")))
    (left, bottom), (right, top) = low, high
    # SVG counts downwards.
    assert left < right and top < bottom


def test_a_value_half_way_up_is_drawn_half_way_up():
    ((first, middle, last),) = points(drawn(Line("a", [0, 5, 10], [0, 0.5, 1], "#000000")))
    assert middle == pytest.approx(((first[0] + last[0]) / 2, (first[1] + last[1]) / 2), abs=0.1)


def test_a_name_with_marks_of_its_own_breaks_nothing():
    root = drawn(Line('<b> & "c"', [0, 1], [0, 1], "#000000"), mark=(5.0, "kept: <5>"))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert '<b> & "c"' in texts and "kept: <5>" in texts


@pytest.mark.parametrize("y_range", [(0.0, 1.0), (0.0, 9.1), (0.0, 0.037)])
def test_the_axis_has_a_few_round_numbers(y_range):
    root = drawn(Line("a", [0, 10], y_range, "#000000"), y_range=y_range)
    numbers = [float(text.text) for text in root.iter(f"{SVG}text") if text.get("text-anchor") == "end"]
    assert 3 <= len(numbers) <= 7
    assert min(numbers) == 0 and max(numbers) <= y_range[1] * 1.0001
