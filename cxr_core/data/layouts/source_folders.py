"""Which images does a root hold whose folders are hospitals, or parts, each of which is a data set of its own?"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from cxr_core.classes import KNOWN_CLASSES, class_key
from cxr_core.data.layouts.class_folders import visible_folders
from cxr_core.data.layouts.data_layout import DataLayout
from cxr_core.data.layouts.found_image import FoundImage, Problem
from cxr_core.data.layouts.inner_folders import images_below, list_others
from cxr_core.data.layouts.side_names import sides_of
from cxr_core.data.layouts.tables.finding_classes import DEFAULT_CLASSES

LABEL = "One folder per source, each a data set of its own"
# Parts of one data set, which are no hospitals: `fold1`, `Lung Segmentation Data`.
_PART = re.compile(
    r"(?:.*[-_ ])?(?:fold|part|batch|set|split|group|chunk|shard|folder|archive|data|dataset|images|imgs)[-_ ]?\d*",
    re.IGNORECASE,
)
_MOST_NAMED = 4


def source_layout(root: Path, layout_of: Callable[[Path], DataLayout | None]) -> DataLayout | None:
    """Return the layout of a root in which two folders or more are data sets; None where it has no such folders.

    Args:
        root: a folder.
        layout_of: the layout of a folder whose classes are told; None where nothing tells them.
    """
    # What is called a segmentation may hold images, too.
    names = [name for name in visible_folders(root) if "mask" not in name.lower()]
    if len(names) < 2 or any(map(_is_class, names)):
        return None
    inner = {name: layout for name in sorted(names) if (layout := layout_of(root / name))}
    sides = sides_of(list(inner))
    if len(set(sides.values())) > 1:
        inner = {name: inner[name] for name in sides}
    return _layout_of_parts(inner) if len(inner) > 1 else None


def _layout_of_parts(inner: dict[str, DataLayout]) -> DataLayout:
    sides = sides_of(list(inner))
    are_sides = len(sides) == len(inner) and len(set(sides.values())) > 1

    def images(root: Path, problems: list[Problem]) -> Iterator[FoundImage]:
        for name, layout in inner.items():
            source = None if are_sides or _PART.fullmatch(name) else name
            side = sides[name] if are_sides else None
            for image in images_below(root, name, layout.images, problems):
                yield image._replace(source=image.source or source, split=image.split or side)
        list_others(root, inner, problems)

    def describe(root: Path) -> str:
        named = ", ".join(list(inner)[:_MOST_NAMED]) + (", …" if len(inner) > _MOST_NAMED else "")
        kept = "" if all(map(_PART.fullmatch, inner)) else "; the folder is kept as the source"
        kept = "; the folder is the side of the split" if are_sides else kept
        first, layout = next(iter(inner.items()))
        return f"{len(inner)} folders ({named}), each a data set{kept}. {first}: {layout.description(root / first)}"

    return DataLayout(LABEL, lambda root: all((root / name).is_dir() for name in inner), images, describe)


def _is_class(name: str) -> bool:
    return class_key(name) in KNOWN_CLASSES or name.strip().lower() in DEFAULT_CLASSES
