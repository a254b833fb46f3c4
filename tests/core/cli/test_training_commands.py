"""The command line's jobs: cross-validate, repeat, search, and stop, pause and resume of a job."""

import json

import pytest

from core.jobs.test_scheduler import Workers, unowned  # noqa: F401
from cxr_core.cli import training_commands
from cxr_core.cli.main import main
from cxr_core.jobs.job import Job
from cxr_core.recipes.training_config import make_config


@pytest.fixture
def command(capfd, monkeypatch, tmp_path):
    """A callable(*words) that runs one command without training and gives (exit code, output, errors)."""
    monkeypatch.setattr("cxr_core.jobs.scheduler.LocalWorkers", Workers)
    monkeypatch.setattr("cxr_core.runs.run.Run.needs_export", property(lambda run: False))
    monkeypatch.setattr(training_commands.signal, "signal", lambda *_: None)

    def run(*words):
        code = main([str(w) for w in words])
        return code, *capfd.readouterr()

    return run


@pytest.mark.parametrize(
    ("words", "labels"),
    [
        (("cross-validate", "--folds", "3"), ["fold 1 of 3", "fold 2 of 3", "fold 3 of 3"]),
        (("repeat", "--seeds", "7", "2"), ["seed 7", "seed 2"]),
        (("search", "--trials", "2", "--tune", "dropout"), ["trial 1 of 2", "trial 2 of 2"]),
    ],
)
def test_a_job_is_carried_out_and_prints_its_folder_and_what_it_found(command, tmp_path, few, words, labels):
    code, output, errors = command(words[0], few, *words[1:], "--set", "epochs=3", "--job", tmp_path / "job")
    assert code == 0, errors
    assert output.splitlines()[0] == str(tmp_path / "job")
    members = Job(tmp_path / "job").members()
    assert [m.label for m in members] == labels
    assert all(m.config.epochs == 3 and m.config.roots == (str(few),) for m in members)


def test_a_jobs_json_is_all_there_is_on_standard_output(command, tmp_path, few):
    code, output, _ = command("search", few, "--trials", "2", "--job", tmp_path / "job", "--json", "-")
    found = json.loads(output)
    assert code == 0
    assert found["chosen"] in [trial["run"] for trial in found["trials"]]


def test_a_job_that_cannot_be_is_one_sentence_and_leaves_no_folder(command, tmp_path, few):
    code, output, errors = command("cross-validate", few, "--folds", "1", "--job", tmp_path / "job")
    assert (code, output) == (1, "")
    assert errors.strip() == "Error: a cross-validation needs at least 2 folds; received 1."
    assert not (tmp_path / "job").exists()


def test_a_job_whose_runs_fail_exits_with_1_and_resumes_where_it_was(command, tmp_path, few):
    folder = tmp_path / "job"
    code, _, errors = command("repeat", few, "--seeds", "0", "1", "--set", "learning_rate=0.5", "--job", folder)
    assert code == 1
    assert "0 of 2 runs are finished. seed 0 is failed: The loss became nan." in errors.splitlines()[-1]
    code, _, errors = command("resume", folder)
    assert code == 1 and "0 of 2 runs" in errors


def test_an_ended_job_is_left_alone_by_stop_pause_and_resume(command, tmp_path, few):
    command("repeat", few, "--seeds", "0", "1", "--job", tmp_path / "job")
    assert command("stop", tmp_path / "job")[:2] == (0, "finished\n")
    for word in ("pause", "resume"):
        code, _, errors = command(word, tmp_path / "job")
        assert code == 1 and "job is finished" in errors


@pytest.mark.parametrize(
    ("recipe", "shared", "here"), [("quick", "0", True), ("quick", "1", False), ("finetune", "0", False)]
)
def test_a_fresh_process_exports_where_memory_is_shared_or_layers_of_the_backbone_were_trained(
    recipe, shared, here, monkeypatch
):
    monkeypatch.setenv("CXR_LAB_SHARED", shared)
    monkeypatch.setattr("sys.platform", "linux")
    assert training_commands._exports_here(make_config(recipe)) is here
