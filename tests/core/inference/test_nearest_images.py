"""A training image is found under its name, and only if it is that image."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from cxr_core.data.phantoms import draw_phantom
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.input_gate import Gate, Neighbour, unit_vectors
from cxr_core.inference.nearest_images import find_neighbours

FILES = ("covid/a.png", "normal/b.png")


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """Two data sets with the same names: the one that was learned from, and another."""
    roots = [tmp_path_factory.mktemp(name) for name in ("learned", "other")]
    for seed, root in enumerate(roots):
        for file in FILES:
            (root / file).parent.mkdir()
            cv2.imwrite(str(root / file), draw_phantom(file.split("/")[0], np.random.default_rng(seed)))
    return roots


@pytest.fixture(scope="module")
def classifier(ungated_model, roots):
    """A classifier whose gate knows the images of the first data set."""
    plain = load_classifier(ungated_model)
    images = [cv2.imread(str(roots[0] / file), cv2.IMREAD_UNCHANGED) for file in FILES]
    features = plain.features(np.stack([plain.card.preprocessing.image_u8(p) for p in images]))
    rng, centre = np.random.default_rng(0), np.sqrt(features).mean(axis=0)
    components = rng.normal(size=(features.shape[1], 16)).astype(np.float16)
    known = unit_vectors(features, centre, components.astype(np.float32)).astype(np.float16)
    empty = np.zeros(1, np.float32)
    gate = Gate(
        empty, empty, empty, 0.0, 0.0, centre, components, known, np.array([1, 0], np.int8), FILES, plain.classes, 1.0
    )
    return replace(plain, gate=gate)


NEIGHBOURS = [Neighbour(file, file.split("/")[0], 0.9) for file in FILES]


def test_the_images_are_found_in_the_folder_that_was_learned_from(classifier, roots):
    assert find_neighbours(classifier, NEIGHBOURS, [roots[0]]) == [roots[0] / file for file in FILES]


def test_another_image_of_the_same_name_is_passed_over(classifier, roots):
    assert find_neighbours(classifier, NEIGHBOURS, [roots[1]]) == [None, None]
    assert find_neighbours(classifier, NEIGHBOURS, roots[::-1]) == [roots[0] / file for file in FILES]


def test_missing_folders_names_without_a_path_and_broken_files_are_passed_over(classifier, tmp_path):
    (tmp_path / "covid").mkdir()
    (tmp_path / "covid" / "a.png").write_bytes(b"no image")
    assert find_neighbours(classifier, NEIGHBOURS, ["learned", tmp_path / "gone", tmp_path]) == [None, None]
