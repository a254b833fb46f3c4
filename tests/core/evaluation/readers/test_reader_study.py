"""reader_study.py: what is drawn to read, and figures that can be counted by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from cxr_core.evaluation.readers.reader_study import (
    agreement,
    draw_cases,
    reader_curve,
    reader_figures,
    reader_scores,
)


def images(*class_names, patients=None):
    n = len(class_names)
    return pd.DataFrame({
        "file": [f"{i}.png" for i in range(n)], "path": [f"/{i}.png" for i in range(n)], "class_name": class_names,
        "digest": [str(i) for i in range(n)], "patient": patients or [None] * n,
    })  # fmt: skip


@given(
    names=st.lists(st.sampled_from(["normal", "covid", "virus"]), min_size=3, max_size=60),
    count=st.integers(1, 20),
    seed=st.integers(0, 99),
)
def test_a_draw_is_even_has_one_image_per_patient_and_is_the_same_again(names, count, seed):
    table = images(*names, patients=[f"p{i // 2}" for i in range(len(names))])
    drawn = draw_cases(table, count, seed=seed)
    assert drawn.tolist() == draw_cases(table, count, seed=seed).tolist()
    assert len(set(drawn)) == len(drawn) <= count
    assert table["patient"].iloc[drawn].is_unique
    assert len(drawn) == min(count, table["patient"].nunique())


def test_of_three_equal_classes_about_as_many_each_are_drawn():
    table = images(*["normal"] * 50, *["covid"] * 5, *["virus"] * 20)
    counts = table["class_name"].iloc[draw_cases(table, 10)].value_counts()
    assert set(counts) == {3, 4}
    orders = {tuple(draw_cases(table, 10, seed=seed)) for seed in range(5)}
    assert len(orders) == 5


@pytest.mark.parametrize(("names", "count"), [((), 3), (("normal",), 0)])
def test_nothing_to_read_is_said(names, count):
    with pytest.raises(ValueError, match="at least one image"):
        draw_cases(images(*names), count)


def test_sensitivity_and_specificity_are_counted_with_exact_intervals():
    truth = ["covid"] * 4 + ["normal"] * 3 + ["virus"] * 3
    called = ["covid", "covid", "covid", "normal", "covid", "normal", "virus", "virus", "virus", "normal"]
    figures = reader_figures(truth, called, "covid")
    assert figures.sensitivity == 0.75
    assert figures.specificity == pytest.approx(5 / 6)
    assert figures.correct == 0.6
    # Clopper-Pearson of 3 in 4 and of 5 in 6.
    assert figures.sensitivity_ci95 == pytest.approx((0.1941, 0.9937), abs=1e-4)
    assert figures.specificity_ci95 == pytest.approx((0.3588, 0.9958), abs=1e-4)


def test_without_images_of_the_class_there_is_no_sensitivity_and_no_curve():
    figures = reader_figures(["normal"], ["covid"], "covid")
    assert (figures.sensitivity, figures.specificity, figures.correct) == (None, 0.0, 0.0)
    assert reader_curve(["normal"], np.array([0.5]), "covid") is None


def test_a_readers_score_is_the_confidence_in_the_class():
    scores = reader_scores(["covid", "normal"], [0.9, 0.8], "covid")
    assert scores.tolist() == pytest.approx([0.9, 0.2])


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=2, max_size=30))
def test_the_area_below_a_readers_curve_is_scikit_learns(cases):
    truth = np.array(["covid" if is_class else "normal" for is_class, _ in cases])
    scores = np.array([score for _, score in cases])
    curve = reader_curve(truth, scores, "covid")
    if len(set(truth)) < 2:
        assert curve is None
    else:
        assert curve["auc"] == pytest.approx(roc_auc_score(truth == "covid", scores))


def test_kappa_is_1_for_equal_readers_0_for_chance_and_undefined_for_one_answer():
    assert agreement(["a", "b", "a"], ["a", "b", "a"]) == 1
    assert agreement(["a", "a", "b", "b"], ["a", "b", "a", "b"]) == 0
    assert agreement(["a", "a"], ["a", "a"]) is None
