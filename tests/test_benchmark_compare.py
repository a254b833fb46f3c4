"""benchmarks/compare.py on made-up results."""

import sys

import pytest

from benchmarks import compare
from cxr_core.system.files import write_json


@pytest.fixture
def compared(tmp_path, monkeypatch, capsys):
    """A function that compares two results and returns the exit code and what was printed."""

    def run(before, after):
        for name, result in (("before", before), ("after", after)):
            (tmp_path / name).mkdir()
            write_json(tmp_path / name / "predict.json", result)
        monkeypatch.setattr(sys, "argv", ["compare", str(tmp_path / "before"), str(tmp_path / "after")])
        return compare.main(), capsys.readouterr().out

    return run


def repeated(low, high):
    return {"min": low, "median": (low + high) / 2, "max": high, "n": 3}


def test_what_takes_longer_than_all_repeats_before_got_slower(compared):
    code, output = compared({"ms": {"map": repeated(9, 10)}}, {"ms": {"map": repeated(11, 12)}})
    assert code == 1
    assert "predict: ms, map" in output
    assert "1 of 1 figures got slower" in output


def test_fewer_per_second_is_slower_and_more_is_faster(compared):
    code, output = compared(
        {"images_per_second": repeated(40, 42), "rates_per_second": repeated(40, 42)},
        {"images_per_second": repeated(30, 32), "rates_per_second": repeated(50, 52)},
    )
    assert code == 1
    assert [line.split()[-1] for line in output.splitlines() if line.startswith("predict")] == ["slower", "faster"]


def test_repeats_that_overlap_got_no_slower(compared):
    code, output = compared({"ms": {"low": 9, "high": 10}}, {"ms": {"low": 9.8, "high": 11}})
    assert (code, "predict" in output) == (0, False)


def test_a_busy_machine_cannot_tell(compared):
    code, output = compared({"ms": repeated(9, 30)}, {"ms": repeated(10, 31)})
    assert code == 0
    assert "too wide to tell: repeat" in output


def test_a_missing_folder_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["compare", str(tmp_path / "gone"), str(tmp_path)])
    with pytest.raises(SystemExit, match=r"^Error: there is no folder .*gone; give two folders of results\.$"):
        compare.main()


def test_results_without_a_common_figure_are_one_sentence(compared):
    with pytest.raises(SystemExit, match="no repeated figure in common"):
        compared({"ms": 3}, {"ms": 4})
