"""Which class does an image with these findings belong to?"""

from collections.abc import Mapping, Sequence

# In the order in which they count: an image with several findings belongs to the first class that one of them names.
DEFAULT_CLASSES = {
    "covid-19": "covid",
    "covid 19": "covid",
    "covid": "covid",
    "positive": "covid",
    "typical appearance": "covid",
    "viral pneumonia": "virus",
    "viral": "virus",
    "bacterial pneumonia": "bacteria",
    "bacterial": "bacteria",
    "pneumonia": "pneumonia",
    "atypical appearance": "other",
    "no lung opacity / not normal": "other",
    "negative": "no covid",
    "no finding": "normal",
    "normal": "normal",
    "negative for pneumonia": "normal",
}
_NORMAL = "normal"
# PadChest says so of images that nobody should use, whatever else is said of them.
_EXCLUDED = "exclude"
# What labellers write that tells of no disease, and of none that is missing: PadChest, covid-chestxray, Open-i.
_NO_FINDINGS = {
    "unchanged", "suboptimal study", "technical quality of image unsatisfactory", "no indexing", "todo", "unknown",
}  # fmt: skip


def chosen_class(findings: Sequence[str], own: Mapping[str, str], *, literal: bool) -> str | None:
    """Return the class of an image where a person may have said which findings form which class.

    Args:
        findings: at least one, as the table spells them.
        own: what was said, as `label_mapping.LabelMapping.classes` has it.
        literal: whether a finding that nothing was said of is a class itself.

    Returns:
        None where every finding is to be left out or tells of no disease, or one says that the image is to be excluded.
    """
    told = {finding: finding.strip().lower() for finding in findings}
    if _EXCLUDED in told.values() and _EXCLUDED not in own:
        return None
    # A label that is the class itself may be called anything.
    nothing = _NO_FINDINGS - own.keys() if len(told) > 1 or not literal else set()
    kept = [finding for finding, name in told.items() if own.get(name) != "" and name not in nothing]
    if not kept:
        return None
    if literal and len(kept) == 1:
        return own.get(kept[0].strip().lower(), kept[0])
    return class_of(kept, {**own, **{name: usual for name, usual in DEFAULT_CLASSES.items() if name not in own}})


def class_of(findings: Sequence[str], classes: Mapping[str, str] = DEFAULT_CLASSES) -> str:
    """Return the class of an image.

    Args:
        findings: at least one, as the table spells them.
        classes: class by finding in small letters, in the order in which they count.

    Returns:
        The first class that a finding names; "normal" only where no other finding stands beside it. A single finding
        that names none is a class of its own name, several are "other".
    """
    told = dict.fromkeys(finding.strip().lower() for finding in findings)
    abnormal = [finding for finding in told if classes.get(finding) != _NORMAL]
    if not abnormal:
        return _NORMAL
    named = next((name for finding, name in classes.items() if finding in abnormal), None)
    return named or (abnormal[0] if len(abnormal) == 1 else "other")
