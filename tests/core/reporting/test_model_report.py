"""Everything that is known is told, what is not is said to be missing, and it opens offline."""

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from cxr_core.config import NOTICE, SHIPPED_MODEL_DIR
from cxr_core.inference.model_card import load_card, write_card
from cxr_core.reporting.claim_checklist import NOT_AVAILABLE, claim_items
from cxr_core.reporting.model_report import REPORT_FILES, render_report, report_facts, write_report
from cxr_core.robustness.shortcut_results import SHORTCUTS_FILE, keep_shortcut_result

SHORTCUTS = {
    "tested": 90,
    "chance": 0.4,
    "attention": [],
    "variants": [
        {"title": "Lungs blacked out", "accuracy": 0.4, "accuracy_ci95": None, "retrained": 0.9,
         "retrained_ci95": [0.85, 0.95]}
    ],
    "verdict": {"level": "shortcut", "sentences": ["With the lungs hidden, it still scores 90.0 %."]},
}  # fmt: skip


@pytest.fixture(scope="module")
def facts():
    return report_facts(SHIPPED_MODEL_DIR)


@pytest.fixture(scope="module")
def texts(facts):
    return {kind: render_report(facts, kind) for kind in REPORT_FILES.values()}


class Links(HTMLParser):
    """Collects what a page would fetch."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found += [value for key, value in attributes if key in ("src", "href") and value]


def test_all_three_files_are_written(tmp_path):
    paths = write_report(SHIPPED_MODEL_DIR, tmp_path / "report")
    assert sorted(p.name for p in paths) == sorted(REPORT_FILES)
    assert all(p.stat().st_size > 1000 for p in paths)


def test_the_html_fetches_nothing(texts):
    links = Links()
    links.feed(texts["html"])
    assert [link for link in links.found if not link.startswith(("data:", "#"))] == []


@pytest.mark.parametrize("kind", ["html", "markdown"])
def test_every_item_of_the_checklist_is_there(facts, texts, kind):
    assert [item.number for item in facts["claim"]] == list(range(1, 43))
    for item in facts["claim"]:
        assert item.title in texts[kind].replace("&#39;", "'")


def test_what_nobody_knows_is_said_to_be_not_available(facts):
    answers = {item.number: item.answer for item in facts["claim"]}
    assert {answers[n] for n in (12, 16, 18, 34, 40, 42)} == {NOT_AVAILABLE}


def test_an_empty_answer_is_not_available():
    assert not any(item.is_answered for item in claim_items({"technology": ""}))


@pytest.mark.parametrize("kind", REPORT_FILES.values())
def test_every_report_says_that_it_is_no_medical_device(texts, kind):
    assert NOTICE in texts[kind]


@pytest.mark.parametrize("kind", REPORT_FILES.values())
def test_no_report_names_a_path_of_this_machine(texts, kind):
    assert not re.search(r"(?<![\w.:/<])/(home|work|root|tmp|Users)/", texts[kind])


def test_the_accuracy_is_the_cards_with_an_interval_that_holds_it(facts):
    card = json.loads((SHIPPED_MODEL_DIR / "card.json").read_text(encoding="utf-8"))
    value, low, high = (float(x) for x in re.findall(r"[\d.]+", facts["figures"][0]["value"]))
    assert value == round(100 * card["metrics"]["test"]["accuracy"], 1)
    assert low < value < high


def test_without_the_shortcut_test_the_report_says_that_it_does_not_know(ungated_model, tmp_path):
    folder = shutil.copytree(ungated_model, tmp_path / "model")
    card = load_card(folder)
    measured = {name: value for name, value in card.metrics.items() if name != "shortcuts"}
    write_card(replace(card, metrics=measured), folder)
    (folder / SHORTCUTS_FILE).unlink()
    assert "the shortcut tests have not been run" in render_report(report_facts(folder), "markdown")


@pytest.mark.parametrize("section", ["Model details", "Intended use", "Factors", "Metrics", "Evaluation data",
                                     "Training data", "Quantitative analyses", "Ethical considerations",
                                     "Caveats and recommendations"])  # fmt: skip
def test_the_model_card_has_the_sections_of_mitchell_et_al(texts, section):
    assert f"\n## {section}\n" in texts["model card"]


def test_a_runs_report_tells_what_the_shortcut_test_found_and_how_to_repeat_it(tiny_run, tmp_path):
    folder = shutil.copytree(tiny_run.path, tmp_path / "run")
    keep_shortcut_result(folder, SHORTCUTS)
    text = render_report(report_facts(folder), "markdown")
    assert "With the lungs hidden, it still scores 90.0 %." in text
    assert "| Lungs blacked out | 0.400 | 0.900 (0.850 to 0.950) |" in text
    assert "tensorflow" in text
    assert "-m cxr_core train" in text
    assert str(tiny_run.path.parent) not in text


def test_a_model_that_is_no_run_keeps_no_shortcut_result(tmp_path):
    keep_shortcut_result(tmp_path, SHORTCUTS)
    assert list(tmp_path.iterdir()) == []


def test_names_are_escaped(facts):
    harmful = facts | {"name": "<script>alert(1)</script>"}
    assert "<script>alert(1)" not in render_report(harmful, "html")


def test_a_folder_without_predictions_is_told_of(tmp_path):
    shutil.copy(SHIPPED_MODEL_DIR / "card.json", tmp_path)
    with pytest.raises(FileNotFoundError, match="a report needs a finished run"):
        report_facts(tmp_path)


def test_what_other_seeds_of_the_same_training_reached_is_told(tiny_run, tmp_path):
    run, other = (shutil.copytree(tiny_run.path, tmp_path / name) for name in ("a", "b"))
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"seed": 1}))
    told = report_facts(run)["answers"]["uncertainty"]
    assert "Across 2 seeds: test accuracy" in told
    shutil.rmtree(other)
    assert "Across" not in report_facts(run)["answers"]["uncertainty"]


def test_a_report_names_the_backbone_that_was_trained(ungated_model, tmp_path):
    folder = shutil.copytree(ungated_model, tmp_path / "model")
    card = load_card(folder)
    write_card(replace(card, training=card.training | {"backbone": "efficientnetv2b0"}), folder)
    told = report_facts(folder)["answers"]
    assert told["model"].startswith("efficientnetv2b0, 224 × 224 pixels")
    assert "MobileNetV2" not in told["technology"]


@pytest.mark.parametrize("kind", ["html", "markdown"])
def test_the_report_names_the_worst_source(facts, texts, kind):
    assert facts["sources"]["rows"][-1][1].endswith("too few")
    assert facts["sources"]["sentences"][0] in texts[kind]
