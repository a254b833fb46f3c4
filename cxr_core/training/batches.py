"""How is a batch made? Seeded, augmented, and prepared while the network works on the one before."""

from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from cxr_core.data.prepared_images import read_images
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.recipes.training_config import TrainingConfig
from cxr_core.system.arrays import FloatArray, IntArray, UInt8Array

PREFETCH = 4

# What a network takes in, the one-hot targets and, where images count differently, their weights: (B, ...), (B, C) and
# (B,).
Batch = tuple[FloatArray, FloatArray] | tuple[FloatArray, FloatArray, FloatArray]


class EpochClock(keras.callbacks.Callback):
    """The epoch that a training is in, for whoever makes its batches; one of the training's callbacks.

    Counting the passes through the batches would not do: on several GPUs Keras takes one batch beforehand to see its
    shape.

    Args:
        epoch: number of the first epoch, from 0.
    """

    def __init__(self, epoch: int = 0) -> None:
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epoch = epoch


def image_batches(
    images_u8: UInt8Array,
    rows: IntArray,
    labels: FloatArray,
    config: TrainingConfig,
    clock: EpochClock,
    weights: FloatArray | None = None,
    lungs: UInt8Array | None = None,
) -> tf.data.Dataset:
    """Build augmented training batches; see `_epochs` for the order.

    Args:
        images_u8: uint8 (M, size, size).
        rows: int (n,), positions in `images_u8` to train on, n >= batch size.
        labels: float32 (M, C), one-hot.
        config: says how images are augmented and scaled, and how many make a batch.
        clock: asked for the epoch whenever a pass begins.
        weights: float32 (M,), how much each image counts.
        lungs: as for `augmented`.

    Returns:
        Batches of float32 (B, size, size, 3), float32 (B, C) and, with weights, float32 (B,).
    """

    def load(chosen: IntArray, epoch: int) -> FloatArray:
        copies = [augmented(images_u8, rows, row, config, epoch, lungs) for row in chosen]
        return config.preprocessing.scaled(np.stack(copies))

    size = config.preprocessing.size
    return _epochs(load, (size, size, 3), rows, labels, config, clock, weights)


def augmented(
    images_u8: UInt8Array,
    rows: IntArray,
    row: int,
    config: TrainingConfig,
    epoch: int,
    lungs: UInt8Array | None = None,
) -> UInt8Array:
    """Return the augmented copy, uint8 (size, size), of one training image in one epoch.

    It depends on seed, epoch and row alone, not on the image's place in a batch.

    Args:
        images_u8: uint8 (M, size, size).
        rows: int (n,), positions of the images whose histogram or sharpness may be taken over.
        row: position of the image in `images_u8`.
        config: its seed and augmentation decide the copy.
        epoch: from 0; or the number of a cached copy.
        lungs: uint8 (M, side, side), see `lung_masks`; only where the augmentation asks for them.
    """
    rng = np.random.default_rng((config.seed, epoch, int(row)))
    wanted = [row, rng.choice(rows)] if config.augmentation.needs_second_image else [row]
    image, *others = read_images(images_u8, np.array(wanted))
    if lungs is None or not others:
        return config.augmentation.apply(image, rng, *others)
    own, others_own = read_images(lungs, np.array(wanted))
    return config.augmentation.apply(image, rng, others[0], (own, others_own))


def activation_batches(
    kept: FloatArray, labels: FloatArray, config: TrainingConfig, clock: EpochClock, weights: FloatArray | None = None
) -> tf.data.Dataset:
    """Build training batches of activations that the frozen part of a network gave for augmented copies.

    Args:
        kept: float16 (copies, n, h, w, c); each epoch takes another copy of every image.
        labels: float32 (n, C), one-hot.
        config, clock: as for `image_batches`.
        weights: float32 (n,), how much each image counts.

    Returns:
        Batches of float32 (B, h, w, c), float32 (B, C) and, with weights, float32 (B,).
    """

    copies, n = kept.shape[:2]
    flat = kept.reshape(copies * n, *kept.shape[2:])

    def load(chosen: IntArray, epoch: int) -> FloatArray:
        return read_images(flat, (chosen + epoch) % copies * n + chosen).astype(np.float32)

    return _epochs(load, kept.shape[2:], np.arange(n), labels, config, clock, weights)


def feature_batches(
    features: FloatArray,
    rows: IntArray,
    labels: FloatArray,
    config: TrainingConfig,
    clock: EpochClock,
    weights: FloatArray | None = None,
) -> tf.data.Dataset:
    """Build training batches of features that were computed once.

    Args:
        features: float32 (M, F).
        rows: int (n,), positions in `features` to train on, n >= batch size.
        labels: float32 (M, C), one-hot.
        config, clock, weights: as for `image_batches`.

    Returns:
        Batches of float32 (B, F), float32 (B, C) and, with weights, float32 (B,).
    """
    return _epochs(lambda chosen, _: features[chosen], features.shape[1:], rows, labels, config, clock, weights)


def validation_batches(
    images_u8: UInt8Array, rows: IntArray, labels: FloatArray, preprocessing: Preprocessing, *, gpus: int
) -> tf.data.Dataset:
    """Build batches of unchanged images in the order of `rows`; see `_one_pass`.

    Larger batches would be no faster, and take more memory than the training itself.
    """
    shape = (preprocessing.size, preprocessing.size, 3)

    def load(chosen: IntArray) -> FloatArray:
        return preprocessing.scaled(read_images(images_u8, chosen))

    return _one_pass(load, shape, rows, labels, batch_size=16, gpus=gpus)


def kept_validation_batches(kept: FloatArray, rows: IntArray, labels: FloatArray, *, gpus: int) -> tf.data.Dataset:
    """Build batches of kept activations or features, (M, ...), in the order of `rows`; see `_one_pass`."""

    def load(chosen: IntArray) -> FloatArray:
        return read_images(kept, chosen).astype(np.float32)

    return _one_pass(load, kept.shape[1:], rows, labels, batch_size=64, gpus=gpus)


def mix_up(
    values: FloatArray, targets: FloatArray, alpha: float, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Blend a batch with itself in another order.

    Args:
        values: float32 (B, ...), images, activations or features.
        targets: float32 (B, C), one-hot.
        alpha: above 0, of the Beta distribution that the weight of the blend is drawn from, once per batch.
        rng: draws the weight and the order.

    Returns:
        (values, targets) of the same shapes and dtypes.

    Source:
        Zhang et al. 2018, arXiv:1710.09412.
    """
    weight = np.float32(rng.beta(alpha, alpha))
    order = rng.permutation(len(values))

    def blend(part: FloatArray) -> FloatArray:
        return weight * part + (1 - weight) * part[order]

    return blend(values), blend(targets)


def _epochs(
    load: Callable[[IntArray, int], FloatArray],
    shape: tuple[int, ...],
    rows: IntArray,
    labels: FloatArray,
    config: TrainingConfig,
    clock: EpochClock,
    weights: FloatArray | None,
) -> tf.data.Dataset:
    """Build batches of which every pass is one epoch: all rows in a new order, whole batches only, as in the article.

    The order depends on seed and epoch alone.

    Args:
        load: gives the values at some positions in an epoch, float32 (B, *shape).
        shape: of one image's values.
        weights: float32 (M,), aligned with the labels.
    """
    n_batches = len(rows) // config.batch_size

    def one_epoch() -> Iterator[Batch]:
        epoch = clock.epoch
        order = np.random.default_rng((config.seed, epoch)).permutation(rows)
        for i in range(n_batches):
            chosen = order[i * config.batch_size : (i + 1) * config.batch_size]
            values, targets = load(chosen, epoch), labels[chosen]
            if config.mixup:
                values, targets = mix_up(
                    values, targets, config.mixup, np.random.default_rng((config.seed, epoch, i, 1))
                )
            yield (values, targets) if weights is None else (values, targets, weights[chosen])

    return _as_dataset(one_epoch, n_batches, shape, labels.shape[1], weighted=weights is not None)


def _one_pass(
    load: Callable[[IntArray], FloatArray],
    shape: tuple[int, ...],
    rows: IntArray,
    labels: FloatArray,
    *,
    batch_size: int,
    gpus: int,
) -> tf.data.Dataset:
    """Build batches of all rows in their own order, each exactly once.

    Each of several devices must get a part of every batch, and an equal part of the first one, whose parts Keras adds
    up to learn the shape of the data. So the first batch is a multiple of their number; the last one may be smaller, or
    larger by less than that number.

    Raises:
        ValueError: fewer than two rows for each of several devices.
    """
    n = len(rows)
    if gpus > 1 and n < 2 * gpus:
        raise ValueError(f"Validation needs two images for each of {gpus} GPUs; there are {n}.")
    size = min(batch_size, n) // gpus * gpus
    if 0 < n - size < gpus:
        size -= gpus
    starts = range(0, n - gpus + 1, size)
    chunks = [rows[start:end] for start, end in zip(starts, [*starts[1:], n], strict=True)]

    def one_pass() -> Iterator[Batch]:
        for chosen in chunks:
            yield load(chosen), labels[chosen]

    return _as_dataset(one_pass, len(chunks), shape, labels.shape[1])


def _as_dataset(
    batches: Callable[[], Iterator[Batch]],
    n_batches: int,
    shape: tuple[int, ...],
    n_classes: int,
    *,
    weighted: bool = False,
) -> tf.data.Dataset:
    """Hand batches to TensorFlow, a few of them ahead of the network."""
    shapes = [(None, *shape), (None, n_classes), *([(None,)] if weighted else [])]
    signature = tuple(tf.TensorSpec(of_part, tf.float32) for of_part in shapes)
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(n_batches)).prefetch(PREFETCH)
