"""Where below a table's folder does an image that the table names lie?"""

import os
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from cxr_core.imaging.reader import IMAGE_ENDINGS

# Each folder with the names of the files in it; equal exactly where a search finds the same.
FileNames = tuple[tuple[str, tuple[str, ...]], ...]


def file_names(folder: Path) -> FileNames:
    """List the names of all files below a folder, opening none; links to folders are not followed."""
    return tuple((place, tuple(names)) for place, _, names in os.walk(folder))


class ImageSearch:
    """The image files below a folder by name."""

    def __init__(self, folder: Path, files: FileNames) -> None:
        """Take the names of the files below `folder`."""
        self.folder, self.files = folder, files
        self._by_name: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        self._by_folder: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        for place, names in files:
            inside = tuple(part for part in os.path.relpath(place, folder).split(os.sep) if part != ".")
            for name in names:
                stem, ending = os.path.splitext(name)
                # A file called by a DICOM UID ends in a number.
                is_uid = ending[1:].isdigit()
                if ending and ending.lower() not in IMAGE_ENDINGS and not is_uid:
                    continue
                self._by_name[name].append((*inside, name))
                if ending and not is_uid:
                    self._by_name[stem].append((*inside, name))
                for part in inside:
                    self._by_folder[part].append((*inside, name))

    def named(self, listed: str) -> list[str]:
        """Return the absolute paths of the files that a listed path can mean.

        One of the two paths, the listed one and the one below the folder, must end the other: an equal name in the
        folder of another patient is another image. An image that was saved in another format is the same one.
        """
        parts = tuple(part for part in listed.replace("\\", "/").split("/") if part not in ("", "."))
        if not parts:
            return []
        stem, ending = os.path.splitext(parts[-1])
        called = self._by_name.get(parts[-1]) or (self._by_name.get(stem) if ending.lower() in IMAGE_ENDINGS else None)
        return [self._absolute(found) for found in called or [] if _agree(parts, found)]

    def inside(self, folder_name: str) -> list[str]:
        """Return the absolute paths of the images that lie below a folder of this name, at any depth."""
        return [self._absolute(found) for found in self._by_folder.get(folder_name, [])]

    def beside(self, paths: Collection[str]) -> int:
        """Return how many files with the ending of an image are not among these absolute paths."""
        files = {found for places in self._by_name.values() for found in places if "." in found[-1]}
        return sum(self._absolute(found) not in paths for found in files)

    def _absolute(self, found: tuple[str, ...]) -> str:
        return os.path.join(self.folder, *found)


def _agree(listed: tuple[str, ...], found: tuple[str, ...]) -> bool:
    """Return whether the folders of one path end the folders of the other."""
    count = min(len(listed), len(found)) - 1
    return count == 0 or listed[-count - 1 : -1] == found[-count - 1 : -1]
