"""How is the history written for TensorBoard, so that `tensorboard --logdir runs` shows it?"""

from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

_SIDES = {"": "train", "val_": "validation"}
_ALONE = ("learning_rate", "images_per_second")


class EventWriter:
    """Append one point per epoch and curve.

    Training and validation get folders of their own, so that TensorBoard draws them in one plot.

    Args:
        folder: made with the first point. A resumed run adds a file to it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[str, tf.summary.SummaryWriter] = {}

    def write(self, row: Mapping[str, float]) -> None:
        """Write one epoch.

        Args:
            row: as in `epochs.csv`: `epoch`, `loss`, `accuracy`, their `val_` twins and more.

        Raises:
            OSError: the files cannot be written.
        """
        points = [(side, name, row[prefix + name]) for prefix, side in _SIDES.items() for name in ("loss", "accuracy")]
        points += [("train", name, row[name]) for name in _ALONE]
        try:
            for side, name, value in points:
                self._write_point(side, f"epoch/{name}", value, int(row["epoch"]))
            for writer in self._writers.values():
                writer.flush()
        except tf.errors.OpError as error:
            raise OSError(f"TensorBoard's files cannot be written: {error.message}") from error

    def _write_point(self, side: str, tag: str, value: float, step: int) -> None:
        if side not in self._writers:
            self._writers[side] = tf.summary.create_file_writer(str(self._folder / side))
        with self._writers[side].as_default():
            # What `tf.summary.scalar` does, which needs TensorBoard itself; its files do not.
            metadata = tf.compat.v1.SummaryMetadata()
            metadata.plugin_data.plugin_name = "scalars"
            tf.summary.write(tag, tf.constant(value, tf.float32), step=step, metadata=metadata)
