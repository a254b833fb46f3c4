"""The commands that evaluate a classifier, called as a program calls them."""

import json
import shutil
from dataclasses import replace

import pytest

from cxr_core.cli.main import main
from cxr_core.config import SHIPPED_MODEL_DIR, TEACHING_DIR
from cxr_core.evaluation.operating_point import save_operating_point
from cxr_core.inference.model_card import load_card, write_card
from cxr_core.robustness import saliency_checks
from cxr_core.robustness.shortcut_verdict import load_shortcut_result
from cxr_core.system.files import read_json


@pytest.fixture
def run(tiny_run, tmp_path):
    """A copy of a finished run, to be changed."""
    return shutil.copytree(tiny_run.path, tmp_path / "run")


@pytest.mark.parametrize(
    "words",
    ["evaluate {} data", "shortcuts {} data", "report {}", "publish {} out", "gate {} data", "sources {} data",
     "site data {}", "predict --model {} a.png"],
)  # fmt: skip
@pytest.mark.parametrize("is_there", [True, False])
def test_a_folder_without_a_classifier_is_named_with_what_to_choose(demo_data, tmp_path, capsys, words, is_there):
    folder = demo_data if is_there else tmp_path / "missing"
    image = demo_data / "normal" / "drawing-001.png"
    places = {"data": str(demo_data), "a.png": str(image), "out": str(tmp_path / "out")}
    assert main([places.get(word, word) for word in words.format(folder).split()]) == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith(f"Error: {folder} holds no classifier: there is no card.json. Choose the folder of")


def test_evaluate_gives_intervals_calibration_and_temperature(demo_data, tmp_path):
    assert main(["evaluate", str(SHIPPED_MODEL_DIR), str(demo_data), "--json", str(tmp_path / "a.json")]) == 0
    result = read_json(tmp_path / "a.json")
    low, high = result["ci95"]["accuracy"]
    assert low <= result["accuracy"] <= high
    assert set(result["ci95"]["per_class"]["covid"]) == {"precision", "recall", "f1", "auc"}
    assert result["temperature"] == load_card(SHIPPED_MODEL_DIR).temperature
    assert 0 <= result["ece"] <= 1
    assert 0 <= result["brier"] <= 2


def test_shortcuts_gives_the_labs_numbers_and_verdict_and_keeps_them_in_the_run(demo_data, run, tmp_path, monkeypatch):
    monkeypatch.setattr(saliency_checks, "CHECKED_IMAGES", 2)
    words = ["shortcuts", str(run), str(demo_data), "--limit", "18", "--json", str(tmp_path / "lab.json")]
    assert main(words) == 0
    result = read_json(tmp_path / "lab.json")
    assert {"variants", "verdict", "giveaway", "attention", "maps", "external", "lungs"} <= set(result)
    assert result["verdict"]["sentences"]
    assert read_json(run / "shortcuts.json") == result


def test_shortcuts_on_images_that_the_run_does_not_know_is_one_sentence(run, tmp_path, capsys):
    from cxr_core.data.phantoms import draw_demo_data

    other = draw_demo_data(tmp_path / "other", images_per_class=3, seed=9)
    assert main(["shortcuts", str(run), str(other)]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("Error: None of these images is in the run's split")


def test_an_operating_point_is_chosen_and_kept(run, capsys):
    assert main(["operating-point", str(run), "--class", "covid", "--abstain-below", "0.4", "--json", "-"]) == 0
    chosen = json.loads(capsys.readouterr().out)
    card = load_card(run)
    assert chosen == {"operating_point": card.operating_point, "abstain_below": 0.4}
    assert card.operating_point["specificity"] >= 0.9


def test_an_operating_point_of_an_unknown_class_is_one_sentence(run, capsys):
    assert main(["operating-point", str(run), "--class", "asthma"]) == 1
    assert "Error: The class must be one of the model's" in capsys.readouterr().err


def test_a_report_is_written_into_the_runs_folder(run, capsys):
    assert main(["report", str(run)]) == 0
    assert len(capsys.readouterr().out.split()) == 3
    assert sorted(p.name for p in (run / "report").iterdir()) == ["model_card.md", "report.html", "report.md"]


def test_a_report_of_nothing_is_one_sentence(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_an_answer_it_is_not_sure_of_says_so(demo_data, run, capsys):
    save_operating_point(run, abstain_below=1.0)
    image = next((demo_data / "normal").iterdir())
    assert main(["predict", str(image), "--model", str(run), "--json", "-"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["status"], row["label"]) == ("abstain", None)
    assert row["reasons"][0].startswith("The classifier is not sure.")


def test_a_published_card_counts_abstentions_and_holds_the_labs_figures(run, tmp_path, demo_data):
    lab = {
        "images": 9, "tested": 3, "chance": 0.4, "majority": "normal", "lungs": {}, "attention": [], "notes": [],
        "variants": [{"title": "Only the frame", "accuracy": 0.5, "accuracy_ci95": None, "retrained": 0.9,
                      "retrained_ci95": None}],
        "verdict": {"level": "doubt", "sentences": ["It may."]}, "maps": {}, "giveaway": {},
    }  # fmt: skip
    (tmp_path / "lab.json").write_text(json.dumps(lab))
    healthy = tmp_path / "healthy"
    shutil.copytree(demo_data / "normal", healthy / "normal")
    save_operating_point(run, abstain_below=1.0)
    words = ["publish", str(run), str(tmp_path / "out"), "--external", str(healthy)]
    assert main([*words, "--shortcuts", str(tmp_path / "lab.json")]) == 0
    card = load_card(tmp_path / "out")
    assert card.abstain_below == 1
    assert card.metrics["external"]["healthy"]["answers"]["per_class"]["normal"]["covid"]["share"] == 0
    assert card.metrics["test"]["answers"]["coverage"] == 0
    assert card.metrics["shortcuts"]["verdict"] == lab["verdict"]
    assert load_shortcut_result(tmp_path / "out") == lab
    assert "Does it need the lungs?" in (tmp_path / "out" / "CARD.md").read_text()


def test_a_gate_that_is_fitted_anew_stands_in_the_published_card_for_people_too(monkeypatch, tmp_path, capsys):
    shutil.copytree(SHIPPED_MODEL_DIR, tmp_path / "model", ignore=shutil.ignore_patterns("*.keras", "*.onnx", "gate.*"))
    counts = {"n": 7, "no_chest": 1, "not_whole": 2, "unlike": 0, "refused": 3}
    gate = {"test": counts, "validation": counts, "strange": counts, "altered": counts, "elsewhere": {}}

    def fit(folder, *_roots, **_options):
        card = load_card(folder)
        write_card(replace(card, metrics=card.metrics | {"gate": gate}), folder)
        return gate

    monkeypatch.setattr("cxr_core.robustness.gate_fitting.fit_gate", fit)
    assert main(["gate", str(tmp_path / "model"), "data"]) == 0
    assert "Test images: 3 of 7 refused" in capsys.readouterr().out
    text = (tmp_path / "model" / "CARD.md").read_text(encoding="utf-8")
    assert "| Test images, wrongly refused | 3 of 7 | 1 | 2 | 0 |" in text
    assert text.startswith((SHIPPED_MODEL_DIR / "ABOUT.md").read_text(encoding="utf-8").rstrip())


def test_predict_gives_all_classes_that_cannot_be_left_out(capsys):
    image = next((TEACHING_DIR).rglob("*.jpg"))
    assert main(["predict", str(image), "--sets", "--json", "-"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert set(row["set"]) <= set(row["probabilities"])
