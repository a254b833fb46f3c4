"""Which folder below a class is a patient: `covid/patient12/1.png`, `covid/0012/front.png`?"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

# A folder that says so: patient12, patient_7, patientX, pat-003, p0012, case5.
_SAYS_PATIENT = re.compile(
    r"(?:patient|paciente|paziente|person|subject|subj|pat|pt|pid|p|id|case|caso)[-_ ]?(?=[\da-z]*\d)[\da-z-]+"
    r"|(?:patient|person|subject)(?:[a-rt-z]|[-_ ][a-z])",
    re.IGNORECASE,
)
# A folder that holds many people's images, or some of one patient's: neither is a patient.
_CONTAINER = re.compile(
    r"(?:images?|img|pictures?|x[-_ ]?rays?|cxrs?|radiographs?|masks?|png|jpe?g|dicom|dcm|data|dataset|files?|part"
    r"|batch|set|subset|fold|folder|source|hospital|clinic|site|cent(?:er|re)|scanner|view|series|study|ses|session|visit"
    r"|day|train|training|test|testing|val|valid|validation|level|grade|stage|type|class|group|cohort|year|month|split|pa"
    r"|ap|lat|lateral|frontal|left|right)s?[-_ ]?\d*|(?:19|20)\d\d",
    re.IGNORECASE,
)
# An identifier long enough to be no mere count: it is the same patient in another class, too.
_LONG_ID = re.compile(r"\d{5,}|(?=\w*\d)[\da-f]{12,}", re.IGNORECASE)
_FEWEST_FOLDERS, _FEWEST_WORDS = 3, 10
_MOST_IMAGES = 20


class _Inner(NamedTuple):
    """The folder below a class that may be a patient, and the path above it."""

    above: str
    name: str


def folder_patients(files: Sequence[str], class_names: Sequence[str | None]) -> list[str | None]:
    """Find the patient folder of every image of one root.

    A folder whose name says "patient" is one, wherever it lies, and the same one in every class. Any other folder below
    a class folder is one where at least three such folders carry numbers (or ten carry names), most hold few images,
    and no name means something else, such as `images_001` or `hospital2`. Numbers begin anew in every class, so
    `covid/1` and `normal/1` are two patients.

    Args:
        files: N paths relative to the root, with "/".
        class_names: N class names, None where no folder is the class.

    Returns:
        N names of patients, unique within the root; None for an image outside every patient folder.
    """
    patients: list[str | None] = [None] * len(files)
    inner: dict[int, _Inner] = {}
    for row, (file, class_name) in enumerate(zip(files, class_names, strict=True)):
        folders = file.split("/")[:-1]
        below = _class_depth(folders, class_name)
        said = next((f for i, f in enumerate(folders) if i + 1 != below and _SAYS_PATIENT.fullmatch(f)), None)
        if said:
            patients[row] = said.lower()
        elif below:
            depth = next((i for i in range(below, len(folders)) if not _CONTAINER.fullmatch(folders[i])), None)
            if depth is not None:
                inner[row] = _Inner("/".join(folders[:depth]), folders[depth])
    for row in _rows_of_patient_folders(inner):
        above, name = inner[row]
        patients[row] = name if _LONG_ID.fullmatch(name) else f"{above}/{name}"
    return patients


def _class_depth(folders: Sequence[str], class_name: str | None) -> int:
    """Return how many folders lead to the class, itself included; 0 where none is called like it."""
    wanted = (class_name or "").casefold()
    return next((i + 1 for i, folder in enumerate(folders) if folder.casefold() == wanted), 0)


def _rows_of_patient_folders(inner: dict[int, _Inner]) -> list[int]:
    """Return the rows whose inner folder has brothers enough, and images few enough, to be a patient."""
    if not inner:
        return []
    frame = pd.DataFrame(inner.values(), index=list(inner), columns=["above", "name"])
    numbered = frame["name"].str.contains(r"\d", regex=True) | (frame["name"].str.len() == 1)
    kept: list[int] = []
    for _, part in frame.groupby(["above", numbered]):
        images = part["name"].value_counts()
        fewest = _FEWEST_FOLDERS if numbered[part.index[0]] else _FEWEST_WORDS
        if len(images) >= fewest and images.median() <= _MOST_IMAGES:
            kept += part.index.tolist()
    return kept
