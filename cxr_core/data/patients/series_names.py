"""Which file names of one folder tell of one patient's series: days, views, panels of a figure?

Collections from publications name a patient's images alike: `covid-19-pneumonia-58-day-3` and `-day-7`, `-PA` and `-L`,
`fig1-a` and `fig1-b`. Panels of one figure may show two patients. In the covid-chestxray collection (Cohen et al. 2020,
arXiv:2006.11988), which tells them, 25 of 34 figures with several panels show one patient, and so do 14 of 16 series
with days, views or case numbers. A group too large costs little; one too small puts a patient on two sides.
"""

import re
from typing import NamedTuple


class Series(NamedTuple):
    """What a file name tells of a series.

    Attributes:
        name: what the names of its images have in common.
        certain: a day, a view or a number within a case was named, so that one image alone is known to belong to a
            series. Otherwise only a second image of that name makes it one.
    """

    name: str
    certain: bool


_SEPARATOR = r"[-_ .]"
# Everything from the day on: `day6-1`, `day0-PA`, `Day 10`.
_DAY = re.compile(rf"{_SEPARATOR}day{_SEPARATOR}?\d+(?!\d).*$", re.IGNORECASE)
_VIEW_OR_TIME = re.compile(
    rf"{_SEPARATOR}+(?:pa|ap|aps|l|r|ll|rl|lat|lateral|frontal|supine|erect|upright|portable|left|right"
    r"|prior|baseline|initial|(?:on[-_ ])?admission|discharge|follow[-_ ]?up|later|\d+[-_ ]?(?:hours?|days?|weeks?))$",
    re.IGNORECASE,
)
# `fig1a`, `gr2_lrg-b`, `002-a1`: a letter after a number, or after a separator.
_PANEL = re.compile(rf"(?:(?<=\d)|{_SEPARATOR})[a-h]\d?$", re.IGNORECASE)
# RSNA's figures carry the panel twice: `g04mr34g04a-Fig4a`.
_PANEL_BEFORE_FIGURE = re.compile(r"(?<=g\d\d)[a-h](?=-fig\d)", re.IGNORECASE)
_CASES = (
    # Eurorad: case 16660, figure 2, image 1.
    re.compile(r"(\d{4,6})_\d{1,2}_\d{1,2}"),
    # Radiopaedia and SIRM: `covid-19-pneumonia-35-1`, `covid-19-caso-85-4-6`; and `patient12_3`.
    re.compile(r"(.*(?:case|caso|patient|person|subject|pneumonia)[-_ ]?\d+)[-_]\d{1,2}(?:[-_].*)?", re.IGNORECASE),
    # The number of an image behind that of a patient: `PAT_0001_img_2`, `subj01_visit2`, `case 3 (2)`.
    re.compile(
        r"((?:.*[-_ ])?(?:patient|person|subject|subj|pat|pt|pid|case|caso)[-_ ]?\d+)[-_ ]*"
        r"(?:(?:img|image|visit|scan|view|study|session|ses|series)[-_ ]?\d{1,3}|\(\d{1,3}\))",
        re.IGNORECASE,
    ),
)
# A long number in hexadecimal and what follows it: `88de9d8c39e946abd495b37cd07d89e5-0666-0`.
_HASH = re.compile(r"([\da-f]{24,})[-_].+", re.IGNORECASE)


def series_of(stem: str) -> Series:
    """Return the series that a file name would belong to.

    Args:
        stem: a file name without image endings.

    Returns:
        Its name is `stem` where nothing was taken off, and may be "" where nothing is left.
    """
    name = _DAY.sub("", stem)
    while (shorter := _VIEW_OR_TIME.sub("", name)) != name:
        name = shorter
    certain = name != stem and any(letter.isdigit() for letter in name)
    for pattern in _CASES:
        if match := pattern.fullmatch(name):
            return Series(match[1].lower(), certain=True)
    if match := _HASH.fullmatch(name):
        return Series(match[1].lower(), certain)
    name = _PANEL_BEFORE_FIGURE.sub("", name)
    shorter = _PANEL.sub("", name)
    # `xray-a` to `xray-h` may be anybody's; `fig1-a` and `fig1-b` are not.
    if any(letter.isdigit() for letter in shorter):
        name = shorter
    return Series(name.lower(), certain)
