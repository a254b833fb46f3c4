"""What does a text table say, whatever its encoding and its separator?"""

import codecs
import csv
import gzip
import io
import re
import zlib
from pathlib import Path
from typing import NamedTuple

from cxr_core.imaging.reader import IMAGE_ENDINGS
from cxr_core.system.text import trimmed, unguarded

_PACKED = ".gz"
TABLE_ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
# What a line of COVIDx tells; the file has no column names of its own.
COVIDX_COLUMNS = ("patient", "file", "class", "source")
_SEPARATORS = ",;\t|"
_LEAD = re.compile(r"(?:\"?sep=(?P<separator>[,;\t|])\"?|#[^\r\n]*|[ \t]*)(?:\r\n|\r|\n)", re.IGNORECASE)
# What a spreadsheet saves in place of a value that it could not work out: `#N/A`, `#REF!`, `#NV`, `#¿NOMBRE?`.
_ERROR = re.compile(r"#[¡¿]?[^\W\d_]+(?:/0)?[!?]|#N/?[ADV]", re.IGNORECASE)
# The column names stand within so many bytes.
HEAD_BYTES = 65536
# Of a packed table; a bomb would be larger.
_MOST_BYTES = 2_000_000_000
# So many values may be missing at the ends of lines, and in a larger table as many as it has letters: a missing one
# takes memory, too.
_MISSING = 1_000_000


class Columns(NamedTuple):
    """What the first line of a table tells.

    Attributes:
        names: in small letters.
        separator: between the values of a line.
        are_named: whether the line holds the names, and no values.
    """

    names: tuple[str, ...]
    separator: str
    are_named: bool = True


class Table(NamedTuple):
    """A table as text; no value is taken for a number, or for missing.

    The apostrophes of `text.guarded` are taken off: a table that was downloaded may come back. An error of a
    spreadsheet is an empty value.

    Attributes:
        name: of the file.
        header: column names in small letters.
        rows: number of the line on which each row ends (the first line is 1), and its values by column.
        odd: number of each line that has more values than there are columns.
    """

    name: str
    header: tuple[str, ...]
    rows: list[tuple[int, dict[str, str]]]
    odd: list[int]


def decode(data: bytes) -> str:
    """Return the text of a table: UTF-8 or UTF-16 with or without mark, else Windows' Western European letters."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    if b"\0" in data[:200]:
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def read_text(path: Path) -> str:
    """Return the text at the start of a table, where its column names stand; OSError where it cannot be opened."""
    return decode(_content(path, HEAD_BYTES))


def table_bytes(path: Path) -> bytes:
    """Return the content of a table, unpacked where it is packed; OSError where it cannot be opened or is too large."""
    data = _content(path, _MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise OSError(f"A table may have {_MOST_BYTES:,} bytes.")
    return data


def plain_name(path: Path) -> str:
    """Return the name that a table has when it is unpacked."""
    return path.name[: -len(_PACKED)] if path.name.lower().endswith(_PACKED) else path.name


def _content(path: Path, most: int) -> bytes:
    if plain_name(path) == path.name:
        with path.open("rb") as stream:
            return stream.read(most)
    try:
        with gzip.open(path) as stream:
            return stream.read(most)
    except (EOFError, zlib.error) as error:
        raise OSError(f"{path.name} is damaged.") from error


def first_columns(text: str) -> Columns:
    """Return what the first line of a table that is not blank tells of its columns.

    A line such as `0 7a2d2695.png positive ricord` holds no names: they are then those of COVIDx, separated by spaces;
    and `7a2d2695.png,positive` is a path and a label.
    """
    text, _, told = _after_lead(text)
    line = next((line for line in text.splitlines() if line.strip()), "")
    words = line.split()
    if 3 <= len(words) <= 5 and words[1].lower().endswith(IMAGE_ENDINGS) and not any(map(line.count, _SEPARATORS)):
        return Columns(COVIDX_COLUMNS, " ", are_named=False)
    separator = told or max(_SEPARATORS, key=line.count)
    cells = next(csv.reader([line], delimiter=separator), [])
    names = tuple(unguarded(trimmed(cell)).lower() for cell in cells)
    are_images = [name.endswith(IMAGE_ENDINGS) for name in names]
    if len(names) == 2 and sum(are_images) == 1:
        return Columns(("path", "label") if are_images[0] else ("label", "path"), separator, are_named=False)
    return Columns(names, separator)


def _after_lead(text: str) -> tuple[str, int, str]:
    """Return a table's text from its column names on, the number of lines before, and the separator that these tell.

    Excel writes `sep=;` above a table, and programs a comment, which begins with "#".
    """
    start, before, separator = 0, 0, ""
    while line := _LEAD.match(text, start):
        start, before, separator = line.end(), before + 1, line["separator"] or separator
    return text[start:], before, separator


def read_table(data: bytes, name: str) -> Table:
    """Return a table with column names; ValueError where its quotes cannot be read, or too many values are missing."""
    return parse_table(decode(data), name)


def _value(cell: str) -> str:
    """Return what a cell holds; "" where a spreadsheet says that it holds an error."""
    value = unguarded(trimmed(cell))
    return "" if value.startswith("#") and _ERROR.fullmatch(value) else value


def parse_table(text: str, name: str) -> Table:
    """Return a table with column names, as `read_table`, of its text."""
    header, separator, are_named = first_columns(text)
    text, before, _ = _after_lead(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows, odd = [], []
    lines, end = list[tuple[int, list[str]]](), before
    try:
        for line in reader:
            end = before + reader.line_num
            lines.append((end, [_value(cell) for cell in line]))
        lines = [line for line in lines if any(line[1])][are_named:]
        if sum(max(0, len(header) - len(values)) for _, values in lines) > max(_MISSING, len(text)):
            raise ValueError(f"{name} cannot be read as a table: most of its lines are shorter than the first.")
        for number, values in lines:
            if any(values[len(header) :]):
                odd.append(number)
            else:
                rows.append((number, {**dict.fromkeys(header, ""), **dict(zip(header, values, strict=False))}))
    except csv.Error as error:
        raise ValueError(
            f"{name} cannot be read as a table: mend the quotes from line {end + 1} on ({error})."
        ) from error
    return Table(name, header, rows, odd)
