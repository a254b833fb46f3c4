"""repeats.py on runs that differ in their seed, and in more."""

import numpy as np
import pytest

from cxr_core.files import write_json
from cxr_core.recipes import make_config
from cxr_core.repeats import repeats_sentence, repeats_table
from cxr_core.runs import Run, create_run

SCORES = (0.9, 0.92, 0.97)


def finished(folder, accuracy, **values):
    run = create_run(make_config("quick", roots=("/data",), **values), folder)
    write_json(run.path / "metrics.json", {"test": {"accuracy": accuracy, "ci95": {"accuracy": [accuracy - 0.02, 1]}}})
    return run


@pytest.fixture
def runs(tmp_path):
    seeds = [finished(tmp_path / f"seed-{i}", score, seed=i) for i, score in enumerate(SCORES)]
    return [*seeds, finished(tmp_path / "longer", 0.5, seed=0, epochs=99)]


def test_only_runs_that_differ_in_the_seed_alone_are_repeats(runs):
    table = repeats_table(runs[1], runs)
    assert table["seed"].tolist() == [0, 1, 2]
    assert table["accuracy"].tolist() == list(SCORES)


def test_the_sentence_has_numpys_mean_and_standard_deviation(runs):
    sentence = repeats_sentence(repeats_table(runs[0], runs))
    assert f"{np.mean(SCORES):.1%} on average" in sentence
    assert f"deviation {100 * np.std(SCORES, ddof=1):.1f} points" in sentence


def test_a_run_alone_has_no_repeats(runs):
    assert repeats_table(runs[3], runs).empty
    assert repeats_sentence(repeats_table(runs[3], runs)) == ""


def test_a_folder_that_is_no_run_has_no_repeats(runs, tmp_path):
    assert repeats_table(Run(tmp_path / "nothing"), runs).empty
