"""Which training waits, which one fits into memory, and that only one runs at a time."""

import errno
from dataclasses import replace

import psutil
import pytest
from filelock import FileLock

from cxr_core.jobs import training_queue
from cxr_core.recipes import memory_estimate
from cxr_core.recipes.memory_estimate import check_memory, estimated_memory
from cxr_core.recipes.training_config import make_config
from cxr_core.runs.labels import RunLabel, save_label
from cxr_core.runs.lifecycle import create_run, stop_run
from cxr_core.runs.run import RunStatus, list_runs
from cxr_core.splits.curation import Curation
from cxr_core.system import memory
from cxr_core.system.memory import memory_limit

CONFIG = make_config("quick", roots=("/data",))


@pytest.fixture
def workers(monkeypatch):
    """The words of every process that would be started; none is."""
    words = []
    monkeypatch.setattr(training_queue, "spawn_detached", lambda w, folder: words.append(w))
    monkeypatch.setattr(training_queue, "_POLL_SECONDS", 0.0)
    monkeypatch.setenv("CXR_LAB_OWNER", "")
    monkeypatch.setattr(memory_estimate, "memory_limit", lambda: 64_000_000_000)
    return words


def put(folder, seed=0):
    return training_queue.queue_training(replace(CONFIG, seed=seed), folder, Curation())


def test_trainings_wait_in_the_order_they_came(tmp_path, workers):
    runs = [put(tmp_path, seed) for seed in range(3)]
    assert training_queue.queued_runs(list_runs(tmp_path)) == runs
    assert workers[0] == ["-m", "cxr_core", "work-queue", str(tmp_path)]


def test_the_queue_is_shown_by_place_with_the_names_that_people_gave(tmp_path, workers):
    first, second = (put(tmp_path, seed) for seed in range(2))
    save_label(second, RunLabel(name="Mine"))
    table = training_queue.queue_table([first, second])
    assert table["position"].tolist() == [1, 2]
    assert table["run"].tolist() == [first.name, f"Mine ({second.name})"]
    assert (table["since"].astype("int64") > 0).all()


def test_the_queue_is_worked_off_one_at_a_time_in_its_order(tmp_path, workers, monkeypatch):
    runs, begun = [put(tmp_path, seed) for seed in range(3)], []

    def train(run):
        assert not any(other.status().is_active for other in runs)
        begun.append(run)
        run.write_status(RunStatus("finished"))

    monkeypatch.setattr(training_queue, "resume_run", train)
    training_queue.work_queue(tmp_path)
    assert begun == runs


def test_the_worker_stays_until_its_last_training_is_over(tmp_path, workers, monkeypatch):
    run, looks = put(tmp_path), []

    def is_alive(status):
        looks.append(status.state)
        if len(looks) == 5:
            run.write_status(RunStatus("finished"))
        return True

    monkeypatch.setattr("cxr_core.runs.work_folder.process_is_alive", is_alive)
    monkeypatch.setattr(training_queue, "resume_run", lambda run: run.write_status(RunStatus("running")))
    training_queue.work_queue(tmp_path)
    assert run.status().state == "finished"


FULL = "The disk is full, or has no room for further files. Make room, then try again."


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("Its folder cannot be written."), "Its folder cannot be written."),
        (OSError(errno.ENOSPC, "No space left on device", "/srv/lab/runs/log.txt"), FULL),
    ],
)
def test_a_run_that_cannot_begin_says_why_and_the_next_has_its_turn(tmp_path, workers, monkeypatch, error, sentence):
    first, second = (put(tmp_path, seed) for seed in range(2))

    def train(run):
        if run == first:
            raise error
        run.write_status(RunStatus("finished"))

    monkeypatch.setattr(training_queue, "resume_run", train)
    training_queue.work_queue(tmp_path)
    assert (first.status().state, first.status().message) == ("failed", sentence)
    assert second.status().state == "finished"


def test_a_second_worker_leaves_the_queue_alone(tmp_path, workers, monkeypatch):
    put(tmp_path)
    monkeypatch.setattr(training_queue, "resume_run", pytest.fail)
    with FileLock(tmp_path / ".queue.lock"):
        training_queue.work_queue(tmp_path)
        workers.clear()
        training_queue.ensure_worker(tmp_path)
    assert workers == []


def test_who_leaves_the_queue_loses_the_place_and_may_queue_again(tmp_path, workers):
    first, second = (put(tmp_path, seed) for seed in range(2))
    stop_run(first)
    assert training_queue.queued_runs(list_runs(tmp_path)) == [second]
    training_queue.queue_run(first)
    assert training_queue.queued_runs(list_runs(tmp_path)) == [second, first]


def test_a_finished_run_cannot_be_queued(tmp_path, workers):
    run = create_run(CONFIG, tmp_path / "a", Curation())
    run.write_status(RunStatus("finished"))
    with pytest.raises(ValueError, match="is finished"):
        training_queue.queue_run(run)


def test_a_full_queue_refuses(tmp_path, workers, monkeypatch):
    monkeypatch.setattr(training_queue, "MAX_WAITING", 2)
    put(tmp_path), put(tmp_path)
    with pytest.raises(ValueError, match="At most 2 trainings may wait"):
        put(tmp_path)
    assert len(list_runs(tmp_path)) == 2


# Memory


def test_the_containers_limit_counts_where_it_is_below_the_computers(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_LIMIT_FILES", (str(limit),))
    total = psutil.virtual_memory().total
    assert memory_limit() == total
    limit.write_text("max\n")
    assert memory_limit() == total
    limit.write_text("1000000000\n")
    assert memory_limit() == 1_000_000_000
    monkeypatch.setenv("CXR_LAB_MEMORY_MB", "700")
    assert memory_limit() == 700_000_000


def test_a_training_that_does_not_fit_is_refused_with_both_figures(tmp_path, workers, monkeypatch):
    monkeypatch.setattr(memory_estimate, "memory_limit", lambda: 900_000_000)
    with pytest.raises(ValueError, match="needs about .* GB of memory, and .* GB are left"):
        put(tmp_path)
    assert list_runs(tmp_path) == []


def test_more_to_compute_at_once_needs_more_memory():
    article = make_config("article")
    sizes = [
        estimated_memory(CONFIG),
        estimated_memory(make_config("finetune")),
        estimated_memory(article),
        estimated_memory(replace(article, batch_size=64)),
        estimated_memory(replace(article, batch_size=64, backbone="resnet50v2")),
    ]
    assert sizes == sorted(sizes) and len(set(sizes)) == len(sizes)


def test_a_training_that_fits_is_let_through(monkeypatch):
    monkeypatch.setattr(memory_estimate, "memory_limit", lambda: 64_000_000_000)
    assert check_memory(CONFIG) is None


def test_what_is_queued_lets_the_pages_go_first(output_of, tmp_path):
    """Asked of a program that the queue starts."""
    code = """
import subprocess, sys
from cxr_core.cli.main import main
from cxr_core.jobs import training_queue
nice = [sys.executable, "-c", "import psutil; print(int(psutil.Process().nice()))"]
training_queue.work_queue = lambda folder: subprocess.run(nice, check=True)
subprocess.run(nice, check=True)
main(["work-queue", sys.argv[1]])
"""
    before, after = map(int, output_of("-c", code, tmp_path).split())
    assert after == before + 10
