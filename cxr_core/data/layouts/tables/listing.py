"""Which images do the rows of label tables list, and what do they tell of them?"""

import os
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from cxr_core.classes import class_key
from cxr_core.data.layouts.found_image import ListedImage, Problem
from cxr_core.data.layouts.tables.adapters import PassedOver, TableKind, Told
from cxr_core.data.layouts.tables.cells import read_age, read_sex, read_split, said
from cxr_core.data.layouts.tables.companions import report_of
from cxr_core.data.layouts.tables.finding_classes import chosen_class
from cxr_core.data.layouts.tables.image_search import FileNames, ImageSearch, file_names
from cxr_core.data.layouts.tables.table_file import Table
from cxr_core.system.visit_folders import visit_folder_of

# The rows of a visitor's tables may tell of so many images, each image counted as often as it is told of.
_MOST_TOLD = 200_000


class Listed(NamedTuple):
    """What tables tell.

    Attributes:
        images: each of one class.
        problems: (table or folder, sentence) of each row that is passed over and of each value that is not understood,
            with its line and why.
        findings: {finding, as first spelt: (images, class of an image with it alone; None where it is left out)}, the
            most frequent first.
        files: names that were looked through for what the rows mean; None where each row names its file as it lies.
        names: of the tables that were read.
    """

    images: tuple[ListedImage, ...]
    problems: tuple[Problem, ...]
    findings: Mapping[str, tuple[int, str | None]]
    files: FileNames | None
    names: tuple[str, ...]


class Listing:
    """What the rows of one or more tables of a kind tell, by image."""

    def __init__(
        self, folder: Path, kind: TableKind, classes: Mapping[str, str], beside: Mapping[str, Mapping[str, str]]
    ) -> None:
        """Take no rows yet; `beside` is what `companions.read_companions` tells."""
        self.folder, self._kind, self._classes, self._beside = folder, kind, classes, beside
        # What a visitor's table names outside of its folder is another's.
        self._is_closed = visit_folder_of([folder]) is not None
        self._count_told = 0
        self._names: list[str] = []
        self._problems: list[Problem] = []
        # By absolute path: the table and line that told of it first, and what is told.
        self._told: dict[str, tuple[str, Told]] = {}
        self._contradicted: set[str] = set()

    @cached_property
    def _search(self) -> ImageSearch:
        return ImageSearch(self.folder, file_names(self.folder))

    def add(self, table: Table, split: str) -> None:
        """Take over the rows of a table; `split` stands where a row tells none.

        Raises:
            ValueError: it is a visitor's, and tells of more images than may be.
        """
        problems: list[Problem] = []
        for number in table.odd:
            problems.append((table.name, f"Line {number} has more values than there are columns."))
        rows = []
        for number, row in table.rows:
            where = f"Line {number}"
            try:
                told = self._kind.read({**self._beside.get(report_of(row), {}), **row})
                if not told.image or not told.findings:
                    raise PassedOver(f"it has no {'label' if told.image else 'path'}")
                told = told._replace(split=told.split or split)
                paths = self._paths(told.image)
                self._count_told += len(paths)
                if self._is_closed and self._count_told > _MOST_TOLD:
                    raise ValueError(f"{table.name} tells of more than {_MOST_TOLD:,} images; shorten it.")
                rows += [(path, told, where) for path in paths]
            except PassedOver as reason:
                problems.append((table.name, f"{where} is passed over: {reason}."))
        if 2 * sum(path in self._told for path, _, _ in rows) > len(rows):
            # Such as the tables of MIMIC-CXR by two programs, chexpert and negbio: one image would have two classes.
            first = " and ".join(self._names)
            sentence = (
                f"This table tells once more of the images of {first} and is passed over; open it alone to read it."
            )
            self._problems.append((table.name, sentence))
            return
        self._names.append(table.name)
        self._problems += problems
        for path, told, where in rows:
            self._add_image(path, told, table.name, where)

    def read_to_end(self, *, count_unlisted: bool) -> Listed:
        """Return what all rows tell.

        Args:
            count_unlisted: say how many images lie in the folder to which the tables give no class.
        """
        images = tuple(self._images())
        if count_unlisted and (count := self._search.beside(self._told.keys())):
            sentence = f"Images here to which the label table gives no class: {count:,}."
            self._problems.append((self.folder.name, sentence))
        files = self._search.files if "_search" in self.__dict__ else None
        return Listed(images, tuple(self._problems), self._finding_counts(), files, tuple(self._names))

    def _images(self) -> Iterator[ListedImage]:
        """Yield what is told of each image; an image with two classes, or with none, is left out."""
        without = 0
        for path, (where, told) in self._told.items():
            name, line = where.split("\n")
            class_name = self._class_of(told.findings)
            if class_name is None:
                without += 1
            elif path not in self._contradicted:
                yield self._listed(path, class_name, told, name, line)
        if without:
            sentence = f"Images left out because their findings form no class: {without:,}."
            self._problems.append((" and ".join(self._names), sentence))

    def _finding_counts(self) -> dict[str, tuple[int, str | None]]:
        spelt: dict[str, str] = {}
        counts: Counter[str] = Counter()
        for _, told in self._told.values():
            for finding in told.findings:
                counts[spelt.setdefault(finding.lower(), finding)] += 1
        return {name: (n, self._class_of((name,))) for name, n in counts.most_common()}

    def _paths(self, image: str) -> Collection[str]:
        """Return the files that a row means; where none is there, the one it names, so that it is missed."""
        direct = os.path.normpath(os.path.join(self.folder, image))
        if not self._may_name(direct):
            raise PassedOver("its path leads out of the data set")
        if self._kind.of_folders:
            inside = self._search.inside(image)
            if not inside:
                raise PassedOver(f"there is no folder {image} with images")
            return inside
        if self._kind.literal_labels and "\0" not in direct and os.path.exists(direct):
            return [direct]
        found = self._search.named(image)
        if len(found) > 1 and direct not in found:
            raise PassedOver(f"{len(found)} files fit {image}")
        return [direct] if direct in found or not found else found

    def _may_name(self, path: str) -> bool:
        return not self._is_closed or path.startswith(os.path.join(self.folder, ""))

    def _add_image(self, path: str, told: Told, table: str, where: str) -> None:
        if path not in self._told:
            self._told[path] = f"{table}\n{where}", told
            return
        place, first = self._told[path]
        line = place.rpartition("\n")[2].lower()
        if self._kind.joins_rows:
            findings = tuple(dict.fromkeys((*first.findings, *told.findings)))
            self._told[path] = place, first._replace(findings=findings)
        elif self._class_key(told.findings) == self._class_key(first.findings):
            self._problems.append((table, f"{where} is passed over: it repeats {told.image} of {line}."))
        else:
            self._contradicted.add(path)
            self._problems.append((table, f"{told.image} is left out: {line} and {where.lower()} give it two classes."))

    def _class_of(self, findings: tuple[str, ...]) -> str | None:
        return chosen_class(findings, self._classes, literal=self._kind.literal_labels)

    def _class_key(self, findings: tuple[str, ...]) -> str | None:
        class_name = self._class_of(findings)
        return None if class_name is None else class_key(class_name)

    def _listed(self, path: str, class_name: str, told: Told, table: str, line: str) -> ListedImage:
        def value(name: str, cell: str, read: Callable[[str], str]) -> str | None:
            try:
                return read(cell) if cell else None
            except ValueError as why:
                self._problems.append((table, f"{line}: the {name} {cell[:40]!r} is taken as unknown: {why}."))
                return None

        stem = os.path.splitext(os.path.basename(path))[0]
        beside = self._beside.get(stem, {})
        split = value("split", said(told.split) or beside.get("split", ""), read_split)
        shown_view = said(told.view) or beside.get("view", "")
        group = value("age", said(told.age), read_age)
        # Of 100,000 equal cells one is kept.
        patient, view, sex, source = (
            sys.intern(cell) if cell else None
            for cell in map(said, (told.patient, shown_view, read_sex(told.sex), told.source))
        )
        mask = os.path.normpath(os.path.join(self.folder, told.mask)) if told.mask else None
        if mask and not self._may_name(mask):
            self._problems.append((table, f"{line}: the path of the mask leads out of the data set."))
            mask = None
        return ListedImage(path, sys.intern(class_name), patient, split, view, group, sex, source, mask)
