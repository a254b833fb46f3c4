"""Words that come from strangers, file names above all, as a page may show them."""

import re

from cxr_core.system.text import printable_name

# What Streamlit's Markdown gives a meaning to, and its short forms such as :material/home: and $x$.
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>$:&@])")


def plain_name(name, longest=60):
    """Return a name so that Markdown shows it letter by letter.

    Args:
        name: str, from anywhere.
        longest: int, of a longer name the end is kept, which tells files apart.

    Returns:
        str; for what cannot be printed see `printable_name`.
    """
    shown = printable_name(name)
    return _MARKUP.sub(r"\\\1", shown if len(shown) <= longest else "…" + shown[-longest:])
