"""What the epoch snapshots ask of the network."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import Late

from cxr_core.data.prepared_images import PreparedImages
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.runs.run import Run

keras, epoch_snapshot_callback = Late("keras"), Late("cxr_core.training.epoch_snapshot_callback")


@pytest.mark.parametrize("frozen", [True, False])
def test_the_network_sees_one_image_at_a_time(tmp_path, frozen):
    seen = []

    def note(x):
        seen.append(x.shape[0])
        return x

    image = keras.Input((32, 32, 3))
    x = keras.layers.Lambda(note)(keras.layers.Conv2D(4, 3)(image))
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    model = keras.Model(image, keras.layers.Softmax()(keras.layers.Dense(2, name="logits")(x)))
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32), np.uint8)
    table = pd.DataFrame({"file": list("abcde"), "class_name": list("xyxyx")})
    preprocessing = Preprocessing(size=32)
    seen.clear()
    snapshots = epoch_snapshot_callback.EpochSnapshotCallback(
        Run(tmp_path), model, frozen=frozen, prepared=PreparedImages(images, table, {}, "key"),
        rows=np.arange(5), preprocessing=preprocessing, classes=["x", "y"],
    )  # fmt: skip
    snapshots.write(1, np.eye(2))
    assert set(seen) == {1}
    written = json.loads((tmp_path / "watch" / "epoch-0001.json").read_text())
    files = json.loads((tmp_path / "watch" / "images.json").read_text())["files"]
    rows = [table["file"].tolist().index(file) for file in files]
    expected = model.predict(preprocessing.scaled(images[rows]), verbose=0)
    np.testing.assert_allclose(written["probabilities"], expected, atol=1e-3)
