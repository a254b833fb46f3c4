"""Figures draw the numbers they are given, with axis titles and one colour per class."""

import re
from html import unescape

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from cxr_core.classes import CLASS_COLOURS
from cxr_core.evaluation.metrics import evaluate_predictions, roc_curves
from cxr_core.plots import dataset, evaluation, prediction, training
from cxr_core.plots.style import drawn_label, drawn_text, figure_words, finish_figure

CLASSES = ("normal", "covid", "virus")
TRUE = ["normal", "covid", "virus", "covid"]
PROBABILITIES = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.1, 0.3], [0.1, 0.8, 0.1]])
TABLE = pd.DataFrame({"class_name": TRUE, "width": [1, 2, 3, 4], "height": [5, 6, 7, 8], "file": list("abcd")})
EPOCHS = pd.DataFrame(
    {
        "epoch": [1, 2],
        "loss": [1.0, 0.5],
        "val_loss": [1.1, 0.7],
        "accuracy": [0.5, 0.8],
        "val_accuracy": [0.4, 0.7],
        "learning_rate": [1e-3, 3e-4],
    }
)
BATCHES = pd.DataFrame({"epoch": [1, 1, 2], "batch": [1, 2, 1], "loss": [1.2, 1.0, 0.6], "accuracy": [0.4, 0.5, 0.7]})

METRICS = evaluate_predictions(TRUE, PROBABILITIES, CLASSES)
ALL_FIGURES = {
    "counts": dataset.class_count_figure({"normal": 3, "covid": 2}),
    "sizes": dataset.size_scatter_figure(TABLE),
    "greys": dataset.grey_histogram_figure(pd.DataFrame({"normal": np.full(256, 1 / 256)})),
    "confusion": evaluation.confusion_figure(METRICS),
    "roc": evaluation.roc_figure(roc_curves(TRUE, PROBABILITIES, CLASSES)),
    "probabilities": prediction.probability_figure(CLASSES, PROBABILITIES[0]),
    **{f"history {i}": f for i, f in enumerate(training.history_figures(EPOCHS, BATCHES))},
}


@pytest.mark.parametrize("name", ALL_FIGURES)
def test_every_figure_says_what_it_shows_and_names_its_axes(name):
    layout = ALL_FIGURES[name].layout
    assert layout.title.text
    assert layout.xaxis.title.text
    assert layout.yaxis.title.text


def test_a_short_legend_stands_at_the_figures_end_and_a_long_one_makes_its_own_room():
    short = ALL_FIGURES["sizes"].layout
    assert (short.legend.yref, short.legend.y, short.margin.b) == ("container", 0, 100)
    many = pd.DataFrame({f"another finding {i}": np.full(256, 1 / 256) for i in range(9)})
    assert dataset.grey_histogram_figure(many).layout.legend.yref is None
    assert ALL_FIGURES["counts"].layout.margin.b == 10


def test_a_class_has_the_same_colour_on_every_figure():
    bars = ALL_FIGURES["counts"].data[0].marker.color
    points = {trace.name: trace.marker.color for trace in ALL_FIGURES["sizes"].data}
    curves = {trace.name.split(",")[0]: trace.line.color for trace in ALL_FIGURES["roc"].data}
    assert bars[1] == points["COVID-19"] == curves["COVID-19"] == CLASS_COLOURS["covid"]


def test_classes_are_told_apart_by_more_than_colour_in_the_size_scatter():
    symbols = [trace.marker.symbol for trace in ALL_FIGURES["sizes"].data]
    assert len(set(symbols)) == len(CLASSES)


def test_the_confusion_matrix_shows_counts_or_shares_of_the_true_class():
    counts = evaluation.confusion_figure(METRICS).data[0]
    shares = evaluation.confusion_figure(METRICS, shares=True).data[0]
    assert list(counts.text[2]) == ["1", "0", "0"]
    assert list(shares.text[1]) == ["0.0 %", "100.0 %", "0.0 %"]


def test_a_run_that_has_just_begun_gives_empty_figures_and_no_error():
    for figure in training.history_figures(pd.DataFrame(), pd.DataFrame()):
        assert len(figure.data) == 0


def test_the_batches_of_the_running_epoch_stand_after_the_finished_ones():
    line = next(t for t in ALL_FIGURES["history 0"].data if t.name == "Per batch")
    assert list(line.x) == [0.5, 1.0, 1.5]


@pytest.mark.parametrize("name", ["<a href='//x'>y</a>", "<b>", "%{customdata}", "a & b"])
def test_a_name_is_drawn_letter_by_letter(name):
    for drawn in (drawn_text(name), drawn_label(name)):
        assert not re.search(r"<|%\{|&(?!\w+;|#\d+;|#x\w+;)", drawn)
        assert unescape(drawn) == name


def test_a_class_of_the_article_keeps_its_label():
    assert drawn_label("covid") == "COVID-19"


def test_a_figure_in_words_names_title_axes_and_the_range_of_each_series():
    figure = go.Figure(
        [go.Bar(x=["a", "b"], y=[3, 12], name="Normal"), go.Scatter(x=[1], y=[0.5], name="<b>Viral</b>")]
    )
    finish_figure(figure, "Images per class", "Class", "Images")
    assert figure_words(figure) == "Images per class. Images against Class. Normal: 3 to 12. Viral: 0.5"


def test_the_range_of_bars_that_lie_is_along_the_other_axis():
    figure = go.Figure(go.Bar(x=[0.25, 0.75], y=["a", "b"], orientation="h"))
    assert figure_words(figure) == "Values: 0.25 to 0.75"


def test_a_figure_without_anything_has_no_words():
    assert figure_words(go.Figure()) == ""
