"""The page of a run: ten sections, no claims where the classes are others, no image that may not be shown."""

import json
import re
import shutil

import pytest
from conftest import silent

from core.reporting.test_model_report import Links
from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.data.dataset import scan_dataset
from cxr_core.evaluation.metrics import evaluate_predictions
from cxr_core.evaluation.predictions import table_probabilities
from cxr_core.evaluation.scoring import classify_table
from cxr_core.imaging.reader import read_image
from cxr_core.inference.classifier import load_classifier
from cxr_core.recipes.training_config import make_config
from cxr_core.reporting.reproduction.page import render_page
from cxr_core.reporting.reproduction.record import load_record
from cxr_core.reporting.reproduction.reproduction_page import build_page, write_reproduction
from cxr_core.runs.looks import begin_counting, count_looks
from cxr_core.runs.run import Run, RunStatus
from cxr_core.splits.split import image_groups, make_split, split_table


@pytest.fixture(scope="module")
def data(few, tmp_path_factory):
    """Drawings of the built-in classifier's four classes, which are not the article's three."""
    folder = tmp_path_factory.mktemp("data") / "four"
    shutil.copytree(few, folder)
    (folder / "other").mkdir()
    for path in sorted((folder / "virus").iterdir())[:5]:
        shutil.move(path, folder / "other")
    extra = sorted((folder / "normal").iterdir())[0]
    shutil.copy(extra, folder / "virus" / "copy.png")
    return folder


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """A run folder around the built-in classifier, as if it had been trained on the drawings."""
    folder = tmp_path_factory.mktemp("runs") / "four"
    folder.mkdir()
    for name in ("card.json", "model.onnx", "model.keras", "epochs.csv"):
        shutil.copy(SHIPPED_MODEL_DIR / name, folder)
    table = scan_dataset(data).table
    groups = image_groups(table)
    split = make_split(table, "article", seed=0)
    rows = split_table(table, groups, split)
    rows.to_csv(folder / "split.csv", index=False)
    classifier = load_classifier(folder)
    predictions = classify_table(classifier, rows[rows["split"] == "test"]).assign(split="test")
    predictions.to_csv(folder / "predictions.csv", index=False)
    scores = evaluate_predictions(
        predictions["true"], table_probabilities(predictions, classifier.classes), classifier.classes
    )
    card = json.loads((folder / "card.json").read_text())
    card["metrics"] = {"test": scores, "validation": scores}
    card["training"] |= {"recipe": "article", "split": "article", "seed": 0}
    (folder / "card.json").write_text(json.dumps(card))
    config = make_config("article", roots=(str(data),), split="article")
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    counts = {side: rows.loc[rows["split"] == name, "class_name"].value_counts().to_dict()
              for side, name in (("train", "train"), ("validation", "test"), ("test", "test"))}  # fmt: skip
    (folder / "environment.json").write_text(json.dumps({"data": {"images": counts}, "command": ["--set", "epochs=3"]}))
    made = Run(folder)
    made.write_status(RunStatus("finished", epochs=50))
    return made


@pytest.fixture(scope="module")
def page(run, data):
    return build_page(load_record(run, [data], phase=silent))


def test_the_sections_are_the_articles_ten_in_order(page):
    assert [section.title.partition(".")[0] for section in page.sections] == [str(n) for n in range(1, 11)]


def test_without_the_articles_classes_no_claim_is_made_and_none_compared(page):
    assert {section.claim for section in page.sections} == {""}
    assert {(row[1], row[3]) for row in page.table.rows} == {("–", "–")}
    assert not any("percentage points" in text for text in (*page.summary, *(s.differs for s in page.sections)))
    assert any("not the article's: the columns of its claims stay empty" in sentence for sentence in page.summary)


def test_a_changed_setting_is_said_and_stands_in_the_command(page):
    assert "Settings that differ from the recipe's: epochs=3." in page.summary
    assert page.command.endswith("--set epochs=3")


def test_the_html_fetches_nothing_and_is_small(page):
    html = render_page(page, ".html")
    links = Links()
    links.feed(html)
    assert [link for link in links.found if not link.startswith(("data:", "#"))] == []
    assert len(html) < 2_000_000


def test_every_image_of_the_markdown_is_written_and_the_look_is_counted(run, data, tmp_path):
    begin_counting(run)
    before = count_looks(run, [run])
    html, markdown = write_reproduction(run, [data], tmp_path / "page", phase=silent)
    names = re.findall(r"\]\((images/[^)]+)\)", markdown.read_text())
    assert len(names) == len(set(names)) >= 20
    assert all((markdown.parent / name).stat().st_size for name in names)
    assert html.exists()
    assert count_looks(run, [run]) == before + 1


def test_no_image_of_a_class_is_shown_that_others_stand_in_for(run, data, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere" / "covid"
    elsewhere.mkdir(parents=True)
    source = sorted((data / "normal").iterdir())[0]
    shutil.copy(source, elsewhere / f"open{source.suffix}")
    opened = []

    def read(path):
        opened.append(str(path))
        return read_image(path)

    for module in ("images", "data_sections", "model_sections"):
        monkeypatch.setattr(f"cxr_core.reporting.reproduction.{module}.read_image", read)
    record = load_record(run, [data], {"covid": elsewhere.parent}, phase=silent)
    page = build_page(record)
    assert opened
    assert [path for path in opened if path.startswith(str(data / "covid"))] == []
    captions = [picture.caption for section in page.sections for picture in section.pictures]
    assert any("from another collection" in caption for caption in captions)


def test_a_data_set_without_the_runs_images_is_refused(run, data, tmp_path):
    shutil.copytree(data, tmp_path / "fewer", ignore=shutil.ignore_patterns("copy.png", "*1.*"))
    with pytest.raises(ValueError, match="images of four are not in .* Name the data set"):
        load_record(run, [tmp_path / "fewer"], phase=silent)


def test_a_run_without_a_classifier_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="needs a finished run"):
        load_record(Run(tmp_path), [tmp_path], phase=silent)


def test_a_class_that_the_run_does_not_know_cannot_be_stood_in_for(run, data):
    with pytest.raises(ValueError, match="received 'lungs'"):
        load_record(run, [data], {"lungs": data}, phase=silent)


def test_the_table_of_further_runs_stands_in_the_page(run, data, tmp_path):
    html, markdown = write_reproduction(run, [data], tmp_path / "page", beside=[run], phase=silent)
    for text in (html.read_text(), markdown.read_text()):
        assert "article, article split (seed 0)" in text
        assert "Several seeds: mean (lowest to highest)" in text
