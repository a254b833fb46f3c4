"""What a class is called, in which order it stands and in which colour it is drawn."""

# The article's order of labels: 0 Normal, 1 COVID-19, 2 Viral.
KNOWN_CLASSES = {"normal": "Normal", "covid": "COVID-19", "virus": "Viral"}
# Okabe & Ito's palette, told apart by colour-blind eyes too.
CLASS_COLOURS = {"normal": "#009E73", "covid": "#D55E00", "virus": "#0072B2"}
FURTHER_COLOURS = ("#E69F00", "#56B4E9", "#CC79A7", "#F0E442", "#999999")


def class_label(name):
    """Return the name a person reads for a class folder: `covid` shows as `COVID-19`."""
    return KNOWN_CLASSES.get(name.lower(), name)


def order_classes(names):
    """Return class names in the article's order, then any others by alphabet.

    Args:
        names: iterable of str, class folder names; repeats are dropped.

    Returns:
        tuple of str.
    """
    known = list(KNOWN_CLASSES)
    return tuple(sorted(set(names), key=lambda n: (known.index(n.lower()) if n.lower() in known else len(known), n)))


def class_colours(names):
    """Return one colour per class, the same on every page and plot.

    Args:
        names: sequence of str, class folder names in display order.

    Returns:
        dict of class name to "#RRGGBB".
    """
    further = [n for n in names if n.lower() not in CLASS_COLOURS]
    return {n: CLASS_COLOURS.get(n.lower()) or FURTHER_COLOURS[further.index(n) % len(FURTHER_COLOURS)] for n in names}
