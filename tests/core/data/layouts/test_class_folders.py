"""Every file of a folder has a place: in the table, or in the list of what is left out, each with a sentence."""

import os

import numpy as np
import pytest
from image_files import saved, zip_of
from PIL import Image

from cxr_core.data.dataset import folder_stamp, scan_dataset
from cxr_core.imaging.files.file_kinds import AN_ARCHIVE, IN_NO_CLASS_FOLDER

PNG = saved(Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)), "PNG")
HEIC = b"\0\0\0\x18ftypheic" + bytes(40)
JXL = b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40)


@pytest.fixture
def scan(tmp_path):
    """A callable(files): the files of the table, and a dict of what is left out to its sentence."""

    def look(files):
        for name, data in ({"normal/a.png": PNG, "covid/b.png": PNG} | files).items():
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        for _ in range(2):  # the second time from the index
            dataset = scan_dataset(tmp_path / "data", index_dir=tmp_path / "index")
        assert dataset.stamp == folder_stamp(tmp_path / "data")
        table = set(dataset.table["file"]) - {"normal/a.png", "covid/b.png"}
        return table, dict(zip(dataset.unreadable["file"], dataset.unreadable["error"], strict=True))

    return look


@pytest.mark.parametrize("name", ["loose.png", "IM0001", "loose.txt", "loose.csv", "loose.weird"])
def test_an_image_beside_the_class_folders_is_listed_whatever_it_is_called(scan, name):
    assert scan({name: PNG}) == (set(), {name: IN_NO_CLASS_FOLDER})


def test_what_is_no_image_beside_the_class_folders_is_listed_unless_it_is_text(scan):
    files = {"README.md": b"# Read me", "LICENSE": b"free", "facts.xlsx": zip_of({"xl/a": b"x"}), ".hidden.png": PNG}
    table, left_out = scan(files | {"photo.heic": HEIC, "all.zip": zip_of({"a.png": PNG})})
    assert table == set()
    assert list(left_out) == ["all.zip", "photo.heic"]
    assert left_out["all.zip"] == AN_ARCHIVE
    assert "HEIC" in left_out["photo.heic"]


def test_where_all_images_lie_loose_the_first_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    with pytest.raises(ValueError, match=r"Put one folder per class .* Passed over: 1, .* a\.png: This image lies"):
        scan_dataset(tmp_path, index_dir=tmp_path / "index")


@pytest.mark.parametrize("ending", [".txt", ".csv", ".json", ".TXT", ".db", ".html"])
def test_an_image_that_is_called_like_text_is_read(scan, ending):
    assert scan({f"covid/c{ending}": PNG}) == ({f"covid/c{ending}"}, {})


def test_a_class_of_images_that_are_all_called_like_text_is_a_class(scan):
    assert scan({"virus/c.txt": PNG, "virus/d.txt": b"a note"}) == ({"virus/c.txt"}, {})


def test_a_broken_image_that_is_called_like_text_is_listed(scan):
    table, left_out = scan({"covid/c.txt": PNG[:30]})
    assert table == set()
    assert "cut short or broken" in left_out["covid/c.txt"]


def test_text_and_tables_beside_the_images_are_passed_over_without_a_word(scan):
    assert scan({"covid/c.txt": b"a note", "covid/c.csv": "a;b\nä;2".encode("utf-16"), "covid/c.xml": b"<a/>"}) == (
        set(), {},
    )  # fmt: skip


@pytest.mark.parametrize(("name", "data", "word"), [("c.heic", HEIC, "HEIC"), ("c.jxl", JXL, "JPEG XL"),
                                                    ("c.jpg", HEIC, "HEIC"), ("c.txt", JXL, "JPEG XL")])  # fmt: skip
def test_heic_and_jpeg_xl_are_listed_by_name(scan, name, data, word):
    table, left_out = scan({f"covid/{name}": data})
    assert table == set()
    assert word in left_out[f"covid/{name}"]


def test_images_beside_and_directly_below_the_sides_of_a_split_are_listed(tmp_path):
    for name in ("train/normal/a.png", "val/normal/a.png", "train/loose.png", "loose.png", "val/normal/c.txt"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)
    dataset = scan_dataset(tmp_path / "data", index_dir=tmp_path / "index")
    assert sorted(dataset.table["file"]) == ["train/normal/a.png", "val/normal/a.png", "val/normal/c.txt"]
    assert dataset.unreadable["file"].tolist() == ["loose.png", "train/loose.png"]
    assert set(dataset.unreadable["error"]) == {IN_NO_CLASS_FOLDER}


def test_new_content_of_the_same_size_and_time_is_noticed(tmp_path):
    path = tmp_path / "data" / "normal" / "a.bmp"
    path.parent.mkdir(parents=True)
    first, second = (saved(Image.new("L", (8, 8), grey), "BMP") for grey in (1, 2))
    path.write_bytes(first)
    os.utime(path, ns=(10**18, 10**18))
    stamp, before = folder_stamp(tmp_path / "data"), scan_dataset(tmp_path / "data", index_dir=tmp_path / "index")
    path.write_bytes(second)
    os.utime(path, ns=(10**18, 10**18))
    after = scan_dataset(tmp_path / "data", index_dir=tmp_path / "index")
    assert folder_stamp(tmp_path / "data") != stamp
    assert after.table["digest"].item() != before.table["digest"].item()
    assert after.table["mtime_ns"].item() == before.table["mtime_ns"].item() == 10**18
