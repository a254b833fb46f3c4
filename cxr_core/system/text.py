"""File names from strangers, as a terminal or a page may show them."""


def printable_name(name):
    """Return a name with a "�" for whatever cannot be printed.

    Control characters could move a terminal's cursor; marks that turn the direction of writing could show a file
    under another ending.
    """
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)
