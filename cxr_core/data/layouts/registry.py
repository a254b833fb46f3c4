"""Which layouts are recognised, and how is each read?"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cxr_core.data.layouts import class_folders, split_folders
from cxr_core.data.layouts.found_image import FoundImage, Problem
from cxr_core.data.layouts.tables.root_tables import has_table, table_description, table_images
from cxr_core.data.layouts.wrapped_folders import is_wrapped, wrapped_description, wrapped_images


@dataclass(frozen=True)
class DataLayout:
    """One way in which a data set can be laid out.

    Attributes:
        label: what people call it.
        recognises: whether a root, a folder or a file, is laid out in this way. Called at every rerun of a page, so it
            looks at names or at the first line of a table, and opens no image.
        images: finds the images below a root. What it has to leave out goes into the list, each with a sentence;
            ValueError where nothing can be read.
        describe: what a root of this layout is, in words; None where the label says it all.
    """

    label: str
    recognises: Callable[[Path], bool]
    images: Callable[[Path, list[Problem]], Iterator[FoundImage]]
    describe: Callable[[Path], str] | None = None

    def description(self, root: Path) -> str:
        """Return what a root of this layout is, in words."""
        return self.describe(root) if self.describe else self.label


# From the general to the particular: where several recognise a root, the last one reads it.
# A new layout is one more entry; docs/extending.md shows how.
LAYOUTS = {
    "class_folders": DataLayout(class_folders.LABEL, os.path.isdir, class_folders.folder_images),
    "wrapped": DataLayout("A data set in a folder of its own", is_wrapped, wrapped_images, wrapped_description),
    "split_folders": DataLayout(split_folders.LABEL, split_folders.is_split_root, split_folders.split_images),
    "table": DataLayout("Label table", has_table, table_images, table_description),
}


def find_layout(root: Path) -> DataLayout | None:
    """Return the layout that reads a root; None where none recognises it, or it is not there."""
    return next((layout for layout in reversed(LAYOUTS.values()) if layout.recognises(root)), None)
