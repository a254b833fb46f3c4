"""mask_names.py: masks are masks however their folders and files are called, and images stay images."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxr_core.data.dataset import scan_dataset
from cxr_core.data.layouts.mask_names import is_mask_folder, masked_stem

from .test_split_folders import fill

OF_LUNGS = [
    "masks", "Mask", "lung masks", "lung-masks", "Lung_Mask", "LungMask", "Masks_lung", "manual_masks", "mask_png",
    "segmentation", "Segmentations", "Lung Segmentation", "Masken", "Lungenmasken", "masques", "máscaras",
    "ma\u0301scaras", "maschere", "маски",
]  # fmt: skip
OF_OTHERS = ["infection masks", "leftMask", "Right Mask", "lesion_masks", "heart-segmentation"]
BESIDE_IMAGES = ["labels", "GT", "ground_truth", "annotations", "heatmaps", "seg", "overlay"]
CLASSES = ("normal", "covid")


def scan(root, tmp_path):
    return scan_dataset(root, index_dir=tmp_path / "index")


@pytest.mark.parametrize("name", OF_LUNGS + OF_OTHERS + BESIDE_IMAGES)
def test_a_folder_of_masks_beside_images_is_listed_and_no_image_of_it_read(tmp_path, name):
    root = fill(tmp_path / "set", *(f"{c}/{folder}" for c in CLASSES for folder in ("images", name)))
    dataset = scan(root, tmp_path)
    assert sorted(dataset.table["file"]) == ["covid/images/0.png", "normal/images/0.png"]
    assert dataset.unreadable["file"].tolist() == [f"covid/{name}", f"normal/{name}"]
    assert ("mask" in dataset.table) == (name in OF_LUNGS)


@pytest.mark.parametrize("name", ["images", "PA", "patient7", "masked", "unmasked faces", "labels", "GT", "seg"])
def test_other_folders_below_a_class_hold_images(tmp_path, name):
    root = fill(tmp_path / "set", *(f"{c}/{name}" for c in CLASSES))
    assert len(scan(root, tmp_path).table) == 2


@pytest.mark.parametrize("masks", ["masks", "masks/{c}"])
@pytest.mark.parametrize("images", ["{c}", "images/{c}", "train/images/{c}"])
def test_masks_beside_all_classes_belong_to_the_images_of_their_names(tmp_path, images, masks):
    above = images.removesuffix("{c}").removesuffix("images/")
    names = [f"{above}{masks}".format(c=c) for c in CLASSES]
    further = ["test/images/normal", "test/images/covid"] if above else []
    dataset = scan(fill(tmp_path / "set", *(images.format(c=c) for c in CLASSES), *names, *further), tmp_path)
    assert dataset.classes == CLASSES
    own = dataset.table[~dataset.table["file"].str.startswith("test/")]
    assert [f"{tmp_path}/set/{name}/0.png" for name in names] == own["mask"].tolist()
    assert f"{above}masks" in dataset.unreadable["file"].tolist()


@given(
    ending=st.sampled_from(["_mask", "-mask", "_Masks", " mask", "_lung_mask", "_seg", "_segmentation", "Mask"]),
    stem=st.from_regex(r"[abc019]([abc019_-]{0,4}[abc019])?", fullmatch=True),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mask_beside_its_image_belongs_to_it(tmp_path_factory, ending, stem):
    tmp_path = tmp_path_factory.mktemp("pair")
    root = fill(tmp_path / "set", *CLASSES)
    for folder in CLASSES:
        (root / folder / "0.png").rename(root / folder / f"{stem}.png")
        (root / folder / f"{stem}{ending}.png").write_bytes((root / folder / f"{stem}.png").read_bytes())
    dataset = scan(root, tmp_path)
    assert sorted(dataset.table["file"]) == [f"{c}/{stem}.png" for c in sorted(CLASSES)]
    assert dataset.unreadable["file"].tolist() == [f"{c}/{stem}{ending}.png" for c in sorted(CLASSES)]
    assert dataset.table["mask"].tolist() == [f"{root}/{c}/{stem}{ending}.png" for c in CLASSES]


@pytest.mark.parametrize(
    ("name", "is_lungs"),
    [("mask_{}", True), ("Mask-{}", True), ("seg_{}", True), ("gt_{}", False), ("{}_gt", False), ("{}-label", False),
     ("{}_overlay", False), ("{}_infection_mask", False), ("{}_leftmask", False)],
)  # fmt: skip
def test_what_belongs_to_an_image_beside_it_is_no_image_and_a_mask_where_it_may_be_of_the_lungs(
    tmp_path, name, is_lungs
):
    root = fill(tmp_path / "set", *CLASSES)
    for folder in CLASSES:
        (root / folder / f"{name.format(0)}.png").write_bytes((root / folder / "0.png").read_bytes())
    dataset = scan(root, tmp_path)
    assert sorted(dataset.table["file"]) == ["covid/0.png", "normal/0.png"]
    assert dataset.unreadable["file"].tolist() == [f"{c}/{name.format(0)}.png" for c in sorted(CLASSES)]
    assert ("mask" in dataset.table) == is_lungs


@pytest.mark.parametrize(
    ("images", "masks"),
    [("Images", "Masks/heart"), ("png_images", "png_masks"), ("image", "label"), ("Images", "Ground-truths")],
)
@pytest.mark.parametrize("above", [("",), ("train/", "test/")])
def test_masks_beside_images_of_no_class_are_no_class(tmp_path, images, masks, above):
    dataset = scan(fill(tmp_path / "set", *(f"{a}{name}" for a in above for name in (images, masks))), tmp_path)
    assert dataset.table["file"].tolist() == sorted(f"{a}{images}/0.png" for a in above)
    assert dataset.unreadable["file"].tolist() == sorted(a + masks.split("/")[0] for a in above)


@pytest.mark.parametrize("names", [("Label 0 images", "Label 1 images"), ("annotated ill imgs", "annotated well imgs")])
def test_classes_that_are_all_called_labels_are_no_masks_of_each_other(tmp_path, names):
    assert set(scan(fill(tmp_path / "set", *names), tmp_path).classes) == set(names)


@pytest.mark.parametrize("name", ["seg_1", "gt-1", "mask_1", "1_gt", "1_label"])
def test_a_mask_that_is_called_like_its_image_is_its_mask_whatever_the_name_says(tmp_path, name):
    root = fill(tmp_path / "set", *(f"{c}/{kind}" for c in CLASSES for kind in ("images", "masks")))
    for path in root.glob("*/*/0.png"):
        path.rename(path.with_stem(name))
    table = scan(root, tmp_path).table
    assert table["mask"].tolist() == [f"{root}/{c}/masks/{name}.png" for c in CLASSES]


def test_segmentation_data_beside_images_are_masks(tmp_path):
    root = fill(tmp_path / "set", *(f"{c}/{kind}" for c in CLASSES for kind in ("images", "segmentation_data")))
    table = scan(root, tmp_path).table
    assert table["mask"].tolist() == [f"{root}/{c}/segmentation_data/0.png" for c in CLASSES]


def test_segmentation_data_beside_classes_are_masks(tmp_path):
    root = fill(tmp_path / "set", *CLASSES, "lung segmentation data")
    assert scan(root, tmp_path).classes == CLASSES


def test_data_for_segmentation_hold_images_too(tmp_path):
    kinds = ("images", "lung masks", "infection masks")
    names = [
        f"{what} Segmentation Data/{what} Segmentation Data/{side}/{c}/{kind}"
        for what in ("Lung", "Infection")
        for side in ("Train", "Test")
        for c in CLASSES
        for kind in kinds[: 3 if what == "Infection" else 2]
    ]
    dataset = scan(fill(tmp_path / "set", *names), tmp_path)
    assert dataset.classes == CLASSES
    assert len(dataset.table) == 8
    assert dataset.table["split"].tolist().count("train") == 4
    assert dataset.table["mask"].str.contains("/lung masks/").all()


def test_an_image_that_is_called_a_mask_of_nothing_beside_it_is_read(tmp_path):
    root = fill(tmp_path / "set", *CLASSES)
    (root / "covid" / "0.png").rename(root / "covid" / "patient_with_mask.png")
    assert len(scan(root, tmp_path).table) == 2


def test_names_of_masks():
    assert masked_stem("CHNCXR_0001_0_mask") == "CHNCXR_0001_0"
    assert masked_stem("a_left_lung_mask") == "a_left" and masked_stem("lung_mask") == "lung"
    # A pattern of several repeats would try every place for each of them.
    assert masked_stem("_" * 250 + "xmask") == "_" * 250 + "x"
    assert masked_stem("mask_0001") == masked_stem("0001-gt") == "0001" and masked_stem("weight") is None
    assert masked_stem("mask") is None and masked_stem("0001") is None
    assert is_mask_folder("labels", ["images", "labels"]) and not is_mask_folder("labels", ["labels", "normal"])
