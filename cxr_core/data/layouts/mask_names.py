"""Which folders and files hold masks or drawings of images, and no images, by their names?"""

import re
from collections.abc import Collection

from cxr_core.system.text import without_accents

# In several languages, without accents.
_MASKS = {
    "mask", "masks", "lungmask", "lungmasks", "maske", "masken", "lungenmaske", "lungenmasken", "masque", "masques",
    "mascara", "mascaras", "maschera", "maschere", "masker", "maskers", "маска", "маски", "掩码", "掩膜", "マスク",
}  # fmt: skip
_SEGMENTATIONS = {
    "segmentation", "segmentations", "segmentierung", "segmentierungen", "segmentacion", "segmentaciones",
    "segmentacao", "segmentazione", "segmentatie",
}  # fmt: skip
# Data for segmentation are images and masks, unless a folder of something else lies beside them: it has the images.
_DATA = {"data", "dataset", "datasets", "set", "database"}
# These say it only beside a folder that is called images.
_BESIDE_IMAGES = {
    "seg", "segs", "label", "labels", "annotation", "annotations", "annotated", "gt", "groundtruth", "truth",
    "truths", "groundtruths",
    "heatmap", "heatmaps", "overlay", "overlays", "contour", "contours",
}  # fmt: skip
# Masks of something else than both lungs.
_OTHER_MASKS = re.compile("infe[ckz]|lesion|opacit|left|right|heart|rib|clavicle|pneumo", re.IGNORECASE)
# What a folder between others is called that says nothing, in small letters.
IMAGE_FOLDERS = {
    "images", "image", "imgs", "img", "cxr", "cxrs", "cxr_png", "xray", "xrays", "x-ray", "x-rays", "radiographs",
    "data", "classes",
}  # fmt: skip
_IMAGES = {"image", "images", "img", "imgs"}
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_A-Za-z]+")
# How the name of a mask ends, or what is drawn on an image, and what may stand before it; a file's name is asked for at
# every rerun of a page.
_ENDINGS, _OF = ("segmentation", "masks", "mask", "seg"), ("lungs", "lung", "infection", "manual", "left", "right")
_DRAWINGS = ("gt", "groundtruth", "label", "labels", "annotation", "annotated", "overlay", "heatmap", "contour")
_BETWEEN = "-_ ."
_LAST, _FIRST = (*_ENDINGS, *_DRAWINGS), ("mask", "lungmask", "seg", "gt")
_DRAWN = tuple(between + name for name in _DRAWINGS for between in _BETWEEN)
_STARTS = tuple(name + between for name in (*_FIRST, "masks") for between in _BETWEEN)


def is_mask_folder(name: str, beside: Collection[str]) -> bool:
    """Return whether a folder's name says that masks are in it: `masks`, `Lung-Masks`, `ManualMask`.

    Args:
        name: of the folder.
        beside: the names of the folders beside it.
    """
    parts = _words(name)
    if parts & _SEGMENTATIONS and (not parts & _DATA or any(not _words(other) & _SEGMENTATIONS for other in beside)):
        return True
    return bool(parts & _MASKS) or (bool(parts & _BESIDE_IMAGES) and is_beside_images(name, beside))


def is_beside_images(name: str, beside: Collection[str]) -> bool:
    """Return whether a folder's name and that of one beside it tell masks and images: it is no class then."""
    return any(
        other.lower() in IMAGE_FOLDERS or (words & _IMAGES and not words & (_MASKS | _SEGMENTATIONS | _BESIDE_IMAGES))
        for other in beside
        if other != name and (words := _words(other))
    )


def holds_lung_masks(name: str) -> bool:
    """Return whether the masks in a folder of masks may be those of the lungs, by its name."""
    return not _OTHER_MASKS.search(name) and bool(_words(name) & (_MASKS | _SEGMENTATIONS))


def masked_stem(stem: str) -> str | None:
    """Return the name, without ending, of the image that a mask or a drawing belongs to: `a` of `a_mask` or `mask_a`.

    None for what is none.
    """
    small = stem.lower()
    if not small.endswith(_LAST) and not small.startswith(_FIRST):
        return None
    if not small.endswith(_ENDINGS):
        start = next((start for start in _STARTS if small.startswith(start)), "")
        end = next((end for end in _DRAWN if small.endswith(end)), "")
        return stem[len(start) : len(stem) - len(end)].strip(_BETWEEN) or None if start or end else None
    named = _without(stem, _ENDINGS)
    return _without(named, _OF) or named or None


def is_of_lungs(mask_stem: str, stem: str) -> bool:
    """Return whether a file that belongs to an image, by `masked_stem`, may be the mask of its lungs."""
    rest = mask_stem.removeprefix(stem).removesuffix(stem)
    return not _OTHER_MASKS.search(rest) and not _words(rest) & set(_DRAWINGS)


def _without(name: str, endings: tuple[str, ...]) -> str:
    """Return a name without the first of some endings that it has, nor what parts them."""
    ending = next((ending for ending in endings if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)].rstrip(_BETWEEN)


def _words(name: str) -> set[str]:
    return {part.lower() for part in _PARTS.findall(without_accents(name))}
