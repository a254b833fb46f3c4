"""What is known of an image before its file is opened?"""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

SPLIT_WORDS = ("train", "validation", "test")
# What only some layouts tell of an image; each a column of the table where it is told of any.
LISTED_COLUMNS = ("split", "view", "age_group", "sex", "source", "mask")
OLDEST = 130
AGE_GROUPS = {18: "under 18 years", 40: "18 to 39", 65: "40 to 64", OLDEST + 1: "65 and over"}
NOT_OPENED = "This file cannot be opened."
VANISHED = "This file vanished during the scan."

# A file, and one sentence: why it is left out.
Problem = tuple[str, str]


class ListedImage(NamedTuple):
    """What a table or a naming scheme tells of an image.

    Attributes:
        path: absolute.
        class_name: as the data set spells it.
        patient: None where only the file's name may tell.
        split: one of `SPLIT_WORDS`, or None.
        view: PA, AP or lateral, say.
        age_group: of `AGE_GROUPS`; the age itself is not kept.
        sex: male or female where it is told so.
        source: the hospital or collection.
        mask: absolute path of the image's lung mask.
    """

    path: str
    class_name: str
    patient: str | None = None
    split: str | None = None
    view: str | None = None
    age_group: str | None = None
    sex: str | None = None
    source: str | None = None
    mask: str | None = None


class FoundImage(NamedTuple):
    """An image file that is there; the columns of the table before any file is opened.

    Attributes:
        file: relative to its root, with "/"; absolute where it lies elsewhere.
        path: absolute.
        class_name: as the data set spells it; "" for a file beside the class folders, which is listed and not read.
        bytes: size of the file.
        mtime_ns: when it was last changed.
        in_list: named one by one, and so an image whatever its ending.
        listed_patient: as in ListedImage, and likewise the others up to `mask`.
        ctime_ns: when the system last changed the file, whatever time it was given since; 0 where it is not told.
    """

    file: str
    path: str
    class_name: str
    bytes: int
    mtime_ns: int
    in_list: bool = False
    listed_patient: str | None = None
    split: str | None = None
    view: str | None = None
    age_group: str | None = None
    sex: str | None = None
    source: str | None = None
    mask: str | None = None
    ctime_ns: int = 0


def found_image(file: str, path: str, class_name: str, facts: os.stat_result) -> FoundImage:
    """Return a FoundImage of which nothing is told but what the system knows; `facts` is what `os.stat` says of it."""
    return FoundImage(file, path, class_name, facts.st_size, facts.st_mtime_ns, ctime_ns=facts.st_ctime_ns)


def age_group(years: float) -> str:
    """Return the group of `AGE_GROUPS` that an age belongs to; ValueError outside 0 to 130."""
    if not 0 <= years <= OLDEST:
        raise ValueError(f"An age must lie from 0 to {OLDEST} years; received {years}.")
    return next(name for end, name in AGE_GROUPS.items() if years < end)


def find_listed(
    images: Iterable[ListedImage], folder: Path, list_name: str, problems: list[Problem]
) -> Iterator[FoundImage]:
    """Look for listed images on the disk.

    Args:
        images: what the list tells.
        folder: names of files are shown relative to it.
        list_name: what people call the list, for the sentences.
        problems: takes what is listed but not there.
    """
    above = f"{folder}{os.sep}"
    for image in images:
        path = image.path
        file = path.removeprefix(above).replace(os.sep, "/")
        try:
            facts = os.stat(path)
        except PermissionError:
            problems.append((file, NOT_OPENED))
        except (OSError, ValueError):
            problems.append((file, f"This file is listed in {list_name}, but it is not there."))
        else:
            if stat.S_ISREG(facts.st_mode):
                told = {name: getattr(image, name) for name in LISTED_COLUMNS}
                size, times = facts.st_size, (facts.st_mtime_ns, facts.st_ctime_ns)
                yield FoundImage(
                    file, path, image.class_name, size, times[0], True, image.patient, ctime_ns=times[1], **told
                )
            else:
                problems.append((file, f"{list_name} lists this as an image, but it is not a file."))
