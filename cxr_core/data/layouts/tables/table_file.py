"""What does a text table say, whatever its encoding and its separator?"""

import codecs
import csv
import gzip
import io
import zlib
from pathlib import Path
from typing import NamedTuple

from cxr_core.imaging.reader import IMAGE_ENDINGS
from cxr_core.system.text import unguarded

_PACKED = ".gz"
TABLE_ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
# What a line of COVIDx tells; the file has no column names of its own.
COVIDX_COLUMNS = ("patient", "file", "class", "source")
_SEPARATORS = ",;\t|"
# The column names stand within so many bytes.
_HEAD = 65536
# Of a packed table; a bomb would be larger.
_MOST_BYTES = 2_000_000_000


class Table(NamedTuple):
    """A table as text; no value is taken for a number, or for missing.

    The apostrophes of `text.guarded` are taken off: a table that was downloaded may come back.

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
    return decode(_content(path, _HEAD))


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


def first_columns(text: str) -> tuple[tuple[str, ...], str]:
    """Return the column names of the first line that is not blank, in small letters, and their separator.

    A line such as `0 7a2d2695.png positive ricord` holds no names: they are then those of COVIDx, separated by spaces.
    """
    line = next((line for line in text.splitlines() if line.strip()), "")
    words = line.split()
    if 3 <= len(words) <= 5 and words[1].lower().endswith(IMAGE_ENDINGS) and not any(map(line.count, _SEPARATORS)):
        return COVIDX_COLUMNS, " "
    separator = max(_SEPARATORS, key=line.count)
    names = next(csv.reader([line], delimiter=separator), [])
    return tuple(unguarded(name.strip()).lower() for name in names), separator


def read_table(data: bytes, name: str) -> Table:
    """Return a table with column names; ValueError where its quotes cannot be read."""
    text = decode(data)
    header, separator = first_columns(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows, odd = [], []
    try:
        lines = [(reader.line_num, [unguarded(value.strip()) for value in line]) for line in reader]
        named = separator != " "
        for number, values in [line for line in lines if any(line[1])][named:]:
            if any(values[len(header) :]):
                odd.append(number)
            else:
                rows.append((number, {**dict.fromkeys(header, ""), **dict(zip(header, values, strict=False))}))
    except csv.Error as error:
        raise ValueError(f"{name} cannot be read as a table: {error}.") from error
    return Table(name, header, rows, odd)
