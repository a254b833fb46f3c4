"""listing.py: tables as the public sets publish them, made up in miniature, and with odd cells."""

import csv
import gzip
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cxr_core.data.dataset import scan_dataset
from cxr_core.data.layouts.tables.adapters import find_kind
from cxr_core.data.layouts.tables.cells import said
from cxr_core.data.layouts.tables.finding_classes import chosen_class
from cxr_core.data.layouts.tables.root_tables import table_description, table_images, unknown_tables
from cxr_core.evaluation.predictions import describe_predictions
from cxr_core.splits.split import Split, split_table
from cxr_core.system.files import write_text
from cxr_core.system.text import table_csv

CASES = Path(__file__).parents[6] / "shared" / "cases"
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases")


def draw(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (9, 8), 3).save(path)


def listed(root):
    """Return the images by file, and the sentences."""
    problems = []
    images = {image.file: image for image in table_images(root, problems)}
    return images, [sentence for _, sentence in problems]


@needs_cases
@pytest.mark.parametrize(
    ("name", "counts", "patients", "columns", "passed_over"),
    [
        (
            "nih",
            {"normal": 12, "infiltration": 6, "pneumonia": 6, "other": 6},
            15,
            {"split", "view", "age_group", "sex"},
            7,
        ),
        ("ieee8023", {"covid": 20, "bacteria": 8, "normal": 4}, 16, {"view", "age_group", "sex"}, 3),
        ("rsna", {"pneumonia": 14, "normal": 7, "other": 7}, 28, set(), 0),
        ("chexpert", {"normal": 14, "lung opacity": 7, "pneumonia": 7}, 14, {"view", "age_group", "sex"}, 0),
        ("siim", {"normal": 14, "covid": 14}, 28, set(), 0),
        ("bimcv", {"normal": 12, "covid": 12}, 12, {"view"}, 0),
        ("covidx", {"covid": 10, "no covid": 10}, 10, {"source"}, 0),
    ],
)
def test_public_sets_open_as_they_are(tmp_path, name, counts, patients, columns, passed_over):
    dataset = scan_dataset(CASES / "03-public-label-lists" / name, index_dir=tmp_path)
    assert dataset.table["class_name"].value_counts().to_dict() == counts
    assert dataset.table["patient"].nunique() == patients
    assert set(dataset.table) & {"split", "view", "age_group", "sex", "source"} == columns
    assert len(dataset.unreadable) == passed_over


@needs_cases
@pytest.mark.parametrize(
    ("name", "images", "sentence"),
    [
        ("plain", 11, None),
        ("age411", 11, "Line 12: the age '411' is taken as unknown: an age lies from 0 to 130 years."),
        ("age058Y", 11, None),
        ("val", 11, None),
        ("twice", 10, "Line 12 is passed over: it repeats normal4.png of line 6."),
        ("empty_label", 10, "Line 12 is passed over: it has no label."),
    ],
)
def test_one_odd_cell_costs_one_value_or_one_row(tmp_path, name, images, sentence):
    dataset = scan_dataset(CASES / "04-one-odd-cell" / f"{name}.csv", index_dir=tmp_path)
    assert len(dataset.table) == images
    assert dataset.unreadable["error"].tolist() == ([sentence] if sentence else [])
    last = dataset.table.set_index("file").reindex(["normal5.png"]).iloc[0]
    if name == "val":
        assert last["split"] == "validation"
    if name == "age411":
        assert pd.isna(last["age_group"])
    if name == "age058Y":
        assert last["age_group"] == "40 to 64"


def test_mimic_tells_of_studies(tmp_path):
    draw(tmp_path, "files/p10/p100/s5/a.png", "files/p10/p100/s5/b.png", "files/p10/p101/s6/c.png")
    text = "subject_id,study_id,Edema,No Finding,Pneumonia\n100,5,,,1.0\n101,6,-1.0,,\n102,7,1,,\n"
    (tmp_path / "mimic-cxr-2.0.0-chexpert.csv").write_text(text)
    images, sentences = listed(tmp_path)
    assert {(image.class_name, image.listed_patient) for image in images.values()} == {("pneumonia", "100")}
    assert len(images) == 2
    assert sentences == [
        "Line 3 is passed over: it has no label.",
        "Line 4 is passed over: there is no folder s7 with images.",
        "Images here to which the label table gives no class: 1.",
    ]


def test_mimics_tables_of_splits_and_metadata_tell_of_each_image(tmp_path):
    draw(tmp_path, "files/p10/p100/s5/a-1.jpg", "files/p10/p100/s5/b-2.jpg", "files/p10/p101/s6/c-3.jpg")
    tables = {
        "chexpert": "subject_id,study_id,No Finding,Pneumonia\n100,5,,1.0\n101,6,1.0,\n",
        "split": "dicom_id,study_id,subject_id,split\na-1,5,100,train\nb-2,5,100,train\nc-3,6,101,validate\n",
        "metadata": "dicom_id,subject_id,study_id,ViewPosition\na-1,100,5,PA\nb-2,100,5,LATERAL\nc-3,101,6,\n",
    }
    for name, text in tables.items():
        (tmp_path / f"mimic-cxr-2.0.0-{name}.csv").write_text(text)
    images, sentences = listed(tmp_path)
    assert {os.path.basename(file): (i.class_name, i.split, i.view) for file, i in images.items()} == {
        "a-1.jpg": ("pneumonia", "train", "PA"),
        "b-2.jpg": ("pneumonia", "train", "LATERAL"),
        "c-3.jpg": ("normal", "validation", None),
    }
    assert sentences == []
    assert unknown_tables(tmp_path) == {}


@pytest.mark.parametrize("packed", [False, True])
def test_of_two_tables_of_the_same_images_the_first_counts_and_the_other_is_named(tmp_path, packed):
    draw(tmp_path, "files/p10/p100/s5/a-1.jpg", "files/p10/p101/s6/c-3.jpg", "files/p10/p101/s7/d-4.jpg")
    header = "subject_id,study_id,No Finding,Pneumonia\n"
    tables = {
        "chexpert": f"{header}100,5,,1.0\n101,6,1.0,\n101,7,,1.0\n",
        "negbio": f"{header}100,5,,1.0\n101,6,,1.0\n",
        "split": "dicom_id,study_id,subject_id,split\na-1,5,100,train\nc-3,6,101,validate\n",
    }
    for name, text in tables.items():
        path = tmp_path / f"mimic-cxr-2.0.0-{name}.csv{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    images, sentences = listed(tmp_path)
    assert {os.path.basename(file): (image.class_name, image.split) for file, image in images.items()} == {
        "a-1.jpg": ("pneumonia", "train"),
        "c-3.jpg": ("normal", "validation"),
        "d-4.jpg": ("pneumonia", None),
    }
    assert len(sentences) == 1
    assert sentences[0].startswith("This table tells once more of the images of mimic-cxr-2.0.0-chexpert.csv")
    read, _, unread = table_description(tmp_path).partition("; not read: ")
    assert "chexpert.csv" in read and "negbio.csv" not in read
    assert unread == f"mimic-cxr-2.0.0-negbio.csv{'.gz' if packed else ''} (MIMIC-CXR)"


@pytest.mark.parametrize("header", ["image_id,label", "image_id,PredictionString", "ImageID,normal,covid"])
@pytest.mark.parametrize("name", ["sample_submission.csv", "stage_2_sample_submission.csv", "Submission.csv"])
def test_answers_to_be_filled_in_are_no_labels(tmp_path, header, name):
    draw(tmp_path, "train/a.png", "train/b.png", "test/c.png")
    (tmp_path / name).write_text(f"{header}\nc,0{',0' * (header.count(',') - 1)}\n")
    (tmp_path / "labels.csv").write_text("image_id,label\na,sick\nb,well\n")
    images, sentences = listed(tmp_path)
    assert {file: image.class_name for file, image in images.items()} == {"train/a.png": "sick", "train/b.png": "well"}
    assert sentences == ["Images here to which the label table gives no class: 1."]
    assert unknown_tables(tmp_path) == {}
    assert table_description(tmp_path).endswith(f"; not read: {name} (answers to be filled in)")


def test_answers_to_be_filled_in_alone_give_no_classes(tmp_path):
    draw(tmp_path, "images/a.png", "images/b.png")
    (tmp_path / "sample_submission.csv").write_text("image_id,label\na,0\nb,0\n")
    dataset = scan_dataset(tmp_path, index_dir=tmp_path / "index")
    assert dataset.classes == ("images",)
    assert "not read: sample_submission.csv (answers to be filled in)" in dataset.layouts[0]


def test_a_packed_table_beside_its_unpacked_one_is_the_same_table(tmp_path):
    draw(tmp_path, "a.png")
    text = b"path,label\na.png,ill\n"
    (tmp_path / "list.csv.gz").write_bytes(gzip.compress(text))
    assert listed(tmp_path / "list.csv.gz")[0]["a.png"].class_name == "ill"
    (tmp_path / "list.csv").write_bytes(text)
    images, sentences = listed(tmp_path)
    assert list(images) == ["a.png"]
    assert sentences == []


@pytest.mark.parametrize("damage", ["cut short", "other bytes", "not packed"])
def test_a_damaged_packed_table_is_refused_with_its_name(tmp_path, damage):
    data = gzip.compress("".join(f"path{n},label\n" for n in range(9)).encode())
    damaged = {"cut short": data[:-9], "other bytes": data[:12] + b"\xff" * 20, "not packed": b"path,label\n"}
    (tmp_path / "list.csv.gz").write_bytes(damaged[damage])
    with pytest.raises(ValueError, match=r"list\.csv\.gz"):
        listed(tmp_path / "list.csv.gz")


def test_nihs_lists_of_image_names_are_the_given_split(tmp_path):
    draw(tmp_path, *(f"images_001/images/0000000{n}_000.png" for n in range(4)))
    rows = "".join(f"0000000{n}_000.png,No Finding,0,{n},05{n}Y,M,PA\n" for n in range(4))
    header = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position\n"
    (tmp_path / "Data_Entry_2017.csv").write_text(header + rows)
    (tmp_path / "train_val_list.txt").write_text("00000000_000.png\n00000001_000.png\n")
    (tmp_path / "test_list.txt").write_text("00000002_000.png")
    images, sentences = listed(tmp_path)
    assert [image.split for _, image in sorted(images.items())] == ["train", "train", "test", None]
    assert sentences == []


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sides=st.lists(st.sampled_from(["train", "validation", "test", None]), min_size=4, max_size=9),
    spelt=st.sampled_from([
        {"train": "train_list", "validation": "val_list", "test": "test_list"},
        {"train": "train_val_list", "validation": "valid", "test": "test"},
        {"train": "Training-images", "validation": "dev_files", "test": "TEST"},
    ]),
    before=st.sampled_from(["", "images_001/images/", "./", "images_001\\images\\"]),
    ending=st.sampled_from(["png", "jpg", "PNG"]),
    end=st.sampled_from(["", "\n", "\r\n"]),
)  # fmt: skip
def test_lists_of_image_names_beside_a_table_are_its_split(tmp_path_factory, sides, spelt, before, ending, end):
    folder = tmp_path_factory.mktemp("nih")
    names = [f"{n:08d}_000.{ending}" for n in range(len(sides))]
    draw(folder, *(f"images_001/images/{name}" for name in names))
    rows = "".join(f"{name},No Finding,0,{n},05{n}Y,M,PA\n" for n, name in enumerate(names))
    header = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position\n"
    (folder / "Data_Entry_2017.csv").write_text(header + rows)
    for side, list_name in spelt.items():
        if listed_names := [before + name for name, told in zip(names, sides, strict=True) if told == side]:
            (folder / f"{list_name}.txt").write_text((end or "\n").join(listed_names) + end)
    images, sentences = listed(folder)
    assert [image.split for _, image in sorted(images.items())] == sides
    assert sentences == []


def test_readers_and_boxes_of_one_vindr_image_add_up(tmp_path):
    draw(tmp_path, "train/a.png", "train/b.png")
    rows = "image_id,class_name,rad_id\na,Cardiomegaly,R1\na,Pneumonia,R2\nb,No finding,R1\nb,No finding,R2\n"
    (tmp_path / "any name.csv").write_text(rows)
    images, sentences = listed(tmp_path)
    assert {file: image.class_name for file, image in images.items()} == {
        "train/a.png": "pneumonia",
        "train/b.png": "normal",
    }
    assert sentences == []


def test_padchest_lists_its_labels_as_python_does(tmp_path):
    draw(tmp_path, "0/a.png")
    (tmp_path / "p.tsv").write_text("ImageID\tPatientID\tProjection\tLabels\na.png\tp1\tPA\t['COVID 19', 'nodule']\n")
    image = listed(tmp_path)[0]["0/a.png"]
    assert (image.class_name, image.listed_patient, image.view) == ("covid", "p1", "PA")


@pytest.mark.parametrize(
    ("labels", "class_name"),
    [
        ("['exclude']", None),
        ("['pneumonia', 'Exclude']", None),
        ("['unchanged']", None),
        ("['suboptimal study', 'unchanged']", None),
        ("['unchanged', 'pneumonia']", "pneumonia"),
        ("['normal', 'suboptimal study']", "normal"),
    ],
)
def test_a_label_that_tells_of_no_disease_is_no_class(tmp_path, labels, class_name):
    draw(tmp_path, "0/a.png")
    (tmp_path / "p.tsv").write_text(f"ImageID\tPatientID\tProjection\tLabels\na.png\tp1\tPA\t{labels}\n")
    images, sentences = listed(tmp_path)
    assert [image.class_name for image in images.values()] == ([class_name] if class_name else [])
    assert sentences == ([] if class_name else ["Images left out because their findings form no class: 1."])


def test_a_class_may_be_called_unchanged_where_the_label_is_the_class_itself(tmp_path):
    draw(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "list.csv").write_text("path,label\na.png,unchanged\nb.png,worse\nc.png,exclude\n")
    images, _ = listed(tmp_path)
    assert {file: image.class_name for file, image in images.items()} == {"a.png": "unchanged", "b.png": "worse"}


def test_a_person_may_form_a_class_of_what_is_excluded():
    assert chosen_class(("exclude", "mass"), {"exclude": "spoilt"}, literal=False) == "spoilt"
    assert chosen_class(("unchanged",), {"unchanged": "stable"}, literal=False) == "stable"


def test_two_classes_for_one_image_leave_it_out(tmp_path):
    draw(tmp_path, "a.png", "b.png")
    (tmp_path / "list.csv").write_text("path,label\na.png,x\nb.png,y\n./a.png,y\na.png,x,z\n")
    images, sentences = listed(tmp_path)
    assert list(images) == ["b.png"]
    assert sentences == [
        "Line 5 has more values than there are columns.",
        "./a.png is left out: line 2 and line 4 give it two classes.",
    ]


def test_two_spellings_of_one_class_are_no_two_classes(tmp_path):
    draw(tmp_path, "a.png", "b.png")
    (tmp_path / "list.csv").write_text("path,label\na.png,COVID\nb.png,normal\na.png,covid-19\n")
    images, sentences = listed(tmp_path)
    assert list(images) == ["a.png", "b.png"]
    assert sentences == ["Line 4 is passed over: it repeats a.png of line 2."]


def test_what_a_spreadsheet_could_not_work_out_is_unknown(tmp_path):
    draw(tmp_path, "a.png", "b.png", "c.png")
    header = "path,label,patient,view,age,split\n"
    rows = "a.png,x,#N/A,#REF!,#NV,#DIV/0!\nb.png,y,#¿NOMBRE?,#N/D,#WERT!,#NULL!\nc.png,#N/A,P1,PA,50,train\n"
    (tmp_path / "list.csv").write_text(header + rows, encoding="utf-8")
    images, sentences = listed(tmp_path)
    assert {name: image.class_name for name, image in images.items()} == {"a.png": "x", "b.png": "y"}
    told = [(i.listed_patient, i.view, i.age_group, i.split) for i in images.values()]
    assert told == [(None, None, None, None)] * 2
    assert sentences[0] == "Line 4 is passed over: it has no label."


def test_unseen_marks_around_a_value_are_no_part_of_it(tmp_path):
    draw(tmp_path, "a.png", "b.png", "c.png")
    text = "\ufeff\ufeffpath,label\u200b\na.png,x\u200b\nb.png\u200e,x\n\u2060c.png,\u200fy\u00a0\u200b\n"
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    images, sentences = listed(tmp_path)
    assert {name: image.class_name for name, image in images.items()} == {"a.png": "x", "b.png": "x", "c.png": "y"}
    assert sentences == []


def test_an_equal_name_in_another_patients_folder_is_another_image(tmp_path):
    draw(tmp_path, "train/patient2/study1/view1_frontal.jpg")
    (tmp_path / "train.csv").write_text("Path,No Finding,Pneumonia\nX/train/patient1/study1/view1_frontal.jpg,1,\n")
    images, sentences = listed(tmp_path)
    assert images == {}
    assert sentences == [
        "Images here to which the label table gives no class: 1.",
        "This file is listed in train.csv, but it is not there.",
    ]


def test_images_that_a_folders_table_does_not_list_are_counted(tmp_path):
    draw(tmp_path, "a.png", "sick/b.png", "sick/c.png")
    (tmp_path / "list.csv").write_text("path,label\na.png,x\n")
    assert listed(tmp_path)[1] == ["Images here to which the label table gives no class: 2."]
    assert listed(tmp_path / "list.csv")[1] == []


def test_which_of_several_plain_lists_counts_is_asked(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("path,label\na.png,x\n")
    with pytest.raises(ValueError, match=r"holds 2 tables of images \(a.csv, b.csv\); name the one to open"):
        listed(tmp_path)
    for name in "cdef":
        (tmp_path / f"{name}.csv").write_text("path,label\na.png,x\n")
    with pytest.raises(ValueError, match=r"holds 6 tables of images \(a.csv, b.csv, c.csv, d.csv, e.csv, …\); name"):
        listed(tmp_path)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations(["path", "label", "age", "split", "sex"]),
    separator=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]),
    packed=st.booleans(),
    label=st.sampled_from(["NA", "None", "1", "01", "True", "null", "Größe", "a, b; c"]),
    age=st.text(st.characters(categories=("L", "N", "P", "Zs")), max_size=6),
    split=st.text(st.characters(categories=("L", "N")), max_size=6),
)
def test_no_odd_cell_costs_another_row(tmp_path_factory, order, separator, encoding, packed, label, age, split):
    folder = tmp_path_factory.mktemp("set")
    draw(folder, "a.png", "b.png")
    rows = [
        {"path": "a.png", "label": label, "age": age, "split": split, "sex": "F"},
        {"path": "b.png", "label": "sound", "age": "45.0", "split": "Training", "sex": "M"},
    ]
    path = folder / ("list.csv.gz" if packed else "list.csv")
    with (gzip.open if packed else open)(path, "wt", encoding=encoding, newline="") as stream:
        writer = csv.DictWriter(stream, order, delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
    images, sentences = listed(path)
    assert images["a.png"].class_name == label
    sound = images["b.png"]
    assert (sound.class_name, sound.age_group, sound.split, sound.sex) == ("sound", "40 to 64", "train", "male")
    unknown = [images["a.png"].age_group is None and said(age), images["a.png"].split is None and said(split)]
    assert len(sentences) == sum(map(bool, unknown))


def test_sex_and_source_go_with_the_images_into_splits_and_predictions(tmp_path):
    (tmp_path / "data").mkdir()
    for i, name in enumerate(("a.png", "b.png")):
        Image.new("L", (9, 8), i).save(tmp_path / "data" / name)
    (tmp_path / "data" / "list.csv").write_text("path,label,sex,source\na.png,x,F,Padua\nb.png,y,,Linz\n")
    table = scan_dataset(tmp_path / "data", index_dir=tmp_path / "index").table
    split = Split(np.array([0]), np.array([1]), np.array([], dtype=int))
    predictions = describe_predictions(table, np.full((2, 2), 0.5, np.float32), ("x", "y"))
    for told in (table, split_table(table, np.arange(2), split), predictions):
        told = told.set_index("file")
        assert told["source"].to_dict() == {"a.png": "Padua", "b.png": "Linz"}
        assert told.loc["a.png", "sex"] == "female"
        assert pd.isna(told.loc["b.png", "sex"])


def test_a_table_that_was_written_with_guards_still_matches_its_files(tmp_path):
    names = ["=1.png", "+2.png", "-3.png", "@4.png", "'=5.png", "6;=7.png", "'8.png"]
    draw(tmp_path / "images", *names)
    table = pd.DataFrame({"path": names, "label": ["-normal", "=virus"] * 3 + ["normal"], "patient": names})
    write_text(tmp_path / "index.csv", table_csv(table))
    images, sentences = listed(tmp_path)
    assert sentences == []
    assert sorted(Path(image.path).name for image in images.values()) == sorted(names)
    assert sorted(image.listed_patient for image in images.values()) == sorted(names)
    assert {image.class_name for image in images.values()} == {"-normal", "=virus", "normal"}


def test_a_small_table_that_would_fill_the_memory_is_refused(tmp_path):
    names, lines = ",".join(f"c{i}" for i in range(3_000)), "a.png,normal\n" * 1_000
    (tmp_path / "labels.csv").write_text(f"path,label,{names}\n{lines}")
    with pytest.raises(ValueError, match=r"labels.csv cannot be read as a table: most of its lines are shorter"):
        scan_dataset(tmp_path)


def test_the_time_that_a_table_takes_grows_with_its_columns_and_no_faster():
    columns = tuple(f"c{i}" for i in range(50_000))
    begin = time.perf_counter()
    assert find_kind((*columns, "path", "label")) is find_kind(("path", "label"))
    assert time.perf_counter() - begin < 5
