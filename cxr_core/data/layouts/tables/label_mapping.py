"""What did a person say of a label table: which column tells what, and which finding forms which class?

Kept with the data set's index, so that every page, command and training reads the table in the same way.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from cxr_core.config import INDEX_DIR
from cxr_core.data.file_index import index_folder
from cxr_core.data.layouts.tables.adapters import Row, TableKind, Told, python_list
from cxr_core.system.files import read_json, write_json

# What a column can tell; the first two are needed.
COLUMN_FIELDS = ("path", "label", "patient", "split", "view", "age", "sex", "source", "mask")
_NEEDED = COLUMN_FIELDS[:2]
# What columns of each kind are often called; the first column with the first of these words is proposed.
_USUAL_WORDS = {
    "path": ("path", "file", "image", "dicom", "scan"),
    "label": ("label", "finding", "class", "diagnos", "target", "category"),
    "patient": ("patient", "subject", "person", "case"),
    "split": ("split", "fold", "subset"),
    "view": ("view", "projection", "position"),
    "age": ("age",),
    "sex": ("sex", "gender"),
    "source": ("source", "hospital", "site", "institution"),
    "mask": ("mask",),
}
# How columns of tables that people make are called, in small letters and without what parts the words; such a table is
# read without asking. A column `id` names the image where no other does.
_SAME_AS = {
    "path": {
        "path", "image", "imagepath", "imagefile", "imagename", "imageid", "imageindex", "img", "imgpath", "imgname",
        "file", "filename", "filepath", "xrayimagename",
    },
    "label": {
        "label", "labels", "class", "classname", "diagnosis", "target", "category", "finding", "findings",
        "findinglabels", "disease", "condition",
    },
    "patient": {"patient", "patientid", "subject", "subjectid"},
    "split": {"split", "subset", "partition", "datasettype"},
    "view": {"view", "viewposition", "projection"},
    "age": {"age", "patientage"},
    "sex": {"sex", "gender", "patientsex", "patientgender"},
    "source": {"source", "hospital", "site", "institution"},
    "mask": {"mask", "maskpath"},
}  # fmt: skip
_FILE = "label_mapping.json"
_FINDING_SEPARATOR = "|"
# A column's name may hold commas; a comma before the next field ends it.
_NEXT_FIELD = re.compile(rf",(?=\s*(?:{'|'.join(COLUMN_FIELDS)})\s*=)")


@dataclass(frozen=True)
class LabelMapping:
    """What a person said of the label tables of one root.

    Attributes:
        columns: column by what it tells, of `COLUMN_FIELDS`; as the table spells it, in small letters. Empty where the
            table is of a kind that is known.
        classes: class by finding, in small letters and in the order in which they count; "" leaves images with no
            other finding out. A finding that is not named belongs to its usual class.
    """

    columns: dict[str, str] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)


def parse_mapping(columns: Sequence[str], classes: Sequence[str]) -> LabelMapping:
    """Read a mapping as it is typed.

    Args:
        columns: each "path=Image Index,label=Finding Labels" or a part of it.
        classes: each "effusion=other,no finding=normal" or a part of it; nothing after "=" leaves a finding out.

    Raises:
        ValueError: a part without "=", a field that is not known or named twice, or neither path nor label.

    Example:
        >>> parse_mapping(["path=File,label=Finding"], ["Effusion=other"])
        LabelMapping(columns={'path': 'file', 'label': 'finding'}, classes={'effusion': 'other'})
    """
    told = _pairs("--map", [part for text in columns for part in _NEXT_FIELD.split(text)])
    for name in told:
        if name not in COLUMN_FIELDS:
            raise ValueError(f"A column tells one of {', '.join(COLUMN_FIELDS)}; received {name!r}.")
    if told and not all(told.get(name) for name in _NEEDED):
        raise ValueError("--map must name the columns of path and label: --map path=COLUMN,label=COLUMN.")
    named = _pairs("--classes", [part for text in classes for part in text.split(",")])
    return LabelMapping(
        {name: column.lower() for name, column in told.items() if column},
        {finding.lower(): class_name for finding, class_name in named.items()},
    )


def _pairs(option: str, parts: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in parts:
        name, equals, value = (text.strip() for text in part.partition("="))
        if not (name and equals):
            raise ValueError(f"{option} takes NAME=VALUE, with commas between several; received {part!r}.")
        if name in pairs:
            raise ValueError(f"{option} names {name!r} twice.")
        pairs[name] = value
    return pairs


def guess_columns(columns: Sequence[str]) -> dict[str, str]:
    """Return what some columns probably tell, by their names: {field: column}; a person has to confirm it.

    Example:
        >>> guess_columns(["file_name", "diagnosis", "subject id"])
        {'path': 'file_name', 'label': 'diagnosis', 'patient': 'subject id'}
    """
    guesses: dict[str, str] = {}
    for name, words in _USUAL_WORDS.items():
        free = [column for column in columns if column not in guesses.values()]
        parts = {column: re.split(r"[^a-z]+", column.lower()) for column in free}
        column = next((c for word in words for c in free if any(p.startswith(word) for p in parts[c])), None)
        if column:
            guesses[name] = column
    return guesses


def usual_columns(columns: Sequence[str]) -> dict[str, str]:
    """Return what columns tell that are called as such columns are: {field: column}; empty without path and label.

    Example:
        >>> usual_columns(["image_id", "Class", "Patient ID"]), usual_columns(["image", "file", "class"])
        ({'path': 'image_id', 'label': 'Class', 'patient': 'Patient ID'}, {})
    """
    usual = usual_names(columns)
    return usual if all(name in usual for name in _NEEDED) else {}


def usual_names(columns: Sequence[str]) -> dict[str, str]:
    """Return {field: column} of the columns that are called as one of its field is, and as no other of the table."""
    plain = {column: re.sub(r"[\W_]", "", column.lower()) for column in columns}
    called = {name: [c for c in columns if plain[c] in words] for name, words in _SAME_AS.items()}
    called["path"] = called["path"] or [c for c in columns if plain[c] == "id"]
    return {name: found[0] for name, found in called.items() if len(found) == 1}


def changed_mapping(mapping: LabelMapping, change: LabelMapping) -> LabelMapping:
    """Return a mapping with what was said anew: other columns stand for all, a finding for itself."""
    return replace(mapping, columns=change.columns or mapping.columns, classes={**mapping.classes, **change.classes})


def mapping_words(mapping: LabelMapping) -> list[str]:
    """Return the words of a command line that say the same as a mapping; none where nothing was said."""
    words = []
    if mapping.columns:
        words += ["--map", ",".join(f"{name}={column}" for name, column in mapping.columns.items())]
    for finding, class_name in mapping.classes.items():
        words += ["--classes", f"{finding}={class_name}"]
    return words


def load_mapping(root: str | Path) -> LabelMapping:
    """Return what was said of a root's tables; an empty mapping where nothing was.

    Raises:
        ValueError: the file holds something else; it is named.
    """
    path = _path(root)
    try:
        values = read_json(path)
        return LabelMapping(_words(values["columns"]), _words(values["classes"]))
    except FileNotFoundError:
        return LabelMapping()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} holds no mapping of a label table; move it away to start anew.") from error


def save_mapping(mapping: LabelMapping, root: str | Path) -> None:
    """Keep what was said of a root's tables; an empty mapping takes it back."""
    if mapping == LabelMapping():
        _path(root).unlink(missing_ok=True)
    else:
        write_json(_path(root), asdict(mapping))


def mapped_kind(columns: dict[str, str]) -> TableKind:
    """Return the kind of table whose columns a person named, one for equal ones; see `LabelMapping.columns`."""
    return _mapped_kind(tuple(columns.items()), "Label table", parts_labels=True)


def usual_kind(columns: Sequence[str]) -> TableKind | None:
    """Return the kind of table that has `usual_columns`, one for equal ones; None where they are missing."""
    usual = usual_columns(columns)
    said = ", ".join(f"{name} from {column}" for name, column in usual.items())
    # A column that is called label holds the class itself, as where nothing else is told.
    parts_labels = (usual.get("path"), usual.get("label")) != _NEEDED
    return _mapped_kind(tuple(usual.items()), f"Label table, {said}", parts_labels=parts_labels) if usual else None


@lru_cache
def _mapped_kind(columns: tuple[tuple[str, str], ...], label: str, *, parts_labels: bool) -> TableKind:
    def read(row: Row) -> Told:
        cells = {name: row[column] for name, column in columns}
        told = cells.pop("label")
        parts = [told]
        if parts_labels:
            parts = list(python_list(told)) if told.startswith("[") else told.split(_FINDING_SEPARATOR)
        return Told(cells.pop("path"), tuple(part.strip() for part in parts if part.strip()), **cells)

    return TableKind(label, frozenset(column for _, column in columns), read, literal_labels=True)


def _path(root: str | Path) -> Path:
    return index_folder([root], INDEX_DIR) / _FILE


def _words(values: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in values.items()}
