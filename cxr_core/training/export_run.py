"""How is the best model of a run exported, calibrated and scored?"""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from cxr_core.data.prepared_images import prepare_images
from cxr_core.evaluation.calibration import fit_temperature
from cxr_core.evaluation.class_balance import balancing_shifts
from cxr_core.evaluation.predictions import describe_predictions, rescale_predictions, table_probabilities
from cxr_core.evaluation.scoring import classify_table, score_predictions, score_unseen
from cxr_core.explain.map_alignment import map_offsets
from cxr_core.inference.classifier import Classifier
from cxr_core.inference.model_card import Card, load_card, write_card
from cxr_core.recipes.backbones import BACKBONES
from cxr_core.recipes.training_config import TrainingConfig
from cxr_core.runs.looks import begin_counting
from cxr_core.runs.run import SEARCH_FILE, Run
from cxr_core.runs.run_tables import read_run_table
from cxr_core.runs.training_images import start_digests
from cxr_core.splits.curation import CURATION_FILE, load_curation
from cxr_core.splits.groups import group_images
from cxr_core.splits.leakage import leakage_of, score_without_leaks
from cxr_core.system.arrays import FloatArray
from cxr_core.system.disk_cache import is_cached, open_array
from cxr_core.system.files import atomic_path, read_json, write_json, write_text
from cxr_core.system.onnx_session import open_session
from cxr_core.system.progress import Phase
from cxr_core.system.text import table_csv
from cxr_core.system.visit_folders import keep_until_exit
from cxr_core.training.fit import features_file
from cxr_core.training.onnx_export import export_classifier, head_probabilities


def export_run(run: Run) -> None:
    """Export a run's best model and evaluate it on validation and test.

    Args:
        run: with `model.keras`, `split.csv` and `environment.json`.

    Raises:
        FileNotFoundError: the run has no model yet.
    """
    path = run.path / "model.keras"
    if not path.exists():
        raise FileNotFoundError(f"The run {run.name} has no model: it ended before its first epoch was finished.")
    config, data = run.config(), read_json(run.path / "environment.json")["data"]
    keep_until_exit(config.roots)
    classes = tuple(data["classes"])
    model = keras.saving.load_model(path, compile=False)
    balance = _balance_once(model, run, config, classes)
    graph = run.path / "model.onnx"
    layers = export_classifier(model, graph, BACKBONES[config.backbone].map_layers)
    training = (
        config.to_dict() | {"data": data} | balance | _search_of(run) | {"roots": [Path(r).name for r in config.roots]}
    )
    card = Card(
        name=run.name,
        classes=classes,
        preprocessing=config.preprocessing,
        map_layers=layers,
        map_offsets=map_offsets(graph, layers),
        training=training,
    )
    card, metrics = _evaluate_run(run, config, Classifier(card, open_session(graph, for_many=True), graph), model)
    begin_counting(run)
    write_json(run.path / "metrics.json", metrics)
    # Last of all: whoever finds a card finds everything that belongs to it.
    write_card(replace(card, metrics=metrics), run.path)


def report_copies(run: Run, *, phase: Phase, writing: contextlib.AbstractContextManager[object] | None = None) -> None:
    """Look for near copies among a run's images, and report anew what its test images share with training.

    A split by patient and image needs them before training. For any other they change nothing but
    this report, so the classifier does not wait for them.

    Args:
        run: already exported.
        phase: reports on each step.
        writing: entered once the search is over: `lifecycle.run_lock` for a process that does not hold the run
            already. Whoever wants to resume the run need not wait for the search.
    """
    if not run.config().copies_come_later:
        return
    keep_until_exit(run.config().roots)
    split = read_run_table(run.path / "split.csv")
    curation = load_curation(run.path / CURATION_FILE)
    groups = group_images(split, curation, phase=phase).groups
    if len(groups) < len(split):
        raise OSError("Images disappeared or changed during the search for near copies.")
    split = split.assign(group=groups)
    with writing or contextlib.nullcontext():
        write_text(run.path / "split.csv", table_csv(split))
        leakage = _leakage(split, run.predictions())
        metrics = read_json(run.path / "metrics.json") | {"leakage": leakage}
        write_json(run.path / "metrics.json", metrics)
        write_card(replace(load_card(run.path), metrics=metrics), run.path)


def _balance_once(model: keras.Model, run: Run, config: TrainingConfig, classes: Sequence[str]) -> dict[str, object]:
    """Balance a model where its recipe asks for it and no earlier export did; returns what the card says of it."""
    balance = run.path / "balance.json"
    if config.balance_classes and not balance.exists():
        shifts = _balance(model, run, config, classes)
        with atomic_path(run.path / "model.keras") as temporary:
            model.save(temporary)
        write_json(balance, shifts)
    return {"balance": read_json(balance)} if balance.exists() else {}


def _balance(model: keras.Model, run: Run, config: TrainingConfig, classes: Sequence[str]) -> dict[str, float]:
    """Shift a model's logits so that validation recognises all classes equally well; returns the shift per class."""
    split = read_run_table(run.path / "split.csv")
    prepared = prepare_images(split[split["split"] == config.validation_side], config.preprocessing)
    probabilities = model.predict(config.preprocessing.scaled(prepared.images_u8), batch_size=16, verbose=0)
    shifts = balancing_shifts(probabilities, prepared.table["class_name"].map(classes.index).to_numpy())
    kernel, bias = model.get_layer("logits").get_weights()
    model.get_layer("logits").set_weights([kernel, bias + shifts])
    return dict(zip(classes, shifts.tolist(), strict=True))


def _search_of(run: Run) -> dict[str, object]:
    """Return what the card says of the search whose chosen trial a run is; empty for any other run."""
    path = run.path / SEARCH_FILE
    return {"search": read_json(path)} if path.exists() else {}


def _kept_probabilities(run: Run, model: keras.Model, config: TrainingConfig, split: pd.DataFrame) -> FloatArray | None:
    """Classify a run's images by the features that a training of the head alone kept: float32 (N, C), or None."""
    if config.train_from != "head":
        return None
    prepared = prepare_images(split, config.preprocessing)
    path = features_file(model, config, prepared)
    if not is_cached(path) or len(prepared.table) < len(split):
        return None
    return head_probabilities(run.path / "model.onnx", open_array(path))


def _evaluate_run(
    run: Run, config: TrainingConfig, classifier: Classifier, model: keras.Model
) -> tuple[Card, dict[str, Any]]:
    """Fit the temperature on validation, then score validation and test; returns (card, metrics)."""
    split = read_run_table(run.path / "split.csv")
    tables = _classify_sides(run, config, classifier, model, split)
    before = score_predictions(tables["validation"], classifier.card)
    targets = tables["validation"]["true"].map(classifier.classes.index).to_numpy()
    temperature = fit_temperature(table_probabilities(tables["validation"], classifier.classes), targets)
    card = replace(classifier.card, temperature=temperature)
    tables = {
        name: rescale_predictions(table, card.classes, temperature).assign(split=name) for name, table in tables.items()
    }
    metrics: dict[str, Any] = {name: score_predictions(table, card) for name, table in tables.items()}
    metrics["validation"] |= {"uncalibrated": {"ece": before["ece"], "brier": before["brier"]}}
    predictions = pd.concat(tables.values())
    write_text(run.path / "predictions.csv", table_csv(predictions))
    leakage = _leakage(split, predictions)
    if config.copies_come_later:
        leakage["sentence"] += " The search for near copies is still to come."
    seen = score_unseen(tables["test"], card, start_digests(config))
    return card, metrics | {"leakage": leakage} | ({"seen_by_start": seen} if seen["images"] else {})


def _classify_sides(
    run: Run, config: TrainingConfig, classifier: Classifier, model: keras.Model, split: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """Return the predictions for validation and test, before calibration."""
    probabilities = _kept_probabilities(run, model, config, split)

    def classify(rows: pd.DataFrame) -> pd.DataFrame:
        if probabilities is None:
            return classify_table(classifier, rows)
        return describe_predictions(rows, probabilities[rows.index], classifier.classes)

    sides = {"validation": split[split["split"] == config.validation_side], "test": split[split["split"] == "test"]}
    return {name: classify(rows) for name, rows in sides.items()}


def _leakage(split: pd.DataFrame, predictions: pd.DataFrame) -> dict[str, Any]:
    """Say what the test images share with training, and how the others alone are scored."""
    leaks = leakage_of(split["split"], split, split["group"])
    return score_without_leaks(predictions, leaks.rows) | {"sentence": leaks.sentence}
