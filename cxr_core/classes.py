"""What is a class called, in which order and in which colour?"""

from collections.abc import Iterable, Sequence

# The article's order of labels: 0 Normal, 1 COVID-19, 2 Viral.
KNOWN_CLASSES = {"normal": "Normal", "covid": "COVID-19", "virus": "Viral"}
# Okabe and Ito's palette, which colour-blind readers can tell apart, too.
CLASS_COLOURS = {"normal": "#009E73", "covid": "#D55E00", "virus": "#0072B2"}
FURTHER_COLOURS = ("#E69F00", "#56B4E9", "#CC79A7", "#F0E442", "#999999")


def class_label(name: str) -> str:
    """Return the label that a page shows for a class folder: `covid` becomes `COVID-19`."""
    return KNOWN_CLASSES.get(name.lower(), name)


def order_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Return class folder names without repeats: in the article's order, then any others in alphabetical order."""
    known = list(KNOWN_CLASSES)
    return tuple(sorted(set(names), key=lambda n: (known.index(n.lower()) if n.lower() in known else len(known), n)))


def class_colours(names: Sequence[str]) -> dict[str, str]:
    """Return one colour per class, the same on every page and plot.

    Args:
        names: class folder names in display order.

    Returns:
        "#RRGGBB" for each name.
    """
    further = [n for n in names if n.lower() not in CLASS_COLOURS]
    return {n: CLASS_COLOURS.get(n.lower()) or FURTHER_COLOURS[further.index(n) % len(FURTHER_COLOURS)] for n in names}
