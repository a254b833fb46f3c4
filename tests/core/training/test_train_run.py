"""train_run.py for real: small trainings in processes of their own."""

import os
import shutil
import signal

import numpy as np
import pandas as pd
import psutil
import pytest
from scipy.special import softmax
from sklearn.metrics import accuracy_score, log_loss
from sklearn.utils.class_weight import compute_class_weight

from cxr_core.evaluation.metrics import evaluate_predictions
from cxr_core.imaging.reader import read_image
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.model_card import load_card
from cxr_core.recipes.learning_rate import cosine_rate
from cxr_core.recipes.training_config import make_config
from cxr_core.runs.lifecycle import start_run, stop_run
from cxr_core.runs.run import Run
from cxr_core.system.files import read_json

TINY = ("--set", "start=shipped", "--set", "batch_size=16", "--set", "epochs=2")
FILES = (
    "config.json", "environment.json", "status.json", "split.csv", "epochs.csv", "batches", "log.txt", "model.keras",
    "model.onnx", "card.json", "metrics.json", "predictions.csv",
)  # fmt: skip


@pytest.fixture
def article_run(few):
    """A running training of whole images that would go on for 50 epochs; killed at the end if need be."""
    settings = ("start=shipped", "batch_size=4", "preprocessing.size=96", "train_from=block_16_expand")
    run = start_run(make_config("article", roots=(str(few),), split="stratified", settings=settings))
    pid = run.status().pid
    yield run
    for process in psutil.Process().children(recursive=True):
        if process.pid == pid:
            process.kill()


def last_error(answer):
    assert "Traceback" not in answer.stderr
    return answer.stderr.strip().splitlines()[-1]


# A whole run


def test_a_run_writes_every_file_of_its_folder(tiny_run):
    assert [name for name in FILES if not (tiny_run.path / name).exists()] == []


def test_a_run_ends_as_finished_with_all_its_epochs(tiny_run):
    status = tiny_run.status()
    assert (status.state, status.epoch, status.epochs, status.message) == ("finished", 2, 2, "")
    assert len(tiny_run.epochs()) == 2


def test_the_log_holds_what_the_process_said(tiny_run):
    assert "val_loss" in tiny_run.log_tail()


def test_scores_are_evaluates_for_validation_and_test(tiny_run):
    metrics = tiny_run.metrics()
    keys = {"temperature", *evaluate_predictions(["a", "b"], np.eye(2), ["a", "b"])}
    assert set(metrics) == {"validation", "test", "leakage"}
    assert set(metrics["test"]) == keys
    assert set(metrics["validation"]) == {"uncalibrated", *keys}


def test_the_temperature_makes_validation_no_less_likely(tiny_run):
    card, predictions = load_card(tiny_run.path), tiny_run.predictions()
    rows = predictions[predictions["split"] == "validation"]
    logits = np.log(rows[[f"p_{c}" for c in card.classes]].to_numpy()) * card.temperature

    def loss(temperature):
        return log_loss(rows["true"], softmax(logits / temperature, axis=1)[:, np.argsort(card.classes)])

    assert card.temperature != 1
    assert loss(card.temperature) <= loss(1)


def test_calibrating_is_measured_before_and_after(tiny_run):
    validation = tiny_run.metrics()["validation"]
    assert set(validation["uncalibrated"]) == {"ece", "brier"}
    assert validation["temperature"] == load_card(tiny_run.path).temperature


def test_predictions_carry_the_groups_of_the_split(tiny_run):
    split = pd.read_csv(tiny_run.path / "split.csv").set_index("path")["group"]
    predictions = tiny_run.predictions()
    assert (predictions["group"].to_numpy() == split.loc[predictions["path"]].to_numpy()).all()


def test_scores_follow_from_the_predictions(tiny_run):
    for side, table in tiny_run.predictions().groupby("split"):
        assert tiny_run.metrics()[side]["accuracy"] == accuracy_score(table["true"], table["predicted"])
        assert tiny_run.metrics()[side]["n"] == len(table)


def test_predictions_are_those_of_the_exported_classifier(tiny_run):
    classifier = load_classifier(tiny_run.path)
    for row in tiny_run.predictions().sample(5, random_state=0).to_dict("records"):
        image = classifier.card.preprocessing.image_u8(read_image(row["path"]))
        probabilities = classifier.predict(image[None])[0]
        np.testing.assert_allclose([row[f"p_{c}"] for c in classifier.classes], probabilities, atol=1e-4)


def test_predictions_are_of_validation_and_test_images_only(tiny_run):
    split = pd.read_csv(tiny_run.path / "split.csv").set_index("file")["split"]
    table = tiny_run.predictions()
    assert (split[table["file"]].to_numpy() == table["split"].to_numpy()).all()
    assert len(table) == (split != "train").sum()


def test_the_split_names_every_image_once(tiny_run, demo_data):
    split = pd.read_csv(tiny_run.path / "split.csv")
    assert sorted(split["file"]) == sorted(p.relative_to(demo_data).as_posix() for p in demo_data.rglob("*.*"))
    assert set(split["split"]) == {"train", "validation", "test"}


def test_the_history_counts_batches_and_epochs(tiny_run):
    batches = tiny_run.batches()
    n = (pd.read_csv(tiny_run.path / "split.csv")["split"] == "train").sum() // 16
    assert batches.groupby("epoch").size().tolist() == [n, n]
    assert tiny_run.epochs()["epoch"].tolist() == [1, 2]


def test_the_card_says_what_the_run_was(tiny_run, demo_data):
    card = load_classifier(tiny_run.path).card
    config = tiny_run.config()
    assert card.classes == ("normal", "covid", "virus")
    assert card.preprocessing == config.preprocessing
    assert card.training["roots"] == [demo_data.name]
    assert card.training["seed"] == config.seed
    assert card.metrics == tiny_run.metrics()


def test_the_environment_counts_the_images_of_each_side(tiny_run):
    split = pd.read_csv(tiny_run.path / "split.csv")
    environment = read_json(tiny_run.path / "environment.json")
    assert environment["data"]["images"] == {
        side: table["class_name"].value_counts().to_dict() for side, table in split.groupby("split")
    }
    assert environment["packages"]["keras"]


def test_the_environment_says_on_how_many_threads_the_run_can_be_repeated_exactly(tiny_run):
    assert read_json(tiny_run.path / "environment.json")["threads"] == os.cpu_count()


def test_the_same_seed_gives_the_same_history_in_a_fresh_place(tiny_run, demo_data, output_of, tmp_path):
    answer = output_of(
        "-m", "cxr_core", "train", demo_data, *TINY, "--run", tmp_path / "run", CXR_LAB_HOME=str(tmp_path)
    )
    assert answer.strip() == str(tmp_path / "run")
    columns = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    pd.testing.assert_frame_equal(Run(tmp_path / "run").epochs()[columns], tiny_run.epochs()[columns], check_exact=True)


# Runs that cannot be


@pytest.mark.slow
def test_a_data_set_of_one_class_fails_with_a_sentence(demo_data, run_python, tmp_path):
    shutil.copytree(demo_data / "normal", tmp_path / "data" / "normal")
    answer = run_python("-m", "cxr_core", "train", tmp_path / "data", *TINY, "--run", tmp_path / "run")
    assert answer.returncode == 1
    assert "at least two classes" in last_error(answer)
    status = Run(tmp_path / "run").status()
    assert (status.state, f"Error: {status.message}") == ("failed", last_error(answer))


@pytest.mark.slow
def test_missing_imagenet_weights_fail_with_what_to_do_instead_of_random_ones(few, run_python, tmp_path):
    settings = ("--set", "batch_size=4", "--set", "epochs=1")
    answer = run_python(
        "-m", "cxr_core", "train", few, *settings, "--run", tmp_path / "run", KERAS_HOME=str(tmp_path / "keras"),
        https_proxy="http://127.0.0.1:9", HTTPS_PROXY="http://127.0.0.1:9", no_proxy="",
    )  # fmt: skip
    assert answer.returncode == 1
    assert "start=shipped" in last_error(answer)
    run = Run(tmp_path / "run")
    assert run.status().state == "failed"
    assert "start=shipped" in run.status().message
    assert not (run.path / "model.keras").exists()


# Runs that are ended


def test_a_stopped_run_keeps_and_exports_its_best_model(article_run, until):
    until(lambda: article_run.status().epoch >= 1 or not article_run.status().is_active)
    stop_run(article_run)
    assert article_run.status().state == "stopped", article_run.log_tail()
    until(lambda: article_run.metrics() is not None)
    assert load_classifier(article_run.path).predict(np.zeros((1, 96, 96), np.uint8)).shape == (1, 3)
    assert article_run.status().state == "stopped"


def test_a_killed_run_shows_as_failed(article_run, until):
    until(lambda: article_run.status().state == "running")
    os.kill(article_run.status().pid, signal.SIGKILL)
    until(lambda: not article_run.status().is_active)
    assert article_run.status().state == "failed"


def test_a_stop_before_the_first_epoch_leaves_no_model(article_run, until):
    until(lambda: article_run.status().phase == "Building the network" or not article_run.status().is_active)
    stop_run(article_run)
    assert article_run.status().state == "stopped", article_run.log_tail()
    assert not (article_run.path / "model.onnx").exists()


def test_a_run_has_a_model_only_once_its_evaluation_is_there_too(tiny_run, tmp_path, monkeypatch):
    from cxr_core.training import export_run

    run = Run(shutil.copytree(tiny_run.path, tmp_path / "run"))
    for name in ("model.onnx", "card.json", "metrics.json", "predictions.csv"):
        (run.path / name).unlink()

    def interrupted(*_, **__):
        assert not run.has_model
        raise ValueError("interrupted")

    monkeypatch.setattr(export_run, "score_predictions", interrupted)
    with pytest.raises(ValueError, match="interrupted"):
        export_run.export_run(run)
    assert not run.has_model


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "gone"])
def test_a_head_is_evaluated_on_the_features_it_learned_from_where_they_are_kept(tiny_run, tmp_path, monkeypatch, kept):
    from cxr_core.training import export_run, fit

    run = Run(shutil.copytree(tiny_run.path, tmp_path / "run"))
    asked, classify_table = [], export_run.classify_table
    monkeypatch.setattr(export_run, "classify_table", lambda *a: asked.append(a) or classify_table(*a))
    if not kept:
        monkeypatch.setattr(fit.features_file, "__defaults__", (tmp_path,))
    export_run.export_run(run)
    assert len(asked) == (0 if kept else 2)
    again, before = run.predictions(), tiny_run.predictions()
    probabilities = [f"p_{name}" for name in ("normal", "covid", "virus")]
    assert (again[["file", "true", "split", "group"]] == before[["file", "true", "split", "group"]]).all(axis=None)
    np.testing.assert_allclose(again[probabilities], before[probabilities], atol=1e-5)


# What a training is made of


@pytest.mark.parametrize("targets", [[0, 0, 0, 1, 2, 2], [0, 0, 2, 2, 2, 2], [1, 2, 2]], ids=["all", "no 1", "no 0"])
def test_class_weights_are_scikit_learns_for_the_classes_that_occur(targets):
    from cxr_core.recipes.image_weights import class_weights

    present = np.unique(targets)
    expected = compute_class_weight("balanced", classes=present, y=targets)
    assert class_weights(np.array(targets)) == pytest.approx(dict(zip(present.tolist(), expected, strict=True)))


@pytest.fixture
def small_model():
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation="softmax")])
    model.compile(keras.optimizers.Adam(0.1), "categorical_crossentropy")
    return model


def rates_and_end(model, config, history):
    """Run a configuration's callbacks over (val_loss, val_accuracy) per epoch: learning rates, and the last epoch."""
    import keras

    from cxr_core.training.fit import _callbacks

    callbacks = keras.callbacks.CallbackList(_callbacks(config, keras.callbacks.Callback()), model=model)
    callbacks.on_train_begin()
    rates = []
    for epoch, (val_loss, val_accuracy) in enumerate(history):
        callbacks.on_epoch_begin(epoch)
        rates.append(float(model.optimizer.learning_rate))
        # The training loss never stops falling.
        callbacks.on_epoch_end(epoch, {"loss": 1 / (epoch + 1), "val_loss": val_loss, "val_accuracy": val_accuracy})
        if model.stop_training:
            break
    return rates, epoch + 1


# The validation loss is lowest in epoch 2, while the accuracy goes on rising.
OVERFITTING = [(0.9, 0.5), (0.6, 0.6), (0.7, 0.7), (0.61, 0.8), (0.8, 0.9), (0.9, 0.95), (1.0, 0.99)]


@pytest.mark.parametrize(("early_stopping_patience", "end"), [(1, 3), (3, 5), (None, 7)])
def test_early_stopping_counts_epochs_without_a_lower_validation_loss(small_model, early_stopping_patience, end):
    config = make_config("article", early_stopping_patience=early_stopping_patience)
    assert rates_and_end(small_model, config, OVERFITTING)[1] == end


@pytest.mark.parametrize(("patience", "falls"), [(1, (3, 4, 5, 6)), (2, (4, 6)), (3, (5,))])
def test_on_a_plateau_of_the_validation_loss_the_rate_falls_to_three_tenths(small_model, patience, falls):
    rates, _ = rates_and_end(small_model, make_config("article", plateau_patience=patience), OVERFITTING)
    expected = [0.1 * 0.3 ** sum(epoch > fall for fall in falls) for epoch in range(1, 8)]
    np.testing.assert_allclose(rates, expected, rtol=1e-5)


def test_under_the_cosine_schedule_every_epoch_has_the_rate_of_its_number(small_model):
    config = make_config("article", schedule="cosine", epochs=7)
    rates, _ = rates_and_end(small_model, config, OVERFITTING)
    np.testing.assert_allclose(rates, [cosine_rate(config, epoch) for epoch in range(7)], rtol=1e-6)


def test_the_weights_are_averaged_before_the_best_ones_are_kept():
    import keras

    from cxr_core.training.fit import _build_optimizer, _callbacks

    config, recorder = make_config("article", ema_momentum=0.9, learning_rate=0.02), keras.callbacks.Callback()
    first, second, *_ = _callbacks(config, recorder)
    assert isinstance(first, keras.callbacks.SwapEMAWeights) and first.swap_on_epoch
    assert second is recorder
    averaging, plain = _build_optimizer(config), _build_optimizer(make_config("article", learning_rate=0.02))
    assert (averaging.use_ema, averaging.ema_momentum, plain.use_ema) == (True, 0.9, False)
    assert float(averaging.learning_rate) == float(plain.learning_rate) == pytest.approx(0.02)
