"""What is written of the same six validation images after each epoch?"""

from collections.abc import Sequence

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from cxr_core.data.prepared_images import PreparedImages, read_images
from cxr_core.explain.overlay import scale_maps
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.runs.run import Run
from cxr_core.system.arrays import FloatArray, IntArray
from cxr_core.system.files import atomic_path, write_json

IMAGES = 6


class EpochSnapshotCallback:
    """Grad-CAM of six validation images, written once per epoch.

    Args:
        run: its folder takes the files.
        model: the whole flat network; its layer `features` pools the last convolution.
        frozen: the backbone never changes, so its activations are computed once.
        prepared: all images of the run.
        rows: int (n,), positions of the validation images.
        preprocessing: scales the images for the network.
        classes: in the order of the network's outputs.

    Source:
        Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2, for the class with the highest score.
    """

    def __init__(
        self,
        run: Run,
        model: keras.Model,
        *,
        frozen: bool,
        prepared: PreparedImages,
        rows: IntArray,
        preprocessing: Preprocessing,
        classes: Sequence[str],
    ) -> None:
        self._folder, self._classes = run.path / "watch", classes
        rows = choose_rows(prepared.table["class_name"], rows)
        images = read_images(prepared.images_u8, rows)
        with atomic_path(self._folder / "images.npy") as temporary:
            np.save(temporary, images)
        table = prepared.table.iloc[rows]
        facts = {"classes": classes, "files": table["file"].tolist(), "true": table["class_name"].tolist()}
        write_json(self._folder / "images.json", facts)
        last = model.get_layer("features").input
        # Traced: run eagerly, Keras keeps every layer's output until the last one is there.
        self._trunk = tf.function(keras.Model(model.input, last))
        self._tail = keras.Model(last, model.get_layer("logits").output)
        self._input = tf.constant(preprocessing.scaled(images))
        self._activations = self._run_trunk() if frozen else None

    def write(self, epoch: int, confusion: IntArray) -> None:
        """Write the maps of one epoch beside its confusion matrix.

        Args:
            epoch: from 1.
            confusion: int (C, C), validation images by true and predicted class.
        """
        probabilities, maps = self._explain()
        values = {
            "confusion": np.asarray(confusion).tolist(),
            "probabilities": np.round(probabilities, 4).tolist(),
            "maps": np.round(maps, 3).tolist(),
        }
        write_json(self._folder / f"epoch-{epoch:04d}.json", values)

    def _run_trunk(self) -> tf.Tensor:
        """Return what the last convolution gives, float32 (n, h, w, c).

        Image by image: TensorFlow keeps the memory of its largest batch, six images of 320 pixels 130 MB more than one.
        """
        parts = [self._trunk(self._input[i : i + 1], training=False) for i in range(len(self._input))]
        return tf.concat(parts, axis=0)

    def _explain(self) -> tuple[FloatArray, FloatArray]:
        """Return probabilities (n, C), and Grad-CAM (n, h, w) in [0, 1] for each image's likeliest class."""
        activations = self._activations
        if activations is None:
            activations = self._run_trunk()
        with tf.GradientTape() as tape:
            tape.watch(activations)
            logits = self._tail(activations, training=False)
            score = tf.reduce_max(logits, axis=1)
        weights = tf.reduce_mean(tape.gradient(score, activations), axis=(1, 2), keepdims=True)
        maps = tf.nn.relu(tf.reduce_sum(weights * activations, axis=3))
        return tf.nn.softmax(logits).numpy().astype(float), scale_maps(maps.numpy()).astype(float)


def choose_rows(class_names: pd.Series, rows: IntArray, n: int = IMAGES) -> IntArray:
    """Take up to `n` of some rows, the classes by turns.

    Args:
        class_names: of all N images.
        rows: int (m,), positions to choose from.
        n: how many.

    Returns:
        int (at most n,), sorted by class, then by position.
    """
    names = class_names.iloc[rows].to_numpy()
    turn = class_names.iloc[rows].groupby(names).cumcount().to_numpy()
    chosen = np.lexsort((names, turn))[:n]
    return np.asarray(rows)[chosen[np.lexsort((rows[chosen], names[chosen]))]]
