"""Run folders, and processes that end unexpectedly, hang or were never there."""

import errno
import os
import secrets
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pandas as pd
import psutil
import pytest
from filelock import FileLock

from cxr_core.jobs.lifecycle import create_job
from cxr_core.jobs.plan import JobPlan
from cxr_core.recipes.training_config import make_config
from cxr_core.runs.lifecycle import create_run, delete_run, halt_run, process_is_alive, stop_run
from cxr_core.runs.overview import runs_table
from cxr_core.runs.run import RunStatus, list_runs, new_run_path
from cxr_core.runs.work_folder import ACTIVE
from cxr_core.system.files import read_json, write_json

CONFIG = make_config("quick", roots=("/data/chests",))


def create_a_job(config, path):
    return create_job(JobPlan(kind="seeds", config=config, seeds=(0, 1)), path)


DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


@pytest.fixture
def process():
    """A process that heeds neither a stop file nor SIGTERM; killed at the end if need be."""
    started = subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE)
    started.stdout.readline()
    yield started
    started.kill()
    started.wait()
    started.stdout.close()


def run_owned_by(pid, folder, state="running"):
    run = create_run(CONFIG, folder)
    started = psutil.Process(pid).create_time()
    run.write_status(RunStatus(state, "Training", epoch=1, epochs=9, pid=pid, pid_started=started))
    return run


# Folders


def test_a_new_run_holds_its_configuration_and_says_that_it_starts(tmp_path):
    run = create_run(CONFIG, tmp_path / "a")
    assert run.config() == CONFIG
    assert run.status().state == "starting"
    assert run.status().pid == os.getpid()
    assert run.status().epochs == CONFIG.epochs


def test_a_folder_that_holds_a_run_is_refused_and_left_alone(tmp_path):
    run = create_run(CONFIG, tmp_path / "a")
    with pytest.raises(ValueError, match="already holds a run"):
        create_run(make_config("article"), tmp_path / "a")
    assert run.config() == CONFIG


def test_an_existing_folder_without_a_run_is_taken(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "notes.txt").write_text("mine")
    assert create_run(CONFIG, tmp_path / "a").config() == CONFIG


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be written"):
        create_run(CONFIG, tmp_path / "file" / "a")


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("create", [create_run, create_a_job])
def test_of_a_folder_that_a_full_disk_has_no_room_for_nothing_is_left(tmp_path, monkeypatch, create, is_new):
    path, named = tmp_path / "a", secrets.token_hex
    if not is_new:
        path.mkdir()
        (path / "notes.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    for room in range(10):
        left = iter(range(room))

        def name_a_file(length, left=left):
            if next(left, None) is None:
                raise OSError(errno.ENOSPC, "No space left on device")
            return named(length)

        monkeypatch.setattr("cxr_core.system.files.secrets", SimpleNamespace(token_hex=name_a_file))
        try:
            create(CONFIG, path)
            break
        except OSError:
            assert sorted(tmp_path.rglob("*")) == before
    assert room > 2 and (is_new or (path / "notes.txt").read_text() == "mine")


def test_new_paths_sort_by_time_and_differ(tmp_path):
    paths = [new_run_path("quick", tmp_path) for _ in range(20)]
    assert len(set(paths)) == 20
    assert all(p.parent == tmp_path and not p.exists() for p in paths)
    assert paths[-1].name[:15] >= paths[0].name[:15]


def test_runs_are_listed_newest_first(tmp_path):
    for name in ("20260101-a", "20260103-c", "20260102-b"):
        create_run(CONFIG, tmp_path / name)
    (tmp_path / "no-run").mkdir()
    assert [r.name for r in list_runs(tmp_path)] == ["20260103-c", "20260102-b", "20260101-a"]


def test_a_missing_folder_has_no_runs(tmp_path):
    assert list_runs(tmp_path / "nowhere") == []


def test_what_is_not_there_yet_is_empty(tmp_path):
    run = create_run(CONFIG, tmp_path / "a")
    assert run.epochs().empty and run.batches().empty and run.predictions().empty
    assert (run.metrics(), run.log_tail(), run.has_model, run.stop_requested) == (None, "", False, False)


def test_batches_of_all_epochs_come_in_order(tmp_path):
    run = create_run(CONFIG, tmp_path / "a")
    (run.path / "batches").mkdir()
    for epoch in (2, 1, 10):
        table = pd.DataFrame({"epoch": [epoch] * 2, "batch": [1, 2], "loss": 0.9, "accuracy": 0.5, "seconds": 1.0})
        table.to_csv(run.path / "batches" / f"epoch-{epoch:04d}.csv", index=False)
    assert run.batches()["epoch"].tolist() == [1, 1, 2, 2, 10, 10]


def test_the_log_tail_is_the_last_lines(tmp_path):
    run = create_run(CONFIG, tmp_path / "a")
    (run.path / "log.txt").write_text("".join(f"line {i}\n" for i in range(5000)))
    assert run.log_tail(3).splitlines()[-2:] == ["line 4998", "line 4999"]
    assert len(run.log_tail(3).splitlines()) <= 3


def test_a_progress_bars_rewritten_line_is_several_lines_of_log(tmp_path):
    run = create_run(CONFIG, tmp_path / "a")
    (run.path / "log.txt").write_bytes("10%\r50%\r100% \u2588\r\ndone".encode())
    assert run.log_tail().splitlines() == ["10%", "50%", "100% \u2588", "done"]


def test_a_log_with_broken_characters_is_shown(tmp_path):
    run = create_run(CONFIG, tmp_path / "a")
    (run.path / "log.txt").write_bytes(b"\xff\xfe oops")
    assert "oops" in run.log_tail()


# Tables


def test_the_table_shows_a_run_with_its_settings(tmp_path):
    run = create_run(CONFIG, tmp_path / "a")
    columns = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
    pd.DataFrame(dict.fromkeys(columns, [0.5, 0.75, 0.6])).to_csv(run.path / "epochs.csv", index=False)
    row = runs_table([run]).iloc[0]
    assert (row["run"], row["state"], row["recipe"], row["data"]) == ("a", "starting", "quick", "chests")
    # That of the epoch with the lowest validation loss.
    assert row["validation accuracy"] == 0.5


def test_a_run_whose_process_is_gone_after_a_request_to_stop_shows_as_stopped(tmp_path):
    run = create_run(CONFIG, tmp_path / "run")
    run.write_status(RunStatus("running", pid=2**22 + 1, pid_started=1.0))
    (run.path / "stop").touch()
    assert run.status().state == "stopped"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"momentum": 1}', '{"preprocessing": {"sharpen": 1}}'])
def test_a_run_with_an_unreadable_configuration_is_a_row(tmp_path, text):
    run, other = create_run(CONFIG, tmp_path / "a"), create_run(CONFIG, tmp_path / "b")
    (run.path / "config.json").write_text(text)
    table = runs_table([run, other]).set_index("run")
    assert table["state"].to_dict() == {"a": "unreadable", "b": "starting"}
    assert table.loc["a", "message"]


# Status


@pytest.mark.parametrize("state", ACTIVE)
def test_the_run_of_a_dead_process_shows_as_failed(tmp_path, state):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    run = run_owned_by(process.pid, tmp_path / "a", state)
    assert run.status().state == state
    process.communicate()
    assert run.status().state == "failed"
    assert run.status().message
    assert run.status().epoch == 1


def test_a_killed_process_that_nobody_waited_for_shows_as_failed(tmp_path, process, until):
    run = run_owned_by(process.pid, tmp_path / "a")
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    assert run.status().state == "failed"


def test_another_process_under_the_same_number_is_not_taken_for_the_run(tmp_path, process):
    run = run_owned_by(process.pid, tmp_path / "a")
    status = run.status()
    run.write_status(RunStatus(**(vars(status) | {"pid_started": status.pid_started - 3600})))
    assert not process_is_alive(RunStatus(**(vars(status) | {"pid_started": status.pid_started - 3600})))
    assert run.status().state == "failed"


@pytest.mark.parametrize("state", ["finished", "stopped", "failed"])
def test_an_ended_run_keeps_its_state_without_a_process(tmp_path, state):
    run = create_run(CONFIG, tmp_path / "a")
    run.write_status(RunStatus(state, pid=2**22 + 1, pid_started=0.0))
    assert run.status().state == state
    assert not run.status().is_active


@pytest.mark.parametrize("text", ["", "{", "[]", '{"mood": "fine"}'])
def test_an_unreadable_status_shows_as_failed(tmp_path, text):
    run = create_run(CONFIG, tmp_path / "a")
    (run.path / "status.json").write_text(text)
    assert run.status().state == "failed"


def test_the_current_epoch_counts_in_part():
    assert RunStatus("running", epoch=1, epochs=4, batch=5, batches=10).share_done == pytest.approx(1.5 / 4)
    assert RunStatus("running", epoch=4, epochs=4, batch=1, batches=10).share_done == 1
    assert RunStatus("starting").share_done == 0


# Stopping


def test_a_process_that_heeds_nothing_is_gone_after_a_stop(tmp_path, process):
    run = run_owned_by(process.pid, tmp_path / "a")
    stop_run(run)
    assert process.poll() == -signal.SIGKILL
    assert run.stop_requested
    assert run.status().state == "stopped"


def test_a_process_that_heeds_the_stop_file_ends_by_itself(tmp_path):
    wait = "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)"
    process = subprocess.Popen([sys.executable, "-c", wait, str(tmp_path / "a" / "stop")])
    run = run_owned_by(process.pid, tmp_path / "a")
    stop_run(run)
    assert process.wait() == 0


def test_a_halted_run_pauses_with_its_reason(tmp_path):
    wait = "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)"
    process = subprocess.Popen([sys.executable, "-c", wait, str(tmp_path / "a" / "pause")])
    run = run_owned_by(process.pid, tmp_path / "a")
    halt_run(run, "Its job was stopped.")
    assert process.wait() == 0
    assert (run.status().state, run.pause_reason) == ("paused", "Its job was stopped.")
    assert run.can_resume


def test_a_queued_run_waits_without_a_process_and_leaves_the_queue_when_stopped(tmp_path):
    run = create_run(CONFIG, tmp_path / "a", queued=True)
    assert (run.status().state, run.status().is_active, run.status().pid) == ("queued", False, None)
    stop_run(run)
    assert run.status().state == "stopped" and run.can_resume


def test_a_run_of_another_computer_counts_as_gone_after_long_silence(tmp_path):
    run = create_run(CONFIG, tmp_path / "a")
    status = RunStatus("running", pid=1, pid_started=1.0, host="another-computer")
    run.write_status(status)
    assert run.status().state == "running"
    values = read_json(run.path / "status.json")
    write_json(run.path / "status.json", values | {"updated": values["updated"] - 600})
    assert run.status().state == "failed" and run.status().lost


def test_stopping_an_ended_run_changes_nothing(tmp_path):
    run = create_run(CONFIG, tmp_path / "a")
    run.write_status(RunStatus("finished", updated=time.time()))
    stop_run(run)
    assert run.status().state == "finished"
    assert not run.stop_requested


@pytest.fixture
def ended(tmp_path):
    """A run that has ended."""
    run = create_run(CONFIG, tmp_path / "runs" / "20260101-a")
    run.write_status(RunStatus("finished"))
    return run


def test_a_deleted_run_is_gone_and_the_others_stay(ended):
    other = create_run(CONFIG, ended.path.parent / "20260102-b")
    delete_run(ended)
    assert [r.name for r in list_runs(ended.path.parent)] == [other.name]
    assert [p.name for p in ended.path.parent.iterdir()] == [other.name]


def test_a_running_training_is_not_deleted(tmp_path):
    run = create_run(CONFIG, tmp_path / "a")
    with pytest.raises(ValueError, match="stop it before"):
        delete_run(run)
    assert run.path.is_dir()


def test_a_run_that_is_being_exported_is_not_deleted(ended):
    with FileLock(ended.path / ".lock"), pytest.raises(ValueError, match="Another process"):
        delete_run(ended)
    assert ended.path.is_dir()
