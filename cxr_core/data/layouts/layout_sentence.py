"""As what was a root read, and what was passed over?"""

import re
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from cxr_core.classes import merged_spellings
from cxr_core.data.layouts.found_image import Problem
from cxr_core.data.layouts.mask_names import IMAGE_FOLDERS

# What differs between two sentences of one reason: line numbers, names and large counts.
_PLACE = re.compile(r"^(?:Line \d+ is passed over: |Line \d+: )")
_NAME = re.compile(r"'[^']*'|\S*/\S*|(?=\S*\d)(?=\S*(?:[A-Za-z_]|\.\w))\S+|\d[\d,]{3,}")
_MOST_REASONS = 3


def layout_sentence(name: str, description: str, images: pd.DataFrame, passed_over: Sequence[Problem]) -> str:
    """Say as what a root was read, and how many rows or files were passed over for which reasons.

    Args:
        name: of the root.
        description: of its layout.
        images: those that were read, with `class_name`.
        passed_over: (file or table, sentence) of each row, value, file or folder that was not read as it stands.
    """
    classes = set(merged_spellings(images["class_name"]).values())
    said = f"{name}: {description}. {_count(len(images), 'image')} in {_count(len(classes), 'class', 'classes')}."
    if len(classes) == 1 and (only := classes.pop()).lower() in IMAGE_FOLDERS:
        said += f" The name {only} tells no class: put one folder per class in it, or a label table beside it."
    if not passed_over:
        return said
    reasons = Counter(_reason(sentence) for _, sentence in passed_over).most_common()
    told = [f"{count:,} × {reason}" for reason, count in reasons[:_MOST_REASONS]]
    rest = sum(count for _, count in reasons[_MOST_REASONS:])
    if rest:
        told.append(f"{rest:,} × other reasons")
    return f"{said} Passed over or taken as unknown: {'; '.join(told)}."


def _reason(sentence: str) -> str:
    return _NAME.sub("…", _PLACE.sub("", sentence)).rstrip(".")


def _count(n: int, one: str, several: str | None = None) -> str:
    return f"{n:,} {one if n == 1 else several or one + 's'}"
