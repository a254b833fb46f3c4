"""dataset.py against Pillow, hashlib, csv and numpy on constructed folders.

Who may read a file is simulated: tests may run as root, whom no permission stops.
"""

import csv
import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom.data
import pytest
from PIL import Image

from cxr_core.data import dataset as dataset_module
from cxr_core.data.dataset import ChangeWatch, folder_stamp, scan_dataset, size_statistics
from cxr_core.data.file_index import index_folder
from cxr_core.data.patient_ids import image_stem, patient_of
from cxr_core.splits.split import make_split


@pytest.fixture
def folder(tmp_path):
    """Three classes of images of random sizes, one file of text and one cut short."""
    rng = np.random.default_rng(0)
    for name, n in (("virus", 4), ("normal", 6), ("covid", 5), ("asthma", 3)):
        for i in range(n):
            path = tmp_path / "data" / name / f"image-{i}.{('png', 'jpg', 'bmp')[i % 3]}"
            path.parent.mkdir(parents=True, exist_ok=True)
            width, height = rng.integers(20, 200, 2)
            Image.fromarray(rng.integers(0, 255, (height, width), dtype=np.uint8)).save(path)
    (tmp_path / "data" / "covid" / "notes.txt").write_text("no image")
    whole = (tmp_path / "data" / "covid" / "image-0.png").read_bytes()
    (tmp_path / "data" / "covid" / "cut.png").write_bytes(whole[: len(whole) // 2])
    return tmp_path / "data"


@pytest.fixture
def opened(monkeypatch):
    """A list that grows by the path of every file the scan opens."""
    paths, read = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: paths.append(str(path)) or read(path))
    return paths


def draw(path, value=0, size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).save(path)
    return path


def images_of(folder, class_name):
    return [p for p in (folder / class_name).iterdir() if p.name not in ("notes.txt", "cut.png")]


def test_size_statistics_equal_those_of_pillow_and_numpy(folder):
    statistics = size_statistics(scan_dataset(folder).table)
    for name in ("normal", "covid", "virus", "asthma"):
        widths, heights = np.array([Image.open(p).size for p in images_of(folder, name)]).T
        row = statistics.loc[name]
        assert row["images"] == len(widths)
        assert (row["min_width"], row["max_width"], row["median_width"]) == (
            widths.min(), widths.max(), np.median(widths),
        )  # fmt: skip
        assert (row["min_height"], row["max_height"], row["median_height"]) == (
            heights.min(), heights.max(), np.median(heights),
        )  # fmt: skip


def test_classes_stand_in_the_articles_order_then_by_alphabet(folder):
    (folder / "asthma").rename(folder / "zoster")
    shutil.copytree(folder / "zoster", folder / "asthma")
    dataset = scan_dataset(folder)
    assert dataset.classes == ("normal", "covid", "virus", "asthma", "zoster")
    assert list(dict.fromkeys(dataset.table["class_name"])) == list(dataset.classes)
    assert list(size_statistics(dataset.table).index) == list(dataset.classes)


def test_the_order_of_classes_does_not_depend_on_case(folder):
    for name in ("normal", "covid", "virus"):
        (folder / name).rename(folder / name.upper())
    assert scan_dataset(folder).classes == ("NORMAL", "COVID", "VIRUS", "asthma")


def test_the_table_says_of_each_file_what_is_true(folder):
    for row in scan_dataset(folder).table.itertuples():
        data = (folder / row.file).read_bytes()
        assert os.path.samefile(row.path, folder / row.file)
        assert row.class_name == row.file.split("/")[0]
        assert row.bytes == len(data)
        assert row.digest == hashlib.sha256(data).hexdigest()
        image = Image.open(folder / row.file)
        assert (row.width, row.height, row.format) == (*image.size, image.format)


def test_what_cannot_be_read_is_listed_and_not_counted(folder):
    dataset = scan_dataset(folder)
    assert dataset.unreadable["file"].tolist() == ["covid/cut.png"]
    assert dataset.unreadable["error"].iloc[0].endswith(".")
    assert "covid/cut.png" not in set(dataset.table["file"])


def test_a_dicom_file_without_ending_is_counted(folder):
    shutil.copy(pydicom.data.get_testdata_file("CT_small.dcm", download=False), folder / "virus" / "IM000001")
    table = scan_dataset(folder).table.set_index("file")
    row = table.loc["virus/IM000001"]
    assert (row["format"], row["width"], row["height"]) == ("DICOM", 128, 128)


def test_images_in_sub_folders_belong_to_the_class(folder):
    (folder / "virus" / "deep" / "er").mkdir(parents=True)
    (folder / "virus" / "image-0.png").rename(folder / "virus" / "deep" / "er" / "x.png")
    row = scan_dataset(folder).table.set_index("file").loc["virus/deep/er/x.png"]
    assert row["class_name"] == "virus"


def test_a_linked_class_folder_is_listed_and_not_followed(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(folder / "virus" / "image-0.png", tmp_path / "elsewhere" / "a.png")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    dataset = scan_dataset(folder)
    assert "linked" not in dataset.classes
    assert dataset.unreadable.set_index("file").loc["linked", "error"].endswith("links are not followed.")


def test_hidden_folders_and_files_are_passed_over(folder):
    shutil.copytree(folder / "virus", folder / ".cache")
    shutil.copy(folder / "virus" / "image-0.png", folder / "virus" / "._image-0.png")
    dataset = scan_dataset(folder)
    assert ".cache" not in dataset.classes
    assert not dataset.table["file"].str.contains(r"\._").any()


def test_folders_of_one_name_in_two_roots_are_one_class(folder, tmp_path):
    shutil.copytree(folder / "virus", tmp_path / "more" / "virus")
    dataset = scan_dataset(folder, tmp_path / "more")
    assert (dataset.table["class_name"] == "virus").sum() == 2 * len(images_of(folder, "virus"))
    assert len(dataset.classes) == 4


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        scan_dataset(tmp_path / "nowhere")


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "normal").mkdir()
    (tmp_path / "normal" / "a.txt").write_text("x")
    with pytest.raises(ValueError, match="No images were found"):
        scan_dataset(tmp_path)


def test_progress_is_never_of_nothing(tmp_path):
    """As where a table lists images that are elsewhere, or class folders hold notes alone."""
    (tmp_path / "data" / "normal").mkdir(parents=True)
    (tmp_path / "data" / "normal" / "notes.txt").write_text("no image")
    (tmp_path / "list.csv").write_text("path,label\ngone.png,a\n")
    for root in (tmp_path / "data", tmp_path / "list.csv"):
        with pytest.raises(ValueError, match="No images were found"):
            scan_dataset(root, index_dir=tmp_path / "index", progress=lambda done, total: done / total)


def test_progress_ends_with_all_files(folder):
    seen = []
    dataset = scan_dataset(folder, progress=lambda done, total: seen.append((done, total)))
    n = len(dataset.table) + len(dataset.unreadable)
    assert seen[-1] == (n, n)


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("person1661_virus_2872.jpeg", "person1661"),
        ("person23_bacteria_75.jpeg", "person23"),
        ("person23_virus_75.jpeg.jpg", "person23"),
        ("IM-0115-0001.jpeg", "IM-0115"),
        ("NORMAL2-IM-0115-0001.jpeg", "NORMAL2-IM-0115"),
        ("00002659_001.png", "00002659"),
        ("38_A.jpg", None),
        ("person.png", None),
        ("covid-19-pneumonia-12.jpg", None),
        ("00002659_001_copy.png", None),
    ],
)
def test_the_patient_is_read_from_the_file_name(name, patient):
    assert patient_of(name) == patient


def test_the_table_carries_the_patient(folder):
    (folder / "virus" / "image-0.png").rename(folder / "virus" / "person7_virus_12.png")
    table = scan_dataset(folder).table.set_index("file")
    assert table.loc["virus/person7_virus_12.png", "patient"] == "person7"


@pytest.mark.parametrize(("name", "stem"), [("x.jpeg.jpg", "x"), ("x.PNG", "x"), ("x.y.png", "x.y"), ("x", "x")])
def test_a_stem_is_a_name_without_image_endings(name, stem):
    assert image_stem(name) == stem


def test_the_fingerprint_changes_with_a_files_content(folder):
    before = scan_dataset(folder).fingerprint
    Image.new("L", (33, 44), 7).save(folder / "virus" / "image-0.png")
    assert scan_dataset(folder).fingerprint != before


def test_the_fingerprint_changes_with_a_files_class(folder):
    before = scan_dataset(folder).fingerprint
    (folder / "virus" / "image-0.png").rename(folder / "normal" / "moved.png")
    assert scan_dataset(folder).fingerprint != before


def test_the_fingerprint_does_not_depend_on_names_and_order(folder):
    before = scan_dataset(folder).fingerprint
    (folder / "virus" / "image-0.png").rename(folder / "virus" / "zzz.png")
    assert scan_dataset(folder).fingerprint == before


def test_the_stamp_changes_with_every_change_of_a_file(folder):
    stamps = [folder_stamp(folder), folder_stamp(folder)]
    Image.new("L", (5, 5)).save(folder / "virus" / "new.png")
    stamps.append(folder_stamp(folder))
    os.utime(folder / "virus" / "new.png", (1, 1))
    stamps.append(folder_stamp(folder))
    (folder / "virus" / "new.png").unlink()
    stamps.append(folder_stamp(folder))
    assert stamps[0] == stamps[1] == stamps[4]
    assert len(set(stamps)) == 3


def test_the_fingerprint_is_the_digest_of_all_classes_and_contents(folder):
    dataset = scan_dataset(folder)
    rows = sorted(f"{row.class_name}:{row.digest}" for row in dataset.table.itertuples())
    assert dataset.fingerprint == hashlib.sha256("\n".join(rows).encode()).hexdigest()


def test_the_stamp_is_that_of_the_scan(folder):
    assert scan_dataset(folder).stamp == folder_stamp(folder)


# The second opening


@pytest.mark.parametrize(("listing_seconds", "pause"), [(0.25, 0), (2, 20), (90, 600)])
def test_files_are_looked_at_again_but_after_a_long_look_only_later(folder, monkeypatch, listing_seconds, pause):
    """A change is seen at once where looking is quick, and else after ten times as long, ten minutes at most."""
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    dataset = replace(scan_dataset(folder), listing_seconds=listing_seconds)
    watch = ChangeWatch(dataset)
    images_of(folder, "virus")[0].unlink()
    if pause:
        now += pause - 0.01
        assert not watch.has_changed()
        now += 0.02
    assert watch.has_changed()


def test_an_unchanged_data_set_is_not_opened_again(folder, opened):
    first = scan_dataset(folder)
    assert len(opened) == len(first.table) + len(first.unreadable)
    opened.clear()
    second = scan_dataset(folder)
    assert opened == []
    pd.testing.assert_frame_equal(first.table, second.table)
    pd.testing.assert_frame_equal(first.unreadable, second.unreadable)
    assert first.fingerprint == second.fingerprint


def test_only_what_is_new_or_changed_is_opened(folder, opened):
    scan_dataset(folder)
    opened.clear()
    new = draw(folder / "virus" / "new.png", 1)
    bigger = draw(folder / "covid" / "image-0.png", 2, (301, 201))
    later = folder / "normal" / "image-0.png"
    os.utime(later, (1, 1))
    (folder / "normal" / "image-3.png").unlink()
    table = scan_dataset(folder).table.set_index("file")
    assert sorted(opened) == sorted(map(str, (new, bigger, later)))
    assert "virus/new.png" in table.index
    assert (table.loc["covid/image-0.png", "width"], table.loc["covid/image-0.png", "height"]) == (301, 201)
    assert table.loc["normal/image-0.png", "mtime_ns"] == 10**9
    assert "normal/image-3.png" not in table.index


def test_a_scan_with_an_index_tells_the_same_as_one_without(folder, tmp_path):
    scan_dataset(folder)
    draw(folder / "virus" / "new.png", 1)
    (folder / "covid" / "image-1.jpg").unlink()
    (folder / "covid" / "cut.png").write_bytes(b"shorter")
    again, fresh = scan_dataset(folder), scan_dataset(folder, index_dir=tmp_path / "elsewhere")
    pd.testing.assert_frame_equal(again.table, fresh.table)
    pd.testing.assert_frame_equal(again.unreadable, fresh.unreadable)


def test_a_removed_file_is_forgotten(folder, opened):
    scan_dataset(folder)
    path = folder / "virus" / "image-0.png"
    path.rename(folder / "kept-aside")
    scan_dataset(folder)
    (folder / "kept-aside").rename(path)
    opened.clear()
    scan_dataset(folder)
    assert set(opened) == {str(path)}


def test_two_roots_with_files_of_the_same_name_are_kept_apart(folder, tmp_path, opened):
    shutil.copytree(folder, tmp_path / "more")
    draw(tmp_path / "more" / "virus" / "image-0.png", 9, (77, 66))
    first = scan_dataset(folder, tmp_path / "more")
    opened.clear()
    second = scan_dataset(folder, tmp_path / "more")
    assert opened == []
    pd.testing.assert_frame_equal(first.table, second.table)
    assert len(second.table) == 36


def test_a_file_without_ending_that_is_no_image_is_opened_once(folder, monkeypatch):
    (folder / "virus" / "README").write_text("no image")
    scan_dataset(folder)
    monkeypatch.setattr(dataset_module, "is_image_file", lambda path: pytest.fail(f"{path} was opened"))
    dataset = scan_dataset(folder)
    assert "virus/README" not in {*dataset.table["file"], *dataset.unreadable["file"]}


@pytest.mark.parametrize("content", [b"", b"PAR1 and nonsense"])
def test_a_broken_index_is_made_anew(folder, tmp_path, opened, content):
    first = scan_dataset(folder, index_dir=tmp_path / "index")
    (index_folder([folder], tmp_path / "index") / "files.parquet").write_bytes(content)
    pd.testing.assert_frame_equal(first.table, scan_dataset(folder, index_dir=tmp_path / "index").table)
    opened.clear()
    scan_dataset(folder, index_dir=tmp_path / "index")
    assert opened == []


def test_an_index_that_cannot_be_written_stops_nothing(folder, tmp_path):
    (tmp_path / "file").write_text("no folder")
    assert len(scan_dataset(folder, index_dir=tmp_path / "file").table) == 18


def test_a_stopped_scan_goes_on_where_it_stopped(tmp_path, opened, monkeypatch):
    monkeypatch.setattr(dataset_module, "_BATCH", 50)
    for i in range(150):
        draw(tmp_path / "data" / "normal" / f"{i}.png", i)

    def stop(done, total):
        if done == 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan_dataset(tmp_path / "data", progress=stop)
    opened.clear()
    seen = []
    assert len(scan_dataset(tmp_path / "data", progress=lambda *v: seen.append(v)).table) == 150
    assert len(opened) == 50
    assert seen[-1] == (150, 150)


# Bad input


def test_one_class_can_be_scanned_and_is_refused_by_the_split(tmp_path):
    for i in range(9):
        draw(tmp_path / "normal" / f"{i}.png", i)
    dataset = scan_dataset(tmp_path)
    assert dataset.classes == ("normal",)
    with pytest.raises(ValueError, match="at least two classes"):
        make_split(dataset.table, "stratified", seed=0)


def test_one_image_in_a_class_can_be_scanned_and_is_refused_by_the_split(folder):
    draw(folder / "rare" / "only.png")
    dataset = scan_dataset(folder)
    assert dataset.table["class_name"].value_counts()["rare"] == 1
    with pytest.raises(ValueError, match="'rare' has 1"):
        make_split(dataset.table, "stratified", seed=0)


def test_a_class_folder_without_images_is_named(folder):
    (folder / "empty" / "deep").mkdir(parents=True)
    (folder / "texts").mkdir()
    (folder / "texts" / "a.txt").write_text("x")
    unreadable = scan_dataset(folder).unreadable.set_index("file")["error"]
    assert unreadable["empty"] == unreadable["texts"] == "This folder holds no images."


def test_where_nothing_can_be_read_the_first_reason_is_told(tmp_path):
    (tmp_path / "normal").mkdir()
    (tmp_path / "normal" / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"normal/a.png: The file is empty\."):
        scan_dataset(tmp_path)


def test_a_folder_within_a_class_that_is_a_link_is_listed_and_not_followed(folder, tmp_path):
    draw(tmp_path / "elsewhere" / "a.png")
    (folder / "virus" / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "virus" / "round").symlink_to(folder)
    dataset = scan_dataset(folder)
    assert len(dataset.table) == 18
    assert set(dataset.unreadable["file"]) == {"covid/cut.png", "virus/linked", "virus/round"}


def test_a_link_to_an_image_is_read_and_one_to_nothing_is_named(folder, tmp_path):
    (folder / "virus" / "there.png").symlink_to(draw(tmp_path / "a.png"))
    (folder / "virus" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    dataset = scan_dataset(folder)
    assert "virus/there.png" in set(dataset.table["file"])
    assert "a link to a file that is not there" in dataset.unreadable.set_index("file").loc["virus/gone.png", "error"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a system with named pipes")
def test_a_pipe_does_not_stop_the_scan(folder):
    os.mkfifo(folder / "virus" / "pipe.png")
    assert len(scan_dataset(folder).table) == 18


def test_a_file_that_cannot_be_opened_is_listed_and_asked_for_again(folder, monkeypatch):
    read, closed = Path.read_bytes, str(folder / "virus" / "image-0.png")

    def refuse(path):
        if str(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    dataset = scan_dataset(folder)
    assert dataset.unreadable.set_index("file").loc["virus/image-0.png", "error"] == "This file cannot be opened."
    assert len(dataset.table) == 17
    monkeypatch.undo()
    assert len(scan_dataset(folder).table) == 18


@pytest.mark.parametrize("inside", ["virus", "virus/deep"])
def test_a_folder_that_cannot_be_opened_is_listed(folder, monkeypatch, inside):
    draw(folder / "virus" / "deep" / "x.png")
    scan = os.scandir

    def refuse(path):
        if str(path) == str(folder / inside):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    dataset = scan_dataset(folder)
    assert dataset.unreadable.set_index("file").loc[inside, "error"] == "This folder cannot be opened."
    assert not dataset.table["file"].str.startswith(f"{inside}/").any()
    assert set(dataset.classes) >= {"normal", "covid", "asthma"}


def test_a_root_that_cannot_be_opened_is_named(folder, monkeypatch):
    monkeypatch.setattr(os, "scandir", lambda path: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(ValueError, match=r"data: This folder cannot be opened\."):
        scan_dataset(folder)


def test_a_file_that_vanishes_during_the_scan_is_listed(folder, monkeypatch):
    list_files = dataset_module._list_files

    def list_then_remove(roots):
        listed = list_files(roots)
        (folder / "virus" / "image-0.png").unlink()
        return listed

    monkeypatch.setattr(dataset_module, "_list_files", list_then_remove)
    dataset = scan_dataset(folder)
    assert "vanished" in dataset.unreadable.set_index("file").loc["virus/image-0.png", "error"]
    assert len(dataset.table) == 17


def test_names_with_emoji_and_200_characters_are_read(folder):
    names = ["🫁 Größe.png", "x" * 200 + ".png", "🫁" * 50 + ".png"]
    for name in names:
        draw(folder / "Klasse 🩻" / name)
    for _ in range(2):
        table = scan_dataset(folder).table
        assert set(table["file"]) >= {f"Klasse 🩻/{name}" for name in names}


@pytest.mark.parametrize("name", [b"virus/bad-\xff.png", b"bad-\xff/a.png"])
def test_a_name_that_is_no_text_is_listed_and_the_rest_read(folder, name):
    path = os.path.join(os.fsencode(folder), name)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copy(os.fsencode(folder / "virus" / "image-0.png"), path)
    except OSError:
        pytest.skip("this file system takes only names that are text")
    dataset = scan_dataset(folder)
    assert len(dataset.table) == 18
    assert dataset.unreadable["error"].str.contains("no readable text").sum() == 1
    json.dumps(dataset.unreadable.to_dict("records")).encode()


def test_a_file_that_is_too_large_is_listed_without_being_read(folder, opened, monkeypatch):
    monkeypatch.setattr(dataset_module, "MAX_FILE_BYTES", 10_000)
    path = folder / "virus" / "huge.png"
    path.write_bytes(bytes(10_001))
    dataset = scan_dataset(folder)
    assert "at most" in dataset.unreadable.set_index("file").loc["virus/huge.png", "error"]
    assert str(path) not in opened


# A list in place of folders


@pytest.fixture
def write_list(folder):
    """A callable(rows) that writes a CSV file beside the images and returns its path."""

    def write(rows, header=("path", "label"), name="list.csv"):
        with (folder / name).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([header, *rows])
        return folder / name

    return write


def test_a_list_names_the_images_and_their_classes(folder, write_list, tmp_path):
    outside = draw(tmp_path / "outside.png", 5, (31, 41))
    path = write_list([("virus/image-0.png", "sick, very"), ("../outside.png", "normal")])
    table = scan_dataset(path).table.set_index("class_name")
    assert table.loc["sick, very", "file"] == "virus/image-0.png"
    assert os.path.samefile(table.loc["sick, very", "path"], folder / "virus" / "image-0.png")
    assert (table.loc["normal", "width"], table.loc["normal", "height"]) == (31, 41)
    assert table.loc["normal", "path"] == table.loc["normal", "file"] == str(outside)


def test_a_list_may_hold_absolute_paths(folder, write_list):
    path = write_list([(folder / "virus" / "image-0.png", "a"), (folder / "virus" / "image-1.jpg", "b")])
    assert scan_dataset(path).table["file"].tolist() == ["virus/image-0.png", "virus/image-1.jpg"]


def test_the_patient_of_a_list_stands_before_that_of_the_name(folder, write_list):
    for i in (1, 2):
        draw(folder / "virus" / f"person{i}_virus_1.png", i)
    rows = [("virus/person1_virus_1.png", "v", "Ann"), ("virus/person2_virus_1.png", "v", ""),
            ("virus/image-0.png", "v", "Bo"), ("virus/image-1.jpg", "v", "")]  # fmt: skip
    table = scan_dataset(write_list(rows, ("path", "label", "patient"))).table.set_index("file")["patient"]
    assert [None if pd.isna(p) else p for p in table[[row[0] for row in rows]]] == ["Ann", "person2", "Bo", None]


def test_the_split_of_a_list_is_kept(folder, write_list):
    words = ["train", "validation", "test", "", "Train"]
    rows = [(f"normal/image-{i}.{('png', 'jpg', 'bmp')[i % 3]}", "n", word) for i, word in enumerate(words)]
    table = scan_dataset(write_list(rows, ("path", "label", "split"))).table.set_index("file")["split"]
    kept = [None if pd.isna(word) else word for word in table[[row[0] for row in rows]]]
    assert kept == ["train", "validation", "test", None, "train"]


def test_without_a_split_in_the_list_the_table_has_none(folder, write_list):
    assert "split" not in scan_dataset(folder).table
    assert "split" not in scan_dataset(write_list([("virus/image-0.png", "v")])).table


def test_of_an_age_in_a_list_only_the_group_is_kept(folder, write_list):
    ages = ["0.5", "17.9", "18", "64", "65", "", "101"]
    rows = [(f"normal/image-{i}.{('png', 'jpg', 'bmp')[i % 3]}", "n", age, "PA") for i, age in enumerate(ages[:5])]
    rows += [("virus/image-0.png", "v", ages[5], ""), ("virus/image-1.jpg", "v", ages[6], "AP")]
    table = scan_dataset(write_list(rows, ("path", "label", "age", "view"))).table.set_index("file")
    assert "age" not in table
    groups = [None if pd.isna(group) else group for group in table.loc[[row[0] for row in rows], "age_group"]]
    child, young, old = "under 18 years", "18 to 39", "65 and over"
    assert groups == [child, child, young, "40 to 64", old, None, old]
    assert table.loc["virus/image-1.jpg", "view"] == "AP"


def test_a_list_and_a_folder_are_one_data_set(folder, write_list, tmp_path):
    path = write_list([("virus/image-0.png", "virus", "test")], ("path", "label", "split"))
    draw(tmp_path / "more" / "virus" / "a.png")
    table = scan_dataset(path, tmp_path / "more").table.set_index("file")
    assert table.loc["virus/image-0.png", "split"] == "test"
    assert pd.isna(table.loc["virus/a.png", "split"])


def test_an_unchanged_list_and_its_images_are_not_opened_again(folder, write_list, opened):
    path = write_list([("virus/image-0.png", "a"), ("virus/image-1.jpg", "b")])
    first = scan_dataset(path)
    opened.clear()
    pd.testing.assert_frame_equal(first.table, scan_dataset(path).table)
    assert opened == []


def test_what_a_list_names_wrongly_is_listed_and_the_rest_read(folder, write_list):
    (folder / "virus" / "README").write_text("no image")
    rows = [("virus/image-0.png", "v"), ("virus/nowhere.png", "v"), ("virus", "v"), ("covid/notes.txt", "v"),
            ("virus/README", "v"), ("covid/cut.png", "v")]  # fmt: skip
    for _ in range(2):
        dataset = scan_dataset(write_list(rows))
        assert dataset.table["file"].tolist() == ["virus/image-0.png"]
        errors = dataset.unreadable.set_index("file")["error"]
        assert set(errors.index) == {file for file, _ in rows[1:]}
        assert errors["virus/nowhere.png"] == "This file is listed in list.csv, but it is not there."
        assert errors.str.endswith(".").all()


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", r"has the columns \(none\)"),
        ("path,label\n", "lists no images"),
        ("file,kind\na.png,v\n", "has the columns file, kind, .* Rename the column .* to path"),
        ("file,image,class\na.png,b.png,v\n", "which are those of no known label table"),
        ("image,findings\nXray Chest,The lungs are clear.\n", "which are those of no known label table"),
        ("virus/image-0.png,v,w\n", "which are those of no known label table"),
        ("path,label,path\na,b,c\n", "once each"),
        ('path,label\n"a.png,v\n', "cannot be read as a table: mend the quotes from line 2 on"),
        ('path,label\n"a.png,v\nb.png,v\nc.png,v\n', "mend the quotes from line 2 on"),
        ('# made by hand\npath,label\na.png,v\n"b" c.png,v\n', "mend the quotes from line 4 on"),
    ],
)
def test_a_list_that_is_none_is_refused_with_a_sentence(folder, text, match):
    (folder / "list.csv").write_text(text)
    with pytest.raises(ValueError, match=match):
        scan_dataset(folder / "list.csv")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le", "utf-16-be", "utf-8", "utf-8-sig"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_list_is_read_in_any_encoding_and_with_any_separator(folder, encoding, separator):
    lines = [("path", "label"), ("virus/image-0.png", "Größe"), ("virus/image-1.jpg", "NA")]
    text = "\n\n".join(map(separator.join, lines))
    (folder / "list.csv").write_text(text, encoding=encoding)
    table = scan_dataset(folder / "list.csv").table
    assert sorted(table["class_name"]) == ["Größe", "NA"]


def test_a_list_as_a_spreadsheet_writes_it_is_read(folder):
    text = "Path, Label ,Split,\r\nvirus/image-0.png, Größe ,train,\r\n,,,\r\n\r\n"
    (folder / "list.CSV").write_text(text, encoding="utf-8-sig", newline="")
    table = scan_dataset(folder / "list.CSV").table
    assert table[["file", "class_name", "split"]].values.tolist() == [["virus/image-0.png", "Größe", "train"]]


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*nowhere\.csv"):
        scan_dataset(tmp_path / "nowhere.csv")


def test_the_stamp_changes_with_a_list_and_with_its_images(folder, write_list):
    first = folder_stamp(write_list([("virus/image-0.png", "a"), ("virus/image-1.jpg", "b")]))
    again = folder_stamp(write_list([("virus/image-0.png", "a"), ("virus/image-1.jpg", "b")]))
    moved = folder_stamp(write_list([("virus/image-0.png", "b"), ("virus/image-1.jpg", "b")]))
    os.utime(folder / "virus" / "image-0.png", (1, 1))
    assert first == again
    assert len({first, moved, folder_stamp(folder / "list.csv")}) == 3


@pytest.mark.parametrize("words", ["classes", "sources"])
def test_more_classes_or_sources_than_can_be_told_apart_are_refused(folder, monkeypatch, words):
    (folder / "list.csv").write_text("path,label,source\nvirus/image-0.png,a,x\nvirus/image-1.jpg,b,y\n")
    name = f"_MOST_{words.upper()}"
    monkeypatch.setattr(dataset_module, name, 2)
    assert len(scan_dataset(folder / "list.csv").table) == 2
    monkeypatch.setattr(dataset_module, name, 1)
    with pytest.raises(ValueError, match=f"At most 1 {words} are told apart; received 2. Is another column"):
        scan_dataset(folder / "list.csv")
