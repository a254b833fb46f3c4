"""The radiographs that travel with the app: what they are, that none was learned from, and that damage is noticed."""

import hashlib
import re
import shutil
import subprocess

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import SHARED_DATA

from cxr_core.audit.embeddings import dataset_embeddings
from cxr_core.audit.projection import project_embeddings
from cxr_core.audit.spurious_correlations import find_spurious_correlations
from cxr_core.config import SHIPPED_MODEL_DIR, TEACHING_DIR
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.prepared_images import prepare_images
from cxr_core.data.property_table import measure_images
from cxr_core.data.teaching_set import (
    check_teaching_set,
    keep_shipped_analysis,
    load_teaching_index,
    restore_teaching_set,
)
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.imaging.reader import read_image
from cxr_core.inference.classifier import load_classifier
from cxr_core.splits.duplicates import find_duplicates
from cxr_core.splits.split import image_groups

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
    with pytest.raises(ValueError, match="3 missing, 1 changed, 1 not in its index"):
        check_teaching_set(copied)


@pytest.mark.parametrize(("is_checkout", "step"), [(True, "git checkout -- teaching_set"), (False, "Install CXR Lab")])
def test_what_restores_it_depends_on_where_it_came_from(copied, tmp_path, monkeypatch, is_checkout, step):
    next(copied.glob("*/*.jpg")).unlink()
    project = tmp_path / "project"
    (project / (".git" if is_checkout else "other")).mkdir(parents=True)
    monkeypatch.setattr("cxr_core.data.teaching_set.PROJECT_DIR", project)
    monkeypatch.setattr("shutil.which", lambda name: name)
    with pytest.raises(ValueError, match=step):
        check_teaching_set(copied)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_checkout_brings_back_what_is_missing_or_changed(copied):
    git = ("git", "-C", str(copied), "-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "a")):
        subprocess.run([*git, *words], check=True)
    first, second = sorted(copied.glob("*/*.jpg"))[:2]
    first.unlink()
    second.write_bytes(b"half")
    (copied / "index.csv").unlink()
    restore_teaching_set(copied)
    check_teaching_set(copied)


def test_where_nothing_can_be_restored_one_sentence_says_so(copied, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(copied.parent))
    with pytest.raises(ValueError, match="The teaching set is not complete: git could not restore it"):
        restore_teaching_set(copied)


@pytest.mark.parametrize("text", [None, "", "path,label\na.jpg,normal\n", '"'])
def test_a_broken_index_is_noticed(copied, text):
    if text is None:
        (copied / "index.csv").unlink()
    else:
        (copied / "index.csv").write_text(text)
    with pytest.raises(ValueError, match="The teaching set is not complete: its index"):
        check_teaching_set(copied)


@pytest.fixture
def seeded(tmp_path):
    keep_shipped_analysis(cache_dir=tmp_path / "cache")
    return tmp_path / "cache"


def test_the_analysis_that_travels_with_it_is_that_of_its_images_and_of_the_present_methods(seeded, monkeypatch):
    def compute(*_, **__):
        raise AssertionError("computed anew: run python -m benchmarks.teaching_set")

    for name in (
        "cxr_core.splits.duplicates._near_pairs",
        "cxr_core.data.property_table._measure_file",
        "cxr_core.audit.embeddings._write_features",
        "cxr_core.audit.projection._layout",
        "cxr_core.audit.spurious_correlations._accuracies",
    ):
        monkeypatch.setattr(name, compute)
    table = scan_dataset(TEACHING_DIR, index_dir=seeded.parent).table
    pairs = find_duplicates(prepare_images(table, Preprocessing(), cache_dir=seeded), cache_dir=seeded)
    measured = measure_images(table, cache_dir=seeded)
    known = dataset_embeddings(table, phase=lambda what: None, cache_dir=seeded)
    find_spurious_correlations(table, measured, image_groups(table, pairs), cache_dir=seeded)
    path = seeded / "maps" / f"{known.key}.npz"
    rows, xy = project_embeddings(known.values, class_names=table["class_name"], cache_path=path)
    assert measured["error"].isna().all() and len(rows) == len(xy) == len(known.values) == len(INDEX)
    found = {frozenset((table["file"][a], table["file"][b])) for a, b in pairs[["a", "b"]].to_numpy()}
    copies = INDEX[INDEX["planted"].str.startswith("copy")]
    assert {frozenset((row.path, row.planted.split(": ")[1])) for row in copies.itertuples()} < found


def test_embeddings_that_travel_with_it_are_those_of_the_built_in_classifier(seeded):
    classifier, table = load_classifier(SHIPPED_MODEL_DIR), scan_dataset(TEACHING_DIR, index_dir=seeded.parent).table
    known = dataset_embeddings(table, phase=lambda what: None, cache_dir=seeded)
    images = np.stack([classifier.card.preprocessing.image_u8(read_image(path)) for path in table["path"][:4]])
    np.testing.assert_allclose(known.values[:4], classifier.features(images), atol=0.02, rtol=0.01)


@pytest.mark.parametrize("path", sorted((TEACHING_DIR / "analysis").glob("*/*")), ids=lambda path: path.parent.name)
@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: b"", None], ids=["half", "empty", "gone"]
)
def test_a_damaged_part_of_the_analysis_never_enters_the_cache_and_the_others_do(copied, tmp_path, path, damage):
    broken = copied / "analysis" / path.parent.name / path.name
    if damage is None:
        broken.unlink()
    else:
        broken.write_bytes(damage(path.read_bytes()))
    keep_shipped_analysis(copied, cache_dir=tmp_path / "cache")
    there = {kept.relative_to(tmp_path / "cache") for kept in (tmp_path / "cache").glob("*/*")}
    told = {other.relative_to(TEACHING_DIR / "analysis") for other in (TEACHING_DIR / "analysis").glob("*/*")}
    assert there == told - {path.relative_to(TEACHING_DIR / "analysis")}


@pytest.mark.parametrize("text", [None, b"", b"\xff", b"of nothing"])
def test_without_a_list_of_its_files_nothing_of_the_analysis_is_believed(copied, tmp_path, text):
    checksums = copied / "analysis" / "sha256.txt"
    checksums.unlink() if text is None else checksums.write_bytes(text)
    keep_shipped_analysis(copied, cache_dir=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_what_the_cache_holds_already_is_left_as_it_is(tmp_path):
    path = next((TEACHING_DIR / "analysis" / "measures").iterdir())
    own = tmp_path / "measures" / path.name
    own.parent.mkdir()
    own.write_bytes(b"of more images")
    keep_shipped_analysis(cache_dir=tmp_path)
    assert own.read_bytes() == b"of more images"
    assert {folder.name for folder in tmp_path.iterdir()} >= {"duplicates", "features", "maps"}


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "cache").write_text("a file in its place")
    keep_shipped_analysis(cache_dir=tmp_path / "cache")
