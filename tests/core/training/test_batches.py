"""Blends of images, and epochs that begin where an earlier process ended."""

import numpy as np
import pytest
from scipy.stats import beta

from cxr_core.imaging.augmentation import Augmentation
from cxr_core.imaging.preprocessing import Preprocessing
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


def order_of(epoch):
    """The numbers of the images in the order in which an epoch had them."""
    return [int(np.flatnonzero((row == VALUES).all(axis=1))[0]) for x, _ in epoch for row in x]


def test_every_epoch_and_every_seed_has_an_order_of_its_own(batches):
    orders = [order_of(epoch) for seed in (0, 1) for epoch in epochs_of(batches, 0, 3, seed=seed)]
    assert all(sorted(order) == list(range(12)) for order in orders)
    assert len(set(map(tuple, orders))) == 6
    assert list(range(12)) not in orders


def test_an_image_keeps_its_label_in_every_order(batches):
    for epoch in epochs_of(batches, 0, 2):
        labels = np.concatenate([y for _, y in epoch])
        np.testing.assert_array_equal(labels, LABELS[order_of(epoch)])


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
    one_hot = np.eye(12, dtype=np.float32)
    values, targets = batches.mix_up(one_hot, one_hot, 0.4, np.random.default_rng(3))
    np.testing.assert_array_equal(values, targets)
    own = values.diagonal()
    blended = own < 1
    # In a random order of twelve about one stays in its place, and is blended with itself.
    assert blended.sum() >= 8
    np.testing.assert_allclose(own[blended], own[blended][0], rtol=1e-6)
    lent = values - np.diag(own)
    np.testing.assert_allclose(lent.max(axis=1)[blended], 1 - own[blended], rtol=1e-5)
    # Each image has one partner, and is the partner of one.
    assert (np.count_nonzero(lent, axis=0) == blended).all() and (np.count_nonzero(lent, axis=1) == blended).all()


def test_mixups_share_follows_the_beta_distribution(batches):
    pair, shares = np.eye(2, dtype=np.float32), []
    for seed in range(2_000):
        values, _ = batches.mix_up(pair, pair, 0.4, np.random.default_rng(seed))
        # Two in their own order are blended with themselves, which tells nothing of the share.
        if values[0, 1]:
            shares.append(values[0, 0])
    assert 900 < len(shares) < 1_100
    assert np.mean(shares) == pytest.approx(beta(0.4, 0.4).mean(), abs=0.05)
    assert np.std(shares) == pytest.approx(beta(0.4, 0.4).std(), abs=0.02)


def test_training_batches_are_blended_where_the_configuration_asks_for_it(batches):
    plain, blended = (
        [y.round(5) for epoch in epochs_of(batches, 0, 2, mixup=mixup) for _, y in epoch] for mixup in (0.0, 1.0)
    )
    assert set(np.unique(plain)) == {0, 1}
    np.testing.assert_allclose(np.sum(blended, axis=-1), 1, atol=1e-4)
    # Each of the six batches has a share of its own, in the second epoch, too.
    shares = [frozenset(np.unique(labels)) - {0, 1} for labels in blended]
    assert all(shares) and len(set(shares)) == 6


def test_mixup_leaves_the_callers_arrays_alone(batches):
    values, targets = VALUES.copy(), LABELS.copy()
    batches.mix_up(values, targets, 1.0, np.random.default_rng(0))
    assert (values == VALUES).all() and (targets == LABELS).all()


# Batches of images


IMAGES = np.random.default_rng(1).integers(0, 255, (10, 32, 32), dtype=np.uint8)
IMAGE_LABELS = np.eye(2, dtype=np.float32)[np.arange(10) % 2]


def small_config(**settings):
    augmentation = Augmentation(rotation_degrees=20, histogram_matching=1.0)
    preprocessing = Preprocessing(size=32, scaling="-1..1")
    return make_config("article", preprocessing=preprocessing, augmentation=augmentation, batch_size=3, **settings)


def test_an_augmented_copy_depends_on_seed_epoch_and_image_alone(batches):
    rows, config = np.array([0, 2, 5, 7]), small_config()
    copy = batches.augmented(IMAGES, rows, 2, config, 1)
    np.testing.assert_array_equal(copy, batches.augmented(IMAGES, rows, 2, config, 1))
    for other in ((2, config, 2), (2, small_config(seed=1), 1), (5, config, 1)):
        assert not np.array_equal(copy, batches.augmented(IMAGES, rows, *other))


def test_greys_are_borrowed_from_training_images_only(batches):
    lenders, apply = [], Augmentation.apply
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Augmentation, "apply", lambda *a: lenders.append(a[3]) or apply(*a))
        for epoch in range(40):
            batches.augmented(IMAGES, np.array([2, 5, 7]), 2, small_config(), epoch)
    lent = {int(np.flatnonzero((lender == IMAGES).all(axis=(1, 2)))[0]) for lender in lenders}
    assert lent == {2, 5, 7}


def test_the_masks_of_both_images_go_with_them(batches):
    seen, apply = [], Augmentation.apply
    masks = np.random.default_rng(4).integers(0, 256, (len(IMAGES), 6, 6), dtype=np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Augmentation, "apply", lambda *a: seen.append((a[1], a[3], *a[4])) or apply(*a))
        for epoch in range(10):
            batches.augmented(IMAGES, np.array([2, 5, 7]), 2, small_config(), epoch, masks)
    for image, other, own, others in seen:
        np.testing.assert_array_equal(image, IMAGES[2])
        np.testing.assert_array_equal(own, masks[2])
        np.testing.assert_array_equal(others, masks[np.flatnonzero((other == IMAGES).all(axis=(1, 2)))[0]])


def test_training_batches_hold_the_augmented_copies_of_their_epoch_scaled(batches):
    rows, config, clock = np.array([0, 2, 3, 5, 7, 8, 9]), small_config(), batches.EpochClock()
    dataset = batches.image_batches(IMAGES, rows, IMAGE_LABELS, config, clock)
    for epoch in (0, 1):
        clock.on_epoch_begin(epoch)
        found = [(x.numpy(), y.numpy()) for x, y in dataset]
        # Whole batches only: two of three, and one image waits for another epoch.
        assert [len(x) for x, _ in found] == [3, 3] and len(dataset) == 2
        copies = {row: batches.augmented(IMAGES, rows, row, config, epoch) for row in rows}
        seen = []
        for x, y in ((x, y) for batch in found for x, y in zip(*batch, strict=True)):
            row = next(r for r in copies if np.array_equal(config.preprocessing.scaled(copies[r]), x))
            np.testing.assert_array_equal(y, IMAGE_LABELS[row])
            seen.append(row)
        assert len(set(seen)) == 6


@pytest.mark.parametrize(("n", "sizes"), [(32, [16, 16]), (33, [16, 16, 1]), (5, [5])])
def test_validation_batches_hold_every_image_once_unchanged_and_in_order(batches, n, sizes):
    rows, preprocessing = np.arange(n)[::-1] % 10, small_config().preprocessing
    dataset = batches.validation_batches(IMAGES, rows, IMAGE_LABELS, preprocessing, gpus=1)
    found = [(x.numpy(), y.numpy()) for x, y in dataset]
    assert [len(x) for x, _ in found] == sizes
    assert len(dataset) == len(sizes)
    np.testing.assert_array_equal(np.concatenate([x for x, _ in found]), preprocessing.scaled(IMAGES[rows]))
    np.testing.assert_array_equal(np.concatenate([y for _, y in found]), IMAGE_LABELS[rows])


def test_kept_validation_batches_hold_every_row_once_and_in_order(batches):
    kept = np.arange(130, dtype=np.float16).reshape(130, 1, 1, 1)
    dataset = batches.kept_validation_batches(kept, np.arange(130), np.eye(130, dtype=np.float32), gpus=1)
    found = [(x.numpy(), y.numpy()) for x, y in dataset]
    assert [len(x) for x, _ in found] == [64, 64, 2]
    np.testing.assert_array_equal(np.concatenate([x.ravel() for x, _ in found]), np.arange(130))
    np.testing.assert_array_equal(np.concatenate([y.argmax(axis=1) for _, y in found]), np.arange(130))


@pytest.mark.parametrize(
    ("n", "gpus", "sizes"),
    [(9, 2, [6, 3]), (8, 2, [8]), (7, 3, [3, 4]), (6, 3, [6]), (129, 2, [64, 65]), (130, 3, [63, 63, 4])],
)
def test_devices_share_the_first_validation_batch_evenly_and_each_has_a_part_of_every_one(batches, n, gpus, sizes):
    kept = np.arange(n, dtype=np.float16).reshape(n, 1)
    dataset = batches.kept_validation_batches(kept, np.arange(n), np.eye(n, dtype=np.float32), gpus=gpus)
    found = [x.numpy() for x, _ in dataset]
    assert [len(x) for x in found] == sizes
    np.testing.assert_array_equal(np.concatenate(found).ravel(), np.arange(n))


def test_fewer_validation_images_than_devices_are_a_sentence(batches):
    with pytest.raises(ValueError, match="two images for each of 3 GPUs; there are 5"):
        batches.kept_validation_batches(np.zeros((5, 1), np.float16), np.arange(5), np.eye(5, dtype=np.float32), gpus=3)


def test_each_image_of_a_batch_comes_with_its_weight(batches):
    rows, config, clock = np.array([0, 2, 3, 5, 7, 8]), small_config(), batches.EpochClock()
    features = np.arange(10, dtype=np.float32).reshape(10, 1)
    weights = np.arange(10, dtype=np.float32) + 0.5
    found = [
        (x.numpy(), w.numpy())
        for x, _, w in batches.feature_batches(features, rows, IMAGE_LABELS, config, clock, weights)
    ]
    for x, w in found:
        assert [row + 0.5 for row in x.ravel().tolist()] == w.tolist()
    assert sum(len(x) for x, _ in found) == 6
