"""chest_images.py: which images and masks the lung network learns from."""

import cv2
import numpy as np
import pandas as pd
import pytest

from cxr_core.training.lungs.chest_images import SIDE, read_chest_images


@pytest.fixture
def chests(tmp_path):
    """Two hospitals of two images each; one image of each has a mask in the table, one in a folder of masks."""
    rng, rows = np.random.default_rng(0), []
    for source in ("north", "south"):
        for i in range(2):
            path = tmp_path / "data" / source / f"{source}{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), rng.integers(0, 255, (60, 90), np.uint8))
            rows.append({"path": f"{source}/{path.name}", "label": "normal", "source": source, "mask": ""})
    half = np.zeros((60, 90), np.uint8)
    half[:, :45] = 1
    for name in ("data/masks/north0.png", "further/north1.png.png", "further/unknown.png.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), half)
    rows[0]["mask"] = "masks/north0.png"
    pd.DataFrame(rows).to_csv(tmp_path / "data" / "index.csv", index=False)
    return tmp_path


def test_images_and_masks_are_squared_and_belong_together(chests):
    images = read_chest_images([chests / "data"], mask_folders=[chests / "further"], behind_heart=["further"])
    assert images.images_u8.shape == (4, SIDE, SIDE) and len(images) == 4
    assert images.aspects.tolist() == [1.5] * 4
    by_file = dict(zip(images.table["file"].str.split("/").str[-1], range(4), strict=True))
    # Masks of zeros and ones are as good as those of 0 and 255.
    for file, convention in (("north0.png", 0), ("north1.png", 1)):
        row = by_file[file]
        image, mask = images.pair(row)
        assert images.convention[row] == convention
        assert mask[:, : SIDE // 2 - 2].min() == 255 and mask[:, SIDE // 2 + 2 :].max() == 0
        expected = cv2.resize(cv2.imread(images.table["path"][row], 0), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(image, expected)
    assert images.pair(by_file["south0.png"])[1] is None and images.convention[by_file["south0.png"]] == -1


def test_some_of_the_images_keep_their_masks(chests):
    images = read_chest_images([chests / "data"])
    some = images.rows((images.table["source"] == "north").to_numpy())
    assert len(some) == 2 and sorted(some.mask_of) == [-1, 0]
    assert some.table["source"].tolist() == ["north", "north"]


def test_a_source_may_draw_its_masks_behind_the_heart(chests):
    images = read_chest_images([chests / "data"], behind_heart=["north"])
    assert sorted(images.convention) == [-1, -1, -1, 1]


def test_a_mask_folder_of_other_images_is_refused(chests):
    (chests / "further" / "north1.png.png").unlink()
    with pytest.raises(ValueError, match="No mask in further is named like an image"):
        read_chest_images([chests / "data"], mask_folders=[chests / "further"])


def test_without_any_mask_the_sentence_says_where_masks_may_lie(chests):
    table = pd.read_csv(chests / "data" / "index.csv").drop(columns="mask")
    table.to_csv(chests / "data" / "index.csv", index=False)
    with pytest.raises(ValueError, match="name folders of masks, or a table's column `mask`"):
        read_chest_images([chests / "data"])


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (np.ones((90, 60), np.uint8), "another aspect (60 × 90 and 90 × 60 pixels)"),
        (np.zeros((60, 90), np.uint8), "shows no lungs"),
        (np.full((60, 90), 255, np.uint8), "shows no lungs"),
        (None, "is not there"),
        (b"no image", "cannot be read"),
    ],
    ids=["turned", "black", "white", "gone", "broken"],
)
def test_a_mask_that_cannot_be_used_is_told_of_and_its_image_is_used_without(chests, mask, sentence):
    path = chests / "data" / "masks" / "north0.png"
    path.unlink()
    if isinstance(mask, bytes):
        path.write_bytes(mask)
    elif mask is not None:
        cv2.imwrite(str(path), mask)
    images = read_chest_images([chests / "data"], mask_folders=[chests / "further"])
    assert len(images) == 4 and (images.mask_of >= 0).sum() == 1
    ((file, told),) = images.left_out
    assert file == "north/north0.png" and sentence in told
    with pytest.raises(ValueError, match="No lung mask can be used. The first, of north/north0.png: Its lung mask"):
        read_chest_images([chests / "data"])


def test_a_mask_of_fewer_pixels_belongs_to_its_image(chests):
    path = chests / "data" / "masks" / "north0.png"
    whole = cv2.imread(str(path), 0)
    cv2.imwrite(str(path), cv2.resize(whole, (45, 30), interpolation=cv2.INTER_NEAREST))
    images = read_chest_images([chests / "data"])
    assert images.left_out == () and (images.mask_of >= 0).sum() == 1
