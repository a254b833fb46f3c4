"""Made once per content and preprocessing, never half."""

import pickle
import shutil
from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
from image_files import undecodable_png
from PIL import Image

from cxr_core.data.dataset import scan_dataset
from cxr_core.data.prepared_images import CHANGED, prepare_images, read_in_parts
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.imaging.preprocessing_steps import PREPROCESSING_STEPS, PreprocessingStep
from cxr_core.imaging.reader import read_image

SMALL = Preprocessing(size=48)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("normal", "covid"):
        for i in range(4):
            path = tmp_path / "data" / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (60, 70), dtype=np.uint8)).save(path)
    return tmp_path / "data"


@pytest.fixture
def prepare(folder, tmp_path):
    """A callable that scans the folder and prepares it into one cache."""
    return lambda preprocessing=SMALL: prepare_images(
        scan_dataset(folder).table, preprocessing, cache_dir=tmp_path / "cache"
    )


def spoil(path):
    """Break a PNG so that its header and end are whole and its pixels are not."""
    path.write_bytes(undecodable_png(path.read_bytes()))


def test_every_row_holds_its_own_image(prepare):
    prepared = prepare()
    assert prepared.images_u8.dtype == np.uint8
    for image, path in zip(prepared.images_u8, prepared.table["path"], strict=True):
        np.testing.assert_array_equal(image, SMALL.image_u8(read_image(path)))


def test_the_second_time_gives_the_same_without_reading_an_image(prepare, monkeypatch):
    first = prepare()
    images = np.array(first.images_u8)
    monkeypatch.setattr("cxr_core.data.prepared_images.open_file", None)
    second = prepare()
    assert second.key == first.key
    np.testing.assert_array_equal(second.images_u8, images)


def test_prepared_images_cannot_be_written_to(prepare):
    with pytest.raises(ValueError):
        prepare().images_u8[0, 0, 0] = 1


def test_a_half_written_array_is_never_read(prepare, monkeypatch, tmp_path):
    def interrupted(path, data):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("cxr_core.data.prepared_images.open_file", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare()
    key = prepare().key
    cache = tmp_path / "cache" / "prepared"
    (cache / f"{key}.npy").rename(cache / f".0badc0de-{key}.npy")
    (cache / f".0badc0de-{key}.npy").write_bytes(b"half")
    assert prepare().images_u8.any(axis=(1, 2)).all()


def test_changed_content_has_another_key(prepare, folder):
    before = prepare()
    Image.new("L", (50, 50), 9).save(folder / "covid" / "0.png")
    assert prepare().key != before.key


def test_a_changed_preprocessing_has_another_key(prepare):
    assert prepare().key != prepare(Preprocessing(size=48, clahe="after")).key


# One other value for every field that decides a prepared image's pixels.
OTHERS = {
    "white_balance_percent": 1.0, "clahe": "after", "clahe_clip_limit": 3.0, "clahe_tiles": 4, "aspect": "pad",
    "interpolation": "area", "size": 64, "further_steps": (("brighter", 9),),
}  # fmt: skip


def test_every_setting_that_changes_pixels_has_a_key_of_its_own(folder, prepare, monkeypatch):
    brighter = PreprocessingStep(
        label="Brighter", help="Adds a value.", apply=lambda square, value: cv2.add(square, value), low=0, high=9, off=0
    )
    monkeypatch.setitem(PREPROCESSING_STEPS, "brighter", brighter)
    # Scaling comes after what is kept. A new setting must be named here, and belong to the key.
    assert {*OTHERS, "scaling"} == {field.name for field in fields(Preprocessing)}
    changed = [replace(SMALL, **{name: value}) for name, value in OTHERS.items()]
    keys = [prepare(preprocessing).key for preprocessing in (SMALL, *changed)]
    assert len(set(keys)) == len(OTHERS) + 1
    assert prepare(replace(SMALL, scaling="-1..1")).key == keys[0]


def test_the_same_images_in_another_order_have_a_key_of_their_own(folder, tmp_path):
    table = scan_dataset(folder).table
    keys = [prepare_images(t, SMALL, cache_dir=tmp_path / "cache").key for t in (table, table[::-1])]
    assert keys[0] != keys[1]


def test_a_renamed_folder_has_the_same_key(prepare, folder):
    before = prepare().key
    for name in ("normal", "covid"):
        (folder / name / "0.png").rename(folder / name / "00.png")
    assert prepare().key == before


def test_what_cannot_be_decoded_is_dropped_and_the_table_stays_in_step(prepare, folder):
    spoil(folder / "normal" / "2.png")
    for prepared in (prepare(), prepare()):
        assert list(prepared.errors) == ["normal/2.png"]
        assert prepared.errors["normal/2.png"].endswith(".")
        assert prepared.images_u8.shape == (7, 48, 48)
        assert "normal/2.png" not in set(prepared.table["file"])
        assert list(prepared.table.index) == list(range(7))
        for image, path in zip(prepared.images_u8, prepared.table["path"], strict=True):
            np.testing.assert_array_equal(image, SMALL.image_u8(read_image(path)))


def test_what_cannot_be_decoded_takes_no_room_and_the_rest_is_not_read_into_memory(prepare, folder, tmp_path):
    for name in ("normal/0.png", "normal/3.png", "covid/3.png"):
        spoil(folder / name)
    for prepared in (prepare(), prepare()):
        assert isinstance(prepared.images_u8, np.memmap)
        assert prepared.images_u8.shape == (5, 48, 48)
        array_path = tmp_path / "cache" / "prepared" / f"{prepared.key}.npy"
        np.testing.assert_array_equal(np.load(array_path), prepared.images_u8)
        assert array_path.stat().st_size == prepared.images_u8.offset + 5 * 48 * 48


def test_twelve_images_of_which_nine_decode_are_a_whole_array(folder, tmp_path):
    # The number of images then has one digit less than the file was begun with.
    for i in range(4):
        (folder / "covid" / f"more-{i}.png").write_bytes((folder / "covid" / f"{i}.png").read_bytes())
    for i in range(3):
        spoil(folder / "normal" / f"{i}.png")
    prepared = prepare_images(scan_dataset(folder).table, SMALL, cache_dir=tmp_path / "cache")
    for image, path in zip(prepared.images_u8, prepared.table["path"], strict=True):
        np.testing.assert_array_equal(image, SMALL.image_u8(read_image(path)))


def test_a_file_that_was_out_of_reach_once_is_prepared_when_it_is_back(folder, tmp_path):
    table = scan_dataset(folder).table
    (folder / "covid" / "0.png").rename(folder / "away.png")
    prepare_images(table, SMALL, cache_dir=tmp_path / "cache")
    (folder / "away.png").rename(folder / "covid" / "0.png")
    assert prepare_images(table, SMALL, cache_dir=tmp_path / "cache").errors == {}


def test_a_data_set_without_one_decodable_image_is_refused(prepare, folder):
    for path in folder.rglob("*.png"):
        spoil(path)
    with pytest.raises(ValueError, match="Not one image"):
        prepare()


@pytest.mark.parametrize("changed", [["covid/0.png"], ["covid/1.png", "normal/3.png"]], ids=str)
def test_a_file_that_changed_since_it_was_listed_is_left_out_and_never_kept_under_its_old_content(
    folder, tmp_path, changed
):
    table = scan_dataset(folder).table
    spoil(folder / "normal" / "0.png")
    broken_too = scan_dataset(folder).table
    kept = {file: (folder / file).read_bytes() for file in changed}
    for file in changed:
        Image.fromarray(np.zeros((50, 50), np.uint8)).save(folder / file)
    now = prepare_images(broken_too, SMALL, cache_dir=tmp_path / "cache")
    assert {file for file, sentence in now.errors.items() if sentence == CHANGED} == set(changed)
    assert set(now.errors) == {*changed, "normal/0.png"}
    for image, path in zip(now.images_u8, now.table["path"], strict=True):
        np.testing.assert_array_equal(image, SMALL.image_u8(read_image(path)))
    for file, data in kept.items():
        (folder / file).write_bytes(data)
    later = prepare_images(broken_too, SMALL, cache_dir=tmp_path / "cache")
    assert set(later.errors) == {"normal/0.png"}
    assert len(later.table) == len(table) - 1
    for image, path in zip(later.images_u8, later.table["path"], strict=True):
        np.testing.assert_array_equal(image, SMALL.image_u8(read_image(path)))


def test_broken_files_of_two_hospitals_are_listed_each_even_where_their_names_are_equal(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "other")
    for root in (folder, tmp_path / "other"):
        spoil(root / "covid" / "1.png")
    table = scan_dataset(folder, tmp_path / "other").table
    prepared = prepare_images(table, SMALL, cache_dir=tmp_path / "cache")
    assert set(prepared.errors) == {str(root / "covid" / "1.png") for root in (folder, tmp_path / "other")}
    assert len(prepared.table) == 14 and list(prepared.table) == list(table)


def test_where_every_file_changed_the_data_set_is_refused_with_the_reason(folder, tmp_path):
    table = scan_dataset(folder).table
    for path in folder.rglob("*.png"):
        Image.fromarray(np.zeros((50, 50), np.uint8)).save(path)
    with pytest.raises(ValueError, match="changed after it was listed"):
        prepare_images(table, SMALL, cache_dir=tmp_path / "cache")


def test_progress_ends_with_all_images(folder, tmp_path):
    seen = []
    table = scan_dataset(folder).table
    prepare_images(table, SMALL, cache_dir=tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (8, 8)


def test_work_that_is_shared_out_gives_the_same_images_and_errors(folder, prepare, tmp_path):
    spoil(folder / "covid" / "2.png")
    asked = []

    def share(function, chunks):
        for chunk in chunks:
            asked.extend(chunk)
            yield pickle.loads(pickle.dumps(function))(chunk)

    here, table = prepare(), scan_dataset(folder).table
    shared = prepare_images(table, SMALL, cache_dir=tmp_path / "other", share=share)
    assert asked == table["path"].tolist()
    assert shared.errors == here.errors and len(shared.errors) == 1
    np.testing.assert_array_equal(shared.images_u8, here.images_u8)


@pytest.mark.parametrize("n", [1, 127, 128, 129, 300])
def test_read_in_parts_every_row_comes_once_and_in_order(tmp_path, n):
    rows = np.random.default_rng(0).random((n, 3), np.float32)
    np.save(tmp_path / "rows.npy", rows)
    for images in (rows, np.load(tmp_path / "rows.npy", mmap_mode="r")):
        parts = list(read_in_parts(images))
        assert [row for part, _ in parts for row in part] == list(range(n))
        np.testing.assert_array_equal(np.concatenate([values for _, values in parts]), rows)
