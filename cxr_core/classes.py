"""What is a class called, in which order and in which colour?"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

# The article's order of labels: 0 Normal, 1 COVID-19, 2 Viral.
KNOWN_CLASSES = {"normal": "Normal", "covid": "COVID-19", "virus": "Viral"}
# Spellings of them in public data sets, in small letters and without separators.
_SYNONYMS = {
    "normal": "normal", "healthy": "normal", "nofinding": "normal", "nofindings": "normal", "gesund": "normal",
    "sano": "normal", "sain": "normal",
    "covid": "covid", "covid19": "covid", "sarscov2": "covid", "covid19pneumonia": "covid", "covidpneumonia": "covid",
    "covidpositive": "covid", "covid19positive": "covid", "sarscov2positive": "covid", "coronavirus": "covid",
    "corona": "covid", "ncov": "covid", "2019ncov": "covid",
    "virus": "virus", "viral": "virus", "viralpneumonia": "virus", "pneumoniaviral": "virus", "viruspneumonia": "virus",
}  # fmt: skip
# A class of whatever looks ill in another way. It is learned so that it is not taken for one of the others, and is no
# answer itself.
OTHER_FINDING = "other"
_LABELS = KNOWN_CLASSES | {OTHER_FINDING: "Other finding"}
# What may stand before or behind them and says nothing of the class: "normal cases", "COVID-19 chest X-rays".
_FILLER = (
    "(?:cases?|patients?|people|subjects?|controls?|samples?|images?|scans?|x?rays?|cxrs?|radiographs?|chests?|lungs?"
    "|class)"
)
_FILLERS = re.compile(f"^{_FILLER}+|{_FILLER}+$")
# A number before the name, as of the first and the second class, and one in brackets behind it, as of their images.
_NUMBERS = re.compile(r"^\d{1,2}[\s_.)\-]+(?=\D)|\s*\(\d+\)$")
# COVID- is the opposite of COVID+.
_SIGN = re.compile(r"(?<=\w)\s*(?:\(([+-])\)|([+-]))$")
# Word processors and web pages write other hyphens and dashes than a keyboard.
_DASHES = re.compile(r"[\u2010-\u2015\u2212]")
_SEPARATORS = re.compile(r"[\s_\-/]+")
# Okabe and Ito's palette, which colour-blind readers can tell apart, too.
CLASS_COLOURS = {"normal": "#009E73", "covid": "#D55E00", "virus": "#0072B2"}
FURTHER_COLOURS = ("#E69F00", "#56B4E9", "#CC79A7", "#F0E442", "#999999")


def class_key(name: str) -> str:
    """Return what two spellings of one class share: a key of `KNOWN_CLASSES`, or else the name in small letters.

    Names that look the same are the same, however their letters and hyphens are stored.

    Example:
        >>> class_key("COVID-19"), class_key("Viral Pneumonia"), class_key("PNEUMONIA")
        ('covid', 'virus', 'pneumonia')
    """
    small = _DASHES.sub("-", _as_it_looks(name)).strip().casefold()
    plain = _NUMBERS.sub("", small)
    if sign := _SIGN.search(plain):
        if "-" in sign[0]:
            return small
        plain = plain[: sign.start()]
    joined = _SEPARATORS.sub("", plain)
    return _SYNONYMS.get(joined) or _SYNONYMS.get(_FILLERS.sub("", joined), small)


def _as_it_looks(name: str) -> str:
    """Return a name without unseen marks, and with letters that look the same stored in the same way."""
    if name.isascii():
        return name
    return "".join(c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf")


def matched_classes(names: Iterable[str], wanted: Iterable[str]) -> dict[str, str]:
    """Return {name: the wanted class of the same spelling or else of the same `class_key`}, where there is one."""
    spelt = list(wanted)
    by_key = {class_key(name): name for name in reversed(spelt)}
    return {n: n if n in spelt else by_key[class_key(n)] for n in set(names) if n in spelt or class_key(n) in by_key}


def merged_spellings(names: Iterable[str]) -> dict[str, str]:
    """Return {name: class}, one class for all spellings of a `class_key`: the first of them in the alphabet's order.

    A class with one spelling keeps it. Of several spellings of a class of `KNOWN_CLASSES` the class is its key.
    """
    spellings: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        spellings.setdefault(class_key(name), []).append(name)
    merged: dict[str, str] = {}
    for key, same in spellings.items():
        chosen = key if len(same) > 1 and key in KNOWN_CLASSES else same[0]
        merged |= dict.fromkeys(same, chosen)
    return merged


def class_label(name: str) -> str:
    """Return the label that a page shows for a class folder: `covid` becomes `COVID-19`, `other` "Other finding"."""
    return _LABELS.get(class_key(name), name)


def order_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Return class folder names without repeats: in the article's order, then any others in alphabetical order."""
    known = list(KNOWN_CLASSES)
    return tuple(sorted(set(names), key=lambda n: (known.index(k) if (k := class_key(n)) in known else len(known), n)))


def class_colours(names: Sequence[str]) -> dict[str, str]:
    """Return one colour per class, the same on every page and plot.

    Args:
        names: class folder names in display order.

    Returns:
        "#RRGGBB" for each name.
    """
    further = [n for n in names if class_key(n) not in CLASS_COLOURS]
    return {
        n: CLASS_COLOURS.get(class_key(n)) or FURTHER_COLOURS[further.index(n) % len(FURTHER_COLOURS)] for n in names
    }
