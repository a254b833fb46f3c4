"""Which images does a label table list, and what does it tell of them?"""

import os
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

from cxr_core.data.layouts.found_image import FoundImage, ListedImage, Problem, find_listed
from cxr_core.data.layouts.tables.adapters import TABLE_KINDS, PassedOver, TableKind, Told, find_kind
from cxr_core.data.layouts.tables.cells import read_age, read_sex, read_split
from cxr_core.data.layouts.tables.finding_classes import class_of
from cxr_core.data.layouts.tables.image_search import ImageSearch
from cxr_core.data.layouts.tables.table_file import TABLE_ENDINGS, Table, decode, first_columns, read_table

_PLAIN = TABLE_KINDS["plain"]
# The column names stand within so many bytes.
_HEAD = 65536


def has_table(root: Path) -> bool:
    """Return whether a root is a table, or a folder with a table of a known kind in it."""
    if os.path.isfile(root):
        return root.suffix.lower() in TABLE_ENDINGS
    return os.path.isdir(root) and bool(_known_tables(root))


def table_images(root: Path, problems: list[Problem]) -> Iterator[FoundImage]:
    """Find the images that the label table of a root lists.

    Args:
        root: a table, or a folder with one or more tables of one kind in it. Of several kinds the most particular
            counts.
        problems: takes each row that is passed over and each value that is not understood, with its line and why.

    Raises:
        ValueError: the table has no columns that are known, lists nothing, or it is open which of several counts.
    """
    if os.path.isfile(root):
        folder, paths, kind = root.parent, [root], _kind_of(root)
        if kind is None:
            raise ValueError(_unknown_columns(root))
    else:
        tables = _known_tables(root)
        order = list(TABLE_KINDS.values())
        kind = max(tables.values(), key=order.index)
        folder, paths = root, sorted(path for path, other in tables.items() if other is kind)
        if kind is _PLAIN and len(paths) > 1:
            names = ", ".join(path.name for path in paths[:5])
            raise ValueError(f"{root.name} holds {len(paths)} tables of images ({names}); name the one to open.")
    listing = _Listing(folder, kind, problems)
    for path in paths:
        try:
            table = read_table(path.read_bytes(), path.name)
        except OSError as error:
            raise ValueError(f"The file {path.name} cannot be opened.") from error
        if not table.rows and not table.odd:
            raise ValueError(f"{path.name} lists no images.")
        listing.add(table, _split_of(path) if len(paths) > 1 else "")
    if folder == root:
        listing.count_unlisted(root.name)
    yield from find_listed(listing.images(), folder, " and ".join(path.name for path in paths), problems)


class _Listing:
    """What the rows of one or more tables of a kind tell, by image."""

    def __init__(self, folder: Path, kind: TableKind, problems: list[Problem]) -> None:
        self._folder, self._kind, self._problems = folder, kind, problems
        # By absolute path: the table and line that told of it first, and what is told.
        self._told: dict[str, tuple[str, Told]] = {}
        self._contradicted: set[str] = set()

    @cached_property
    def _search(self) -> ImageSearch:
        return ImageSearch(self._folder)

    def add(self, table: Table, split: str) -> None:
        """Take over the rows of a table; `split` stands where a row tells none."""
        for number in table.odd:
            self._problems.append((table.name, f"Line {number} has more values than there are columns."))
        for number, row in table.rows:
            where = f"Line {number}"
            try:
                told = self._kind.read(row)
                if not told.image or not told.findings:
                    raise PassedOver(f"it has no {'label' if told.image else 'path'}")
                told = told._replace(split=told.split or split)
                for path in self._paths(told.image):
                    self._add_image(path, told, table.name, where)
            except PassedOver as reason:
                self._problems.append((table.name, f"{where} is passed over: {reason}."))

    def images(self) -> Iterator[ListedImage]:
        """Yield what is told of each image; an image with two classes is left out."""
        for path, (where, told) in self._told.items():
            name, line = where.split("\n")
            if path not in self._contradicted:
                yield self._listed(path, told, name, line)

    def count_unlisted(self, name: str) -> None:
        """Say how many images lie in a folder of this name that was opened by its table, which gives them no class."""
        count = self._search.beside(self._told.keys())
        if count:
            self._problems.append((name, f"Images here to which the label table gives no class: {count:,}."))

    def _paths(self, image: str) -> list[str]:
        """Return the files that a row means; where none is there, the one it names, so that it is missed."""
        direct = os.path.normpath(os.path.join(self._folder, image))
        if self._kind.of_folders:
            found = self._search.inside(image)
            if not found:
                raise PassedOver(f"there is no folder {image} with images")
            return found
        if self._kind is _PLAIN and "\0" not in direct and os.path.exists(direct):
            return [direct]
        found = self._search.named(image)
        if len(found) > 1 and direct not in found:
            raise PassedOver(f"{len(found)} files fit {image}")
        return [direct] if direct in found or not found else found

    def _add_image(self, path: str, told: Told, table: str, where: str) -> None:
        if path not in self._told:
            self._told[path] = f"{table}\n{where}", told
            return
        place, first = self._told[path]
        line = place.rpartition("\n")[2].lower()
        if self._kind.joins_rows:
            findings = tuple(dict.fromkeys((*first.findings, *told.findings)))
            self._told[path] = place, first._replace(findings=findings)
        elif self._class_name(told) == self._class_name(first):
            self._problems.append((table, f"{where} is passed over: it repeats {told.image} of {line}."))
        else:
            self._contradicted.add(path)
            self._problems.append((table, f"{told.image} is left out: {line} and {where.lower()} give it two classes."))

    def _class_name(self, told: Told) -> str:
        return told.findings[0] if self._kind is _PLAIN else class_of(told.findings)

    def _listed(self, path: str, told: Told, table: str, line: str) -> ListedImage:
        def value(name: str, cell: str, read: Callable[[str], str]) -> str | None:
            try:
                return read(cell) if cell else None
            except ValueError as why:
                self._problems.append((table, f"{line}: the {name} {cell[:40]!r} is taken as unknown: {why}."))
                return None

        split, group = value("split", told.split, read_split), value("age", told.age, read_age)
        patient, view, sex, source = (
            cell or None for cell in (told.patient, told.view, read_sex(told.sex), told.source)
        )
        return ListedImage(path, self._class_name(told), patient, split, view, group, sex, source)


def _known_tables(folder: Path) -> dict[Path, TableKind]:
    """Return the tables of known kinds that lie in a folder itself."""
    try:
        paths = [folder / name for name in os.listdir(folder) if name.lower().endswith(TABLE_ENDINGS)]
    except OSError:
        return {}
    kinds = {path: _kind_of(path) for path in paths if not path.name.startswith(".") and path.is_file()}
    return {path: kind for path, kind in kinds.items() if kind is not None}


def _kind_of(path: Path) -> TableKind | None:
    """Return the kind of a table; None where its columns, or a file that cannot be opened, tell none."""
    try:
        return find_kind(_columns(path))
    except OSError:
        return None


def _columns(path: Path) -> tuple[str, ...]:
    with path.open("rb") as stream:
        return first_columns(decode(stream.read(_HEAD)))[0]


def _split_of(path: Path) -> str:
    """Return the split that a table's name tells, such as valid.csv or train_COVIDx9A.txt, or ""."""
    for word in path.stem.lower().replace("-", "_").split("_"):
        try:
            return read_split(word)
        except ValueError:
            continue
    return ""


def _unknown_columns(path: Path) -> str:
    try:
        columns = ", ".join(_columns(path))[:200]
    except OSError:
        return f"The file {path.name} cannot be opened."
    return (
        f"{path.name} has the columns {columns or '(none)'}, which are those of no known label table. "
        "Rename the column that names the image file to path, and the one that names its class to label, once each "
        "(patient, split, view, age, sex and source may follow)."
    )
