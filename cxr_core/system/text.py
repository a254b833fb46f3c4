"""How is an untrusted file name made printable?"""


def printable_name(name: str) -> str:
    """Return a file name with a "�" for every character that cannot be printed.

    Control characters could move a terminal's cursor; marks that reverse the direction of writing could disguise a
    file's ending.
    """
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)
