"""frozen_activations.py against Keras on the whole network."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import Late

from cxr_core.recipes.training_config import make_config

keras, late_batches = Late("keras"), Late("cxr_core.training.batches")
frozen_activations = Late("cxr_core.training.frozen_activations")
onnx_export = Late("cxr_core.training.onnx_export")
SIZE = 32


@pytest.fixture(scope="module")
def network():
    image = keras.layers.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="early")(image)
    skipped = keras.layers.MaxPooling2D(name="pool")(x)
    x = keras.layers.Conv2D(8, 3, padding="same", name="late")(skipped)
    x = keras.layers.Add(name="sum")([x, skipped])
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(3, activation="softmax")(x))


@pytest.fixture
def config(tmp_path, monkeypatch):
    for module in (frozen_activations, onnx_export):
        monkeypatch.setattr(module, "CACHE_DIR", tmp_path)
    return make_config("finetune", settings=(f"preprocessing.size={SIZE}", "batch_size=4"))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 255, (9, SIZE, SIZE), dtype=np.uint8)


def keep(network, images, config, rows, copies, progress=lambda done, total: None):
    trunk, rest = frozen_activations.split_network(network, "late")
    return frozen_activations.keep_activations(
        trunk, images, rows, config, key="k", copies=copies, progress=progress
    ), rest


def test_both_parts_one_after_the_other_give_what_the_whole_network_gives(network, images):
    trunk, rest = frozen_activations.split_network(network, "late")
    batch = np.repeat(images[..., None], 3, -1).astype(np.float32) / 255
    np.testing.assert_allclose(rest.predict(trunk.predict(batch)), network.predict(batch), atol=1e-5)


def test_a_layer_that_something_else_passes_by_cannot_part_the_network():
    image = keras.layers.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(3, 3, padding="same", name="inside")(image)
    x = keras.layers.Add()([keras.layers.Activation("relu", name="late")(x), image])
    with pytest.raises(ValueError):
        frozen_activations.split_network(keras.Model(image, x), "late")


def test_kept_activations_are_those_of_the_augmented_copies(network, images, config):
    rows = np.array([1, 4, 5, 8])
    kept, rest = keep(network, images, config, rows, copies=2)
    assert (kept.shape, kept.dtype) == ((2, 4, SIZE // 2, SIZE // 2, 8), np.float16)
    for copy in range(2):
        batch = np.stack([late_batches.augmented(images, rows, row, config, copy) for row in rows])
        expected = network.predict(config.preprocessing.scaled(batch))
        np.testing.assert_allclose(rest.predict(kept[copy].astype(np.float32)), expected, atol=5e-3)


def test_validation_is_kept_unchanged(network, images, config):
    rows = np.array([0, 2])
    kept, rest = keep(network, images, config, rows, copies=0)
    expected = network.predict(config.preprocessing.scaled(images[rows]))
    np.testing.assert_allclose(rest.predict(kept[0].astype(np.float32)), expected, atol=5e-3)


def test_what_was_kept_is_opened_and_not_made_again(network, images, config):
    calls = []
    first, _ = keep(network, images, config, np.arange(4), 2, lambda done, total: calls.append(done))
    made = len(calls)
    again, _ = keep(network, images, config, np.arange(4), 2, lambda done, total: calls.append(done))
    assert len(calls) == made
    np.testing.assert_array_equal(first, again)


def test_every_epoch_learns_from_another_copy_of_every_image(config):
    copies, n = 3, 8
    kept = (10 * np.arange(copies)[:, None] + np.arange(n)).astype(np.float16)[..., None, None, None]
    labels = np.eye(n, dtype=np.float32)
    clock, seen = late_batches.EpochClock(), set()
    batches = late_batches.activation_batches(kept, labels, config, clock)
    for epoch in range(copies):
        clock.on_epoch_begin(epoch)
        values = np.concatenate([x.numpy().ravel() for x, _ in batches])
        assert sorted(values % 10) == list(range(n))
        seen |= set(values.tolist())
    assert len(seen) == copies * n


def test_every_copy_is_augmented_by_itself(network, images, config):
    rows = np.array([1, 4, 5, 8])
    trunk, _ = frozen_activations.split_network(network, "late")
    kept, _ = keep(network, images, config, rows, copies=3)
    expected = [
        np.stack([late_batches.augmented(images, rows, row, config, copy) for row in rows]) for copy in range(3)
    ]
    for copy in range(3):
        # Half precision keeps eleven binary digits.
        np.testing.assert_allclose(kept[copy], trunk(config.preprocessing.scaled(expected[copy])), rtol=2e-3, atol=1e-4)
    assert all(np.abs(kept[a] - kept[b]).max() > 0.1 for a, b in ((0, 1), (0, 2), (1, 2)))


def test_a_change_of_anything_that_makes_the_copies_is_kept_apart(network, images, config, tmp_path):
    trunk, _ = frozen_activations.split_network(network, "late")
    other = keras.models.clone_model(trunk)
    other.set_weights([weights + 0.5 for weights in trunk.get_weights()])

    def kept_files(trunk=trunk, config=config, rows=(0, 3), key="k", copies=1):
        frozen_activations.keep_activations(
            trunk, images, np.array(rows), config, key=key, copies=copies, progress=lambda done, total: None
        )
        return len(list((tmp_path / "activations").iterdir()))

    assert kept_files() == kept_files() == 1
    changed_preprocessing = replace(config.preprocessing, scaling="0..1")
    changes = (
        {"trunk": other},
        {"key": "l"},
        {"rows": (0, 4)},
        {"rows": (3, 0)},
        {"copies": 2},
        {"copies": 0},
        {"config": replace(config, seed=1)},
        {"config": replace(config, augmentation=replace(config.augmentation, zoom=0.1))},
        {"config": replace(config, preprocessing=changed_preprocessing)},
    )
    assert [kept_files(**change) for change in changes] == list(range(2, 11))
    # Images that nobody changes do not depend on how they would be changed.
    assert kept_files(copies=0, config=replace(config, augmentation=replace(config.augmentation, zoom=0.1))) == 10


def test_progress_counts_the_images_of_all_copies(network, images, config, monkeypatch):
    monkeypatch.setattr(frozen_activations, "_CHUNK", 3)
    told = []
    keep(network, images, config, np.arange(4), 2, lambda done, total: told.append((done, total)))
    assert told == [(3, 8), (4, 8), (7, 8), (8, 8)]
