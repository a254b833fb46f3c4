"""What makes one way of laying out a data set?"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cxr_core.data.layouts.found_image import FoundImage, Problem


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
