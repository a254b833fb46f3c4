"""Blends of images, and epochs that begin where an earlier process ended."""

import numpy as np
import pytest

from cxr_core.recipes.training_config import make_config


@pytest.fixture(scope="module")
def batches():
    from cxr_core.training import batches

    return batches


VALUES = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
LABELS = np.eye(3, dtype=np.float32)[np.arange(12) % 3]


def epochs_of(batches, first_epoch, n, **settings):
    config = make_config("quick", epochs=4, batch_size=4, **settings)
    clock = batches.EpochClock()
    dataset = batches.feature_batches(VALUES, np.arange(12), LABELS, config, clock)
    epochs = []
    for epoch in range(first_epoch, first_epoch + n):
        clock.on_epoch_begin(epoch)
        epochs.append([(x.numpy(), y.numpy()) for x, y in dataset])
    return epochs


@pytest.mark.parametrize("mixup", [0.0, 0.4])
def test_a_later_first_epoch_gives_the_same_epochs_from_there_on(batches, mixup):
    whole = epochs_of(batches, 0, 4, mixup=mixup)
    rest = epochs_of(batches, 2, 2, mixup=mixup)
    for one, other in zip(whole[2:], rest, strict=True):
        for (x, y), (x_again, y_again) in zip(one, other, strict=True):
            np.testing.assert_array_equal(x, x_again)
            np.testing.assert_array_equal(y, y_again)


def test_a_look_at_the_batches_beforehand_changes_no_epoch(batches):
    config = make_config("quick", epochs=2, batch_size=4)
    dataset = batches.feature_batches(VALUES, np.arange(12), LABELS, config, batches.EpochClock())
    next(iter(dataset))
    for (x, y), (expected_x, expected_y) in zip(dataset, epochs_of(batches, 0, 1)[0], strict=True):
        np.testing.assert_array_equal(x, expected_x)
        np.testing.assert_array_equal(y, expected_y)


def test_an_epoch_has_every_image_once_without_mixup(batches):
    (epoch,) = epochs_of(batches, 0, 1)
    found = np.concatenate([x for x, _ in epoch])
    np.testing.assert_array_equal(np.sort(found, axis=0), np.sort(VALUES, axis=0))


def test_mixup_blends_images_and_labels_by_the_same_share(batches):
    one_hot = np.eye(4, dtype=np.float32)
    values, targets = batches.mix_up(one_hot, one_hot, 0.4, np.random.default_rng(3))
    np.testing.assert_array_equal(values, targets)
    np.testing.assert_allclose(values.sum(axis=1), 1, rtol=1e-6)
    share = np.float32(np.random.default_rng(3).beta(0.4, 0.4))
    assert set(np.round(values[values > 0], 5)) <= set(np.round([share, 1 - share, 1], 5).astype(np.float32))


def test_mixup_leaves_the_callers_arrays_alone(batches):
    values, targets = VALUES.copy(), LABELS.copy()
    batches.mix_up(values, targets, 1.0, np.random.default_rng(0))
    assert (values == VALUES).all() and (targets == LABELS).all()
