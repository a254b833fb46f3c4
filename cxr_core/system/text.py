"""How is an untrusted file name made printable?"""


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
