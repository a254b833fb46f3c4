"""Which folders and files hold masks or drawings of images, and no images, by their names?"""

import re
from collections.abc import Collection

_MASKS = {"mask", "masks", "lungmask", "lungmasks", "segmentation", "segmentations"}
# These say it only beside a folder that is called images.
_BESIDE_IMAGES = {
    "seg", "segs", "label", "labels", "annotation", "annotations", "annotated", "gt", "groundtruth", "truth",
    "heatmap", "heatmaps", "overlay", "overlays", "contour", "contours",
}  # fmt: skip
# Masks of something else than both lungs.
_OTHER_MASKS = re.compile("infect|lesion|opacit|left|right|heart|rib|clavicle|pneumo", re.IGNORECASE)
# What a folder between others is called that says nothing, in small letters.
IMAGE_FOLDERS = {
    "images", "image", "imgs", "img", "cxr", "cxrs", "cxr_png", "xray", "xrays", "x-ray", "x-rays", "radiographs",
    "data", "classes",
}  # fmt: skip
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# How the name of a mask ends, and what may stand before it; a file's name is asked for at every rerun of a page.
_ENDINGS, _OF = ("segmentation", "masks", "mask", "seg"), ("lungs", "lung", "infection", "manual", "left", "right")
_BETWEEN = "-_ ."


def is_mask_folder(name: str, beside: Collection[str]) -> bool:
    """Return whether a folder's name says that masks are in it: `masks`, `Lung-Masks`, `ManualMask`.

    Args:
        name: of the folder.
        beside: the names of the folders beside it.
    """
    parts = _words(name)
    has_images = any(other.lower() in IMAGE_FOLDERS for other in beside if other != name)
    return bool(parts & _MASKS) or (has_images and bool(parts & _BESIDE_IMAGES))


def holds_lung_masks(name: str) -> bool:
    """Return whether the masks in a folder of masks may be those of the lungs, by its name."""
    return not _OTHER_MASKS.search(name) and bool(_words(name) & _MASKS)


def masked_stem(stem: str) -> str | None:
    """Return the name, without ending, of the image that a mask belongs to: `a` of `a_mask`; None for what is none."""
    if not stem.lower().endswith(_ENDINGS):
        return None
    named = _without(stem, _ENDINGS)
    return _without(named, _OF) or named or None


def _without(name: str, endings: tuple[str, ...]) -> str:
    """Return a name without the first of some endings that it has, nor what parts them."""
    ending = next((ending for ending in endings if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)].rstrip(_BETWEEN)


def _words(name: str) -> set[str]:
    return {part.lower() for part in _PARTS.findall(name)}
