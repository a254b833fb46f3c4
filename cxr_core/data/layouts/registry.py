"""Which layouts are recognised, and how is each read?"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cxr_core.data.layouts.class_folders import folder_images
from cxr_core.data.layouts.found_image import FoundImage, Problem
from cxr_core.data.layouts.split_folders import is_split_root, split_images
from cxr_core.data.layouts.tables.listing import has_table, table_images


@dataclass(frozen=True)
class DataLayout:
    """One way in which a data set can be laid out.

    Attributes:
        label: what people call it.
        recognises: whether a root, a folder or a file, is laid out in this way. Called at every rerun of a page, so it
            looks at names or at the first line of a table, and opens no image.
        images: finds the images below a root. What it has to leave out goes into the list, each with a sentence;
            ValueError where nothing can be read.
    """

    label: str
    recognises: Callable[[Path], bool]
    images: Callable[[Path, list[Problem]], Iterator[FoundImage]]


# From the general to the particular: where several recognise a root, the last one reads it.
# A new layout is one more entry; docs/extending.md shows how.
LAYOUTS = {
    "class_folders": DataLayout("One folder per class", os.path.isdir, folder_images),
    "split_folders": DataLayout(
        "Folders train, validation and test, with one folder per class", is_split_root, split_images
    ),
    "table": DataLayout("Label table", has_table, table_images),
}


def find_layout(root: Path) -> DataLayout | None:
    """Return the layout that reads a root; None where none recognises it, or it is not there."""
    return next((layout for layout in reversed(LAYOUTS.values()) if layout.recognises(root)), None)
