"""How is an untrusted name, of a file above all, shown letter by letter?"""

import re

from cxr_core.system.text import printable_name

# What Streamlit's Markdown gives a meaning to, and its short forms such as :material/home: and $x$.
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>$:&@])")


def plain_name(name: str, longest: int = 60) -> str:
    """Escape a name so that Markdown shows it letter by letter.

    Args:
        name: from anywhere.
        longest: in characters; of a longer name the end is kept, which tells files apart.

    Returns:
        Markdown; what cannot be printed is replaced as by `text.printable_name`.
    """
    shown = printable_name(name)
    return _MARKUP.sub(r"\\\1", shown if len(shown) <= longest else "…" + shown[-longest:])
