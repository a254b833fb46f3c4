"""The radiographs that travel with the app: what they are, that none was learned from, and that damage is noticed."""

import hashlib
import re
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import SHARED_DATA

from cxr_core.config import SHIPPED_MODEL_DIR, TEACHING_DIR
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.teaching_set import check_teaching_set, load_teaching_index

INDEX = load_teaching_index()


@pytest.fixture
def copied(tmp_path):
    return shutil.copytree(TEACHING_DIR, tmp_path / "teaching_set")


def test_it_holds_sixty_images_of_each_class_and_ten_planted_ones_within_eight_megabytes():
    drawn = INDEX[~INDEX["planted"].str.startswith("copy")]
    assert drawn["label"].value_counts().to_dict() == {"normal": 60, "covid": 60, "virus": 60}
    adults = drawn[drawn["source"] == "NIH Clinical Center"]
    assert len(adults) == 20 and adults["age"].astype(int).min() >= 18
    assert INDEX["planted"].str.startswith("copy, ").sum() == 8
    assert INDEX["planted"].str.startswith("wrong label: ").sum() == 2
    assert sum(path.stat().st_size for path in TEACHING_DIR.rglob("*.*")) < 8_000_000
    assert drawn.loc[drawn["patient"] != "", "patient"].duplicated().sum() > 30


def test_every_image_is_grey_at_most_512_a_side_and_holds_no_metadata():
    for path in INDEX["path"]:
        data = (TEACHING_DIR / path).read_bytes()
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        assert image.ndim == 2 and max(image.shape) <= 512 and image.std() > 10
        assert b"Exif" not in data and b"http" not in data


def test_every_image_has_its_licence_and_attribution():
    licences = {"CC BY 4.0", "CC BY 3.0", "free with attribution"}
    assert set(INDEX["licence"]) == licences
    assert (INDEX["attribution"].str.len() > 20).all()
    text = (TEACHING_DIR / "LICENSES.md").read_text(encoding="utf-8")
    folders = INDEX["path"].str.split("/").str[0].value_counts().to_dict()
    assert {name: int(n) for name, n in re.findall(r"^\| `(\w+)` \| (\d+) \|", text, re.M)} == folders
    assert set(re.findall(r"doi:[\w./]+\d", " ".join(INDEX["attribution"]))) <= set(re.findall(r"doi:[\w./]+\d", text))


def test_no_image_is_of_the_classifiers_training_or_validation():
    learned = set((SHIPPED_MODEL_DIR / "training_images.txt").read_text().split())
    predictions = pd.read_csv(SHIPPED_MODEL_DIR / "predictions.csv")
    tuned_on = set(predictions.loc[predictions["split"] == "validation", "digest"])
    assert len(learned) > 5_000 and len(tuned_on) > 600
    for column in ("sha256", "original"):
        assert not set(INDEX[column]) & (learned | tuned_on)
    children = INDEX[INDEX["path"].str.startswith("guangzhou")]
    assert set(children["original"]) <= set(predictions.loc[predictions["split"] == "test", "digest"])


def difference_hash(image):
    """bool (240,): is each of 16 × 15 cells brighter than its left neighbour?"""
    small = cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA).astype(int)
    return (np.diff(small, axis=1) > 0).ravel()


def test_no_training_image_of_the_same_hospitals_looks_like_one_of_its():
    if not SHARED_DATA.is_dir():
        pytest.skip("needs ../shared/data")
    learned = set((SHIPPED_MODEL_DIR / "training_images.txt").read_text().split())
    hashes = {"own": [], "learned": []}
    for path in INDEX["path"]:
        hashes["own"].append(difference_hash(cv2.imread(str(TEACHING_DIR / path), cv2.IMREAD_GRAYSCALE)))
    for folder in ("covid_cxr/normal", "covid_cxr/virus", "adult_normal/normal", "hospitals/nih_starter/normal"):
        for path in (SHARED_DATA / folder).iterdir():
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() in learned:
                image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
                hashes["learned"].append(difference_hash(image))
    own, others = np.array(hashes["own"]), np.array(hashes["learned"])
    assert len(others) > 1_000
    apart = (own[:, None] != others[None]).sum(2)
    assert apart.min() > 10
    # The measure does see copies: those that were saved again at the same size.
    again = INDEX[INDEX["planted"].str.contains("saved again|resized")]
    for row, planted in zip(again.index, again["planted"], strict=True):
        original = INDEX.index[INDEX["path"] == planted.split(": ")[1]][0]
        assert (own[row] != own[original]).sum() <= 10


def test_each_planted_copy_has_its_original_and_each_wrong_label_another_truth():
    known = INDEX.set_index("path")
    for path, row in known[known["planted"] != ""].iterrows():
        kind, _, what = row["planted"].partition(": ")
        if kind == "wrong label":
            assert what in ("normal", "virus") and what != row["label"]
        else:
            assert known.loc[what, "original"] == row["original"]
            assert row["patient"] == "" and known.loc[what, "planted"] == ""
        assert re.search(r"/scan-\d+\.jpg$", path)


def test_the_app_reads_it_as_a_data_set_without_a_complaint(tmp_path):
    dataset = scan_dataset(TEACHING_DIR, index_dir=tmp_path)
    assert len(dataset.table) == len(INDEX) and dataset.unreadable.empty
    assert dict(zip(dataset.table["file"], dataset.table["digest"], strict=True)) == dict(
        zip(INDEX["path"], INDEX["sha256"], strict=True)
    )
    assert {"view", "sex", "age_group", "source", "patient"} <= set(dataset.table)


def test_a_whole_teaching_set_passes_its_check():
    check_teaching_set()


def test_missing_changed_and_foreign_images_are_counted_in_one_sentence(copied):
    paths = sorted(copied.glob("*/*.jpg"))
    for path in paths[:3]:
        path.unlink()
    paths[5].write_bytes(paths[5].read_bytes()[:-100])
    shutil.copy(paths[7], copied / "nih" / "mine.jpg")
    with pytest.raises(ValueError, match="3 missing, 1 changed, 1 not in its index.*Install CXR Lab again"):
        check_teaching_set(copied)


@pytest.mark.parametrize("text", [None, "", "path,label\na.jpg,normal\n", '"'])
def test_a_broken_index_is_noticed(copied, text):
    if text is None:
        (copied / "index.csv").unlink()
    else:
        (copied / "index.csv").write_text(text)
    with pytest.raises(ValueError, match="The teaching set is not complete: its index"):
        check_teaching_set(copied)
