"""Which columns does each public table have, and what do they tell of an image?"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from cxr_core.data.layouts.tables.table_file import COVIDX_COLUMNS

Row = dict[str, str]
_CHEXPERT = (
    "no finding", "enlarged cardiomediastinum", "cardiomegaly", "lung opacity", "lung lesion", "edema", "consolidation",
    "pneumonia", "atelectasis", "pneumothorax", "pleural effusion", "pleural other", "fracture", "support devices",
)  # fmt: skip
_SIIM = ("negative for pneumonia", "typical appearance", "indeterminate appearance", "atypical appearance")


class PassedOver(ValueError):
    """A row that names no radiograph with a class; its text says why."""


class Told(NamedTuple):
    """What a row tells, as the table spells it; "" where it says nothing.

    Attributes:
        image: path or name of the file, with or without its ending, or of a folder of images.
        findings: none where the label is empty.
        patient, view, age, sex, source, split: cells.
        mask: path of the image's lung mask.
    """

    image: str
    findings: tuple[str, ...]
    patient: str = ""
    view: str = ""
    age: str = ""
    sex: str = ""
    source: str = ""
    split: str = ""
    mask: str = ""


@dataclass(frozen=True)
class TableKind:
    """One kind of label table.

    Attributes:
        label: what people call it.
        columns: in small letters; a table with all of them is of this kind.
        read: what a row tells; PassedOver where it tells of no radiograph.
        of_folders: whether a row tells of all images in a folder.
        joins_rows: whether several rows of one image add up, rather than contradict each other.
        literal_labels: whether a label is the class itself, and a path is one.
    """

    label: str
    columns: frozenset[str]
    read: Callable[[Row], Told]
    of_folders: bool = field(default=False, kw_only=True)
    joins_rows: bool = field(default=False, kw_only=True)
    literal_labels: bool = field(default=False, kw_only=True)


def _nih(row: Row) -> Told:
    sex = row.get("patient gender", "") or row.get("patient sex", "")
    findings = _split(row["finding labels"], "|")
    return Told(row["image index"], findings, row["patient id"], row.get("view position", ""), row["patient age"], sex)


def _covid_chestxray(row: Row) -> Told:
    if row.get("modality", "").lower() not in ("", "x-ray"):
        raise PassedOver(f"this is no radiograph but {row['modality']}")
    image = "/".join(filter(None, (row.get("folder", ""), row["filename"])))
    # "Pneumonia/Viral/COVID-19" goes from the general to the particular; earlier versions say "COVID-19, ARDS".
    findings = _split(row["finding"].replace(",", "/"), "/")
    age, sex = row.get("age", ""), row.get("sex", "")
    return Told(image, findings, row["patientid"], row.get("view", ""), age, sex, row.get("location", ""))


def _rsna(row: Row) -> Told:
    names = {"1": ("pneumonia",), "0": ("no pneumonia",)}
    return Told(row["patientid"], names.get(row["target"].removesuffix(".0"), ()), row["patientid"])


def _rsna_classes(row: Row) -> Told:
    # The opacities of this set are those that its readers took for pneumonia.
    finding = "pneumonia" if row["class"].lower() == "lung opacity" else row["class"]
    return Told(row["patientid"], (finding,) if finding else (), row["patientid"])


def _chexpert(row: Row) -> Told:
    view = row.get("ap/pa", "") or row.get("frontal/lateral", "")
    parts = row["path"].split("/")
    patient = next((part for part in parts if part.startswith("patient")), "")
    return Told(row["path"], _positive(row, _CHEXPERT), patient, view, row.get("age", ""), row.get("sex", ""))


def _mimic(row: Row) -> Told:
    study = row["study_id"].removesuffix(".0")
    return Told(f"s{study}", _positive(row, _CHEXPERT), row["subject_id"].removesuffix(".0"))


def _siim(row: Row) -> Told:
    study = row["id"].removesuffix("_study")
    return Told(study, _positive(row, _SIIM), study)


def _siim_images(row: Row) -> Told:
    finding = {"opacity": "opacity", "none": "no opacity"}.get(row["label"].partition(" ")[0].lower())
    return Told(row["id"].removesuffix("_image"), (finding,) if finding else (), row["studyinstanceuid"])


def _bimcv(row: Row) -> Told:
    named = (part.removeprefix("vp-") for part in os.path.basename(row["filename"]).split("_"))
    view = next((part for part in named if part in ("pa", "ap", "ll")), "")
    view = {"pa": "PA", "ap": "AP", "ll": "lateral"}.get(view, "")
    return Told(row["filename"], python_list(row["labels"]), row["patientid"], view)


def _padchest(row: Row) -> Told:
    sex = row.get("patientsex_dicom", "")
    return Told(row["imageid"], python_list(row["labels"]), row["patientid"], row.get("projection", ""), sex=sex)


def _vindr(row: Row) -> Told:
    return Told(row["image_id"], _split(row["class_name"]))


def _indiana(row: Row) -> Told:
    # The report is in a table of its own; see `companions`.
    return Told(row["filename"], _split(row.get("problems", ""), ";"), row["uid"], row["projection"])


def _plain(row: Row) -> Told:
    rest = (row.get(name, "") for name in ("patient", "view", "age", "sex", "source", "split", "mask"))
    return Told(row["path"], (row["label"],) if row["label"] else (), *rest)


def _covidx(row: Row) -> Told:
    return Told(row["file"], _split(row["class"]), row["patient"], source=row["source"])


def _split(cell: str, separator: str = ",") -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split(separator) if part.strip())


def python_list(cell: str) -> tuple[str, ...]:
    """Return the words of a list as Python writes it: "['COVID 19', 'pneumonia']"."""
    return tuple(part.strip(" '\"") for part in cell.strip(" []").split(",") if part.strip(" '\""))


def _positive(row: Row, findings: tuple[str, ...]) -> tuple[str, ...]:
    """Return the findings that are 1; blank, 0 and -1 (uncertain) say nothing sure."""
    return tuple(name for name in findings if row.get(name, "") in ("1", "1.0"))


def _kinds() -> Iterator[tuple[str, TableKind]]:
    columns = {"path", "label"}
    yield "plain", TableKind("Table with the columns path and label", frozenset(columns), _plain, literal_labels=True)
    columns = {"image index", "finding labels", "patient id", "patient age"}
    yield "nih", TableKind("NIH ChestX-ray14", frozenset(columns), _nih)
    columns = {"patientid", "finding", "filename"}
    yield "covid_chestxray", TableKind("covid-chestxray-dataset", frozenset(columns), _covid_chestxray)
    yield "rsna", TableKind("RSNA pneumonia", frozenset({"patientid", "target"}), _rsna, joins_rows=True)
    columns = {"patientid", "class"}
    yield "rsna_classes", TableKind("RSNA pneumonia, three classes", frozenset(columns), _rsna_classes, joins_rows=True)
    yield "chexpert", TableKind("CheXpert", frozenset({"path", "no finding", "pneumonia"}), _chexpert)
    columns = {"subject_id", "study_id", "no finding", "pneumonia"}
    yield "mimic", TableKind("MIMIC-CXR", frozenset(columns), _mimic, of_folders=True)
    columns = {"id", "label", "studyinstanceuid"}
    yield "siim_images", TableKind("SIIM-FISABIO-RSNA COVID-19, images", frozenset(columns), _siim_images)
    yield "siim", TableKind("SIIM-FISABIO-RSNA COVID-19", frozenset({"id", *_SIIM}), _siim, of_folders=True)
    yield "bimcv", TableKind("BIMCV", frozenset({"patientid", "labels", "filename"}), _bimcv)
    yield "covidx", TableKind("COVIDx", frozenset(COVIDX_COLUMNS), _covidx)
    yield "padchest", TableKind("PadChest", frozenset({"imageid", "patientid", "labels"}), _padchest)
    yield "indiana", TableKind("Indiana University", frozenset({"uid", "filename", "projection"}), _indiana)
    yield "vindr", TableKind("VinDr-CXR", frozenset({"image_id", "class_name"}), _vindr, joins_rows=True)


# From the general to the particular: where several fit, the last one counts. A new kind is one more of `_kinds`.
TABLE_KINDS = dict(_kinds())


def find_kind(header: tuple[str, ...]) -> TableKind | None:
    """Return the kind of a table that has each column of it once, or None."""
    once = {name for name, times in Counter(header).items() if times == 1}
    return next((kind for kind in reversed(TABLE_KINDS.values()) if kind.columns <= once), None)
