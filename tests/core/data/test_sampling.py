"""Fewer rows with the same shares."""

import cv2
import numpy as np
import pandas as pd

from cxr_core.data.sampling import most_changed_row, stratified_rows
from cxr_core.imaging.preprocessing import balance_change

NAMES = np.repeat(["normal", "covid", "virus"], [600, 300, 100])


def draw(limit, seed=0, names=NAMES):
    return stratified_rows(names, limit, np.random.default_rng(seed))


def test_few_rows_are_all_kept():
    np.testing.assert_array_equal(draw(1000), np.arange(1000))


def test_a_sample_keeps_every_classs_share():
    names, counts = np.unique(NAMES[draw(100)], return_counts=True)
    assert dict(zip(names, counts, strict=True)) == {"normal": 60, "covid": 30, "virus": 10}


def test_rows_are_sorted_and_drawn_once():
    assert (np.diff(draw(100)) > 0).all()


def test_a_class_too_small_for_a_share_keeps_one_row():
    names = np.array(["normal"] * 999 + ["rare"])
    assert 999 in draw(100, names=names)


def test_the_same_seed_draws_the_same_rows_and_another_one_others():
    np.testing.assert_array_equal(draw(100, seed=1), draw(100, seed=1))
    assert set(draw(100, seed=1)) != set(draw(100, seed=2))


def table_of(folder, **images):
    for name, image in images.items():
        cv2.imwrite(str(folder / f"{name}.png"), image)
    return pd.DataFrame({"path": [str(folder / f"{name}.png") for name in images], "class_name": "normal"})


def test_the_image_that_the_white_balance_changes_most_is_found(tmp_path):
    ramp = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    table = table_of(tmp_path, full=ramp, dull=ramp // 4 + 90, dim=ramp // 2 + 60)
    assert most_changed_row(table, balance_change) == 1


def test_an_unreadable_image_is_passed_over(tmp_path):
    table = table_of(tmp_path, broken=np.zeros((4, 4), np.uint8), good=np.eye(64, dtype=np.uint8))
    (tmp_path / "broken.png").write_bytes(b"no image")
    assert most_changed_row(table, balance_change) == 1
    assert most_changed_row(table.iloc[:1], balance_change) == 0
