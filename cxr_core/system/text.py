"""How is a proportion written, and how is an untrusted text made printable, and harmless in a CSV file?

Whatever leaves as CSV is written here. An apostrophe before a text, as OWASP advises against "CSV injection", keeps a
spreadsheet from evaluating it; `unguarded` takes it off again, so that what was written is what is read.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

# A spreadsheet begins a formula with one of these signs, in full width in East Asian settings, whatever blanks and
# unseen marks come first. Apostrophes are passed over, so that a text that has one already gets one more.
_SIGNS = r"=+\-@\uff1d\uff0b\uff0d\uff20"
_UNSEEN = r"\x00-\x1f\xad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
_FORMULA = rf"['\s{_UNSEEN}]*[{_SIGNS}]"
_FIRST = rf"(?={_FORMULA}|'*[\t\r\n])"
# Where a semicolon or a tab separates, or a quote is not understood, a cell begins within a text, too.
_WITHIN = r"(?<=[;\t\r\n])"
# Most texts have none of these; asked first, a table takes half the time.
_ANY = re.compile(rf"[{_SIGNS}\t\r\n]")
_OPEN = re.compile(rf"^{_FIRST}|{_WITHIN}(?={_FORMULA})")
_GUARD = re.compile(rf"^'{_FIRST}|{_WITHIN}'(?={_FORMULA})")
_EDGE = re.compile(rf"[\s{_UNSEEN}]*+")
# A line break within a text is quoted only where both its signs end a line; RFC 4180 ends lines so, too.
_LINE_END = "\r\n"


def percent(share: float, decimals: int = 1) -> str:
    """Return a proportion in [0, 1] as "80.3 %", with a space as SI and ISO 31-0 have it."""
    return f"{100 * share:.{decimals}f} %"


def printable_name(name: str) -> str:
    """Return a file name with a "�" for every character that cannot be printed.

    Control characters could move a terminal's cursor; marks that reverse the direction of writing could disguise a
    file's ending.
    """
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)


def is_text(name: str) -> bool:
    """Return False for a file name whose bytes are no UTF-8: it could not be written to any table."""
    return name == as_text(name)


def as_text(name: str) -> str:
    """Return a file name with a question mark for every byte that is no UTF-8."""
    return name.encode(errors="replace").decode()


def without_accents(text: str) -> str:
    """Return a text in which letters have no accents, and letters that look the same are the same."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def trimmed(text: str) -> str:
    """Return a text without the blanks and unseen marks at its ends, which come along where it was copied."""
    text = text.strip()
    if text.isascii():
        return text
    text = text[_end_of_edge(text) :]
    return text[: len(text) - _end_of_edge(text[::-1])]


def _end_of_edge(text: str) -> int:
    match = _EDGE.match(text)
    return match.end() if match else 0


def guarded(text: str) -> str:
    """Return a text with an apostrophe wherever a spreadsheet would begin a formula; most texts stay as they are."""
    return _OPEN.sub("'", text) if _ANY.search(text) else text


def unguarded(text: str) -> str:
    """Return the text that `guarded` was given.

    A text of another origin that has such an apostrophe loses it.
    """
    return _GUARD.sub("", text) if "'" in text else text


def csv_text(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return rows as the text of a CSV file; its texts are `guarded`, numbers stay numbers."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator=_LINE_END)
    for row in (header, *rows):
        writer.writerow([_guarded_cell(value) for value in row])
    return stream.getvalue()


def table_csv(table: Any, *, index: bool = False, float_format: str | None = None) -> str:
    """Return a table as the text of a CSV file; its texts, row and column names are `guarded`, numbers stay numbers.

    Args:
        table: pandas.DataFrame, which this package does without; it is not changed.
        index: write the row names, too.
        float_format: as for printf.
    """
    safe = table.set_axis([_guarded_cell(name) for name in table.columns], axis="columns")
    for i in range(len(safe.columns)):
        if safe.iloc[:, i].dtype.kind not in "biuf":
            # By position: two columns may have the same name.
            safe.isetitem(i, safe.iloc[:, i].map(_guarded_cell))
    if index:
        safe = safe.set_axis(safe.index.map(_guarded_cell), axis="index")
    return safe.to_csv(index=index, float_format=float_format, lineterminator=_LINE_END)


def _guarded_cell(value: object) -> object:
    return guarded(value) if isinstance(value, str) else value


def listed(words: Sequence[str]) -> str:
    """Join words to "a, b and c"; no words to "".

    Args:
        words: in their order.
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
