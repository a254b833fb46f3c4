"""As what was a root read, and what was passed over?"""

import re
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from cxr_core.classes import merged_spellings
from cxr_core.data.layouts.found_image import LISTED_COLUMNS, Problem
from cxr_core.data.layouts.mask_names import IMAGE_FOLDERS
from cxr_core.system.text import listed

# What differs between two sentences of one reason: line numbers, names and large counts.
_PLACE = re.compile(r"^(?:Line \d+ is passed over: |Line \d+: )")
_LINE = re.compile(r"\b(line) \d+", re.IGNORECASE)
_NAME = re.compile(r"'[^']*'|\S*/\S*|(?=\S*\d)(?=\S*(?:[A-Za-z_]|\.\w))\S+|\d[\d,]{3,}")
# "Images here to which the label table gives no class: 9." tells of nine.
_SEVERAL = re.compile(r"^(Images .*): ([\d,]+)\.$")
_MOST_REASONS = 3


def layout_sentence(name: str, description: str, images: pd.DataFrame, passed_over: Sequence[Problem]) -> str:
    """Say as what a root was read, what was told of its images, and what was passed over for which reasons.

    Args:
        name: of the root.
        description: of its layout.
        images: those that were read, with `class_name`, `listed_patient` and `LISTED_COLUMNS`.
        passed_over: (file or table, sentence) of each row, value, file or folder that was not read as it stands.
    """
    classes = set(merged_spellings(images["class_name"]).values())
    said = f"{name}: {description}. {_count(len(images), 'image')} in {_count(len(classes), 'class', 'classes')}."
    if len(classes) == 1 and (only := classes.pop()).lower() in IMAGE_FOLDERS:
        said += f" The name {only} tells no class: put one folder per class in it, or a label table beside it."
    if told := _told(images):
        said += f" Also told: {told}."
    if not passed_over:
        return said
    counts: Counter[str] = Counter()
    for _, sentence in passed_over:
        reason, number = _reason(sentence)
        counts[reason] += number
    reasons = counts.most_common()
    named = [f"{count:,} × {reason}" for reason, count in reasons[:_MOST_REASONS]]
    rest = sum(count for _, count in reasons[_MOST_REASONS:])
    if rest:
        named.append(f"{rest:,} × other reasons")
    return f"{said} Passed over or taken as unknown: {'; '.join(named)}."


def _told(images: pd.DataFrame) -> str:
    """Say what a table or folders told of the images besides their classes, and of how many where not of all."""
    counts = {name.removeprefix("listed_"): images[name].notna().sum() for name in ("listed_patient", *LISTED_COLUMNS)}
    parts = [
        name.replace("_", " ") + ("" if count == len(images) else f" (of {count:,})")
        for name, count in counts.items()
        if count
    ]
    return listed(parts)


def _reason(sentence: str) -> tuple[str, int]:
    """Return the reason that a sentence gives, without what differs from place to place, and of how many it tells."""
    several = _SEVERAL.match(sentence)
    words, number = (several[1], int(several[2].replace(",", ""))) if several else (_PLACE.sub("", sentence), 1)
    reason = _LINE.sub(r"\1 …", _NAME.sub("…", words)).rstrip(".")
    first = reason.partition(" ")[0]
    # Not the name of a file, nor an abbreviation.
    return (reason[:1].lower() + reason[1:] if first.istitle() and first.isalpha() else reason), number


def _count(n: int, one: str, several: str | None = None) -> str:
    return f"{n:,} {one if n == 1 else several or one + 's'}"
