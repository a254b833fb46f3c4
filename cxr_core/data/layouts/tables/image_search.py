"""Where below a table's folder does an image that the table names lie?"""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

from cxr_core.imaging.reader import IMAGE_ENDINGS

# Each folder with the names of the files in it; equal exactly where a search finds the same.
FileNames = tuple[tuple[str, tuple[str, ...]], ...]
# Folders and name of a file, below the folder of the table.
_Place = tuple[str, ...]
# So many files of one name are looked through; CheXpert has 200,000 that are called view1_frontal.jpg.
_FEW = 8


def file_names(folder: Path) -> FileNames:
    """List the names of all files below a folder, opening none; links to folders are not followed."""
    return tuple((place, tuple(names)) for place, _, names in os.walk(folder))


class ImageSearch:
    """The image files below a folder by name."""

    def __init__(self, folder: Path, files: FileNames) -> None:
        """Take the names of the files below `folder`."""
        self.folder, self.files = folder, files
        self._by_name: dict[str, list[_Place]] = defaultdict(list)
        self._by_alike: dict[str, list[_Place]] = defaultdict(list)
        self._by_folder: dict[str, list[_Place]] = defaultdict(list)
        self._namesakes: dict[str, _Namesakes] = {}
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

    def named(self, listed: str) -> Collection[str]:
        """Return the absolute paths of the files that a listed path can mean.

        One of the two paths, the listed one and the one below the folder, must end the other: an equal name in the
        folder of another patient is another image. An image that was saved in another format is the same one, and where
        there is none, so is one whose name differs in capitals, which Windows does not tell apart, or in how its
        accents are stored, which macOS does not; but not where many files share the name.
        """
        parts = tuple(part for part in listed.replace("\\", "/").split("/") if part not in ("", "."))
        if not parts:
            return []
        name = _name_among(self._by_name, parts[-1])
        places = self._by_name.get(name, [])
        if len(places) <= _FEW:
            exact = [self._absolute(found) for found in places if _agree(parts, found)]
            return exact or self._named_alike(parts)
        if name not in self._namesakes:
            self._namesakes[name] = _Namesakes(self.folder, places)
        return self._namesakes[name].in_folders(parts[:-1])

    def _named_alike(self, listed: _Place) -> list[str]:
        """Return the absolute paths of the files that a listed path can mean in other letters."""
        if not self._by_alike:
            for name, places in self._by_name.items():
                self._by_alike[_alike(name)] += places
        parts = tuple(map(_alike, listed))
        places = self._by_alike.get(_name_among(self._by_alike, parts[-1]), [])
        if len(places) > _FEW:
            return []
        return [self._absolute(found) for found in places if _agree(parts, tuple(map(_alike, found)))]

    def inside(self, folder_name: str) -> list[str]:
        """Return the absolute paths of the images that lie below a folder of this name, at any depth."""
        return [self._absolute(found) for found in self._by_folder.get(folder_name, [])]

    def beside(self, paths: Collection[str]) -> int:
        """Return how many files with the ending of an image are not among these absolute paths."""
        files = {found for places in self._by_name.values() for found in places if "." in found[-1]}
        return sum(self._absolute(found) not in paths for found in files)

    def _absolute(self, found: _Place) -> str:
        return os.path.join(self.folder, *found)


class _Namesakes:
    """Many files of one name, by the folders that they lie in."""

    def __init__(self, folder: Path, places: Sequence[_Place]) -> None:
        # Of folders one in another, by the last few of them and by all.
        self._ending: dict[_Place, dict[str, None]] = defaultdict(dict)
        self._whole: dict[_Place, dict[str, None]] = defaultdict(dict)
        for found in places:
            path = os.path.join(folder, *found)
            self._whole[found[:-1]][path] = None
            for start in range(len(found)):
                self._ending[found[start:-1]][path] = None
        self._depth = max(map(len, self._whole))

    def in_folders(self, listed: _Place) -> Collection[str]:
        """Return the absolute paths of those whose folders end the listed ones, or the other way round."""
        # A listed path may have any number of folders.
        ends = [listed[len(listed) - count :] for count in range(min(self._depth + 1, len(listed)))]
        whole = [self._whole[end] for end in ends if end in self._whole]
        ending = self._ending.get(listed, {})
        return {path: None for places in (ending, *whole) for path in places} if whole else ending.keys()


def _name_among(names: Collection[str], name: str) -> str:
    """Return a listed name, or the one without the ending of another format where no file has it."""
    stem, ending = os.path.splitext(name)
    return stem if name not in names and ending.lower() in IMAGE_ENDINGS else name


def _alike(name: str) -> str:
    """Return what two spellings of one name share on Windows and macOS."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def _agree(listed: _Place, found: _Place) -> bool:
    """Return whether the folders of one path end the folders of the other."""
    count = min(len(listed), len(found)) - 1
    return count == 0 or listed[-count - 1 : -1] == found[-count - 1 : -1]
