"""Batches for training: seeded, augmented, and prepared beside the network's own work."""

import numpy as np
import tensorflow as tf

PREFETCH = 4


def image_batches(images_u8, rows, labels, config):
    """Build augmented training batches; see `_epochs` for the order.

    Args:
        images_u8: uint8 (M, size, size).
        rows: int (n,), positions in `images_u8` to train on, n >= batch size.
        labels: float32 (M, C), one-hot.
        config: recipes.TrainingConfig.

    Returns:
        tf.data.Dataset of (float32 (B, size, size, 3), float32 (B, C)).
    """

    def load(chosen, epoch):
        # The augmentation of an image depends on seed, epoch and row alone, not on its place.
        images = [
            config.augmentation.apply(images_u8[row], np.random.default_rng((config.seed, epoch, int(row))))
            for row in chosen
        ]
        return config.preprocessing.scaled(np.stack(images))

    size = config.preprocessing.size
    return _epochs(load, (size, size, 3), rows, labels, config)


def feature_batches(features, rows, labels, config):
    """Build training batches of features that were computed once.

    Args:
        features: float32 (M, F).
        rows, labels, config: as for `image_batches`.

    Returns:
        tf.data.Dataset of (float32 (B, F), float32 (B, C)).
    """
    return _epochs(lambda chosen, _: features[chosen], features.shape[1:], rows, labels, config)


def validation_batches(images_u8, rows, labels, preprocessing, batch_size=64):
    """Build batches of unchanged images in the order of `rows`, the last one as it comes."""
    n_batches = -(-len(rows) // batch_size)

    def one_pass():
        for i in range(n_batches):
            chosen = rows[i * batch_size : (i + 1) * batch_size]
            yield preprocessing.scaled(images_u8[chosen]), labels[chosen]

    size = preprocessing.size
    return _as_dataset(one_pass, n_batches, (size, size, 3), labels.shape[1])


def _epochs(load, shape, rows, labels, config):
    """Every iteration is one epoch: all rows in a new order, whole batches only, as in the article.

    The order depends on seed and epoch alone.
    """
    epochs = iter(range(config.epochs))
    n_batches = len(rows) // config.batch_size

    def one_epoch():
        epoch = next(epochs)
        order = np.random.default_rng((config.seed, epoch)).permutation(rows)
        for i in range(n_batches):
            chosen = order[i * config.batch_size : (i + 1) * config.batch_size]
            yield load(chosen, epoch), labels[chosen]

    return _as_dataset(one_epoch, n_batches, shape, labels.shape[1])


def _as_dataset(generator, n_batches, shape, n_classes):
    signature = (tf.TensorSpec((None, *shape), tf.float32), tf.TensorSpec((None, n_classes), tf.float32))
    dataset = tf.data.Dataset.from_generator(generator, output_signature=signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(n_batches)).prefetch(PREFETCH)
