"""repeated_runs.py on runs that differ in their seed or fold, and in more."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from cxr_core.evaluation.repeated_runs import (
    pooled_predictions,
    repeated_runs,
    repeated_runs_table,
    repeats_sentence,
    seeds_table,
)
from cxr_core.recipes.training_config import make_config
from cxr_core.runs.lifecycle import create_run
from cxr_core.runs.run import Run
from cxr_core.system.files import write_json

SCORES = (0.9, 0.92, 0.97)


def finished(folder, accuracy, **values):
    run = create_run(make_config("quick", roots=("/data",), **values), folder)
    per_class = {"a": {"recall": accuracy / 2, "auc": None}, "b": {"recall": 1.0, "auc": accuracy}}
    test = {"accuracy": accuracy, "n": 10, "classes": ["a", "b"], "per_class": per_class}
    write_json(run.path / "metrics.json", {"test": test | {"ci95": {"accuracy": [accuracy - 0.02, 1]}}})
    pd.DataFrame({"split": ["train"] * 60 + ["test"] * 20}).to_csv(run.path / "split.csv", index=False)
    return run


@pytest.fixture
def runs(tmp_path):
    seeds = [finished(tmp_path / f"seed-{i}", score, seed=i) for i, score in enumerate(SCORES)]
    return [*seeds, finished(tmp_path / "longer", 0.5, seed=0, epochs=99)]


@pytest.fixture
def folds(tmp_path):
    return [finished(tmp_path / f"fold-{i}", s, folds=3, fold=i) for i, s in enumerate(SCORES, start=1)]


def test_only_runs_that_differ_in_the_seed_alone_are_repeats(runs):
    table = seeds_table(repeated_runs(runs[1], runs))
    assert table["seed"].tolist() == [0, 1, 2]
    assert table["accuracy"].tolist() == list(SCORES)


def test_the_folds_of_one_cross_validation_are_repeats_and_no_single_split_is(runs, folds):
    found = repeated_runs(folds[2], [*folds[::-1], *runs])
    assert [run.name for run in found] == ["fold-1", "fold-2", "fold-3"]
    assert "Across 3 folds" in repeats_sentence(seeds_table(found))


def test_the_sentence_has_numpys_mean_and_standard_deviation(runs):
    sentence = repeats_sentence(seeds_table(repeated_runs(runs[0], runs)))
    assert f"{np.mean(SCORES):.1%} on average" in sentence
    assert f"deviation {100 * np.std(SCORES, ddof=1):.1f} points" in sentence
    assert "Across 3 seeds" in sentence


def test_a_run_alone_has_no_repeats(runs):
    assert repeated_runs(runs[3], runs) == []
    assert repeats_sentence(seeds_table([])) == ""


def test_a_folder_that_is_no_run_has_no_repeats(runs, tmp_path):
    assert repeated_runs(Run(tmp_path / "nothing"), runs) == []


def test_the_interval_of_the_mean_is_the_corrected_resampled_t(runs):
    row = repeated_runs_table(runs[:3]).set_index("figure").loc["Accuracy"]
    half = t.ppf(0.975, 2) * np.sqrt((1 / 3 + 20 / 60) * np.var(SCORES, ddof=1))
    assert row["low"] == pytest.approx(np.mean(SCORES) - half)
    assert row["high"] == pytest.approx(min(1, np.mean(SCORES) + half))
    assert half > t.ppf(0.975, 2) * np.std(SCORES, ddof=1) / np.sqrt(3)


def test_a_figure_that_no_run_has_is_left_out_and_one_that_never_moves_has_no_interval(runs):
    table = repeated_runs_table(runs[:3]).set_index("figure")
    assert table.index.tolist() == ["Accuracy", "Recall, a", "Recall, b", "AUC, b"]
    assert table.loc["Recall, b", ["low", "high"]].isna().all()
    assert table.loc["Recall, b", "mean"] == 1


def test_folds_that_are_missing_are_not_pooled(folds):
    assert pooled_predictions(folds[:2]) is None
    assert pooled_predictions([]) is None
