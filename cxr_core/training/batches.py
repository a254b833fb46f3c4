"""Batches for training: seeded, augmented, and prepared beside the network's own work."""

import keras
import numpy as np
import tensorflow as tf

from cxr_core.data.prepared_images import read_images

PREFETCH = 4


class EpochClock(keras.callbacks.Callback):
    """Knows the epoch that a training is in, for those who make its batches; one of its callbacks.

    Counting the passes through the batches would not do: on several GPUs Keras takes a batch to look at beforehand.

    Args:
        epoch: int >= 0, of the first pass.
    """

    def __init__(self, epoch=0):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch


def image_batches(images_u8, rows, labels, config, clock):
    """Build augmented training batches; see `_epochs` for the order.

    Args:
        images_u8: uint8 (M, size, size).
        rows: int (n,), positions in `images_u8` to train on, n >= batch size.
        labels: float32 (M, C), one-hot.
        config: training_config.TrainingConfig.
        clock: EpochClock, asked whenever a pass begins.

    Returns:
        tf.data.Dataset of (float32 (B, size, size, 3), float32 (B, C)).
    """

    def load(chosen, epoch):
        return config.preprocessing.scaled(np.stack([augmented(images_u8, rows, row, config, epoch) for row in chosen]))

    size = config.preprocessing.size
    return _epochs(load, (size, size, 3), rows, labels, config, clock)


def augmented(images_u8, rows, row, config, epoch):
    """Return the augmented copy, uint8 (size, size), of one training image in one epoch.

    It depends on seed, epoch and row alone, not on the image's place in a batch.

    Args:
        images_u8, rows, config: as for `image_batches`; `rows` are those that may be borrowed from.
        row: int, position in `images_u8`.
        epoch: int >= 0, or the number of a copy.
    """
    rng = np.random.default_rng((config.seed, epoch, int(row)))
    wanted = [row, rng.choice(rows)] if config.augmentation.needs_second_image else [row]
    image, *others = read_images(images_u8, np.array(wanted))
    return config.augmentation.apply(image, rng, *others)


def activation_batches(kept, labels, config, clock):
    """Build training batches of what the frozen part of a network made of augmented copies.

    Args:
        kept: float16 (copies, n, h, w, c); each epoch takes another copy of every image.
        labels: float32 (n, C), one-hot.
        config, clock: as for `image_batches`.

    Returns:
        tf.data.Dataset of (float32 (B, h, w, c), float32 (B, C)).
    """

    copies, n = kept.shape[:2]
    flat = kept.reshape(copies * n, *kept.shape[2:])

    def load(chosen, epoch):
        return read_images(flat, (chosen + epoch) % copies * n + chosen).astype(np.float32)

    return _epochs(load, kept.shape[2:], np.arange(n), labels, config, clock)


def feature_batches(features, rows, labels, config, clock):
    """Build training batches of features that were computed once.

    Args:
        features: float32 (M, F).
        rows, labels, config, clock: as for `image_batches`.

    Returns:
        tf.data.Dataset of (float32 (B, F), float32 (B, C)).
    """
    return _epochs(lambda chosen, _: features[chosen], features.shape[1:], rows, labels, config, clock)


def validation_batches(images_u8, rows, labels, preprocessing, batch_size=16):
    """Build batches of unchanged images in the order of `rows`, the last one as it comes.

    Larger ones would be no faster, and take more memory than learning does.
    """
    shape = (preprocessing.size, preprocessing.size, 3)
    return _one_pass(
        lambda chosen: preprocessing.scaled(read_images(images_u8, chosen)), shape, rows, labels, batch_size
    )


def kept_validation_batches(kept, labels, batch_size=64):
    """Build batches of kept activations, float16 (n, h, w, c), in their own order, the last one as it comes."""
    rows = np.arange(len(kept))
    return _one_pass(
        lambda chosen: read_images(kept, chosen).astype(np.float32), kept.shape[1:], rows, labels, batch_size
    )


def _one_pass(load, shape, rows, labels, batch_size):
    n_batches = -(-len(rows) // batch_size)

    def one_pass():
        for i in range(n_batches):
            chosen = rows[i * batch_size : (i + 1) * batch_size]
            yield load(chosen), labels[chosen]

    return _as_dataset(one_pass, n_batches, shape, labels.shape[1])


def mix_up(values, targets, alpha, rng):
    """Blend a batch with itself in another order.

    Args:
        values: float32 (B, ...), images or features.
        targets: float32 (B, C), one-hot.
        alpha: float > 0, of the Beta distribution that the share is drawn from, once per batch.
        rng: numpy.random.Generator.

    Returns:
        (values, targets) of the same shapes and dtypes.

    Source:
        Zhang et al. 2018, arXiv:1710.09412.
    """
    share = np.float32(rng.beta(alpha, alpha))
    order = rng.permutation(len(values))
    return tuple(share * part + (1 - share) * part[order] for part in (values, targets))


def _epochs(load, shape, rows, labels, config, clock):
    """Every iteration is one epoch: all rows in a new order, whole batches only, as in the article.

    The order depends on seed and epoch alone.
    """
    n_batches = len(rows) // config.batch_size

    def one_epoch():
        epoch = clock.epoch
        order = np.random.default_rng((config.seed, epoch)).permutation(rows)
        for i in range(n_batches):
            chosen = order[i * config.batch_size : (i + 1) * config.batch_size]
            values, targets = load(chosen, epoch), labels[chosen]
            if config.mixup:
                values, targets = mix_up(
                    values, targets, config.mixup, np.random.default_rng((config.seed, epoch, i, 1))
                )
            yield values, targets

    return _as_dataset(one_epoch, n_batches, shape, labels.shape[1])


def _as_dataset(generator, n_batches, shape, n_classes):
    signature = (tf.TensorSpec((None, *shape), tf.float32), tf.TensorSpec((None, n_classes), tf.float32))
    dataset = tf.data.Dataset.from_generator(generator, output_signature=signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(n_batches)).prefetch(PREFETCH)
