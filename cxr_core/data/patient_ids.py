"""Of which patient is each image, and what tells so?"""

import os
from collections.abc import Sequence

import pandas as pd

from cxr_core.data.patients.dicom_patients import dicom_patients
from cxr_core.data.patients.patient_folders import folder_patients
from cxr_core.data.patients.published_names import NamedPatient, published_patient
from cxr_core.data.patients.series_names import series_of
from cxr_core.imaging.reader import IMAGE_ENDINGS

# What can tell the patient; where several do, the first counts.
PATIENT_SOURCES = {
    "list": "a column of the table",
    "DICOM": "DICOM headers",
    "folder": "folder names",
    "name": "file names",
}
# Where more than half of a data set or folder, and more than a few images, would be one person's, the name or the
# header says something else, such as "ANON1"; and so does a name that more images share than one person ever has.
_PLAUSIBLE_SHARE, _FEW_IMAGES = 0.5, 10
_MOST_IN_SERIES, _MOST_PANELS = 100, 12


def find_patients(found: pd.DataFrame) -> pd.DataFrame:
    """Find out of which patient each image is.

    The names of published data sets, a folder that says "patient" and identifiers of DICOM headers count across
    folders. Any other name ties images within its folder only: a file called `1` in two folders is not one patient.

    Args:
        found: N images with `file`, and where known `class_name`, `root` (number of the root), `source`,
            `listed_patient` (what a table says), and `dicom_id`, `dicom_issuer`, `dicom_birth` of
            `dicom_patients.HashedIdentity`.

    Returns:
        N rows of the same index: `patient` (str) and `patient_from` (a key of `PATIENT_SOURCES`), both missing where
        nothing tells.
    """
    found = found.assign(root=found.get("root", 0))
    told = pd.DataFrame({"patient": None, "patient_from": None}, index=found.index, dtype=object)
    _fill(told, _column(found, "listed_patient"), "list")
    if "dicom_id" in found:
        hashed = dicom_patients(found)
        _fill(told, hashed.where(_plausible(hashed, pd.Series(0, index=found.index))), "DICOM")
    names = _named_patients(found)
    for source in ("folder", "name"):
        _fill(told, names["patient"].where(names["patient_from"] == source), source)
    return told


def patient_of(name: str) -> str | None:
    """Return the patient or study that a file name of a published data set tells of, or None.

    Args:
        name: a file name with or without ending.

    Returns:
        Such as "person23", "IM-0115" or "00002659".
    """
    named = published_patient(image_stem(name))
    return named.patient if named else None


def patients_sentence(table: pd.DataFrame) -> str:
    """Say for how many images of a data set table the patient is known, and from what."""
    known = int(table["patient"].notna().sum())
    if not known:
        return f"Nothing tells the patient of any of the {len(table):,} images."
    text = f"The patient is known for {known:,} of {len(table):,} images"
    if "patient_from" not in table:
        return text + "."
    counts = table["patient_from"].value_counts()
    told = [f"{counts[source]:,} from {words}" for source, words in PATIENT_SOURCES.items() if source in counts]
    return f"{text}: {', '.join(told)}."


def image_stem(name: str) -> str:
    """Return a file name without any image endings: `x.jpeg.jpg` and `x.PNG` both give `x`."""
    name = os.path.basename(name)
    stem, ending = os.path.splitext(name)
    while ending.lower() in IMAGE_ENDINGS:
        name = stem
        stem, ending = os.path.splitext(name)
    return name


def image_folder(file: str) -> str:
    """Return the folder part of a path with "/"; "" where there is none."""
    return file.rpartition("/")[0]


def _fill(told: pd.DataFrame, patients: pd.Series, source: str) -> None:
    """Take over what a further source tells of images whose patient is not known yet."""
    new = told["patient"].isna() & patients.notna()
    told.loc[new, "patient"] = patients[new]
    told.loc[new, "patient_from"] = source


def _column(found: pd.DataFrame, name: str) -> pd.Series:
    return found[name].astype(object) if name in found else pd.Series(None, index=found.index, dtype=object)


def _plausible(patients: pd.Series, scope: pd.Series) -> pd.Series:
    """Return bool (N,): whether as many images of one scope can be of one patient."""
    images = patients.groupby([scope, patients]).transform("size")
    share = images / patients.groupby(scope).transform("size")
    return ~((images > _FEW_IMAGES) & (share > _PLAUSIBLE_SHARE))


def _named_patients(found: pd.DataFrame) -> pd.DataFrame:
    """Return `patient` and `patient_from` as far as folders and file names tell them; see `find_patients`."""
    parts = [pd.DataFrame({"patient": None, "patient_from": None}, index=found.index[:0], dtype=object)]
    found = found.assign(source=_column(found, "source"))
    for (number, source), rows in found.groupby(["root", "source"], sort=False, dropna=False):
        root = int(str(number))
        # Of these images alone: filled in among all of them, many sources would take the square of their time.
        told = pd.DataFrame({"patient": None, "patient_from": None}, index=rows.index, dtype=object)
        parts.append(told)
        files = rows["file"].tolist()
        classes = rows["class_name"].tolist() if "class_name" in rows else [None] * len(rows)
        published = [published_patient(f"{image_folder(file)}/{image_stem(file)}") for file in files]
        # Numbers of a further root, or of another source, are another hospital's.
        prefix = (f"{root + 1}:" if root else "") + (f"{source}:" if isinstance(source, str) else "")
        _fill(told, _in_folders(published, prefix, rows.index, in_folder=True), "folder")
        folders = pd.Series(folder_patients(files, classes), index=rows.index, dtype=object)
        _fill(told, prefix + folders.where(_plausible(folders, rows["root"])), "folder")
        _fill(told, _in_folders(published, prefix, rows.index, in_folder=False), "name")
        _fill(told, prefix + pd.Series(_series_patients(files), index=rows.index, dtype=object), "name")
    return pd.concat(parts).reindex(found.index)


def _in_folders(
    published: Sequence[NamedPatient | None], prefix: str, index: pd.Index, *, in_folder: bool
) -> pd.Series:
    """Return the patients that the names of published data sets tell, those in folders or those in file names."""
    patients = [
        (named.patient if named.one_numbering else prefix + named.patient)
        if named and named.in_folder is in_folder
        else None
        for named in published
    ]
    return pd.Series(patients, index=index, dtype=object)


def _series_patients(files: Sequence[str]) -> list[str | None]:
    """Return the series of each folder's images as their patients, "covid/covid-19-pneumonia-58" say, or None."""
    stems = [image_stem(file) for file in files]
    series = [series_of(stem) for stem in stems]
    frame = pd.DataFrame(series).assign(folder=[image_folder(file) for file in files], stem=stems)
    together = frame.groupby(["folder", "name"])
    several = together["stem"].transform("nunique")
    most = together["certain"].transform("any").map({True: _MOST_IN_SERIES, False: _MOST_PANELS})
    is_series = (frame["name"] != "") & (frame["certain"] | (several > 1)) & (several <= most)
    keys = frame["folder"] + "/" + frame["name"]
    keys = keys.where(is_series & _plausible(keys.where(several > 1), frame["folder"]))
    return keys.where(keys.notna(), None).tolist()
