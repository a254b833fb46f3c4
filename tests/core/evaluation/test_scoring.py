"""A score says on how many of its images the classifier was trained."""

import shutil

import pytest

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.data.dataset import scan_dataset
from cxr_core.evaluation.headline_metrics import card_figures, external_title
from cxr_core.evaluation.scoring import (
    score_folders,
    score_unseen,
    seen_by_start_sentence,
    trained_on_sentence,
)
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.model_card import load_card
from cxr_core.runs.training_images import TRAINING_IMAGES_FILE


def test_a_data_set_is_scored_without_the_images_that_the_classifier_was_trained_on(demo_data, tmp_path):
    folder = shutil.copytree(SHIPPED_MODEL_DIR, tmp_path / "model")
    table = scan_dataset(demo_data).table
    seen = table["digest"].iloc[::3].tolist()
    (folder / TRAINING_IMAGES_FILE).write_text("\n".join(seen))
    score, predictions = score_folders(load_classifier(folder), demo_data)
    others = predictions[~predictions["digest"].isin(seen)]
    assert score["trained_on"]["images"] == len(seen)
    assert score["trained_on"]["without"]["n"] == len(others)
    assert score["trained_on"]["without"]["accuracy"] == pytest.approx(others["right"].mean())
    told = trained_on_sentence(score)
    assert told.startswith(
        f"It was trained on {len(seen)} of these {len(table)} images. On the other {len(others)} its"
    )


def test_whether_a_data_set_is_new_to_a_classifier_is_said_only_where_it_is_known(demo_data, tmp_path):
    folder = shutil.copytree(SHIPPED_MODEL_DIR, tmp_path / "model")
    score, predictions = score_folders(load_classifier(folder), demo_data)
    assert score["trained_on"] == {"images": 0, "without": None}
    assert trained_on_sentence(score) == "It was trained on none of these images."
    all_seen = score | {"trained_on": score_unseen(predictions, load_card(folder), frozenset(predictions["digest"]))}
    assert trained_on_sentence(all_seen).endswith("this is no test.")
    (folder / TRAINING_IMAGES_FILE).unlink()
    score, _ = score_folders(load_classifier(folder), demo_data)
    assert score["trained_on"] is None
    assert "is not stored" in trained_on_sentence(score)


def test_what_a_runs_start_has_seen_of_its_test_is_said_with_the_score_of_the_rest():
    without = {"n": 40, "accuracy": 0.9, "ci95": {"accuracy": [0.8, 0.95]}}
    told = seen_by_start_sentence({"images": 60, "without": without})
    assert told == (
        "The starting weights were trained on 60 of these test images; accuracy on the other 40 is 90.0 % "
        "(95 %: 80.0 % to 95.0 %)."
    )
    assert seen_by_start_sentence({"images": 60, "without": None}).endswith("so this is no test.")


def test_data_from_elsewhere_are_called_never_trained_on_only_where_that_was_counted():
    card = load_card(SHIPPED_MODEL_DIR)
    external = card.metrics["external"]
    assert external_title("nih", external["nih"]) == "External: NIH Clinical Center (never trained on)"
    for trained_on, title in (
        (None, "External: NIH Clinical Center"),
        ({"images": 3, "without": None}, "External: NIH Clinical Center (trained on 3 of these 107)"),
    ):
        external["nih"]["trained_on"] = trained_on
        assert external_title("nih", external["nih"]) == title
        figure = next(figure for figure in card_figures(card) if "NIH" in figure.where)
        assert "never trained on" not in figure.explanation
    del external["nih"]["trained_on"]
    assert external_title("nih", external["nih"]) == "External: NIH Clinical Center"
