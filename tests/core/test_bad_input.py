"""Trainings that cannot be: a sentence before anything starts, or a readable failed run."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import Late

from cxr_core.cli.main import main
from cxr_core.recipes.training_config import make_config
from cxr_core.runs.lifecycle import create_run
from cxr_core.runs.run import Run
from cxr_core.splits.split import Split
from cxr_core.training import run_inputs

fit, train_run = Late("cxr_core.training.fit"), Late("cxr_core.training.train_run")

CONFIG = make_config("quick", roots=("/data",), settings=("batch_size=4", "start=shipped", "epochs=2"))


@pytest.fixture
def here(monkeypatch):
    """train_run in this process, with its handling of signals undone; returns the run after it failed."""
    monkeypatch.setattr(train_run.signal, "signal", lambda *_: None)

    def fail(config, folder):
        run = create_run(config, folder)
        with pytest.raises(ValueError) as error:
            train_run.train_run(run)
        assert (run.status().state, run.status().message) == ("failed", str(error.value))
        return run

    return fail


@pytest.fixture
def table():
    return pd.DataFrame({"class_name": ["normal"] * 8 + ["covid"] * 8})


def test_fewer_training_images_than_a_batch_are_named_before_training(few, here, tmp_path):
    config = make_config("quick", roots=(str(few),), split="stratified", settings=("batch_size=64", "start=shipped"))
    run = here(config, tmp_path / "run")
    assert "One batch needs 64 training images" in run.status().message
    assert not (run.path / "split.csv").exists()


@pytest.mark.parametrize("side", ["train", "validation"])
def test_a_class_that_is_absent_from_a_side_is_named(table, side):
    rows = {"train": np.array([0, 1, 2, 8, 9, 10]), "validation": np.array([3, 11]), "test": np.array([4, 12])}
    run_inputs._check_split(table, CONFIG, Split(**rows))
    rows[side] = np.array([0, 1, 2, 3])
    with pytest.raises(ValueError, match=f"'covid' has none there|in {side}; 'covid' has none there"):
        run_inputs._check_split(table, CONFIG, Split(**rows))


def test_a_loss_that_is_no_number_ends_the_run_with_batch_and_cause(few, here, tmp_path, monkeypatch):
    def broken(model, config, prepared, progress, **kept):
        return np.full((len(prepared.table), 1280), np.nan, np.float32)

    monkeypatch.setattr(fit, "frozen_features", broken)
    settings = ("batch_size=4", "start=shipped", "learning_rate=0.5")
    run = here(make_config("quick", roots=(str(few),), split="stratified", settings=settings), tmp_path / "run")
    assert "The loss became nan in batch 1 of epoch 1" in run.status().message
    assert "learning rate of 0.5" in run.status().message
    assert not (run.path / "model.keras").exists()


def test_more_gpus_than_there_are_is_a_sentence():
    with pytest.raises(ValueError, match="gpus=99 needs as many GPUs in this computer; TensorFlow finds"):
        fit._devices(make_config("quick", gpus=99))


def test_a_batch_that_the_gpus_cannot_share_evenly_is_a_sentence(monkeypatch):
    devices = [SimpleNamespace(name=f"GPU:{i}") for i in range(3)]
    monkeypatch.setattr(fit.tf.config, "list_logical_devices", lambda kind: devices)
    with pytest.raises(ValueError, match="batch_size must be a multiple of gpus=3; received 64"):
        fit._devices(make_config("quick", gpus=3))


@pytest.mark.parametrize("words", [("resume",), ("stop",), ("pause",), ("export",)])
def test_a_folder_that_is_no_run_is_one_sentence(words, tmp_path, capsys):
    assert main([*words, str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("Error: ")


def test_a_run_folder_that_cannot_be_written_is_refused_before_training(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["train", str(tmp_path), "--run", str(tmp_path / "file" / "run")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_a_history_that_is_corrupted_reads_as_empty(tmp_path):
    run = create_run(CONFIG, tmp_path / "run")
    for content in (b"\xff\xfe\x00", b"epoch,loss\n1,0.5,7\n2", b"", b"a,b\n1,2\n"):
        (run.path / "epochs.csv").write_bytes(content)
        assert Run(run.path).epochs().empty
