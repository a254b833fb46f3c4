"""What a command is to write is refused before its work, where it cannot be written."""

import errno
import os
from pathlib import Path

import pytest

from cxr_core.cli import main as main_module
from cxr_core.cli.main import main

PROC = Path("/proc")
TARGETS = {
    "audit --json": ("audit", "data", "--json", "TARGET"),
    "split --json": ("split", "data", "--json", "TARGET"),
    "evaluate --json": ("evaluate", "model", "data", "--json", "TARGET"),
    "shortcuts --json": ("shortcuts", "model", "data", "--json", "TARGET"),
    "gate --json": ("gate", "model", "data", "--json", "TARGET"),
    "gate": ("gate", "TARGET", "data"),
    "site --json": ("site", "data", "model", "--json", "TARGET"),
    "sources --json": ("sources", "model", "data", "--json", "TARGET"),
    "sources": ("sources", "TARGET", "data"),
    "operating-point --json": ("operating-point", "run", "--json", "TARGET"),
    "operating-point": ("operating-point", "TARGET"),
    "cross-validate --json": ("cross-validate", "data", "--json", "TARGET"),
    "repeat --json": ("repeat", "data", "--json", "TARGET"),
    "search --json": ("search", "data", "--json", "TARGET"),
    "predict --json": ("predict", "a.png", "--json", "TARGET"),
    "predict --csv": ("predict", "a.png", "--csv", "TARGET"),
    "predict --cam-dir": ("predict", "a.png", "--cam-dir", "TARGET"),
    "predict --lungs-dir": ("predict", "a.png", "--lungs-dir", "TARGET"),
    "segment-train --into": ("segment-train", "data", "--into", "TARGET"),
    "leave-out --json": ("leave-out", "data", "--json", "TARGET"),
    "predict --report-dir": ("predict", "a.png", "--report-dir", "TARGET"),
    "predict --dicom-dir": ("predict", "a.png", "--dicom-dir", "TARGET"),
    "publish": ("publish", "run", "TARGET"),
    "report --folder": ("report", "run", "--folder", "TARGET"),
    "demo --folder": ("demo", "--folder", "TARGET"),
}


@pytest.fixture
def refused(monkeypatch, capsys):
    """A callable(*words) that gives the sentence a command is refused with; the test fails where its work begins."""
    parser = main_module.build_parser()
    parse = parser.parse_args

    def parse_without_work(words):
        options = parse(words)
        options.command = lambda _: pytest.fail("the work began")
        return options

    monkeypatch.setattr(parser, "parse_args", parse_without_work)
    monkeypatch.setattr(main_module, "build_parser", lambda: parser)

    def run(*words):
        assert main([str(word) for word in words]) == 1
        told = capsys.readouterr()
        assert told.out == "" and told.err.count("\n") == 1
        return told.err.strip()

    return run


@pytest.mark.parametrize("words", TARGETS.values(), ids=TARGETS)
def test_every_target_of_a_command_is_checked_before_its_work(refused, tmp_path, words):
    (tmp_path / "file").write_text("mine")
    target = tmp_path / "file" / "inside"
    assert " cannot be written: Not a directory." in refused(*(target if word == "TARGET" else word for word in words))
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("words", [("audit", "data", "--json"), ("predict", "a.png", "--csv")])
def test_a_folder_is_no_file_to_write(refused, tmp_path, words):
    assert refused(*words, tmp_path) == f"Error: {tmp_path} cannot be written: it is a folder."


def test_a_folder_without_permission_is_refused(refused, tmp_path):
    tmp_path.chmod(0o555)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("root may write everywhere")
    assert refused("audit", "data", "--json", tmp_path / "a.json") == (
        f"Error: {tmp_path} cannot be written: Permission denied. Allow writing there, or choose another folder."
    )
    assert "cannot be written: Permission denied." in refused("predict", "a.png", "--cam-dir", tmp_path / "new")


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "No space left on device. Make room, then try again."),
        (errno.EROFS, "Read-only file system. Allow writing there, or choose another folder."),
    ],
)
@pytest.mark.parametrize("words", [("audit", "data", "--json", "a.json"), ("predict", "a.png", "--cam-dir", "maps")])
def test_a_disk_that_takes_no_file_is_refused_before_the_work_with_what_helps(
    refused, tmp_path, monkeypatch, number, remedy, words
):
    def refuse(**_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert refused(*words[:-1], tmp_path / words[-1]).endswith(f" cannot be written: {remedy}")


@pytest.mark.skipif(not PROC.is_dir(), reason="needs Linux, where nobody writes into /proc")
def test_a_folder_that_takes_no_files_is_refused_whatever_its_permissions_say(refused):
    assert refused("audit", "data", "--json", PROC / "a.json").startswith("Error: /proc cannot be written: ")
    assert refused("predict", "a.png", "--cam-dir", PROC / "new" / "deep").startswith("Error: /proc/new/deep cannot")


def test_a_report_is_refused_where_its_usual_folder_cannot_be_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("cxr_core.reporting.model_report.write_report", lambda *_: pytest.fail("the work began"))
    (tmp_path / "report").write_text("mine")
    assert main(["report", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"Error: {tmp_path / 'report'} cannot be written: Not a directory.\n"


def test_a_work_that_fails_leaves_neither_file_nor_folder(tmp_path, capsys):
    for target in (tmp_path / "a.json", tmp_path / "new" / "deep" / "a.json"):
        assert main(["audit", str(tmp_path / "nowhere"), "--json", str(target)]) == 1
        assert "There is no folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_work_that_fails_leaves_an_earlier_result_as_it_was(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    assert main(["audit", str(tmp_path / "nowhere"), "--json", str(tmp_path / "a.json")]) == 1
    assert (tmp_path / "a.json").read_text() == "{}"


def test_a_result_goes_into_a_folder_that_is_made_for_it(demo_data, tmp_path):
    target = tmp_path / "new" / "deep" / "split.json"
    assert main(["split", str(demo_data), "--json", str(target)]) == 0
    assert target.exists()


def test_a_job_whose_result_cannot_be_written_is_not_begun(tmp_path, few, capsys):
    words = ["repeat", few, "--seeds", "0", "1", "--job", tmp_path / "job", "--json", tmp_path]
    assert main([str(word) for word in words]) == 1
    assert "it is a folder" in capsys.readouterr().err
    assert not (tmp_path / "job").exists()
