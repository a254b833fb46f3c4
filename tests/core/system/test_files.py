"""What is on disk is the old file or the new one."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from cxr_core.system.files import (
    atomic_path,
    file_stamp,
    folder_names,
    read_json,
    remove_leftovers,
    temporary_path,
    why_it_failed,
    why_not_written,
    write_json,
    write_text,
    written_together,
)


def test_a_written_file_holds_the_new_text(tmp_path):
    write_text(tmp_path / "a.txt", "before")
    write_text(tmp_path / "a.txt", "Größe")
    assert (tmp_path / "a.txt").read_bytes() == "Größe".encode()


def test_a_missing_folder_is_made(tmp_path):
    write_text(tmp_path / "deep" / "down" / "a.txt", "x")
    assert (tmp_path / "deep" / "down" / "a.txt").read_text() == "x"


def test_until_the_writing_is_done_readers_see_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_path(path) as temporary:
        temporary.write_text("half of the n")
        assert path.read_text() == "old"
        assert temporary.suffix == ".txt"
    assert path.read_text() == "half of the n"


def test_a_failed_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_files_of_a_folder_are_new_together_or_not_at_all(tmp_path):
    folder = tmp_path / "folder"
    with pytest.raises(RuntimeError), written_together(folder) as part:
        write_text(part / "a.txt", "new")
        raise RuntimeError
    assert not folder.exists()
    for name in ("a.txt", "b.txt", "c.txt"):
        write_text(folder / name, "old")
    with written_together(folder, instead_of=("a.txt", "b.txt")) as part:
        write_text(part / "a.txt", "new")
        assert (folder / "a.txt").read_text() == "old"
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a.txt": "new", "c.txt": "old"}


def test_what_a_killed_writer_left_is_removed_be_it_a_file_or_a_folder(tmp_path):
    (tmp_path / "deep").mkdir()
    temporary_path(tmp_path / "deep" / "a.txt").write_text("half")
    part = temporary_path(tmp_path / "part")
    part.mkdir()
    temporary_path(part / "b.txt").write_text("half")
    (tmp_path / "deep" / ".mine").write_text("mine")
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["deep", ".mine"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_disk_that_cannot_be_written_is_told_without_a_file_name(number):
    sentence = why_not_written(OSError(number, "Sorry", "/data/Zyxwv_Jane.png"))
    assert sentence.endswith(".") and "Zyxwv" not in sentence


def test_a_file_that_is_not_there_is_no_matter_of_the_disk():
    assert why_not_written(FileNotFoundError(errno.ENOENT, "No such file", "a")) is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's device that is always full")
def test_a_disk_that_fills_up_while_numpy_writes_is_a_full_one():
    with open("/dev/full", "wb") as file, pytest.raises(OSError, match="requested") as told:
        np.zeros(10_000).tofile(file)
    assert told.value.errno is None
    assert why_not_written(told.value).startswith("The disk is full")


def test_json_reads_back_what_was_written(tmp_path):
    value = {"name": "Größe", "list": [1, 2.5, None, True]}
    write_json(tmp_path / "a.json", value)
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == value
    assert read_json(tmp_path / "a.json") == value


def test_nan_is_refused_and_the_old_json_stays(tmp_path):
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", float("nan"))
    assert read_json(tmp_path / "a.json") == 1


def test_broken_json_is_a_value_error(tmp_path):
    (tmp_path / "a.json").write_text('{"half": ')
    with pytest.raises(ValueError):
        read_json(tmp_path / "a.json")


def test_missing_json_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="a.json"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["/d/a/normal", "/d/b/normal", "/d/c"], ["a/normal", "b/normal", "c"]),
        (["/x/a/n", "/y/a/n"], ["x/a/n", "y/a/n"]),
        (["/d/a", "/d/a"], ["a", "a"]),
        (["/d/n", "/d/n/n"], ["d/n", "n/n"]),
    ],
)
def test_folders_are_called_so_that_they_are_told_apart(folders, names):
    assert folder_names(folders) == names


def test_a_stamp_changes_with_a_files_time_size_or_replacement_alone(tmp_path):
    path = tmp_path / "a.txt"
    stamps = set()
    for text, seconds in (("one", 1), ("two", 1), ("three", 1), ("three", 2)):
        write_text(path, text)
        os.utime(path, (seconds, seconds))
        assert file_stamp(path) == file_stamp(path)
        stamps.add(file_stamp(path))
    assert len(stamps) == 4
    with pytest.raises(FileNotFoundError):
        file_stamp(tmp_path / "b.txt")


def test_an_error_of_the_system_names_its_file_without_a_number(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        (tmp_path / "a").read_bytes()
    assert why_it_failed(caught.value) == f"{tmp_path / 'a'}: No such file or directory."
    assert why_it_failed(FileNotFoundError("There is no a.")) == "There is no a."
    assert why_it_failed(OSError(errno.ECONNREFUSED, "Connection refused")) == "Connection refused"
