"""How often a test side was looked at stands beside the split, and runs with the same test images share it."""

import errno
from contextlib import nullcontext

import pandas as pd
import pytest

from cxr_core.runs.looks import LOOKS_FILE, begin_counting, count_looks, record_looks
from cxr_core.runs.overview import kept_accuracy, runs_table
from cxr_core.runs.run import Run


def run_with_test(folder, *digests):
    folder.mkdir()
    rows = {"digest": ["t", *digests], "split": ["train"] + ["test"] * len(digests)}
    pd.DataFrame(rows).to_csv(folder / "split.csv", index=False)
    begin_counting(Run(folder))
    return Run(folder)


def test_each_look_counts_and_says_where(tmp_path):
    run = run_with_test(tmp_path / "a", "1", "2")
    assert count_looks(run, []) == 0
    record_looks([run], "report")
    record_looks([run], "runs table")
    assert count_looks(run, [run]) == 2
    assert pd.read_csv(run.path / LOOKS_FILE)["where"].tolist() == ["report", "runs table"]


def test_runs_with_the_same_test_images_share_their_looks_in_whatever_order_these_stand(tmp_path):
    first, second = run_with_test(tmp_path / "a", "1", "2"), run_with_test(tmp_path / "b", "2", "1")
    other = run_with_test(tmp_path / "c", "3")
    record_looks([first, second, other], "runs table")
    assert [count_looks(run, [first, second, other]) for run in (first, second, other)] == [2, 2, 1]


def test_counting_goes_on_where_it_has_begun(tmp_path):
    run = run_with_test(tmp_path / "a", "1")
    record_looks([run], "report")
    begin_counting(run)
    assert count_looks(run, []) == 1


def test_of_a_run_whose_looks_nobody_counted_from_the_beginning_nothing_is_said(tmp_path):
    run = run_with_test(tmp_path / "a", "1")
    (run.path / LOOKS_FILE).unlink()
    record_looks([run], "report")
    assert count_looks(run, [run]) is None
    assert not (run.path / LOOKS_FILE).exists()


@pytest.mark.parametrize(("number", "goes_on"), [(errno.EROFS, True), (errno.EACCES, True), (errno.ENOSPC, False)])
def test_a_folder_that_may_not_be_written_is_left_alone_and_a_full_disk_is_told(tmp_path, monkeypatch, number, goes_on):
    run = run_with_test(tmp_path / "a", "1")

    def refuse(path, *_, **__):
        raise OSError(number, "Sorry", str(path))

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.open", refuse)
        with nullcontext() if goes_on else pytest.raises(OSError, match="Sorry"):
            record_looks([run], "report")
    assert count_looks(run, [run]) == 0


def test_the_table_of_runs_shows_validation_and_test_only_on_request(tiny_run):
    assert "test accuracy" not in runs_table([tiny_run])
    asked = runs_table([tiny_run], with_test=True).iloc[0]
    assert asked["test accuracy"] == tiny_run.metrics()["test"]["accuracy"]
    assert asked["validation accuracy"] == kept_accuracy(tiny_run.epochs())
