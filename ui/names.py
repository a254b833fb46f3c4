"""Words that come from strangers, file names above all, as a page may show them."""

import re

# What Streamlit's Markdown gives a meaning to, and its short forms such as :material/home: and $x$.
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>$:&@])")


def plain_name(name, longest=60):
    """Return a name so that Markdown shows it letter by letter.

    Args:
        name: str, from anywhere.
        longest: int, of a longer name the end is kept, which tells files apart.

    Returns:
        str; what cannot be printed, line breaks and marks that turn the direction of writing among it, is a "�".
    """
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)
    return _MARKUP.sub(r"\\\1", shown if len(shown) <= longest else "…" + shown[-longest:])
