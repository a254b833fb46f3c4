"""What is drawn is what was given, with titles and units."""

import numpy as np
import pandas as pd
import pytest

from cxr_core.evaluation.calibration import reliability_bins
from cxr_core.evaluation.decision_curve import decision_curve
from cxr_core.evaluation.metrics import class_curves, roc_curves
from cxr_core.evaluation.operating_point import operating_point
from cxr_core.evaluation.predictions import predictions_table
from cxr_core.evaluation.selective_classification import coverage_curve
from cxr_core.plots import evaluation
from cxr_core.plots import robustness as figures
from cxr_core.plots.evaluation import confusion_figure, roc_figure

CLASSES = ("normal", "covid", "virus")
RNG = np.random.default_rng(0)
TRUE = np.array(CLASSES)[RNG.integers(0, 3, 60)]
PROBABILITIES = RNG.dirichlet([1, 1, 1], 60)
TABLE = predictions_table([f"{i}.png" for i in range(60)], TRUE, PROBABILITIES, CLASSES)
CURVES = roc_curves(TRUE, PROBABILITIES, CLASSES)
BANDS = class_curves(TABLE, CLASSES)
POINT = operating_point("covid", TRUE == "covid", PROBABILITIES[:, 1], 0.4)
LAB = {
    "chance": 0.4,
    "variants": [
        {"title": t, "accuracy": a, "accuracy_ci95": [a - 0.1, a + 0.05], "retrained": 0.9, "retrained_ci95": None}
        for t, a in (("The whole image", 0.8), ("Lungs blacked out", 0.3))
    ],
}
ATTENTION = [{"class_name": "covid", "images": 4, "share": 0.2, "area": 0.3, "ratio": 0.67}]
REMOVAL = {"shares": [0, 0.5, 1], "map": [1, 0.3, 0], "random": [1, 0.6, 0], "map_area": 0.43, "random_area": 0.53}
ALL = {
    "variants": figures.variants_figure(LAB),
    "attention": figures.attention_figure(ATTENTION),
    "deletion": figures.removal_figure(REMOVAL, "deletion"),
    "insertion": figures.removal_figure(REMOVAL, "insertion"),
    "precision recall": evaluation.precision_recall_figure(BANDS),
    "reliability": evaluation.reliability_figure(reliability_bins(TABLE["right"], TABLE["confidence"]), "Reliability"),
    "coverage": evaluation.coverage_figure(coverage_curve(TABLE["right"], TABLE["confidence"]), 0.5),
    "operating": evaluation.operating_figure(CURVES["covid"], POINT, "covid"),
    "alarms": evaluation.alarm_figure(POINT),
    "decision": evaluation.decision_figure(decision_curve(TRUE == "covid", PROBABILITIES[:, 1]), 0.4),
}


@pytest.mark.parametrize("name", ALL)
def test_every_figure_says_what_it_shows_and_names_its_axes(name):
    layout = ALL[name].layout
    assert layout.title.text
    assert layout.xaxis.title.text
    assert layout.yaxis.title.text


def test_a_bar_has_the_interval_that_was_measured():
    bars = ALL["variants"].data[0]
    assert list(bars.x) == pytest.approx([30, 80])
    assert list(bars.error_x.array) == pytest.approx([5, 5])
    assert list(bars.error_x.arrayminus) == pytest.approx([10, 10])


def test_a_score_without_an_interval_is_drawn_without_one():
    assert list(ALL["variants"].data[1].error_x.array) == [0, 0]


def test_the_operating_point_lies_where_its_rates_say():
    marker = ALL["operating"].data[1]
    assert (marker.x[0], marker.y[0]) == (1 - POINT.specificity, POINT.sensitivity)


def test_the_chosen_abstention_is_marked_on_the_curve():
    marker, confidence = ALL["coverage"].data[1], TABLE["confidence"]
    assert marker.x[0] == pytest.approx(100 * (confidence >= 0.5).mean())


def test_abstaining_from_all_marks_nothing():
    figure = evaluation.coverage_figure(coverage_curve([True], [0.5]), 0.9)
    assert len(figure.data[1].x) == 0


def test_the_cells_of_a_confusion_matrix_fill_its_axes_with_the_first_class_on_top():
    from cxr_core.evaluation.metrics import evaluate_predictions

    layout = confusion_figure(evaluate_predictions(TRUE, PROBABILITIES, CLASSES)).layout
    assert tuple(layout.xaxis.range) == (-0.5, len(CLASSES) - 0.5)
    assert tuple(layout.yaxis.range) == (len(CLASSES) - 0.5, -0.5)


def test_every_confusion_cell_can_be_clicked_and_says_which_it_is():
    from cxr_core.evaluation.metrics import evaluate_predictions

    marks = confusion_figure(evaluate_predictions(TRUE, PROBABILITIES, CLASSES)).data[1]
    assert [tuple(cell) for cell in marks.customdata] == [(t, p) for t in CLASSES for p in CLASSES]


def test_a_curves_marks_carry_the_threshold_that_gives_them():
    marks = [t for t in roc_figure(CURVES, clickable=True).data if t.mode == "markers"]
    assert len(marks) == 3
    for trace in marks:
        for x, (name, threshold) in zip(trace.x, trace.customdata, strict=True):
            others = PROBABILITIES[name != TRUE, CLASSES.index(name)]
            assert x == pytest.approx((others >= float(threshold)).mean())


def test_bands_lie_below_their_curves():
    figure = roc_figure(CURVES, {name: c["bands"]["roc"] for name, c in BANDS.items()})
    assert [t.fill for t in figure.data[:3]] == ["toself"] * 3


def test_a_reliability_bar_says_how_many_images_it_stands_for():
    counts = [row[1] for row in ALL["reliability"].data[0].customdata]
    assert sum(counts) == 60


def test_no_class_with_both_sides_gives_an_empty_figure():
    one = pd.DataFrame({"file": ["a"], "true": ["normal"], "p_normal": [1.0]})
    assert len(evaluation.precision_recall_figure(class_curves(one, ("normal",))).data) == 0


def test_the_cells_of_a_confusion_matrix_are_square_and_have_the_plot_to_themselves():
    from cxr_core.evaluation.metrics import evaluate_predictions

    figure = confusion_figure(evaluate_predictions(TRUE, PROBABILITIES, CLASSES))
    assert figure.layout.yaxis.scaleanchor == "x"
    assert figure.data[0].showscale is False
