"""The training page: resume, compare, clone, delete, advanced settings."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from cxr_core.config import TEACHING_DIR
from cxr_core.recipes.training_config import make_config
from cxr_core.runs.labels import RunLabel, save_label
from cxr_core.runs.lifecycle import create_run
from cxr_core.runs.looks import count_looks
from cxr_core.runs.run import Run, RunStatus
from cxr_core.system.files import atomic_path, write_json
from pages.test_pages import open_page, png, said
from ui.common.markdown import plain_name


def ended_run(folder, name, state="stopped", settings=()):
    run = create_run(make_config("quick", roots=("/data",), settings=settings), folder / name)
    run.write_status(RunStatus(state, epoch=2, epochs=9))
    curves = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "epoch_seconds", "images_per_second")
    with atomic_path(run.path / "epochs.csv") as path:
        pd.DataFrame({"epoch": [1, 2]} | dict.fromkeys(curves, [0.4, 0.5])).to_csv(path, index=False)
    return run


def labels(elements):
    return [element.label for element in elements]


@pytest.mark.parametrize(
    ("state", "offered"), [("stopped", True), ("paused", True), ("failed", True), ("finished", False)]
)
def test_resume_is_offered_where_a_run_can_go_on(run_folder, state, offered):
    ended_run(run_folder, "20260101-a", state)
    app = open_page("training")
    assert not app.exception
    assert ("Resume" in labels(app.button)) == offered


def test_a_run_from_elsewhere_that_cannot_be_resumed_says_why(run_folder):
    run = ended_run(run_folder, "20260101-a")
    app = open_page("training")
    (run.path / "config.json").write_text('{"momentum": 1}')
    next(b for b in app.button if b.label == "Resume").click().run()
    assert not app.exception
    assert "momentum" in said(app.error)


def test_a_named_run_is_called_by_its_name(run_folder):
    save_label(ended_run(run_folder, "20260101-a"), RunLabel(name="My first"))
    app = open_page("training")
    assert next(s for s in app.selectbox if s.label == "Run").options == ["My first (20260101-a)"]


def test_a_cloned_run_fills_the_form(run_folder):
    ended_run(run_folder, "20260101-a", settings=("epochs=7", "learning_rate=0.005", "seed=3"))
    app = open_page("training", show_kept="New", cloned_run="20260101-a")
    values = {n.label: n.value for n in app.number_input}
    assert (values["Epochs"], values["Learning rate"], values["Seed"]) == (7, 0.005, 3)
    next(b for b in app.button if b.label == "Start over").click().run()
    assert {n.label: n.value for n in app.number_input}["Epochs"] == 40


def place(app):
    return app.segmented_control(key="show_choice").value


def test_a_clone_leads_to_the_form_and_cloned_again_fills_it_anew(run_folder):
    ended_run(run_folder, "20260101-a", settings=("epochs=7",))
    for _ in range(2):
        app = open_page("training", just_cloned=True, cloned_run="20260101-a", clones=1)
        assert place(app) == "New"
        epochs = next(n for n in app.number_input if n.label == "Epochs")
        assert epochs.value == 7
        epochs.set_value(9).run()
        app.session_state["clones"] = 2
        app.run()
        assert next(n for n in app.number_input if n.label == "Epochs").value == 7


def test_a_visit_begins_with_the_form_where_there_is_no_run_and_else_with_the_newest_run(run_folder):
    assert place(open_page("training")) == "New"
    ended_run(run_folder, "20260101-a")
    app = open_page("training")
    assert place(app) == "Watch"
    assert "Start training" not in labels(app.button)


def test_a_training_that_cannot_be_started_says_why_in_one_sentence(run_folder, monkeypatch):
    def refuse(config, **_):
        raise ValueError("The run folder cannot be written: Read-only file system. Choose another folder.")

    monkeypatch.setattr("ui.training.start.start_run", refuse)
    app = open_page("training", show_kept="New")
    next(button for button in app.button if button.label == "Start training").click().run()
    assert not app.exception
    assert said(app.error) == "The run folder cannot be written: Read-only file system. Choose another folder."


def test_what_was_just_started_is_watched(run_folder):
    ended_run(run_folder, "20260101-a")
    ended_run(run_folder, "20260102-b")
    app = open_page("training", show_kept="New", watched_run="20260101-a")
    assert place(app) == "Watch"
    assert next(s for s in app.selectbox if s.label == "Run").value == "20260101-a"


def test_the_runs_beside_each_other_have_a_place_of_their_own(run_folder):
    ended_run(run_folder, "20260101-a")
    app = open_page("training", show_kept="Compare")
    assert not app.exception
    assert "Show test accuracy" in labels(app.toggle)
    assert "Run" not in labels(app.selectbox)


def test_the_newest_two_runs_are_compared_at_first(run_folder):
    for name in ("20260101-a", "20260102-b", "20260103-c"):
        ended_run(run_folder, name)
    app = open_page("training", show_kept="Compare")
    assert not app.exception
    table = app.dataframe[0].value
    assert table.loc[table["compare"], "run"].tolist() == ["20260103-c", "20260102-b"]
    assert {"Curves", "Settings that differ"} <= {heading.value for heading in app.header}


def test_one_run_alone_is_not_ticked(run_folder):
    ended_run(run_folder, "20260101-a")
    app = open_page("training", show_kept="Compare")
    assert not app.dataframe[0].value["compare"].any()


@pytest.fixture
def early(run_folder, ungated_model):
    """A finished run that stopped early: the loss was lowest in epoch 2, the accuracy highest in epoch 4."""
    run = ended_run(run_folder, "20260101-a", "finished", settings=("early_stopping_patience=2",))
    shutil.copytree(ungated_model, run.path, dirs_exist_ok=True)
    values = {"val_loss": [0.9, 0.5, 0.6, 0.55], "val_accuracy": [0.6, 0.8, 0.82, 0.9], "loss": [0.9, 0.8, 0.7, 0.6]}
    rest = {"accuracy": [0.7] * 4, "learning_rate": [1e-3] * 4, "epoch_seconds": [1] * 4, "images_per_second": [7] * 4}
    with atomic_path(run.path / "epochs.csv") as path:
        pd.DataFrame({"epoch": [1, 2, 3, 4]} | values | rest).to_csv(path, index=False)
    write_json(run.path / "metrics.json", {"test": {"accuracy": 0.7125, "n": 160}})
    (run.path / "test_looks.csv").write_text("time,where,test_side\n")
    split = {"file": ["a", "b"], "digest": ["0", "1"], "split": ["train", "test"]}
    pd.DataFrame(split).to_csv(run.path / "split.csv", index=False)
    return run


def test_a_finished_run_says_how_it_ended_and_shows_the_accuracy_of_the_epoch_that_was_kept(early):
    app = open_page("training")
    assert not app.exception
    assert "Finished: stopped early after epoch 4 (no better for 2 epochs); epoch 2 was kept." in said(app.markdown)
    assert next(m.value for m in app.metric if m.label == "Validation accuracy") == "80.0 %"
    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    assert "kept: 2" in [note["text"] for note in figure["layout"]["annotations"]]


def test_no_toolbar_lies_over_the_titles_of_figures_that_are_only_looked_at(early):
    charts = open_page("training").get("plotly_chart")
    assert charts
    assert all(json.loads(chart.proto.config)["displayModeBar"] is False for chart in charts)


def test_the_accuracy_of_each_run_stands_before_its_settings(early):
    app = open_page("training", show_kept="Compare")
    table = app.dataframe[0].value
    assert list(table.columns)[:5] == ["compare", "star", "validation accuracy", "name", "run"]


def test_the_test_accuracy_is_shown_on_request_and_counted_as_one_look(early):
    app = open_page("training")
    assert "71.2 %" not in said(app.markdown)
    assert count_looks(early, [early]) == 0
    next(t for t in app.toggle if t.label == "Show test accuracy").set_value(True).run()
    assert "Test accuracy: **71.2 %** on 160 images" in said(app.markdown)
    app.run()
    assert count_looks(early, [early]) == 1


def test_a_finished_run_leads_to_its_evaluation(early):
    app = open_page("training")
    next(b for b in app.button if b.label == "Open its evaluation").click().run()
    assert not app.exception
    assert app.title[0].value == "Evaluation"
    assert next(s for s in app.selectbox if s.label == "Classifier").value == early.name


def test_advice_knows_the_recipe_of_the_run(run_folder):
    run = create_run(make_config("finetune", roots=("/data",)), run_folder / "20260101-a")
    run.write_status(RunStatus("stopped", epoch=3, epochs=14, batches=30))
    rows = {"epoch": [1, 2, 3], "accuracy": [0.7, 0.8, 0.95], "val_accuracy": [0.3, 0.28, 0.46]}
    rest = {"loss": [1, 0.9, 0.8], "val_loss": [2, 1.9, 1.8], "learning_rate": [1e-3] * 3, "epoch_seconds": [1] * 3}
    with atomic_path(run.path / "epochs.csv") as path:
        pd.DataFrame(rows | rest | {"images_per_second": [7] * 3}).to_csv(path, index=False)
    told = said(open_page("training").warning)
    assert "have diverged: 95 % vs 46 %" in told
    assert "finetune" not in told and "freeze_batch_norm" not in told
    assert "Change the augmentation" in told


def test_the_form_says_that_validation_lags_with_the_articles_recipe_alone(run_folder):
    app = open_page("training")
    recipe = next(s for s in app.selectbox if s.label == "Recipe")
    assert "batch-norm statistics" not in said(app.info)
    recipe.set_value("article").run()
    assert "with this recipe: batch-norm statistics" in said(app.info)
    recipe.set_value("article-sound").run()
    assert not app.exception
    assert "batch-norm statistics" not in said(app.info)


@pytest.mark.parametrize(("epoch", "told"), [(1, True), (12, False)])
def test_a_run_whose_validation_lags_says_so_while_it_does(run_folder, monkeypatch, epoch, told):
    monkeypatch.setattr("cxr_core.runs.work_folder.process_is_alive", lambda status: True)
    run = create_run(make_config("article", roots=("/data",)), run_folder / "20260101-a")
    run.write_status(RunStatus("running", epoch=epoch, epochs=50, batches=88))
    app = open_page("training")
    assert not app.exception
    assert ("for about 11 epochs with this recipe: batch-norm statistics" in said(app.info)) == told


def test_advanced_settings_can_all_be_changed(run_folder):
    app = open_page("training")
    next(t for t in app.toggle if t.label == "Advanced settings").set_value(True).run()
    next(s for s in app.slider if s.label == "MixUp").set_value(0.2)
    next(s for s in app.slider if s.label == "Label smoothing").set_value(0.1)
    app.run()
    assert not app.exception and not app.error
    next(t for t in app.toggle if t.label == "Class weights").set_value(True).run()
    assert "cannot be combined with class_weights" in said(app.error)


def test_the_images_of_an_earlier_epoch_can_be_looked_at(run_folder):
    run = ended_run(run_folder, "20260101-a")
    watch = run.path / "watch"
    with atomic_path(watch / "images.npy") as path:
        np.save(path, np.zeros((2, 32, 32), np.uint8))
    write_json(
        watch / "images.json", {"classes": ["normal", "covid"], "files": ["a", "b"], "true": ["normal", "covid"]}
    )
    for epoch, said_covid in ((1, 0.9), (2, 0.1)):
        values = {"maps": np.ones((2, 7, 7)).tolist(), "probabilities": [[1 - said_covid, said_covid]] * 2}
        write_json(watch / f"epoch-{epoch:04d}.json", values | {"confusion": [[1, 0], [0, 1]]})
    app = open_page("training")
    assert "after epoch 2" in said(app.markdown)
    next(t for t in app.toggle if t.label == "Newest epoch").set_value(False).run()
    app.select_slider[0].set_value(1).run()
    assert not app.exception
    assert "after epoch 1" in said(app.markdown)


def test_a_broken_history_leaves_the_page_standing(run_folder):
    run = ended_run(run_folder, "20260101-a")
    (run.path / "epochs.csv").write_bytes(b"\xff\xfe\x00")
    (run.path / "metrics.json").write_text("{")
    app = open_page("training")
    assert not app.exception


def test_a_run_that_wrote_neither_rate_nor_speed_opens_all_the_same(run_folder):
    run = ended_run(run_folder, "20260101-000000-a")
    table = pd.read_csv(run.path / "epochs.csv")[["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]]
    with atomic_path(run.path / "epochs.csv") as path:
        table.to_csv(path, index=False)
    app = open_page("training")
    assert not app.exception
    assert next(metric.value for metric in app.metric if metric.label == "Images per second") == "–"


def test_one_source_can_be_left_out_where_there_are_several(run_folder, tmp_path):
    (tmp_path / "data").mkdir()
    rows = []
    for i in range(24):
        name = f"{i}.png"
        (tmp_path / "data" / name).write_bytes(png(np.random.default_rng(i).integers(0, 255, (40, 40), np.uint8)))
        rows.append({"path": name, "label": ["normal", "covid"][i % 2], "source": "north" if i < 14 else "south"})
    pd.DataFrame(rows).to_csv(tmp_path / "data" / "index.csv", index=False)
    app = open_page("training", source_choice="folder", folders_choice=str(tmp_path / "data"))
    kind = next(s for s in app.segmented_control if s.label == "Train")
    assert "Leave one source out" in kind.options
    kind.set_value("sources").run()
    assert not app.exception
    assert next(m for m in app.multiselect if m.label == "Leave out").value == ["north", "south"]
    next(m for m in app.multiselect if m.label == "Leave out").set_value(["north"]).run()
    assert "at least 2 sources" in said(app.error)


def test_with_one_source_none_can_be_left_out(run_folder, few):
    app = open_page("training", source_choice="folder", folders_choice=str(few))
    kind = next(s for s in app.segmented_control if s.label == "Train")
    assert "Leave one source out" not in kind.options


# Reproduce the article


def press(app, label):
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception


def test_the_article_is_reproduced_as_it_is_written_unless_another_variant_is_chosen(run_folder, monkeypatch):
    begun = []

    def start(config, curation):
        begun.append(config)
        run = create_run(config, run_folder / f"run-{len(begun)}")
        run.write_status(RunStatus("paused"))
        return run

    monkeypatch.setattr("ui.training.reproduction_view.start_run", start)
    app = open_page("training", show_kept="Article")
    assert "with this recipe: batch-norm statistics" in said(app.info)
    press(app, "Reproduce the article")
    app = open_page("training", show_kept="Article")
    app.segmented_control(key="reproduction_choice").set_value("sound").run()
    press(app, "Reproduce the article")
    assert [(c.recipe, c.split, c.epochs) for c in begun] == [
        ("article", "article", 50),
        ("article-sound", "grouped", 50),
    ]


def test_what_was_started_is_watched(run_folder, monkeypatch):
    monkeypatch.setattr(
        "ui.training.reproduction_view.start_run", lambda config, curation: create_run(config, run_folder / "begun")
    )
    app = open_page("training", show_kept="Article")
    press(app, "Reproduce the article")
    assert place(app) == "Watch"
    assert next(s for s in app.selectbox if s.label == "Run").value == "begun"


def test_too_little_memory_for_the_article_is_said_before_it_starts(run_folder, monkeypatch):
    monkeypatch.setattr("cxr_core.recipes.memory_estimate.memory_limit", lambda: 700_000_000)
    app = open_page("training", show_kept="Article")
    press(app, "Reproduce the article")
    assert "needs about 2.7 GB of memory" in said(app.error)


def test_an_interrupted_reproduction_goes_on(run_folder, monkeypatch):
    resumed = []
    monkeypatch.setattr(
        "ui.training.reproduction_view.start_run", lambda config, curation: create_run(config, run_folder / "a")
    )
    monkeypatch.setattr("ui.training.reproduction_view.resume_run", resumed.append)
    app = open_page("training", show_kept="Article")
    press(app, "Reproduce the article")
    run = Run(run_folder / "a")
    run.write_status(RunStatus("paused", epoch=3, epochs=50))
    app = open_page("training", show_kept="Article")
    press(app, "Go on where it was interrupted")
    assert resumed == [run]


def test_the_shipped_page_is_shown_where_there_is_one(run_folder, tmp_path, monkeypatch):
    page = tmp_path / "article.html"
    monkeypatch.setattr("ui.training.reproduction_view.ARTICLE_PAGE", page)
    assert "Reproduced for you" not in said(open_page("training", show_kept="Article").header)
    page.write_text("<h1>The article reproduced</h1>")
    app = open_page("training", show_kept="Article")
    assert "Reproduced for you" in said(app.header)
    app.toggle(key="show_page_shipped").set_value(True).run()
    assert not app.exception


def test_a_finished_reproduction_has_its_page_written_and_offered(run_folder, monkeypatch):
    monkeypatch.setattr(
        "ui.training.reproduction_view.start_run", lambda config, curation: create_run(config, run_folder / "a")
    )
    app = open_page("training", show_kept="Article")
    press(app, "Reproduce the article")
    run = Run(run_folder / "a")
    run.write_status(RunStatus("finished", epoch=50, epochs=50))
    for name in ("model.onnx", "card.json"):
        (run.path / name).touch()
    page, folders = run.path / "article" / "article.html", []

    def write(run, roots, phase):
        folders.extend(roots)
        page.parent.mkdir()
        page.write_text("<h1>The article reproduced</h1>")

    monkeypatch.setattr("ui.training.reproduction_view.write_reproduction", write)
    app = open_page("training", show_kept="Article")
    assert "Its page has not been written yet." in said(app.info)
    assert "Reproduce the article" not in labels(app.button)
    press(app, "Write the page")
    assert folders == list(run.config().roots)
    app.toggle(key="show_page_own").set_value(True).run()
    assert not app.exception


def test_each_compared_run_with_a_model_offers_its_report(early, run_folder):
    ended_run(run_folder, "20260102-b")
    app = open_page("training", show_kept="Compare")
    assert [b.proto.label for b in app.get("download_button") if b.proto.label.startswith("Report of")] == [
        "Report of 20260101-a (HTML)".replace("-", plain_name("-"))
    ]


def test_an_ended_run_is_trained_again_with_the_next_seed(early, monkeypatch):
    config = early.config()
    started = []
    monkeypatch.setattr("ui.training.start.start_run", lambda config, **_: started.append(config) or early)
    app = open_page("training")
    # It was trained on another data set than the one that is open.
    assert "Train again with seed 1" not in labels(app.button)
    write_json(early.path / "config.json", config.to_dict() | {"roots": [str(TEACHING_DIR)]})
    app = open_page("training")
    next(b for b in app.button if b.label == "Train again with seed 1").click().run()
    assert not app.exception
    assert [(one.seed, one.recipe) for one in started] == [(config.seed + 1, config.recipe)]
