"""dataset.py against Pillow, hashlib and numpy on constructed folders."""

import hashlib
import json
import os
import shutil

import numpy as np
import pydicom.data
import pytest
from PIL import Image

from cxr_core.dataset import audit_report, folder_stamp, patient_of, picture_stem, scan_dataset, size_statistics


@pytest.fixture
def folder(tmp_path):
    """Three classes of pictures of random sizes, one file of text and one cut short."""
    rng = np.random.default_rng(0)
    for name, n in (("virus", 4), ("normal", 6), ("covid", 5), ("asthma", 3)):
        for i in range(n):
            path = tmp_path / "data" / name / f"picture-{i}.{('png', 'jpg', 'bmp')[i % 3]}"
            path.parent.mkdir(parents=True, exist_ok=True)
            width, height = rng.integers(20, 200, 2)
            Image.fromarray(rng.integers(0, 255, (height, width), dtype=np.uint8)).save(path)
    (tmp_path / "data" / "covid" / "notes.txt").write_text("no picture")
    whole = (tmp_path / "data" / "covid" / "picture-0.png").read_bytes()
    (tmp_path / "data" / "covid" / "cut.png").write_bytes(whole[: len(whole) // 2])
    return tmp_path / "data"


def pictures_of(folder, class_name):
    return [p for p in (folder / class_name).iterdir() if p.name not in ("notes.txt", "cut.png")]


def test_size_statistics_equal_those_of_pillow_and_numpy(folder):
    statistics = size_statistics(scan_dataset(folder).table)
    for name in ("normal", "covid", "virus", "asthma"):
        widths, heights = np.array([Image.open(p).size for p in pictures_of(folder, name)]).T
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


def test_pictures_in_sub_folders_belong_to_the_class(folder):
    (folder / "virus" / "deep" / "er").mkdir(parents=True)
    (folder / "virus" / "picture-0.png").rename(folder / "virus" / "deep" / "er" / "x.png")
    row = scan_dataset(folder).table.set_index("file").loc["virus/deep/er/x.png"]
    assert row["class_name"] == "virus"


def test_a_linked_class_folder_is_listed_and_not_followed(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(folder / "virus" / "picture-0.png", tmp_path / "elsewhere" / "a.png")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    dataset = scan_dataset(folder)
    assert "linked" not in dataset.classes
    assert dataset.unreadable.set_index("file").loc["linked", "error"].endswith("links are not followed.")


def test_hidden_folders_and_files_are_passed_over(folder):
    shutil.copytree(folder / "virus", folder / ".cache")
    shutil.copy(folder / "virus" / "picture-0.png", folder / "virus" / "._picture-0.png")
    dataset = scan_dataset(folder)
    assert ".cache" not in dataset.classes
    assert not dataset.table["file"].str.contains(r"\._").any()


def test_folders_of_one_name_in_two_roots_are_one_class(folder, tmp_path):
    shutil.copytree(folder / "virus", tmp_path / "more" / "virus")
    dataset = scan_dataset(folder, tmp_path / "more")
    assert (dataset.table["class_name"] == "virus").sum() == 2 * len(pictures_of(folder, "virus"))
    assert len(dataset.classes) == 4


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        scan_dataset(tmp_path / "nowhere")


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "normal").mkdir()
    (tmp_path / "normal" / "a.txt").write_text("x")
    with pytest.raises(ValueError, match="No pictures were found"):
        scan_dataset(tmp_path)


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
    (folder / "virus" / "picture-0.png").rename(folder / "virus" / "person7_virus_12.png")
    table = scan_dataset(folder).table.set_index("file")
    assert table.loc["virus/person7_virus_12.png", "patient"] == "person7"


@pytest.mark.parametrize(("name", "stem"), [("x.jpeg.jpg", "x"), ("x.PNG", "x"), ("x.y.png", "x.y"), ("x", "x")])
def test_a_stem_is_a_name_without_picture_endings(name, stem):
    assert picture_stem(name) == stem


def test_the_report_is_json_with_counts_sizes_and_unreadable_files(folder):
    report = json.loads(json.dumps(audit_report(scan_dataset(folder)), allow_nan=False))
    assert report["images"] == 18
    assert {name: c["images"] for name, c in report["classes"].items()} == {
        "normal": 6, "covid": 5, "virus": 4, "asthma": 3,
    }  # fmt: skip
    sizes = {f"{k}_{side}" for side in ("width", "height") for k in ("min", "max", "median")}
    assert all(set(c) == sizes | {"images"} for c in report["classes"].values())
    assert [u["file"] for u in report["unreadable"]] == ["covid/cut.png"]


def test_the_fingerprint_changes_with_a_files_content(folder):
    before = scan_dataset(folder).fingerprint
    Image.new("L", (33, 44), 7).save(folder / "virus" / "picture-0.png")
    assert scan_dataset(folder).fingerprint != before


def test_the_fingerprint_changes_with_a_files_class(folder):
    before = scan_dataset(folder).fingerprint
    (folder / "virus" / "picture-0.png").rename(folder / "normal" / "moved.png")
    assert scan_dataset(folder).fingerprint != before


def test_the_fingerprint_does_not_depend_on_names_and_order(folder):
    before = scan_dataset(folder).fingerprint
    (folder / "virus" / "picture-0.png").rename(folder / "virus" / "zzz.png")
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
