"""One row of features per image that decodes, computed once."""

import numpy as np
import pytest
from conftest import silent
from image_files import undecodable_png

from cxr_core.audit.embeddings import dataset_embeddings
from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.phantoms import draw_demo_data
from cxr_core.imaging.reader import read_image
from cxr_core.inference.classifier import load_classifier


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Nine drawings, one of them broken behind its header."""
    root = draw_demo_data(tmp_path_factory.mktemp("nine"), images_per_class=3)
    path = root / "covid" / "drawing-001.png"
    path.write_bytes(undecodable_png(path.read_bytes()))
    return root


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def features(folder, cache):
    return dataset_embeddings(scan_dataset(folder).table, phase=silent, cache_dir=cache)


def test_there_is_one_row_per_image_that_decodes(features):
    assert len(features.values) == len(features.prepared.table) == 8
    assert list(features.prepared.errors) == ["covid/drawing-001.png"]


def test_each_row_is_what_the_shipped_network_makes_of_its_image(features):
    classifier = load_classifier(SHIPPED_MODEL_DIR)
    for row, path in zip(features.values, features.prepared.table["path"], strict=True):
        image = classifier.card.preprocessing.image_u8(read_image(path))
        np.testing.assert_allclose(row, classifier.features(image[None])[0], atol=0.02, rtol=2e-3)


def test_features_are_small_numbers_on_disk_that_cannot_be_written_to(features):
    assert isinstance(features.values, np.memmap)
    assert features.values.dtype == np.float16
    assert np.isfinite(features.values).all()
    with pytest.raises(ValueError):
        features.values[0, 0] = 1


def test_the_second_time_nothing_is_computed(features, folder, cache):
    phases = []
    again = dataset_embeddings(scan_dataset(folder).table, phase=phases.append, cache_dir=cache)
    assert phases == ["Preparing the images for the network"]
    assert again.key == features.key
    np.testing.assert_array_equal(again.values, features.values)


def test_fewer_images_have_another_key_and_rows_of_their_own(features, folder, cache):
    table = scan_dataset(folder).table
    few = dataset_embeddings(table[table["class_name"] == "virus"], phase=silent, cache_dir=cache)
    assert few.key != features.key
    virus = (features.prepared.table["class_name"] == "virus").to_numpy()
    np.testing.assert_allclose(few.values, features.values[virus], atol=0.02, rtol=2e-3)


def test_progress_ends_with_all_images(folder, tmp_path):
    seen = {}
    dataset_embeddings(
        scan_dataset(folder).table,
        phase=lambda name: lambda done, total: seen.update({name: (done, total)}),
        cache_dir=tmp_path,
    )
    assert seen == {"Preparing the images for the network": (9, 9), "Computing features": (8, 8)}


def test_a_model_that_is_not_there_is_refused(folder, tmp_path):
    with pytest.raises(OSError, match=str(tmp_path)):
        dataset_embeddings(scan_dataset(folder).table, phase=silent, model_dir=tmp_path, cache_dir=tmp_path)
