"""Which rows of a predictions table stand behind a cell, a point or a bar."""

import pandas as pd
import pytest

from cxr_core.evaluation.predictions import confused_rows, misjudged_rows, one_against_rest


@pytest.fixture
def predictions():
    return pd.DataFrame(
        {
            "true": ["normal", "normal", "covid", "covid", "virus"],
            "predicted": ["normal", "covid", "covid", "normal", "covid"],
            "p_covid": [0.1, 0.6, 0.9, 0.4, 0.5],
        }
    )


def test_a_cell_of_the_confusion_matrix_holds_one_true_and_one_predicted_class(predictions):
    assert confused_rows(predictions, "normal", "covid").index.tolist() == [1]
    assert confused_rows(predictions, "virus", "normal").empty


def test_missed_images_and_false_alarms_depend_on_the_threshold_which_itself_is_an_alarm(predictions):
    assert misjudged_rows(predictions, "covid", 0.5).index.tolist() == [1, 3, 4]
    assert misjudged_rows(predictions, "covid", 0.55).index.tolist() == [1, 3]
    assert misjudged_rows(predictions, "covid", 0.95).index.tolist() == [2, 3]


def test_one_class_stands_against_all_others(predictions):
    is_class, scores = one_against_rest(predictions, "covid")
    assert is_class.tolist() == [False, False, True, True, False]
    assert scores.tolist() == [0.1, 0.6, 0.9, 0.4, 0.5]
