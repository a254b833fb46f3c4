"""onnx_session.py: many images are answered as each of them alone, whoever gets the cores."""

import numpy as np
import pytest

from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.inference.classifier import load_classifier
from cxr_core.system.onnx_session import open_session, run_graph

GRAPH = SHIPPED_MODEL_DIR / "model.onnx"
OUTPUTS = ["probabilities", "features"]
IMAGES_U8 = np.random.default_rng(0).integers(0, 256, (11, 224, 224), dtype=np.uint8)


@pytest.mark.parametrize("for_many", [False, True])
def test_many_images_get_what_each_gets_alone_to_the_last_bit(for_many):
    scale = load_classifier(SHIPPED_MODEL_DIR).card.preprocessing.scaled
    alone = open_session(GRAPH)
    wanted = [alone.run(OUTPUTS, {"image": scale(image[None])}) for image in IMAGES_U8]
    counts = []
    found = run_graph(
        open_session(GRAPH, for_many=for_many), OUTPUTS, IMAGES_U8, scale, progress=lambda *told: counts.append(told)
    )
    for of_output, expected in zip(found, zip(*wanted, strict=True), strict=True):
        np.testing.assert_array_equal(of_output, np.concatenate(expected))
    assert counts == [(8, 11), (11, 11)]
