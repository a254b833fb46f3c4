"""How is a text from outside shown letter by letter, whether a name, a sentence or what an exception says?

Streamlit takes most of what a page shows for Markdown. What is annotated `Markdown` is Markdown; everything else passes
one of these functions, and tests/test_markdown.py looks for what does not.
"""

import re
import sys
import tempfile
from pathlib import Path
from typing import TypeAlias

from cxr_core.classes import class_label
from cxr_core.config import HOME_DIR, PROJECT_DIR, VISITS_DIR
from cxr_core.system.text import printable_name

# A text whose markup is the app's own.
Markdown: TypeAlias = str

# What Streamlit's Markdown gives a meaning to, and its short forms such as :material/home: and $x$.
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>$:&@])")
# What it makes of an address or a short form even where each sign is escaped: a mark of no width comes between.
_ALL_THE_SAME = re.compile(r"(?<=\b[Hh][Tt][Tt][Pp])(?=s?:)|(?<=[Ww][Ww][Ww])(?=\.)|(?<=:)(?=[\w+\-/]+:)|(?=@)")
_APART = "\N{WORD JOINER}"
# A path from the root on, of at least two parts; one with blanks in it is known by the folders below.
_PATH = re.compile(r"(?<![\w.:/\\])(?:[A-Za-z]:)?(?:[/\\][^\s/\\'\",;:]+)+[/\\](?=[^\s/\\'\",;:]|\b)")


def plain_text(text: str) -> Markdown:
    """Escape a text so that Markdown shows it letter by letter.

    Returns:
        Markdown; what cannot be printed is replaced as by `text.printable_name`.
    """
    return _MARKUP.sub(r"\\\1", _ALL_THE_SAME.sub(_APART, printable_name(text)))


def plain_name(name: str, longest: int = 60) -> Markdown:
    """Escape a name as `plain_text` does; of one of more characters its end is kept, which tells files apart."""
    return plain_text(name if len(name) <= longest else "…" + name[-longest:])


def plain_label(class_name: str) -> Markdown:
    """Return the label of a class, escaped as by `plain_name`."""
    return plain_name(class_label(class_name))


def without_paths(text: str) -> str:
    """Return a text with the name alone of each file and folder that is named by a path of this computer."""
    folders = (VISITS_DIR, HOME_DIR, PROJECT_DIR, Path(tempfile.gettempdir()), Path(sys.prefix), Path.home())
    for folder in sorted({str(folder) for folder in folders}, key=len, reverse=True):
        if len(folder) > 1:
            text = re.sub(rf"{re.escape(folder)}(?=[/\\])", "", text).replace(folder, "…")
    return _PATH.sub("", text)
