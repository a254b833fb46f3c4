"""Figures of a data set's map, flags and file facts draw the numbers they are given."""

import numpy as np
import pandas as pd
import pytest

from cxr_core.audit.spurious_correlations import FactScore, SpuriousCorrelations
from cxr_core.classes import CLASS_COLOURS
from cxr_core.plots.dataset import (
    class_count_figure,
    flag_counts_figure,
    grey_histogram_figure,
    map_figure,
    spurious_correlations_figure,
)

ROWS = pd.DataFrame(
    {
        "class_name": ["normal", "covid", "virus", "covid"],
        "file": list("abcd"),
        "width": [1, 2, 3, 4],
        "height": [5, 6, 7, 8],
    },
    index=[10, 20, 30, 40],
)
XY = np.array([[0, 1], [2, 3], [4, 5], [6, 7]], np.float32)
TOP = (FactScore("size", "Image size", 0.78, True), FactScore("format", "File format", 0.4, False))
GIVEAWAY = SpuriousCorrelations(0.89, 0.37, "normal", TOP, ("An answer.",), (), 100, 5)
UNDEFINED = SpuriousCorrelations(None, 1.0, "normal", (), ("There is only one class.",), (), 3, 0)
FLAGS = pd.DataFrame({"flag": ["dark", "dark", "dark", "blurred"], "class_name": ["covid", "covid", "virus", "virus"]})
TITLES = {"dark": "Too dark", "blurred": "Blurred", "colour": "Colour image"}
ALL_FIGURES = {
    "map": map_figure(XY, ROWS),
    "giveaway": spurious_correlations_figure(GIVEAWAY),
    "undefined giveaway": spurious_correlations_figure(UNDEFINED),
    "flags": flag_counts_figure(FLAGS, TITLES),
    "no flags": flag_counts_figure(FLAGS.iloc[:0], TITLES),
}


@pytest.mark.parametrize("name", ALL_FIGURES)
def test_every_figure_says_what_it_shows_and_names_its_axes(name):
    layout = ALL_FIGURES[name].layout
    assert layout.title.text and layout.xaxis.title.text and layout.yaxis.title.text


@pytest.mark.parametrize("name", ALL_FIGURES)
def test_no_figure_sets_a_background(name):
    layout = ALL_FIGURES[name].layout
    assert layout.paper_bgcolor is None and layout.plot_bgcolor is None


def test_every_mark_of_the_map_carries_its_row_number():
    marks = {row: (x, y) for t in ALL_FIGURES["map"].data for row, x, y in zip(t.customdata, t.x, t.y, strict=True)}
    assert marks == {10: (0, 1), 20: (2, 3), 30: (4, 5), 40: (6, 7)}


def test_a_mark_of_the_map_names_file_and_size():
    covid = next(t for t in ALL_FIGURES["map"].data if t.name == "COVID-19")
    assert list(covid.text) == ["b<br>2 × 6 pixels", "d<br>4 × 8 pixels"]


def test_classes_on_the_map_are_told_apart_by_colour_and_symbol():
    assert [t.marker.color for t in ALL_FIGURES["map"].data] == list(CLASS_COLOURS.values())
    assert len({t.marker.symbol for t in ALL_FIGURES["map"].data}) == 3


def test_the_map_has_equal_axes_without_numbers():
    layout = ALL_FIGURES["map"].layout
    assert layout.yaxis.scaleanchor == "x"
    assert layout.xaxis.showticklabels is False and layout.yaxis.showticklabels is False


def test_a_map_of_nothing_is_empty():
    assert len(map_figure(XY[:0], ROWS.iloc[:0]).data) == 0


def test_the_bars_are_all_facts_and_then_each_alone_in_percent():
    bars = ALL_FIGURES["giveaway"].data[0]
    assert dict(zip(bars.y, bars.x, strict=True)) == {
        "All properties together": pytest.approx(89), "Image size": pytest.approx(78), "File format": pytest.approx(40),
    }  # fmt: skip


def test_a_dashed_line_stands_at_chance():
    line = ALL_FIGURES["giveaway"].layout.shapes[0]
    assert line.x0 == line.x1 == pytest.approx(37)
    assert line.line.dash == "dash"


def test_an_undefined_giveaway_shows_its_sentence():
    figure = ALL_FIGURES["undefined giveaway"]
    assert len(figure.data) == 0
    assert figure.layout.annotations[0].text == "There is only one class."


def test_flags_are_counted_by_class():
    bars = {t.name: dict(zip(t.y, t.x, strict=True)) for t in ALL_FIGURES["flags"].data}
    assert bars == {
        "COVID-19": {"Too dark": 2, "Blurred": 0, "Colour image": 0},
        "Viral": {"Too dark": 1, "Blurred": 1, "Colour image": 0},
    }


def test_file_names_cannot_become_markup():
    figure = map_figure(XY[:1], ROWS.iloc[:1].assign(file="<b>x</b>.png"))
    assert figure.data[0].text[0].startswith("&lt;b&gt;")


def test_an_axis_that_counts_a_single_image_has_no_fractions():
    assert flag_counts_figure(FLAGS.iloc[:1], TITLES).layout.xaxis.dtick == 1
    assert class_count_figure({"normal": 1, "covid": 2}).layout.yaxis.dtick == 1


def test_an_axis_that_counts_many_images_keeps_plotlys_own_steps():
    figure = class_count_figure({"normal": 900, "covid": 2})
    assert figure.layout.yaxis.dtick is None
    assert figure.layout.yaxis.tickformat == ",d"


def test_every_bar_of_a_flag_carries_its_name():
    for bars in ALL_FIGURES["flags"].data:
        assert dict(zip(bars.y, bars.customdata, strict=True)) == {title: flag for flag, title in TITLES.items()}


def greys(black):
    shares = np.full(256, (1 - black) / 255)
    shares[0] = black
    return pd.DataFrame({"normal": shares})


def test_a_spike_of_black_is_cut_off_and_the_subtitle_says_how_high_it_is():
    figure = grey_histogram_figure(greys(0.07))
    assert figure.layout.yaxis.range[1] == pytest.approx(1.2 * 100 * 0.93 / 255)
    assert "cut off, up to 7.0 %" in figure.layout.title.subtitle.text


@pytest.mark.parametrize("black", [0.005, 1.0], ids=("no spike", "nothing but black"))
def test_greys_without_a_spike_above_others_are_shown_whole_from_zero(black):
    figure = grey_histogram_figure(greys(black))
    assert figure.layout.yaxis.range is None and figure.layout.yaxis.rangemode == "tozero"
    assert figure.layout.title.subtitle.text is None
