"""A run's history in TensorBoard's own format, so that `tensorboard --logdir runs` shows it. Imports TensorFlow."""

import tensorflow as tf

_SIDES = {"": "train", "val_": "validation"}
_ALONE = ("learning_rate", "images_per_second")


class EventWriter:
    """Append one point per epoch and curve; training and validation lie in folders of their own, to be laid over.

    Args:
        folder: Path, made with the first point. A resumed run adds a file to it.
    """

    def __init__(self, folder):
        self._folder = folder
        self._writers = {}

    def write(self, row):
        """Write one epoch.

        Args:
            row: dict as the recorder keeps it: `epoch`, `loss`, `accuracy`, their `val_` twins and more.

        Raises:
            OSError: the disk does not take it.
        """
        points = [(side, name, row[prefix + name]) for prefix, side in _SIDES.items() for name in ("loss", "accuracy")]
        points += [("train", name, row[name]) for name in _ALONE]
        try:
            for side, name, value in points:
                self._write_point(side, f"epoch/{name}", value, row["epoch"])
            for writer in self._writers.values():
                writer.flush()
        except tf.errors.OpError as error:
            raise OSError(f"TensorBoard's files cannot be written: {error.message}") from error

    def _write_point(self, side, tag, value, step):
        if side not in self._writers:
            self._writers[side] = tf.summary.create_file_writer(str(self._folder / side))
        with self._writers[side].as_default():
            # What `tf.summary.scalar` does, which needs TensorBoard itself; its files do not.
            metadata = tf.compat.v1.SummaryMetadata()
            metadata.plugin_data.plugin_name = "scalars"
            tf.summary.write(tag, tf.constant(value, tf.float32), step=step, metadata=metadata)
