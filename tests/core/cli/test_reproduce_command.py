"""The article reproduced in one command: end to end on drawings, and going on where it was interrupted."""

import re

import pytest

from core.reporting.test_model_report import Links
from cxr_core.cli.main import main
from cxr_core.cli.reproduce_command import _stand_in
from cxr_core.config import NOTICE
from cxr_core.recipes.training_config import make_config
from cxr_core.runs.lifecycle import create_run
from cxr_core.runs.run import Run, RunStatus

# Starts from weights that every checkout holds.
QUICK = ("--quick", "--set", "start=shipped", "--set", "epochs=4", "--set", "batch_size=16")
TITLES = (
    "1. Dataset description", "2. Exploratory data analysis", "3. Data loading and image pre-processing",
    "4. Train test split", "5. Image normalization", "6. Image augmentation", "7. Model building",
    "8. Model evaluation", "9. Sample prediction", "10. Model explanation",
)  # fmt: skip


@pytest.mark.slow
def test_a_small_data_set_is_reproduced_end_to_end_and_nothing_is_trained_twice(
    run_python, output_of, demo_data, tmp_path_factory
):
    home, out = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("out")
    words = ("-m", "cxr_core", "reproduce", demo_data, *QUICK, "--out", out)
    done = run_python(*words, CXR_LAB_HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(out / "article.html"), str(out / "article.md")]
    assert re.search(r"Epoch 4 of 4: training .* validation .* left", done.stderr)

    html, markdown = (out / "article.html").read_text(), (out / "article.md").read_text()
    places = [html.index(f"<h2>{title}</h2>") for title in TITLES]
    assert places == sorted(places)
    assert [line[3:] for line in markdown.splitlines() if line.startswith("## ")][:10] == list(TITLES)
    assert "made with the quick recipe, not the article" in html and NOTICE in html
    assert "95.60 %" in html and "start=&#34;shipped&#34;" in html
    assert (out / "article.html").stat().st_size < 2_000_000
    links = Links()
    links.feed(html)
    assert [link for link in links.found if not link.startswith(("data:", "#"))] == []
    for name in re.findall(r"\]\((images/[^)]+)\)", markdown):
        assert (out / name).stat().st_size > 500, name

    (run,) = (home / "runs").iterdir()
    again = run_python(*words, CXR_LAB_HOME=str(home))
    assert again.returncode == 0, again.stderr
    assert "Epoch" not in again.stderr
    assert list((home / "runs").iterdir()) == [run]

    table = output_of("-m", "cxr_core", "reproduce", "--compare", run, CXR_LAB_HOME=str(home))
    assert "| Test accuracy | 95.6 % |" in table


@pytest.fixture
def command(capfd, monkeypatch):
    """A callable(*words) that runs one command here and gives (exit code, output, errors)."""
    monkeypatch.setattr("cxr_core.system.processes.tie_to_parent", lambda: None)
    monkeypatch.setattr("cxr_core.cli.reproduce_command.signal.signal", lambda *_: None)

    def run(*words):
        code = main([str(word) for word in words])
        return code, *capfd.readouterr()

    return run


def test_without_a_data_set_or_runs_it_says_what_to_name(command):
    code, _, errors = command("reproduce")
    assert code == 1 and "Name the data set" in errors


def test_too_little_memory_is_said_before_it_starts(command, few, tmp_path, monkeypatch):
    monkeypatch.setattr("cxr_core.recipes.memory_estimate.memory_limit", lambda: 700_000_000)
    code, _, errors = command("reproduce", few, "--run", tmp_path / "run")
    assert code == 1 and "needs about 2.7 GB of memory" in errors
    assert not (tmp_path / "run").exists()


@pytest.fixture
def paused(few, tmp_path):
    run = create_run(make_config("article", roots=(str(few),), split="article"), tmp_path / "run")
    run.write_status(RunStatus("paused", epoch=3, epochs=50))
    return run


def test_an_interrupted_run_goes_on_in_its_folder(command, few, paused, monkeypatch):
    resumed = []

    def resume(run):
        resumed.append(run)
        run.write_status(RunStatus("failed", message="The loss became nan."))
        return run

    monkeypatch.setattr("cxr_core.jobs.reproduction.resume_run", resume)
    code, _, errors = command("reproduce", few, "--run", paused.path)
    assert resumed == [Run(paused.path)]
    assert code == 1 and "The training failed: The loss became nan." in errors


def test_an_interruption_pauses_the_training_that_it_started(command, few, paused, monkeypatch):
    halted = []

    def interrupted(_run, _say):
        raise KeyboardInterrupt

    monkeypatch.setattr("cxr_core.jobs.reproduction.resume_run", lambda run: run)
    monkeypatch.setattr("cxr_core.jobs.reproduction.follow_run", interrupted)
    monkeypatch.setattr("cxr_core.runs.lifecycle.halt_run", lambda run, reason: halted.append(run))
    code, output, errors = command("reproduce", few, "--run", paused.path)
    assert (code, output) == (130, "")
    assert halted == [Run(paused.path)]
    assert "The same command goes on." in errors


@pytest.mark.parametrize("text", ["covid", "covid=", "=folder"])
def test_what_stands_in_for_a_class_is_written_class_and_folder(text):
    with pytest.raises(ValueError, match="CLASS=DIR"):
        _stand_in(text)
