"""A training that was interrupted ends as if it had never been: pauses, stops, crashes, two starts."""

import os
import shutil
import signal
import threading
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from sklearn.metrics import confusion_matrix

from cxr_core.recipes.training_config import make_config
from cxr_core.runs import lifecycle
from cxr_core.runs.lifecycle import (
    RunTaken,
    abandon_run,
    acquire_run,
    create_run,
    pause_run,
    resume_run,
    run_lock,
    start_run,
    stop_run,
)
from cxr_core.runs.run import Run, RunStatus
from cxr_core.system.files import read_json
from cxr_core.system.processes import process_facts

QUICK = ("start=shipped", "epochs=5", "batch_size=4", "plateau_patience=1", "early_stopping_patience=3")
FINETUNE = (
    "start=shipped", "epochs=4", "batch_size=4", "preprocessing.size=64", "train_from=block_16_expand",
    "learning_rate=0.01", "plateau_patience=1", "early_stopping_patience=3",
)  # fmt: skip
CONFIGS = {"quick": QUICK, "finetune": FINETUNE}
CURVES = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]


@pytest.fixture(scope="module")
def train_here():
    """train_run in this process, with its handling of signals undone; exports take longer than these trainings."""
    from cxr_core.training import train_run

    def call(run, monkeypatch, *, export=False):
        monkeypatch.setattr(train_run, "start_export", lambda run: None)
        if not export:
            monkeypatch.setattr(train_run, "export_run", lambda run: None)
            monkeypatch.setattr(train_run, "report_copies", lambda run, phase: None)
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        return train_run.train_run(run)

    return call


def new_run(recipe, few, folder):
    config = make_config(recipe, roots=(str(few),), split="stratified", seed=1, settings=CONFIGS[recipe])
    return create_run(config, folder)


@pytest.fixture(scope="module")
def uninterrupted(few, tmp_path_factory, train_here):
    """Finished runs by recipe."""
    lifecycle = {}
    with pytest.MonkeyPatch.context() as monkeypatch:
        for recipe in CONFIGS:
            lifecycle[recipe] = new_run(recipe, few, tmp_path_factory.mktemp("whole") / recipe)
            assert train_here(lifecycle[recipe], monkeypatch, export=True) == "finished"
    return lifecycle


def interrupt(monkeypatch, hook, epoch, act):
    """Call `act` when the recorder's `hook` is called in an epoch (from 1); for batches, in the second one."""
    from cxr_core.training.progress_callback import ProgressCallback

    original = getattr(ProgressCallback, hook)

    def hooked(self, number, logs=None):
        now = (len(self._epoch_rows) + 1, number) if "batch" in hook else (number + 1, 1)
        if now == (epoch, 1):
            act()
        return original(self, number, logs)

    monkeypatch.setattr(ProgressCallback, hook, hooked)


def assert_same_history(run, whole):
    assert len(whole.epochs()) > 2
    pd.testing.assert_frame_equal(run.epochs()[CURVES], whole.epochs()[CURVES], rtol=1e-3, atol=1e-5)


def probabilities(run):
    table = run.predictions()
    return table[[c for c in table if c.startswith("p_")]].to_numpy()


@pytest.mark.parametrize("recipe", CONFIGS)
@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_epoch_end"])
def test_a_resumed_run_has_the_history_of_an_uninterrupted_one(
    recipe, hook, few, uninterrupted, train_here, tmp_path, monkeypatch
):
    run = new_run(recipe, few, tmp_path / "run")
    request = "stop" if "batch" in hook else "pause"
    with monkeypatch.context() as patch:
        interrupt(patch, hook, 3, (run.path / request).touch)
        state = train_here(run, patch)
    assert state == {"stop": "stopped", "pause": "paused"}[request]
    assert run.status().epoch == (2 if request == "stop" else 3)
    acquire_run(run)
    assert train_here(run, monkeypatch, export=True) == "finished"
    assert_same_history(run, uninterrupted[recipe])
    np.testing.assert_allclose(probabilities(run), probabilities(uninterrupted[recipe]), atol=2e-3)
    assert not (run.path / "checkpoint.npz").exists()


def test_a_training_that_nobody_owns_any_more_pauses_within_its_epoch(
    few, uninterrupted, train_here, tmp_path, monkeypatch
):
    run = new_run("quick", few, tmp_path / "run")
    with monkeypatch.context() as patch:
        interrupt(patch, "on_train_batch_end", 3, lambda: abandon_run(run))
        assert train_here(run, patch) == "paused"
    assert run.status().epoch == 2 and "has ended" in run.status().message
    acquire_run(run)
    assert not run.pause_requested
    assert train_here(run, monkeypatch) == "finished"
    assert_same_history(run, uninterrupted["quick"])


def test_a_trial_of_a_search_never_meets_the_test_images(few, train_here, tmp_path, monkeypatch):
    config = make_config("quick", roots=(str(few),), split="stratified", settings=(*QUICK, "epochs=1", "export=false"))
    run = create_run(config, tmp_path / "run")
    assert train_here(run, monkeypatch, export=True) == "finished"
    assert run.needs_export and run.metrics() is None and run.predictions().empty


def test_dropout_draws_on_where_it_was(few, uninterrupted, train_here, tmp_path, monkeypatch):
    from cxr_core.training import checkpoint

    run = new_run("quick", few, tmp_path / "run")
    with monkeypatch.context() as patch:
        interrupt(patch, "on_epoch_end", 2, (run.path / "pause").touch)
        train_here(run, patch)
    # The same run with the counters as they are at a start: the test above could not tell otherwise.
    original = checkpoint._read

    def forgetful(path):
        kept = original(path)
        kept.model = [np.zeros_like(v) if v.dtype.kind in "iu" else v for v in kept.model]
        return kept

    acquire_run(run)
    monkeypatch.setattr(checkpoint, "_read", forgetful)
    train_here(run, monkeypatch)
    losses = [r.epochs()["loss"].to_numpy()[2:] for r in (run, uninterrupted["quick"])]
    assert len(losses[0]) != len(losses[1]) or not np.allclose(*losses, rtol=1e-3)


@pytest.mark.slow
def test_a_killed_process_goes_on_in_another_one_is_paused_and_stopped(few, until, tmp_path):
    config = make_config("finetune", roots=(str(few),), split="stratified", settings=(*FINETUNE, "epochs=50"))
    run = start_run(config, tmp_path)
    until(lambda: run.status().epoch >= 1 or not run.status().is_active)
    os.kill(run.status().pid, signal.SIGKILL)
    until(lambda: not run.status().is_active)
    before = run.epochs()
    assert run.status().state == "failed" and run.can_resume
    assert pd.read_csv(run.path / "epochs.csv").equals(before)
    resumed = resume_run(run)
    until(lambda: resumed.status().state == "running" and len(run.epochs()) > len(before) or run.status().message)
    pause_run(run)
    until(lambda: not run.status().is_active)
    assert run.status().state == "paused", run.log_tail()
    pd.testing.assert_frame_equal(run.epochs()[: len(before) - 1], before[:-1])
    stop_run(run)
    until(lambda: run.metrics() is not None)
    assert run.status().state == "stopped"


def test_a_crash_at_any_write_leaves_a_readable_run_that_can_go_on(
    few, uninterrupted, train_here, tmp_path, monkeypatch
):
    class PulledPlug(BaseException):
        pass

    run, replace = new_run("quick", few, tmp_path / "run"), os.replace
    # Every crash is later than the one before: each resumed run gets a little further.
    for survived in (3, 12, 20):
        left = iter(range(survived))

        def failing(source, target, left=left):
            if next(left, None) is None:
                raise PulledPlug
            replace(source, target)

        with monkeypatch.context() as patch, pytest.raises(PulledPlug):
            patch.setattr(os, "replace", failing)
            train_here(run, patch, export=True)
        assert run.status().epoch <= 5 and run.config() and len(run.epochs()) <= 5
        run.batches(), run.predictions(), run.metrics()
        run.write_status(RunStatus("failed", epochs=5))
        acquire_run(run)
    assert train_here(run, monkeypatch) == "finished"
    assert_same_history(run, uninterrupted["quick"])


def test_a_full_disk_fails_the_run_with_a_sentence_and_it_can_go_on(
    few, uninterrupted, train_here, tmp_path, monkeypatch
):
    from cxr_core.training import checkpoint

    run = new_run("quick", few, tmp_path / "run")
    savez, calls = np.savez, []

    def full(path, **arrays):
        calls.append(path)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        savez(path, **arrays)

    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr(checkpoint.np, "savez", full)
        train_here(run, patch)
    assert run.status().state == "failed"
    assert "disk is full" in run.status().message
    acquire_run(run)
    assert train_here(run, monkeypatch) == "finished"
    assert_same_history(run, uninterrupted["quick"])


def test_a_broken_checkpoint_is_a_readable_failure(few, train_here, tmp_path, monkeypatch):

    run = new_run("quick", few, tmp_path / "run")
    with monkeypatch.context() as patch:
        interrupt(patch, "on_epoch_end", 1, (run.path / "pause").touch)
        train_here(run, patch)
    path = run.path / "checkpoint.npz"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    acquire_run(run)
    with pytest.raises(ValueError, match="checkpoint.npz is broken"):
        train_here(run, monkeypatch)
    assert "start a new one" in run.status().message


def test_changed_images_are_no_basis_to_go_on(few, train_here, tmp_path, monkeypatch):
    folder = shutil.copytree(few, tmp_path / "data")
    run = new_run("quick", folder, tmp_path / "run")
    with monkeypatch.context() as patch:
        interrupt(patch, "on_epoch_end", 1, (run.path / "pause").touch)
        train_here(run, patch)
    next((folder / "normal").iterdir()).unlink()
    acquire_run(run)
    with pytest.raises(ValueError, match="images have changed"):
        train_here(run, monkeypatch)


def test_a_stop_before_the_first_epoch_resumes_from_the_beginning(
    few, uninterrupted, train_here, tmp_path, monkeypatch
):
    run = new_run("quick", few, tmp_path / "run")
    (run.path / "stop").touch()
    assert train_here(run, monkeypatch) == "stopped"
    acquire_run(run)
    assert train_here(run, monkeypatch) == "finished"
    assert_same_history(run, uninterrupted["quick"])


def test_a_run_that_another_process_writes_to_is_refused_and_left_alone(tmp_path):
    run = create_run(make_config("quick", roots=("/data",)), tmp_path / "run")
    before = read_json(run.path / "status.json")
    with FileLock(run.path / ".lock"):
        with pytest.raises(RunTaken, match="only one can use a run folder at a time"), run_lock(run):
            pass
        with pytest.raises(RunTaken):
            acquire_run(run)
    assert read_json(run.path / "status.json") == before


def test_a_stopped_run_goes_on_once_its_export_has_ended(tmp_path, monkeypatch):
    run = create_run(make_config("quick", roots=("/data",)), tmp_path / "run")
    run.write_status(RunStatus("stopped", "Stopped"))
    monkeypatch.setattr(lifecycle, "_DYING_SECONDS", 0.0)
    monkeypatch.setattr(lifecycle, "spawn_detached", lambda words, folder: SimpleNamespace(pid=os.getpid()))
    export = FileLock(run.path / ".lock", thread_local=False)
    export.acquire()
    threading.Timer(0.3, export.release).start()
    assert resume_run(run).status().state == "starting"


@pytest.mark.slow
def test_a_second_process_cannot_train_in_the_same_folder(few, tmp_path, run_python):
    run = new_run("quick", few, tmp_path / "run")
    with run_lock(run):
        answer = run_python("-m", "cxr_core", "train", few, "--run", run.path, "--into-existing")
    assert answer.returncode == 1
    assert "Another process is training or exporting" in answer.stderr
    assert run.status().state == "starting"


@pytest.mark.parametrize("state", ["finished", "stopped", "running"])
def test_a_second_process_that_gets_the_lock_later_leaves_the_run_alone(few, train_here, tmp_path, monkeypatch, state):
    run = new_run("quick", few, tmp_path / "run")
    # What holds a running one is alive, and another process: it puts its exporting program in its place.
    run.write_status(RunStatus(state, **process_facts(os.getppid())))
    before = read_json(run.path / "status.json")
    with pytest.raises(RunTaken, match=f"is {state}; only one can use a run folder at a time"):
        train_here(run, monkeypatch)
    assert read_json(run.path / "status.json") == before
    assert not (run.path / "split.csv").exists()


@pytest.mark.parametrize("state", ["finished", "running"])
def test_only_a_run_that_ended_before_its_time_can_be_resumed(tmp_path, state):
    run = create_run(make_config("quick", roots=("/data",)), tmp_path / "run")
    facts = read_json(run.path / "status.json")
    run.write_status(RunStatus(state, pid=facts["pid"], pid_started=facts["pid_started"]))
    assert not run.can_resume
    with pytest.raises(ValueError, match=f"run is {state}"):
        acquire_run(run)


def test_only_a_running_training_can_be_paused(tmp_path):
    run = create_run(make_config("quick", roots=("/data",)), tmp_path / "run")
    run.write_status(RunStatus("stopped"))
    with pytest.raises(ValueError, match="run is stopped"):
        pause_run(run)
    assert not run.pause_requested


def test_the_time_spent_of_a_resumed_run_counts_from_where_it_went_on():
    status = RunStatus(
        "running", epoch=12, epochs=20, first_epoch=10, batches=10, started=1000.0, updated=1100.0, seconds_before=500.0
    )
    assert status.seconds_spent == pytest.approx(600)


# What the recorder writes down, on a history that was made for it


@pytest.fixture
def recorder(tmp_path):
    """A ProgressCallback in the middle of a training of two weights, which does not train by itself."""
    import keras

    from cxr_core.training.progress_callback import ConfusionCounts, ProgressCallback

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, use_bias=False, name="logits")])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    recorder = ProgressCallback(create_run(make_config("quick", roots=("/data",)), tmp_path / "run"))
    recorder.set_model(model)
    recorder.snapshots = []
    snapshots = SimpleNamespace(write=lambda epoch, confusion: recorder.snapshots.append((epoch, confusion.tolist())))
    recorder.begin(model, model, ConfusionCounts(2), snapshots, n_batches=3, batch_size=4)
    return recorder


def record_epochs(recorder, history):
    """Let epochs pass whose weights are their number; `history` holds loss, accuracy, val_loss and val_accuracy."""
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    for epoch, values in enumerate(history):
        recorder.model.set_weights([np.full((1, 2), epoch + 1.0)])
        recorder.on_epoch_begin(epoch)
        for batch in range(3):
            recorder.on_train_batch_end(batch, {"loss": values[0] + batch, "accuracy": values[1]})
        recorder.on_epoch_end(epoch, dict(zip(names, values, strict=True)))


# The lowest validation loss is that of epochs 2 and 3; loss, accuracy and its validation twin are best in epoch 4.
HISTORY = [(0.9, 0.4, 0.8, 0.5), (0.7, 0.5, 0.6, 0.6), (0.6, 0.6, 0.6, 0.7), (0.5, 0.8, 0.7, 0.9), (0.6, 0.7, 0.9, 0.8)]


def test_the_best_epoch_is_the_first_of_the_lowest_validation_loss(recorder, tmp_path):
    import keras

    record_epochs(recorder, HISTORY)
    recorder.save_best()
    (best,) = keras.saving.load_model(tmp_path / "run" / "model.keras", compile=False).get_weights()
    np.testing.assert_array_equal(best, np.full((1, 2), 2.0))
    # The training itself goes on from where it was.
    np.testing.assert_array_equal(recorder.model.get_weights()[0], np.full((1, 2), 5.0))
    facts, (kept,) = recorder.state()
    assert facts["best_loss"] == 0.6
    np.testing.assert_array_equal(kept, best)


def test_a_resumed_recorder_keeps_the_earlier_best_unless_a_later_epoch_is_better(recorder, tmp_path):
    record_epochs(recorder, HISTORY)
    facts, weights = recorder.state()
    recorder.restore(facts | {"best_loss": 0.55}, weights)
    record_epochs(recorder, HISTORY)
    np.testing.assert_array_equal(recorder.state()[1][0], np.full((1, 2), 2.0))
    assert recorder.state()[0]["best_loss"] == 0.55
    recorder.restore(facts | {"best_loss": 0.65}, [np.zeros((1, 2))])
    record_epochs(recorder, HISTORY[3:])
    np.testing.assert_array_equal(recorder.state()[1][0], np.zeros((1, 2)))


def test_the_history_says_what_keras_told_with_rate_and_speed(recorder, tmp_path):
    record_epochs(recorder, HISTORY)
    run = Run(tmp_path / "run")
    epochs = run.epochs()
    assert epochs["epoch"].tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(epochs[["loss", "accuracy", "val_loss", "val_accuracy"]], HISTORY)
    np.testing.assert_allclose(epochs["learning_rate"], 0.01)
    # Three batches of four images, in no more time than the whole epoch took.
    assert (epochs["images_per_second"] * epochs["epoch_seconds"] >= 3 * 4).all()
    batches = run.batches()
    assert batches["epoch"].tolist() == [epoch for epoch in range(1, 6) for _ in range(3)]
    assert batches["batch"].tolist() == [1, 2, 3] * 5
    np.testing.assert_allclose(batches["loss"][:3], [0.9, 1.9, 2.9])
    assert (batches["seconds"] >= 0).all()
    assert run.status().epoch == 5
    assert [epoch for epoch, _ in recorder.snapshots] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_training_with_the_rate_that_led_there(recorder, loss):
    recorder.on_epoch_begin(0)
    with pytest.raises(ValueError, match=r"batch 2 of epoch 1; the learning rate of 0.01 is too high"):
        recorder.on_train_batch_end(1, {"loss": loss, "accuracy": 0.5})


def test_confusion_counts_have_the_true_class_in_the_row():
    from cxr_core.training.progress_callback import ConfusionCounts

    counts = ConfusionCounts(3)
    true, predicted = np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 0, 0])
    counts.update_state(np.eye(3)[true][:3], np.eye(3)[predicted][:3])
    counts.update_state(np.eye(3)[true][3:], np.eye(3)[predicted][3:])
    np.testing.assert_array_equal(counts.counts.numpy(), confusion_matrix(true, predicted))
    assert float(counts.result()) == 2
