"""A published classifier, which keeps no paths, is told the sources of its test images by the data sets."""

import shutil

import pytest

from cxr_core.cli.main import main
from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.evaluation.hospitals.source_scores import score_sources
from cxr_core.evaluation.hospitals.told_sources import tell_sources
from cxr_core.inference.model_card import load_card
from cxr_core.runs.run import Run


@pytest.fixture
def run(tiny_run, tmp_path):
    return shutil.copytree(tiny_run.path, tmp_path / "run")


@pytest.fixture
def hospitals(tiny_run, tmp_path):
    """The images of the tiny run, spread over two hospitals."""
    for i, row in tiny_run.split().reset_index(drop=True).iterrows():
        folder = tmp_path / ("coast" if i % 2 else "hill") / row["class_name"]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(row["path"], folder)
    return [tmp_path / "coast", tmp_path / "hill"]


def test_images_are_known_by_their_content(run, hospitals):
    scores = tell_sources(run, hospitals)
    assert {s["source"] for s in scores} == {"coast", "hill"}
    assert load_card(run).metrics["test"]["sources"] == scores
    assert set(Run(run).predictions()["source"]) == {"coast", "hill"}


def test_the_command_writes_the_table_into_the_card_for_people(run, hospitals, capsys):
    shutil.copy(SHIPPED_MODEL_DIR / "ABOUT.md", run)
    (run / "CARD.md").write_text("")
    assert main(["sources", str(run), *map(str, hospitals)]) == 0
    assert "coast" in capsys.readouterr().out
    assert "## At each source of its test images" in (run / "CARD.md").read_text()


def test_data_sets_that_hold_none_of_its_images_change_nothing(run, hospitals, demo_data, capsys):
    before = (run / "predictions.csv").read_bytes(), (run / "card.json").read_bytes()
    assert main(["sources", str(run), str(hospitals[0])]) == 1
    assert "there are not two sources of its test images" in capsys.readouterr().err
    assert ((run / "predictions.csv").read_bytes(), (run / "card.json").read_bytes()) == before


def test_the_shipped_cards_table_follows_from_its_predictions():
    card, predictions = load_card(SHIPPED_MODEL_DIR), Run(SHIPPED_MODEL_DIR).predictions()
    test = predictions[predictions["split"] == "test"].reset_index(drop=True)
    assert card.metrics["test"]["sources"] == score_sources(test, card.classes)
