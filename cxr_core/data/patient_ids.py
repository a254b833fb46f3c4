"""Which patient does a file name tell of?"""

import os
import re

from cxr_core.imaging.reader import IMAGE_ENDINGS

# Kermany et al. 2018 name a pneumonia image by its patient and a normal one by its study;
# NIH ChestX-ray8 begins a file name with the patient number.
_PATIENT_PATTERNS = (
    re.compile(r"^(person\d+)_(?:virus|bacteria)_\d+", re.IGNORECASE),
    re.compile(r"^((?:NORMAL2-)?IM-\d+)-\d+", re.IGNORECASE),
    re.compile(r"^(\d{8})_\d{3}$"),
)


def patient_of(name: str) -> str | None:
    """Return the patient or study a file name tells of, or None.

    Args:
        name: a file name with or without ending.

    Returns:
        Such as "person23", "IM-0115" or "00002659".
    """
    stem = image_stem(name)
    for pattern in _PATIENT_PATTERNS:
        match = pattern.match(stem)
        if match:
            return match.group(1)
    return None


def image_stem(name: str) -> str:
    """Return a file name without any image endings: `x.jpeg.jpg` and `x.PNG` both give `x`."""
    name = os.path.basename(name)
    stem, ending = os.path.splitext(name)
    while ending.lower() in IMAGE_ENDINGS:
        name = stem
        stem, ending = os.path.splitext(name)
    return name
