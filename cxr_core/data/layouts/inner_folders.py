"""Which folders does a folder hold, and how is what lies in one of them read as part of a root?"""

import os
from collections.abc import Callable, Collection, Iterator
from functools import cache
from pathlib import Path

from cxr_core.data.layouts.class_folders import MASKS_FOLDER, files_by_stem, mask_of, visible_folders
from cxr_core.data.layouts.found_image import FoundImage, Problem
from cxr_core.data.layouts.mask_names import holds_lung_masks, is_mask_folder

Reader = Callable[[Path, list[Problem]], Iterator[FoundImage]]


def folders_of_images(folder: Path) -> list[str]:
    """Return the names of the visible folders in a folder, without those whose names say that masks are in them."""
    names = visible_folders(folder)
    return [name for name in names if not is_mask_folder(name, names)]


def images_below(root: Path, above: str, read: Reader, problems: list[Problem]) -> Iterator[FoundImage]:
    """Find the images of the folder `above` of a root, which stays part of their names."""
    found: list[Problem] = []
    for image in read(root / above, found):
        yield image if os.path.isabs(image.file) else image._replace(file=f"{above}/{image.file}")
    problems += [(f"{above}/{file}", sentence) for file, sentence in found]


def list_others(root: Path, read: Collection[str], problems: list[Problem]) -> None:
    """Say of each visible folder of a root that is none of those that are read that it is passed over."""
    others = sorted(set(visible_folders(root)) - set(read))
    problems += [(name, f"This folder lies beside {', '.join(sorted(read))} and is passed over.") for name in others]


def images_beside_masks(root: Path, above: str, read: Reader, problems: list[Problem]) -> Iterator[FoundImage]:
    """Find the images of a folder as `images_below`; folders of masks beside it are listed, and hold their masks."""
    place = (root / above).parent
    masks = sorted(set(visible_folders(place)) - set(folders_of_images(place)))
    problems += [((place / name).relative_to(root).as_posix(), MASKS_FOLDER) for name in masks]
    folders = [str(place / name) for name in masks if holds_lung_masks(name)]
    listing = cache(files_by_stem)
    for image in images_below(root, above, read, problems):
        mask = image.mask or (mask_of(image.file[len(above) + 1 :], folders, listing) if folders else None)
        yield image._replace(mask=mask)
