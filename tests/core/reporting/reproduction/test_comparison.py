"""Runs beside the article's claims: seeds are put together, and what is not the article's has no claim."""

import json
import shutil

import pytest

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.reporting.reproduction.comparison import compare_runs, comparison_text
from cxr_core.runs.run import Run


@pytest.fixture
def made(tmp_path):
    """A callable(name, recipe, seed, accuracy) that makes a run folder, without networks, of the built-in one."""

    def make(name, recipe, seed, accuracy, classes=None):
        folder = tmp_path / name
        folder.mkdir()
        for file in ("card.json", "predictions.csv", "epochs.csv"):
            shutil.copy(SHIPPED_MODEL_DIR / file, folder)
        card = json.loads((folder / "card.json").read_text())
        card["training"] |= {"recipe": recipe, "split": "grouped", "seed": seed}
        card["metrics"]["test"]["accuracy"] = accuracy
        card["metrics"]["test"]["ci95"]["accuracy"] = [accuracy - 0.02, accuracy + 0.02]
        if classes:
            card["classes"] = classes
        (folder / "card.json").write_text(json.dumps(card))
        return Run(folder)

    return make


def row(found, name):
    return next(figure for figure in found["figures"] if figure["figure"] == name)


def test_seeds_of_the_same_settings_are_one_column_with_their_mean_and_range(made):
    runs = [made(f"a{seed}", "article", seed, value) for seed, value in ((0, 0.90), (1, 0.96))]
    found = compare_runs([*runs, made("s", "article-sound", 0, 0.94)])
    assert found["groups"] == ["article, grouped split", "article-sound, grouped split"]
    assert found["seeds"] == [[0, 1], [0]]
    assert row(found, "Test accuracy")["values"] == [[0.90, 0.96], [0.94]]
    text = comparison_text(found)
    assert "article, grouped split (seeds 0, 1)" in text
    assert "93.0 % (90.0 to 96.0)" in text
    assert "94.0 % (92.0 to 96.0)" in text


def test_runs_of_other_classes_than_the_articles_have_no_claim_beside_them(made):
    found = compare_runs([made("a", "article", 0, 0.9)])
    assert {figure["claimed"] for figure in found["figures"]} == {None}
    assert "| Test accuracy | – | 90.0 % (88.0 to 92.0) |" in comparison_text(found)


def test_runs_of_different_classes_are_not_compared(made):
    with pytest.raises(ValueError, match="same classes.*cat, dog"):
        compare_runs([made("a", "article", 0, 0.9), made("b", "article", 1, 0.9, classes=["cat", "dog"])])


def test_a_run_without_a_classifier_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing-here"):
        compare_runs([Run(tmp_path / "nothing-here")])
