"""What a report says of a run comes from the run: all templates, with runs that contradict what most runs are."""

import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from cxr_core.data.phantoms import draw_phantom
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.model_card import load_card, write_card
from cxr_core.inference.selective_prediction import answer_upload
from cxr_core.reporting import rendering
from cxr_core.reporting.model_card_text import figures_markdown
from cxr_core.reporting.model_report import REPORT_FILES, render_report, report_facts, write_report
from cxr_core.reporting.run_statements import disjoint_sentence, factors_sentence, interval_words, title_of_test
from cxr_core.reporting.scan_report import model_facts, scan_report
from cxr_core.runs.looks import count_looks, record_looks
from cxr_core.runs.run import Run

# What each kind of run must not be said to be, in any text.
CONTRADICTED = {
    "densenet": (r"MobileNet", r"ImageNet weights\?"),
    "article": (r"looked at once", r"did not choose", r"Test \(looked", r"fitted on validation", r"80:20"),
    "search": (r"[Tt]he epoch of lowest validation loss\. ?(\||<|\n|$)",),
    "seen": (r"never trained on", r"training did not use"),
}
TOLD = {
    "densenet": ("densenet121", "Backbone from ImageNet weights"),
    "article": ("chose the best epoch", "the test chose the epoch"),
    "search": ("Of 20 trials of a search over learning rate, dropout, the one of lowest validation loss.",),
    "seen": ("The starting weights were trained on 5 of these test images", "trained on 3 of these"),
}
SETTINGS = {
    "densenet": {"backbone": "densenet121", "start": "imagenet"},
    "article": {"split": "article", "test_share": 0.3},
    "search": {"export": False, "search": {"trials": 20, "tune": ["learning_rate", "dropout"]}},
    "seen": {"split": "given", "start": "shipped"},
}


def folder_of(tiny_run, tmp_path, kind):
    """A copy of a finished run, with a card as a run of this kind writes it."""
    folder = shutil.copytree(tiny_run.path, tmp_path / kind / "run")
    card = load_card(folder)
    metrics = dict(card.metrics)
    if kind == "seen":
        metrics["seen_by_start"] = {"images": 5, "without": None}
        metrics["external"] = {"elsewhere": metrics["test"] | {"trained_on": {"images": 3, "without": None}}}
    write_card(replace(card, training=card.training | SETTINGS[kind], metrics=metrics), folder)
    return folder


def all_texts(folder):
    """Every text that a template or the card's Markdown gives for a run."""
    facts = report_facts(folder)
    texts = {kind: render_report(facts | {"settings": ""}, kind) for kind in REPORT_FILES.values()}
    texts["CARD.md"] = figures_markdown(load_card(folder))
    classifier = load_classifier(folder)
    image = cv2.imencode(".png", draw_phantom("covid", np.random.default_rng(1)))[1].tobytes()
    made = datetime(2026, 3, 4, tzinfo=UTC)
    answer = answer_upload(classifier, image)
    texts["scan"] = scan_report("scan.png", answer, classifier, model_facts(classifier), made=made)
    # The script that draws the plots is no statement.
    return {name: re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL) for name, text in texts.items()}


@pytest.mark.parametrize("kind", SETTINGS)
def test_no_text_says_what_the_run_contradicts_and_the_reports_say_what_it_is(tiny_run, tmp_path, kind):
    texts = all_texts(folder_of(tiny_run, tmp_path, kind))
    assert set(texts) == {*REPORT_FILES.values(), "CARD.md", "scan"}
    found = {name: re.findall(pattern, text) for name, text in texts.items() for pattern in CONTRADICTED[kind]}
    assert not any(found.values()), found
    told = texts["html"] + texts["markdown"] + texts["model card"]
    assert all(sentence in told for sentence in TOLD[kind])


def test_no_template_itself_states_a_fact_of_a_run():
    folder = rendering.__file__.rsplit("/", 1)[0] + "/templates"
    facts = (
        r"MobileNet|ImageNet|[Bb]ootstrap|[Rr]esampl|looked at|best epoch|never trained|validation loss|80:20|Grad-CAM"
    )

    templates = sorted(Path(folder).glob("*.j2"))
    assert len(templates) == 6
    for template in templates:
        assert not re.search(facts, template.read_text(encoding="utf-8")), template.name


def test_a_report_counts_the_looks_at_its_test_side_its_own_among_them(tiny_run, tmp_path):
    folder = shutil.copytree(tiny_run.path, tmp_path / "runs" / "run")
    before = count_looks(Run(folder), [])
    write_report(folder, tmp_path / "report")
    assert count_looks(Run(folder), []) == before + 1
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    times = "once" if before == 0 else f"{before + 1} times"
    assert f"### Test (looked at {times})" in text
    record_looks([Run(folder)], "runs table")
    assert f"looked at {before + 2} times" in render_report(report_facts(folder), "model card")


@pytest.mark.parametrize(
    ("split", "looks", "title"),
    [
        ("grouped", None, "Test"),
        ("grouped", 0, "Test"),
        ("grouped", 1, "Test (looked at once)"),
        ("article", None, "Test (chose the best epoch)"),
        ("article", 4, "Test (chose the best epoch; looked at 4 times)"),
    ],
)
def test_the_title_of_the_test_says_only_what_is_known(split, looks, title):
    assert title_of_test({"split": split}, looks) == title


def test_the_interval_method_is_the_one_stored_with_the_scores():
    ends = {"accuracy": [0.1, 0.2]}
    assert interval_words({"ci95": ends, "interval_method": "by counting"}) == "95 % intervals (by counting)"
    assert "earlier version" in interval_words({"ci95": ends})
    assert interval_words({"ci95": {"accuracy": None}}) == interval_words({}) == ""


def test_a_fold_and_the_properties_that_the_data_set_told_are_named():
    assert disjoint_sentence({"split": "grouped", "folds": 5, "fold": 2}).endswith("Fold 2 of 5 is the test side.")
    assert factors_sentence(["file", "sex", "view"]) == (
        "Told by the data set: sex, view. Not available: age group, source, device."
    )
    assert factors_sentence([]) == "Not available: age group, sex, view, source, device."
