"""The training of a reproduction is found again, begun once, and followed with an honest forecast."""

import time

import pandas as pd
import pytest

from cxr_core.jobs import reproduction
from cxr_core.jobs.reproduction import begin_or_continue, find_reproduction, follow_run
from cxr_core.recipes.reproduction import VARIANTS, reproduction_config
from cxr_core.runs.lifecycle import create_run
from cxr_core.runs.run import RunStatus
from cxr_core.system.files import atomic_path
from cxr_core.system.processes import process_facts


def wanted(variant="article", seed=0):
    return reproduction_config(variant, ["/data"], seed=seed)


def made(folder, name, config, state="paused"):
    run = create_run(config, folder / name)
    run.write_status(RunStatus(state, epochs=config.epochs))
    return run


def write_epochs(run, n, epoch_seconds=60.0):
    rows = {"epoch": range(1, n + 1), "epoch_seconds": [epoch_seconds] * n, "images_per_second": [20.0] * n}
    with atomic_path(run.path / "epochs.csv") as path:
        pd.DataFrame(rows | dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), [0.5] * n)).to_csv(path)


def test_the_variants_are_the_articles_training_a_sound_and_a_quick_one():
    assert [(v.recipe, v.split) for v in VARIANTS.values()] == [
        ("article", "article"), ("article-sound", "grouped"), ("quick", "article"),
    ]  # fmt: skip
    assert reproduction_config("article", ["/data"], seed=0, split="grouped").split == "grouped"


def test_a_run_of_the_same_settings_goes_on_and_no_other(tmp_path):
    same = made(tmp_path, "same", wanted())
    others = [made(tmp_path, "seed", wanted(seed=1)), made(tmp_path, "quick", wanted("quick"))]
    assert find_reproduction(wanted(), [*others, same]) == same
    assert find_reproduction(wanted("sound"), [*others, same]) is None


def test_a_run_that_cannot_be_read_is_passed_over(tmp_path):
    broken = made(tmp_path, "broken", wanted())
    (broken.path / "config.json").write_text('{"momentum": 1}')
    assert find_reproduction(wanted(), [broken]) is None


def test_too_little_memory_is_said_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setattr("cxr_core.recipes.memory_estimate.memory_limit", lambda: 700_000_000)
    with pytest.raises(ValueError, match="needs about 2.7 GB of memory"):
        begin_or_continue(wanted(), None, path=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_finished_run_is_not_trained_again(tmp_path, monkeypatch):
    monkeypatch.setattr("cxr_core.recipes.memory_estimate.memory_limit", lambda: 0)
    run = made(tmp_path, "run", wanted(), "finished")
    assert begin_or_continue(wanted(), run) == (run, False)


@pytest.fixture
def active(tmp_path):
    """A run of this process, after the second of its fifty epochs."""
    run = create_run(wanted(), tmp_path / "run")
    with atomic_path(run.path / "split.csv") as path:
        pd.DataFrame({"split": ["train"] * 80 + ["test"] * 20}).to_csv(path, index=False)
    write_epochs(run, 1)
    run.write_status(RunStatus("running", "Training", epoch=1, epochs=50, batches=88, **process_facts()))
    return run


def test_each_epoch_is_told_with_the_time_that_is_left_at_the_pace_so_far(active, monkeypatch):
    def an_epoch_later(_seconds):
        if active.status().epoch == 1:
            write_epochs(active, 2)
            now = {"started": time.time(), "epoch_started": time.time()}
            active.write_status(
                RunStatus("running", "Training", epoch=2, epochs=50, batches=88, **now, **process_facts())
            )
        else:
            active.write_status(RunStatus("finished", "Finished", epoch=50, epochs=50))

    monkeypatch.setattr(reproduction.time, "sleep", an_epoch_later)
    told = []
    assert follow_run(active, told.append).state == "finished"
    # 48 epochs of a minute each, and the export.
    assert any("Epoch 2 of 50" in line and "about 48 min left (60.0 s an epoch)" in line for line in told), told
    assert sum("for about 11 epochs with this recipe: batch-norm statistics" in line for line in told) == 1
