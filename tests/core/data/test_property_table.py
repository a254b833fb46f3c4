"""property_table.py against numpy on constructed images, and its cache."""

import shutil

import cv2
import numpy as np
import pandas as pd
import pydicom.data
import pytest
from image_files import undecodable_png

from cxr_core.data import property_table as module
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.phantoms import draw_phantom
from cxr_core.data.prepared_images import CHANGED
from cxr_core.data.property_table import COLUMNS, measure_images
from cxr_core.imaging.image_properties import HISTOGRAM_COLUMNS, measure_image


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    return path


@pytest.fixture
def chest():
    """A drawn chest of 400 × 400 pixels."""
    return cv2.resize(draw_phantom("normal", np.random.default_rng(1)), (400, 400))


@pytest.fixture
def folder(tmp_path, chest):
    """Three readable images of different sizes in two classes."""
    for i, name in enumerate(("normal/a.png", "normal/b.png", "virus/c.png")):
        save(tmp_path / "data" / name, chest[: 400 - 20 * i])
    return tmp_path / "data"


@pytest.fixture
def measured(tmp_path):
    """A callable(folder): the table and its measures, cached under `tmp_path`."""

    def measure(folder, **options):
        table = scan_dataset(folder).table
        return table, measure_images(table, cache_dir=tmp_path / "cache", **options)

    return measure


def test_there_is_one_row_per_image_in_the_tables_order(folder, measured):
    table, measures = measured(folder)
    assert list(measures.columns) == list(COLUMNS)
    assert len(measures) == len(table)
    assert measures["aspect"].tolist() == pytest.approx((table["width"] / table["height"]).tolist())
    assert measures["bytes_per_pixel"].tolist() == pytest.approx(
        (table["bytes"] / (table["width"] * table["height"])).tolist()
    )
    assert measures["error"].isna().all()


def test_numbers_are_float32(folder, measured):
    _, measures = measured(folder)
    assert set(measures.drop(columns="error").dtypes.map(str)) == {"float32"}


def test_mean_and_spread_equal_numpys(chest):
    measure = measure_image(chest)
    assert measure["grey_mean"] == pytest.approx(chest.mean() / 255)
    assert measure["grey_std"] == pytest.approx(chest.std() / 255)


def test_the_histogram_equals_numpys_and_sums_to_one(chest):
    measure = measure_image(chest)
    expected = np.histogram(chest, bins=32, range=(0, 256))[0] / chest.size
    assert [measure[name] for name in HISTOGRAM_COLUMNS] == pytest.approx(expected.tolist())
    assert sum(measure[name] for name in HISTOGRAM_COLUMNS) == pytest.approx(1)


@pytest.mark.parametrize("grey", [0, 128, 255])
@pytest.mark.parametrize("shape", [(300, 200), (1, 1), (1, 900), (5, 5)])
def test_a_flat_image_has_defined_values(grey, shape):
    measure = measure_image(np.full(shape, grey, np.uint8))
    assert all(np.isfinite(value) for value in measure.values())
    assert measure["grey_mean"] == pytest.approx(grey / 255)
    for name in ("grey_std", "two_valued", "sharpness", "colour", "inverted", "midline", "text"):
        assert measure[name] == pytest.approx(0, abs=1e-3), name


@pytest.mark.parametrize(("grey", "name"), [(0, "black_frame"), (255, "white_frame")])
def test_an_image_without_content_is_all_frame(grey, name):
    assert measure_image(np.full((300, 200), grey, np.uint8))[name] == 1


def test_sixteen_bits_give_what_eight_bits_give(chest):
    deep = measure_image(chest.astype(np.uint16) * 257)
    assert deep == pytest.approx(measure_image(chest))


def test_a_grey_image_saved_in_colour_gives_what_the_grey_one_gives(chest):
    assert measure_image(cv2.cvtColor(chest, cv2.COLOR_GRAY2BGR)) == pytest.approx(measure_image(chest))


def test_sixteen_bit_colour_is_measured(chest):
    image = np.dstack([chest, chest, np.zeros_like(chest)]).astype(np.uint16) * 257
    assert measure_image(image)["colour"] == pytest.approx((chest > 20).mean(), abs=0.01)


def test_a_dicom_file_is_measured(folder, measured):
    shutil.copy(pydicom.data.get_testdata_file("CT_small.dcm", download=False), folder / "virus" / "ct.dcm")
    table, measures = measured(folder)
    row = measures[(table["file"] == "virus/ct.dcm").to_numpy()].iloc[0]
    assert row["error"] is None
    assert row.drop("error").astype(float).notna().all()


def test_the_image_is_not_changed(chest):
    before = chest.copy()
    measure_image(chest)
    assert (chest == before).all()


def test_a_frame_is_measured_as_its_share_and_left_out_of_the_contents_brightness(chest):
    framed = cv2.copyMakeBorder(chest, 100, 0, 50, 50, cv2.BORDER_CONSTANT, value=0)
    measure, plain = measure_image(framed), measure_image(chest)
    assert measure["black_frame"] == pytest.approx(1 - chest.size / framed.size, abs=0.01)
    assert measure["white_frame"] == 0
    assert measure["content_mean"] == pytest.approx(plain["content_mean"], abs=0.01)
    assert measure["grey_mean"] < plain["grey_mean"] - 0.1


def test_a_negative_has_the_opposite_inverted_score(chest):
    assert measure_image(255 - chest)["inverted"] == pytest.approx(-measure_image(chest)["inverted"], abs=1e-3)


def test_sharpness_depends_on_blur_and_neither_on_contrast_nor_on_size(chest):
    grain = cv2.resize(np.random.default_rng(0).normal(0, 12, (150, 150)), (400, 400), interpolation=cv2.INTER_CUBIC)
    grainy = np.clip(chest + grain, 0, 255).astype(np.uint8)
    larger = cv2.resize(grainy, (1200, 1200), interpolation=cv2.INTER_CUBIC)
    sharpness = measure_image(grainy)["sharpness"]
    assert measure_image(grainy // 2)["sharpness"] == pytest.approx(sharpness, rel=0.05)
    assert measure_image(larger)["sharpness"] == pytest.approx(sharpness, rel=0.05)
    assert measure_image(cv2.GaussianBlur(grainy, (0, 0), 3))["sharpness"] < 0.8 * sharpness


def test_what_cannot_be_decoded_has_an_error_and_no_numbers(folder, measured):
    path = folder / "normal" / "b.png"
    path.write_bytes(undecodable_png(path.read_bytes()))
    table, measures = measured(folder)
    bad = (table["file"] == "normal/b.png").to_numpy()
    assert measures.loc[bad, "error"].iloc[0].endswith(".")
    assert measures.loc[bad].drop(columns="error").isna().all(axis=None)
    assert measures.loc[~bad, "error"].isna().all()
    assert measures.loc[~bad].drop(columns="error").notna().all(axis=None)


def test_an_unchanged_image_is_not_decoded_again(folder, measured, monkeypatch):
    path = folder / "normal" / "b.png"
    path.write_bytes(undecodable_png(path.read_bytes()))
    _, before = measured(folder)
    monkeypatch.setattr(module, "open_file", lambda _, data: pytest.fail("an image was decoded again"))
    _, after = measured(folder)
    pd.testing.assert_frame_equal(before, after)


def test_only_new_and_changed_images_are_decoded(folder, measured, monkeypatch, chest):
    table, before = measured(folder)
    save(folder / "normal" / "a.png", chest // 3)
    save(folder / "virus" / "new.png", chest // 2)
    decoded, decode = [], module.open_file
    monkeypatch.setattr(module, "open_file", lambda _, data: decoded.append(data) or decode("", data))
    table, after = measured(folder)
    assert sorted(decoded) == sorted((folder / f).read_bytes() for f in ("normal/a.png", "virus/new.png"))
    means = dict(zip(table["file"], after["grey_mean"], strict=True))
    assert means["normal/a.png"] == pytest.approx((chest // 3).mean() / 255)


def test_equal_images_are_decoded_once(folder, measured, monkeypatch):
    shutil.copy(folder / "normal" / "a.png", folder / "virus" / "copy.png")
    decoded, decode = [], module.open_file
    monkeypatch.setattr(module, "open_file", lambda _, data: decoded.append(data) or decode("", data))
    table, measures = measured(folder)
    assert len(decoded) == len(table) - 1
    assert measures["error"].isna().all()


def test_other_measures_have_another_cache(folder, measured, monkeypatch, tmp_path):
    measured(folder)
    monkeypatch.setattr(module, "_METHOD", module._METHOD + 1)
    measured(folder)
    assert len(list((tmp_path / "cache" / "measures").glob("*.parquet"))) == 2


def test_a_broken_cache_is_made_anew(folder, measured, tmp_path):
    _, before = measured(folder)
    (cache,) = (tmp_path / "cache" / "measures").iterdir()
    cache.write_bytes(b"no parquet")
    _, after = measured(folder)
    pd.testing.assert_frame_equal(before, after)


def test_a_file_that_vanished_is_tried_again_next_time(folder, tmp_path):
    table = scan_dataset(folder).table
    path = folder / "normal" / "a.png"
    path.rename(tmp_path / "away.png")
    first = measure_images(table, cache_dir=tmp_path / "cache")
    assert first["error"].iloc[0] == "This file vanished."
    (tmp_path / "away.png").rename(path)
    assert measure_images(table, cache_dir=tmp_path / "cache")["error"].isna().all()


def test_a_file_that_changed_since_it_was_listed_is_never_measured_as_what_it_was(folder, tmp_path, chest):
    table, path = scan_dataset(folder).table, folder / "normal" / "a.png"
    before = path.read_bytes()
    save(path, chest // 3)
    stale = measure_images(table, cache_dir=tmp_path / "cache")
    assert stale["error"].tolist() == [CHANGED, None, None]
    assert np.isnan(stale["grey_mean"].iloc[0])
    path.write_bytes(before)
    again = measure_images(table, cache_dir=tmp_path / "cache")
    expected = measure_image(module.open_file(path, before).pixels)
    assert again["grey_mean"].iloc[0] == pytest.approx(expected["grey_mean"])


@pytest.mark.parametrize("save_every", [1, 10_000])
def test_an_interrupted_pass_goes_on_where_it_was(folder, measured, monkeypatch, save_every):
    monkeypatch.setattr(module, "_CHUNK", 1)
    monkeypatch.setattr(module, "_SAVE_EVERY", save_every)
    decode = module.open_file

    def decode_two(path, data):
        if path.endswith("c.png"):
            raise KeyboardInterrupt
        return decode(path, data)

    monkeypatch.setattr(module, "open_file", decode_two)
    with pytest.raises(KeyboardInterrupt):
        measured(folder)
    again = []
    monkeypatch.setattr(module, "open_file", lambda _, data: again.append(data) or decode("", data))
    measured(folder)
    assert len(again) == 1


def test_progress_ends_with_all_images_whether_cached_or_not(folder, measured):
    for _ in range(2):
        seen = []
        measured(folder, progress=lambda *args, seen=seen: seen.append(args))
        assert seen[-1] == (3, 3)


def test_an_empty_table_gives_no_rows(folder, tmp_path):
    measures = measure_images(scan_dataset(folder).table[:0], cache_dir=tmp_path)
    assert len(measures) == 0
    assert list(measures.columns) == list(COLUMNS)
