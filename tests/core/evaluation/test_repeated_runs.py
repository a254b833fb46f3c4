"""repeated_runs.py on runs that differ in their seed or fold, and in more."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from cxr_core.evaluation.metrics import evaluate_predictions
from cxr_core.evaluation.predictions import predictions_table
from cxr_core.evaluation.repeated_runs import (
    left_out_sentence,
    pooled_metrics,
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
    assert f"{100 * np.mean(SCORES):.1f} % on average" in sentence
    assert f"deviation {100 * np.std(SCORES, ddof=1):.1f} points" in sentence
    assert "Across 3 seeds" in sentence


def test_a_run_alone_has_no_repeats(runs):
    assert repeated_runs(runs[3], runs) == []
    assert repeats_sentence(seeds_table([])) == ""


def test_a_folder_that_is_no_run_has_no_repeats(runs, tmp_path):
    assert repeated_runs(Run(tmp_path / "nothing"), runs) == []


def of_images(run, fingerprint, excluded):
    data = {"fingerprint": fingerprint, "excluded": excluded, "images": {"train": {"a": 60}, "test": {"a": 20}}}
    write_json(run.path / "environment.json", {"data": data})


def test_a_run_of_other_images_or_exclusions_is_no_repeat_and_is_named(runs):
    for run in runs[:3]:
        of_images(run, "same", {"duplicate": 1})
    assert len(repeated_runs(runs[0], runs)) == 3 and left_out_sentence(runs[0], runs) == ""
    of_images(runs[2], "same", {"duplicate": 2})
    assert [run.name for run in repeated_runs(runs[0], runs)] == ["seed-0", "seed-1"]
    assert "runs 1 of other images or exclusions" in left_out_sentence(runs[0], runs)
    of_images(runs[2], "other", {"duplicate": 1})
    assert [run.name for run in repeated_runs(runs[0], runs)] == ["seed-0", "seed-1"]


def test_images_are_told_by_content_and_class_whatever_is_said_of_their_number(runs):
    sides = ["train"] * 60 + ["test"] * 20
    table = pd.DataFrame({"split": sides, "digest": [f"{i:064x}" for i in range(80)], "class_name": ["a", "b"] * 40})
    for run in runs[:3]:
        of_images(run, "same", {"duplicate": 1})
        # In another order, and split otherwise, they are the same images.
        table.sample(frac=1, random_state=run.config().seed).to_csv(run.path / "split.csv", index=False)
    assert len(repeated_runs(runs[0], runs)) == 3
    other_content, other_class = table.copy(), table.copy()
    other_content.loc[7, "digest"], other_class.loc[7, "class_name"] = "f" * 64, "a"
    for other in (other_content, other_class):
        other.to_csv(runs[2].path / "split.csv", index=False)
        assert [run.name for run in repeated_runs(runs[0], runs)] == ["seed-0", "seed-1"]


def test_a_seed_that_was_run_twice_counts_once(runs, tmp_path):
    again = finished(tmp_path / "seed-1-again", 0.5, seed=1)
    assert seeds_table(repeated_runs(runs[0], [*runs, again]))["seed"].tolist() == [0, 1, 2]
    # Of the two it is the one that is looked at, or the newest by its name.
    assert [run.name for run in repeated_runs(runs[1], [*runs, again])] == ["seed-0", "seed-1", "seed-2"]
    assert "seed-1-again" in [run.name for run in repeated_runs(runs[0], [*runs, again])]
    assert "1 with a seed and fold that another one has" in left_out_sentence(runs[0], [*runs, again])


def test_two_runs_are_the_fewest(runs):
    assert len(repeated_runs(runs[0], runs[:2])) == 2
    assert repeated_runs(runs[0], runs[:1]) == []


def test_a_run_that_was_not_tested_is_no_repeat(runs):
    (runs[1].path / "metrics.json").unlink()
    assert [run.name for run in repeated_runs(runs[1], runs)] == ["seed-0", "seed-2"]


def test_the_table_has_what_each_run_measured(runs, folds):
    row = seeds_table(folds).iloc[1]
    assert row.tolist() == ["fold-2", 0, 2, 10, 0.92, 0.92 - 0.02, 1]
    write_json(runs[0].path / "metrics.json", {"test": {"accuracy": 0.9}})
    old = seeds_table(runs[:1])
    assert old[["images", "low", "high"]].isna().all(axis=None)
    assert old["fold"].tolist() == [0]


def test_folds_of_several_seeds_are_called_seeds(folds, tmp_path):
    more = [finished(tmp_path / "again", 0.9, folds=3, fold=1, seed=5)]
    assert "Across 4 folds and seeds" in repeats_sentence(seeds_table(folds + more))


def test_the_sentence_has_the_lowest_and_the_highest(runs):
    sentence = repeats_sentence(seeds_table(runs[:3]))
    assert sentence.startswith("Across 3 seeds")
    assert sentence.endswith("from 90.0 % to 97.0 %.")


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


def test_the_spread_of_a_figure_is_numpys(runs):
    table = repeated_runs_table(runs[:3]).set_index("figure")
    for figure, values in (("Accuracy", SCORES), ("Recall, a", np.divide(SCORES, 2)), ("AUC, b", SCORES)):
        row = table.loc[figure]
        assert row[["mean", "sd"]].tolist() == pytest.approx([np.mean(values), np.std(values, ddof=1)])
        assert row[["lowest", "highest", "runs"]].tolist() == [min(values), max(values), 3]


def test_a_figure_that_one_run_alone_has_is_left_out_and_one_of_two_is_told(runs):
    for run, auc in zip(runs[:3], (0.8, 0.9, None), strict=True):
        test = run.metrics()["test"]
        test["per_class"]["a"]["auc"] = auc
        test["per_class"]["b"]["auc"] = None if auc != 0.8 else auc
        write_json(run.path / "metrics.json", {"test": test})
    table = repeated_runs_table(runs[:3]).set_index("figure")
    assert table.loc["AUC, a", "runs"] == 2
    assert "AUC, b" not in table.index


def test_the_share_of_test_images_is_the_mean_over_the_runs_that_have_a_split(runs):
    pd.DataFrame({"split": ["train"] * 50 + ["test"] * 50}).to_csv(runs[0].path / "split.csv", index=False)
    (runs[2].path / "split.csv").unlink()
    row = repeated_runs_table(runs[:3]).set_index("figure").loc["Recall, a"]
    half = t.ppf(0.975, 2) * np.sqrt((1 / 3 + (1 + 1 / 3) / 2) * np.var(np.divide(SCORES, 2), ddof=1))
    assert row["high"] - row["mean"] == pytest.approx(half)
    for run in runs[:2]:
        (run.path / "split.csv").unlink()
    row = repeated_runs_table(runs[:3]).set_index("figure").loc["Recall, a"]
    half = t.ppf(0.975, 2) * np.sqrt(1 / 3 * np.var(np.divide(SCORES, 2), ddof=1))
    assert row["high"] - row["mean"] == pytest.approx(half)


# Folds together

CLASSES = ("a", "b")


def predicted(folds):
    """Give every one of three folds four test images of its own, two of a group, and as many of validation."""
    rng = np.random.default_rng(0)
    for k, run in enumerate(folds):
        names = [f"/data/{k}-{i}.png" for i in range(4)]
        probabilities = rng.dirichlet([1, 1], 4)
        table = predictions_table(names, rng.choice(CLASSES, 4), probabilities, CLASSES)
        table = table.assign(path=names, group=[2 * k, 2 * k, 2 * k + 1, 2 * k + 1])
        both = pd.concat([table.assign(split="test"), table.assign(split="validation", path="/other")])
        both.to_csv(run.path / "predictions.csv", index=False)
        pd.DataFrame({"split": ["train"] * 8 + ["test"] * 4}).to_csv(run.path / "split.csv", index=False)


def test_pooled_folds_have_every_image_once_with_its_fold(folds):
    predicted(folds)
    pooled = pooled_predictions(folds)
    assert pooled["path"].tolist() == [f"/data/{k}-{i}.png" for k in range(3) for i in range(4)]
    assert pooled["fold"].tolist() == [1] * 4 + [2] * 4 + [3] * 4
    assert pooled.index.tolist() == list(range(12))


def test_pooled_folds_are_scored_as_one_set_by_group(folds):
    predicted(folds)
    pooled = pooled_predictions(folds)
    probabilities = pooled[["p_a", "p_b"]].to_numpy()
    expected = evaluate_predictions(pooled["true"], probabilities, CLASSES, np.repeat(np.arange(6), 2))
    assert pooled_metrics(pooled, CLASSES) == expected


def test_folds_of_different_data_or_with_an_image_twice_are_not_pooled(folds):
    predicted(folds)
    pd.DataFrame({"split": ["train"] * 9 + ["test"] * 4}).to_csv(folds[0].path / "split.csv", index=False)
    assert pooled_predictions(folds) is None
    predicted(folds)
    twice = folds[1].predictions().replace("/data/1-0.png", "/data/0-0.png")
    twice.to_csv(folds[1].path / "predictions.csv", index=False)
    assert pooled_predictions(folds) is None


def test_predictions_of_an_earlier_version_get_their_contents_from_the_runs_split(folds):
    predicted(folds)
    run = folds[0]
    assert "digest" not in run.predictions()
    paths = run.predictions()["path"].unique()
    pd.DataFrame({"split": "test", "path": paths, "digest": [f"content of {p}" for p in paths]}).to_csv(
        run.path / "split.csv", index=False
    )
    told = run.predictions()
    assert (told["digest"] == "content of " + told["path"]).all()


def test_folds_whose_images_changed_in_between_are_not_pooled(folds):
    predicted(folds)
    for k, run in enumerate(folds):
        split = pd.DataFrame({"split": ["train"] * 8 + ["test"] * 4, "digest": [f"{i}" for i in range(12)]})
        split.sample(frac=1, random_state=k).to_csv(run.path / "split.csv", index=False)
    assert pooled_predictions(folds) is not None
    split.assign(digest=split["digest"].replace("3", "other")).to_csv(folds[1].path / "split.csv", index=False)
    assert pooled_predictions(folds) is None


def test_folds_in_which_an_image_has_another_class_are_not_pooled(folds):
    predicted(folds)
    split = pd.DataFrame({"split": ["train"] * 8 + ["test"] * 4, "digest": [f"{i}" for i in range(12)]})
    for run in folds:
        split.assign(class_name="a").to_csv(run.path / "split.csv", index=False)
    assert pooled_predictions(folds) is not None
    split.assign(class_name=["b", *"a" * 11]).to_csv(folds[1].path / "split.csv", index=False)
    assert pooled_predictions(folds) is None


def test_folds_that_are_missing_are_not_pooled(folds):
    assert pooled_predictions(folds[:2]) is None
    assert pooled_predictions([]) is None
