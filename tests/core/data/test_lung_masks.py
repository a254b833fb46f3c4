"""Where the lungs of prepared images are: found once, kept by content, and nothing where there are none."""

import numpy as np
import pandas as pd
import pytest

from cxr_core.data import lung_masks as module
from cxr_core.data.lung_masks import lung_masks
from cxr_core.data.phantoms import draw_phantom
from cxr_core.data.prepared_images import PreparedImages
from cxr_core.imaging.lung_segmentation import MASK_SIDE, look_at_chest
from cxr_core.imaging.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def prepared():
    drawn = [Preprocessing().image_u8(draw_phantom("normal", np.random.default_rng(i))) for i in range(3)]
    images = np.stack([*drawn, np.full_like(drawn[0], 60)])
    table = pd.DataFrame({"path": [f"/data/{i}.png" for i in range(4)]})
    return PreparedImages(images, table, {}, "key")


def found(prepared, folder):
    counts = []
    return lung_masks(prepared, lambda done, total: counts.append((done, total)), cache_dir=folder), counts


def test_masks_are_the_certainty_of_lung_and_empty_where_no_lungs_were_found(prepared, tmp_path):
    masks, counts = found(prepared, tmp_path)
    assert masks.shape == (4, MASK_SIDE, MASK_SIDE) and masks.dtype == np.uint8 and counts[-1] == (4, 4)
    for image, mask in zip(prepared.images_u8, masks, strict=True):
        chest = look_at_chest(image)
        assert mask.any() == chest.lungs.found
        if chest.lungs.found:
            np.testing.assert_allclose(mask / 255, chest.cells.max(axis=-1), atol=0.002)
    assert masks[:3].any(axis=(1, 2)).any() and not masks[3].any()


def test_they_are_found_once_per_content_and_network(prepared, tmp_path, monkeypatch):
    first, _ = found(prepared, tmp_path)
    monkeypatch.setattr(module, "lung_mask_u8", lambda image: pytest.fail("looked for lungs again"))
    again, counts = found(prepared, tmp_path)
    np.testing.assert_array_equal(first, again)
    assert not counts
    with pytest.raises(pytest.fail.Exception):
        found(PreparedImages(prepared.images_u8, prepared.table, {}, "another"), tmp_path)
    network = tmp_path / "network"
    network.mkdir()
    (network / "model.onnx").write_bytes(b"another network")
    monkeypatch.setattr(module, "LUNG_MODEL_DIR", network)
    with pytest.raises(pytest.fail.Exception):
        found(prepared, tmp_path)
