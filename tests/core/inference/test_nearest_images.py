"""A training image is found by its content, and by its name only if it is that image."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

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


def contents(root):
    return [hashlib.sha256((root / file).read_bytes()).hexdigest() for file in FILES]


def test_an_image_that_was_renamed_is_found_in_the_open_data_set_by_its_content(classifier, roots, tmp_path):
    known = [replace(n, digest=d, row=i) for i, (n, d) in enumerate(zip(NEIGHBOURS, contents(roots[0]), strict=True))]
    listed = {}
    for file, digest in zip(FILES, contents(roots[0]), strict=True):
        listed[digest] = shutil.copy(roots[0] / file, tmp_path / f"{digest[:8]}.png")
    assert find_neighbours(classifier, known, [roots[1]]) == [None, None]
    assert find_neighbours(classifier, known, [roots[1]], listed) == [Path(path) for path in listed.values()]


def test_a_listed_file_that_holds_another_image_by_now_is_passed_over(classifier, roots, tmp_path):
    digest = contents(roots[0])[0]
    (tmp_path / "now.png").write_bytes((roots[1] / FILES[0]).read_bytes())
    known = [replace(NEIGHBOURS[0], digest=digest, row=0)]
    assert find_neighbours(classifier, known, [], {digest: tmp_path / "now.png"}) == [None]


def test_of_two_training_images_of_one_name_each_is_found_in_its_own_hospital(classifier, roots):
    """The gate knows "covid/a.png" of both hospitals; by names alone, the first hospital's was shown for both."""
    gate, file = classifier.gate, FILES[0]
    image = cv2.imread(str(roots[1] / file), cv2.IMREAD_UNCHANGED)
    other = gate.vectors(classifier.features(classifier.card.preprocessing.image_u8(image)[None]))
    both = replace(gate, files=(*gate.files, file), known=np.concatenate([gate.known, other.astype(np.float16)]))
    twice = [Neighbour(file, "covid", 0.9, row=0), Neighbour(file, "covid", 0.9, row=2)]
    assert find_neighbours(replace(classifier, gate=both), twice, roots) == [root / file for root in roots]


def test_missing_folders_names_without_a_path_and_broken_files_are_passed_over(classifier, tmp_path):
    (tmp_path / "covid").mkdir()
    (tmp_path / "covid" / "a.png").write_bytes(b"no image")
    assert find_neighbours(classifier, NEIGHBOURS, ["learned", tmp_path / "gone", tmp_path]) == [None, None]
