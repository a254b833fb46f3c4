"""Which images does a root hold whose folders are sides, and below them classes, or the other way round?"""

from collections.abc import Iterator
from pathlib import Path

from cxr_core.data.layouts.class_folders import folder_images, loose_files, visible_folders
from cxr_core.data.layouts.found_image import FoundImage, Problem
from cxr_core.data.layouts.inner_folders import folders_of_images, images_below, images_beside_masks, list_others
from cxr_core.data.layouts.mask_names import IMAGE_FOLDERS
from cxr_core.data.layouts.side_names import parted_names, sides_of

LABEL = "Folders train, validation and test, with one folder per class"
LABEL_BELOW = "One folder per class, with folders train, validation and test"
LABEL_IN_NAMES = "One folder per class and side of a split, such as covid_train"


def is_split_root(root: Path) -> bool:
    """Return whether the sides of a split lie in a folder: two that hold folders, or one that does among others."""
    sides = _sides_in(root)
    inside = [folders for name in sides if (folders := folders_of_images(root / name))]
    return _are_several(sides) and (len(inside) > 1 or any(len(folders) > 1 for folders in inside))


def split_images(root: Path, problems: list[Problem]) -> Iterator[FoundImage]:
    """Find every image of `root/<side>/<class>/…` with its side; what lies beside the sides is listed, not read."""
    sides = _sides_in(root)
    folders = {name: _class_root(root, name) for name in sides}
    unlabelled = {name for name, folder in folders.items() if not folders_of_images(root / folder)}
    if unlabelled == set(sides):
        # Nothing but images everywhere: whatever they lie in is their class.
        folders, unlabelled = {name: name for name in sides}, set()
    for name, side in sides.items():
        read = loose_files if name in unlabelled else folder_images
        find = images_beside_masks if "/" in folders[name] else images_below
        for image in find(root, folders[name], read, problems):
            yield image._replace(split=side)
    yield from loose_files(root, problems)
    list_others(root, sides, problems)


def are_sides_alone(root: Path) -> bool:
    """Return whether a root holds nothing but two sides of a split or more, in which images lie without any folder."""
    names = visible_folders(root)
    sides = sides_of(names)
    return (
        _are_several(sides) and len(sides) == len(names) and not any(folders_of_images(root / name) for name in names)
    )


def is_split_in_names(root: Path) -> bool:
    """Return whether every folder is called after its class and a side, and each of several classes has two sides."""
    names = visible_folders(root)
    parted = parted_names(names)
    sides: dict[str, set[str]] = {}
    for class_name, side in parted.values():
        sides.setdefault(class_name.casefold(), set()).add(side)
    return len(parted) == len(names) and len(sides) > 1 and all(len(found) > 1 for found in sides.values())


def images_split_in_names(root: Path, problems: list[Problem]) -> Iterator[FoundImage]:
    """Find every image of `root/<class>_<side>/…` with its class and its side."""
    parted = parted_names(visible_folders(root))
    for image in folder_images(root, problems):
        class_name, side = parted.get(image.class_name, ("", None))
        yield image._replace(class_name=class_name, split=side)


def is_split_below_classes(root: Path) -> bool:
    """Return whether each of two or more folders holds two sides of a split or more."""
    return sum(_are_several(_sides_in(root / name)) for name in visible_folders(root)) > 1


def images_split_below_classes(root: Path, problems: list[Problem]) -> Iterator[FoundImage]:
    """Find every image of `root/<class>/…` with its side, where it lies in `root/<class>/<side>/…`."""
    sides = {
        f"{name}/{inner}": side for name in visible_folders(root) for inner, side in _sides_in(root / name).items()
    }
    for image in folder_images(root, problems):
        yield image._replace(split=sides.get("/".join(image.file.split("/", 2)[:2])))


def class_roots(root: Path) -> list[Path]:
    """Return the folders that hold the classes of the sides of a split; none where a root holds no sides."""
    return [root / _class_root(root, name) for name in _sides_in(root)]


def _sides_in(folder: Path) -> dict[str, str]:
    """Return {folder: side} of the folders that are called like a side, or else, all of them, like one name with it."""
    names = visible_folders(folder)
    parted = parted_names(names)
    is_one_name = len(parted) == len(names) and len({rest.casefold() for rest, _ in parted.values()}) == 1
    return sides_of(names) or ({name: side for name, (_, side) in parted.items()} if is_one_name else {})


def _are_several(sides: dict[str, str]) -> bool:
    """Return whether folders are two different sides or more, unlike `test1` and `test2`."""
    return len(set(sides.values())) > 1


def _class_root(root: Path, side: str) -> str:
    """Return the folder, relative to the root and with "/", that holds the classes of a side, or its images."""
    inside = folders_of_images(root / side)
    says_nothing = len(inside) == 1 and inside[0].lower() in (*IMAGE_FOLDERS, side.lower())
    return f"{side}/{inside[0]}" if says_nothing else side
