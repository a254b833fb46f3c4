"""Where does a data set begin that lies below a folder of its own, as unpacked archives do?"""

from collections.abc import Callable, Iterator
from pathlib import Path

from cxr_core.data.layouts.data_layout import DataLayout
from cxr_core.data.layouts.found_image import FoundImage, Problem
from cxr_core.data.layouts.inner_folders import folders_of_images, images_beside_masks

_DEEPEST = 5


def inner_layout(root: Path, layout_of: Callable[[Path], DataLayout | None]) -> tuple[str, DataLayout] | None:
    """Look for the data set in the single folder, but for masks, that a root holds, or below.

    Args:
        root: a folder.
        layout_of: the layout of a folder; None where nothing tells.

    Returns:
        The folder that the data set lies in, relative to the root and with "/", and its layout; None where none is
        found, or the root holds several folders.
    """
    for folder in folders_above_data(root)[1:]:
        if layout := layout_of(folder):
            return folder.relative_to(root).as_posix(), layout
    return None


def folders_above_data(root: Path) -> list[Path]:
    """Return a root and, as long as each holds a single folder, the folders below; a data set may begin in any."""
    folders = [root]
    while len(folders) <= _DEEPEST and len(names := folders_of_images(folders[-1])) == 1:
        folders.append(folders[-1] / names[0])
    return folders


def wrapped_layout(above: str, inner: DataLayout) -> DataLayout:
    """Return the layout of a root whose folder `above` is laid out as `inner`; that folder stays part of the names."""

    def images(root: Path, problems: list[Problem]) -> Iterator[FoundImage]:
        return images_beside_masks(root, above, inner.images, problems)

    def describe(root: Path) -> str:
        return f"{inner.description(root / above)}, below {above}"

    return DataLayout(inner.label, lambda root: inner.recognises(root / above), images, describe)
