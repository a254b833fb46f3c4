"""slices.py on predictions whose weak spot we made."""

import cv2
import numpy as np
import pandas as pd
import pytest
from image_files import dicom

from cxr_core.evaluation.confidence_intervals import share_interval
from cxr_core.evaluation.slices import file_facts, slice_table, worst_slice


def predictions(right, **columns):
    n = len(right)
    files = [f"normal/{i}.png" for i in range(n)]
    return pd.DataFrame({"file": files, "true": "normal", "right": right, "group": range(n)} | columns)


def test_a_slice_has_the_accuracy_of_its_rows():
    table = predictions([True] * 30 + [False] * 10)
    facts = pd.DataFrame({"format": ["PNG"] * 30 + ["JPEG"] * 10})
    rows = slice_table(table, facts).set_index("value")
    assert rows.loc["PNG", ["images", "accuracy"]].tolist() == [30, 1]
    assert rows.loc["JPEG", ["images", "accuracy"]].tolist() == [10, 0]


def test_the_worst_slice_comes_first_and_is_named():
    table = predictions([True] * 30 + [False] * 10)
    rows = slice_table(table, pd.DataFrame({"format": ["PNG"] * 30 + ["JPEG"] * 10}))
    assert rows["value"].iloc[0] == "JPEG"
    assert worst_slice(rows, 0.75).startswith("Weakest: file format JPEG, accuracy 0.0 % on 10 images")


def test_a_few_images_are_no_worst_slice():
    table = predictions([True] * 30 + [False] * 3)
    rows = slice_table(table, pd.DataFrame({"format": ["PNG"] * 30 + ["JPEG"] * 3}))
    assert worst_slice(rows, 0.9) is None


def test_what_may_be_chance_is_no_worst_slice():
    rng = np.random.default_rng(0)
    table = predictions(rng.random(200) < 0.8)
    rows = slice_table(table, pd.DataFrame({"format": np.where(np.arange(200) % 2, "PNG", "JPEG")}))
    assert worst_slice(rows, table["right"].mean()) is None


def test_of_several_weak_slices_the_worst_is_named_and_one_that_only_touches_the_whole_is_none():
    rows = pd.DataFrame(
        {
            "by": ["format", "size", "source"], "value": ["PNG", "to 600", "a"], "images": [9, 10, 400],
            "accuracy": [0.1, 0.2, 0.3], "low": 0.0, "high": [0.3, 0.5, 0.4],
        }
    )  # fmt: skip
    assert worst_slice(rows, 0.51).startswith("Weakest: longest side to 600, accuracy 20.0 % on 10 images")
    assert worst_slice(rows, 0.5).startswith("Weakest: source a, accuracy 30.0 % on 400 images (95 %: 0.0 % to")
    assert worst_slice(rows, 0.4) is None


def test_a_slices_interval_is_that_of_its_own_groups():
    table = predictions(np.arange(60) % 5 > 0, group=np.repeat(np.arange(30), 2)).sample(frac=1, random_state=0)
    facts = pd.DataFrame({"format": np.where(table["right"].index % 2, "PNG", "JPEG")}, index=table.index)
    rows = slice_table(table, facts).set_index("value")
    assert set(rows.index) == {"PNG", "JPEG"}
    for value, row in rows.iterrows():
        part = table[(facts["format"] == value).to_numpy()]
        assert [row["low"], row["high"]] == share_interval(part["right"], part["group"])


def test_slices_of_one_patient_have_no_interval():
    table = predictions([True, False, True, True]).assign(group=[1, 1, 2, 3])
    rows = slice_table(table, pd.DataFrame({"view": ["AP", "AP", "PA", "PA"]})).set_index("value")
    assert rows.loc["AP", ["low", "high"]].isna().all()
    assert not rows.loc["PA", ["low", "high"]].isna().any()


def test_a_true_class_is_a_slice_under_its_label_and_what_is_not_told_of_is_none():
    table = predictions([True, False, True]).assign(true=["normal", "covid", "covid"])
    rows = slice_table(table, pd.DataFrame({"view": ["AP", None, "PA"]}))
    assert rows[["by", "value", "images"]].to_numpy().tolist() == [
        ["true", "COVID-19", 2], ["true", "Normal", 1], ["view", "AP", 1], ["view", "PA", 1],
    ]  # fmt: skip


def test_a_slice_of_all_images_is_left_out():
    assert slice_table(predictions([True, False]), pd.DataFrame({"format": ["PNG", "PNG"]})).empty


def test_facts_come_from_the_files_headers(tmp_path):
    path = tmp_path / "hospital" / "normal" / "person3_virus_1.png"
    path.parent.mkdir(parents=True)
    cv2.imwrite(str(path), np.zeros((400, 700), np.uint8))
    facts = file_facts(pd.DataFrame({"file": ["normal/person3_virus_1.png"], "path": [str(path)]})).iloc[0]
    assert (facts["width"], facts["height"], facts["format"]) == (700, 400, "PNG")
    assert (facts["source"], facts["size"], facts["patient"]) == ("hospital", "to 1,200", "yes")


def test_bands_of_the_longest_side_hold_their_upper_end(tmp_path):
    sides = [1, 300, 301, 600, 601, 1200, 1201, 2400, 2401]
    for side in sides:
        cv2.imwrite(str(tmp_path / f"{side}.png"), np.zeros((side, 1) if side % 2 else (1, side), np.uint8))
    paths = [str(tmp_path / f"{side}.png") for side in sides]
    bands = file_facts(pd.DataFrame({"file": paths, "path": paths}))["size"]
    assert bands.tolist() == [
        "up to 300 pixels", "up to 300 pixels", "to 600", "to 600", "to 1,200", "to 1,200", "to 2,400", "to 2,400",
        "more",
    ]  # fmt: skip


def test_the_source_is_the_data_sets_folder_however_deep_an_image_lies_or_what_a_table_says():
    files = ["covid/a.png", "covid/patient1/day2/b.png", "covid/c.png", "/elsewhere/d.png"]
    paths = ["/data/here/covid/a.png", "/data/here/covid/patient1/day2/b.png", "/data/there/covid/c.png", files[3]]
    told = [None, None, "Hannover", None]
    facts = file_facts(pd.DataFrame({"file": files, "path": paths, "source": told}))
    assert facts["source"].tolist() == ["here", "here", "Hannover", "elsewhere"]


def test_a_name_that_tells_a_patient_is_known_by_its_last_part():
    files = ["normal/a.png", "person1_virus_2/a.png", "virus/person1_virus_2.jpeg", "person1_virus_2.jpeg"]
    assert file_facts(pd.DataFrame({"file": files}))["patient"].tolist() == ["no", "no", "yes", "yes"]


def test_no_predictions_have_no_facts():
    facts = file_facts(pd.DataFrame({"file": [], "path": []}, dtype=object))
    assert facts.empty


@pytest.mark.parametrize("path", ["/nowhere/normal/a.png", __file__])
def test_a_file_that_is_gone_or_no_image_has_no_size(path):
    facts = file_facts(pd.DataFrame({"file": ["normal/a.png"], "path": [path]})).iloc[0]
    assert pd.isna(facts["width"])
    assert facts["format"] is None


def test_without_paths_only_the_name_tells():
    assert list(file_facts(pd.DataFrame({"file": ["normal/a.png"]})).columns) == ["patient"]


@pytest.mark.parametrize(
    ("age", "group"), [("064Y", "40 to 64"), ("030M", "under 18 years"), ("900Y", None), ("", None), ("old", None)]
)
def test_a_dicom_header_tells_view_and_age_group(tmp_path, age, group):
    path = tmp_path / "a.dcm"
    path.write_bytes(dicom(np.zeros((40, 70), np.uint16), ViewPosition="PA", PatientAge=age))
    facts = file_facts(pd.DataFrame({"file": ["normal/a.dcm"], "path": [str(path)]}))
    assert facts["view"].tolist() == ["PA"]
    assert facts.get("age_group", pd.Series([None])).tolist() == [group]


def test_what_a_list_says_of_an_image_stands_before_its_header(tmp_path):
    path = tmp_path / "a.dcm"
    path.write_bytes(dicom(np.zeros((40, 70), np.uint16), ViewPosition="PA"))
    rows = pd.DataFrame({"file": ["n/a.dcm", "n/b.dcm"], "path": str(path), "view": ["AP", None]})
    assert file_facts(rows)["view"].tolist() == ["AP", "PA"]


def test_a_listed_age_group_becomes_a_slice():
    table = predictions([True] * 30 + [False] * 10, age_group=["18 to 39"] * 30 + ["65 and over"] * 10)
    rows = slice_table(table, file_facts(table))
    assert worst_slice(rows, 0.75).startswith("Weakest: age of the patient 65 and over, accuracy 0.0 % on 10 images")
