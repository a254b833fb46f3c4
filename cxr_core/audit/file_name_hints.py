"""Which disease and which view does a file name mention?"""

import re
from functools import lru_cache

_VIRAL, _BACTERIAL, _OTHER = "viral", "bacterial", "other"
# Disease: (its kind, words in a file name). A word starts where no letter or digit stands before it.
_DISEASES: dict[str, tuple[str, str]] = {
    "COVID-19": (_VIRAL, r"covid|sars[-_ .]?cov[-_ .]?2|n[-_ ]?cov(?![a-z])|coronavirus"),
    "SARS": (_VIRAL, r"sars(?![-_ .]?cov[-_ .]?2)"),
    "MERS": (_VIRAL, r"mers(?![a-z])"),
    "influenza": (_VIRAL, r"influenza|h[1357]n[1-9](?![a-z0-9])|flu(?![a-z])"),
    "varicella": (_VIRAL, r"varicella|chicken[-_ ]?pox"),
    "measles": (_VIRAL, r"measles"),
    "adenovirus": (_VIRAL, r"adenovir"),
    "RSV": (_VIRAL, r"rsv(?![a-z])|respiratory[-_ ]syncytial"),
    "viral pneumonia": (_VIRAL, r"viral|virus"),
    "bacterial pneumonia": (_BACTERIAL, r"bacteria"),
    "pneumococcus": (_BACTERIAL, r"pneumococc"),
    "streptococcus": (_BACTERIAL, r"streptococc"),
    "staphylococcus": (_BACTERIAL, r"staphylococc"),
    "klebsiella": (_BACTERIAL, r"klebsiella"),
    "legionella": (_BACTERIAL, r"legionell"),
    "mycoplasma": (_BACTERIAL, r"mycoplasma"),
    "chlamydophila": (_BACTERIAL, r"chlamyd"),
    "E. coli": (_BACTERIAL, r"e[-_. ]{0,2}coli(?![a-z])|escherichia"),
    "nocardia": (_BACTERIAL, r"nocardia"),
    "tuberculosis": (_OTHER, r"tubercul|tb(?![a-z0-9])"),
    "pneumocystis": (_OTHER, r"pneumocystis|pcp(?![a-z0-9])"),
    "aspergillosis": (_OTHER, r"aspergill"),
    "aspiration": (_OTHER, r"aspiration"),
    "snake bite": (_OTHER, r"(?:[a-z]+[-_ ])?snake[-_ ]?bite"),
    "ARDS": (_OTHER, r"acute[-_ ]respiratory[-_ ]distress|ards"),
}  # fmt: skip


def _word_pattern(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![a-z0-9])(?:{words})", re.IGNORECASE)


_DISEASE_PATTERNS = {disease: _word_pattern(words) for disease, (_, words) in _DISEASES.items()}
_ANY_DISEASE = _word_pattern("|".join(words for _, words in _DISEASES.values()))
# Classes, by their folder's name, to which all diseases of one kind belong.
_CLASS_KINDS = (
    (re.compile(r"vir(?:us|al)", re.IGNORECASE), _VIRAL),
    (re.compile(r"bacteri", re.IGNORECASE), _BACTERIAL),
)
_HEALTHY = re.compile(r"^(?:normal|healthy|no[-_ ]?findings?|negative|control)", re.IGNORECASE)
_LATERAL = re.compile(r"(?<![a-z])lat(?:eral)?(?![a-z])|[-_. ]L(?:\.[a-z]{3,5})*$", re.IGNORECASE)


def other_disease(name: str, class_name: str) -> str | None:
    """Return the disease that a file name mentions if it is not its class's, such as "SARS", else None.

    A name that also mentions the class's own disease is no contradiction (`covid-19-…-ards`), and
    nothing is said of a class whose disease is not known here. In covid_cxr/covid this finds the 43
    such names that reading all of them found, and no others.

    Args:
        name: of the file, with or without ending.
        class_name: its class folder.
    """
    own = _own_diseases(class_name)
    if own is None or not _ANY_DISEASE.search(name):
        return None
    named = [disease for disease, pattern in _DISEASE_PATTERNS.items() if pattern.search(name)]
    return None if not named or own & set(named) else named[0]


def says_lateral(name: str) -> bool:
    """Return True if a file name mentions a lateral view: the word `lateral`, `lat`, or a final `-L`.

    Pixels alone do not tell lateral views apart: in the six collections three images are lateral
    views, all named so, and about fifteen frontal ones (whited-out lungs, rotated patients) have as
    faint a spine between two lungs. Such a name counts only together with a low `midline`, so that
    a final `-L` on a frontal image is passed over; a lateral view with another name is not found.
    """
    return _LATERAL.search(name) is not None


@lru_cache(maxsize=1024)
def _own_diseases(class_name: str) -> set[str] | None:
    """Return the diseases that belong to a class; an empty set for healthy, None where unknown."""
    if _HEALTHY.search(class_name):
        return set()
    own = {disease for disease, pattern in _DISEASE_PATTERNS.items() if pattern.search(class_name)}
    for pattern, kind in _CLASS_KINDS:
        # "Coronavirus" is one virus, "viral pneumonia" is all of them.
        if pattern.search(class_name) and not own - {"viral pneumonia", "bacterial pneumonia"}:
            own |= {disease for disease, (its_kind, _) in _DISEASES.items() if its_kind == kind}
    return own or None
