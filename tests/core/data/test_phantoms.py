"""Seeded drawings, three kinds that differ."""

import cv2
import numpy as np
import pytest
from PIL import Image

from cxr_core.data.phantoms import draw_demo_data, draw_phantom


def test_the_folder_holds_three_classes_of_equal_size(demo_data):
    assert {p.name: len(list(p.iterdir())) for p in demo_data.iterdir()} == {"normal": 24, "covid": 24, "virus": 24}


def test_every_drawing_opens_with_its_longest_side_in_range(demo_data):
    sides = [max(Image.open(p).size) for p in demo_data.rglob("*.*")]
    assert 240 <= min(sides) <= max(sides) <= 900


def test_the_same_seed_draws_the_same_images(tmp_path):
    one, two = (draw_demo_data(tmp_path / name, images_per_class=2, seed=3) for name in "ab")
    for path in one.rglob("*.*"):
        assert path.read_bytes() == (two / path.relative_to(one)).read_bytes()


def test_another_seed_draws_other_images(tmp_path):
    one, two = (draw_demo_data(tmp_path / str(seed), images_per_class=1, seed=seed) for seed in (0, 1))
    assert all(p.read_bytes() != (two / p.relative_to(one)).read_bytes() for p in one.rglob("*.*"))


def test_what_is_there_already_is_left_alone(tmp_path):
    folder = draw_demo_data(tmp_path, images_per_class=1)
    path = next(folder.rglob("*.jpg"))
    path.write_bytes(b"mine")
    draw_demo_data(tmp_path, images_per_class=1)
    assert path.read_bytes() == b"mine"


def lungs(name):
    """The middle of the lungs of twelve drawings, at one size."""
    images = [cv2.resize(draw_phantom(name, np.random.default_rng(seed)), (200, 200)) for seed in range(12)]
    return np.array([p[70:130, 45:75] / p[170:, 60:140].mean() for p in images])


def test_the_lungs_of_covid_are_brighter_than_clear_ones():
    assert lungs("covid").mean() > 1.1 * lungs("normal").mean()


def test_the_lungs_of_virus_have_more_fine_lines_than_clear_ones():
    fine = {
        name: np.mean([cv2.Laplacian(lung, cv2.CV_64F).var() for lung in lungs(name)]) for name in ("virus", "normal")
    }
    assert fine["virus"] > 1.5 * fine["normal"]


def test_an_unknown_class_is_refused():
    with pytest.raises(ValueError, match="normal, covid, virus; received 'asthma'"):
        draw_phantom("asthma", np.random.default_rng(0))


def test_progress_ends_with_all_drawings(tmp_path):
    seen = []
    draw_demo_data(tmp_path, images_per_class=1, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
