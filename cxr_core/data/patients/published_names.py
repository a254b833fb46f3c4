"""Which patient do the names of a published data set tell?"""

import re
from typing import NamedTuple


class NamingScheme(NamedTuple):
    """How one data set names its files and folders.

    Attributes:
        label: the data set.
        pattern: searched in a path with "/", image endings taken off; its first group is the patient.
        one_numbering: the patient is the same in whatever folder the name is found. Otherwise only within one root.
    """

    label: str
    pattern: re.Pattern[str]
    one_numbering: bool = True


class NamedPatient(NamedTuple):
    """A patient that a path tells.

    Attributes:
        patient: such as "person23", "00002659" or "sub-S03047".
        one_numbering: as in `NamingScheme`.
        in_folder: a folder is called so, not the file.
    """

    patient: str
    one_numbering: bool
    in_folder: bool


def _scheme(label: str, pattern: str, *, one_numbering: bool = True) -> NamingScheme:
    return NamingScheme(label, re.compile(pattern, re.IGNORECASE), one_numbering)


# A further data set is one more line. The first that fits counts.
# Where a set names the study and not the patient (Kermany's normal images, PadChest), the study stands for the patient.
NAMING_SCHEMES = (
    # Johnson et al. 2019, doi:10.1038/s41597-019-0322-0: files/p10/p10000032/s50414267/….jpg
    _scheme("MIMIC-CXR", r"(?:^|/)(p1\d{7})[/_-]s\d{8}(?![^/_-])"),
    # Irvin et al. 2019, arXiv:1901.07031: train/patient00001/study1/view1_frontal.jpg
    _scheme("CheXpert", r"(?:^|/)(patient\d{5,6})[/_-]study\d+(?!\d)"),
    # Tsai et al. 2021, doi:10.1148/radiol.2021203957: MIDRC-RICORD-1C-419639-000082-…
    _scheme("RICORD", r"(?:^|/)(MIDRC-RICORD-1[ABC]-\d{6}-\d{6})(?!\d)"),
    # Kermany et al. 2018, doi:10.1016/j.cell.2018.02.010: on Kaggle person23_virus_66, IM-0011-0001-0002 (study,
    # series, image) and NORMAL2-IM-0105-0001; in the authors' own archive VIRUS-1098-0001.
    _scheme("Kermany", r"(?:^|/)(person\d+)_(?:virus|bacteria)_\d+[^/]*$"),
    _scheme("Kermany", r"(?:^|/)((?:NORMAL2-)?IM-\d+)-\d+[^/]*$"),
    _scheme("Kermany", r"(?:^|/)((?:NORMAL|VIRUS|BACTERIA)-\d{4,})-\d{4}$"),
    # Wang et al. 2017, arXiv:1705.02315: 00000013_005.png
    _scheme("NIH ChestX-ray", r"(?:^|/)(\d{8})_\d{3}$"),
    # Bustos et al. 2020, doi:10.1016/j.media.2020.101797: <study>_<image>.png; its table tells the patient.
    _scheme("PadChest", r"(?:^|/)(\d{30,48})_[\da-z]+(?:-\d+)*$"),
    # Gorgolewski et al. 2016, doi:10.1038/sdata.2016.44, as BIMCV uses it: sub-S03047/ses-E06048/mod-rx/…
    _scheme("BIDS", r"(?:^|/)(sub-[\da-z]+)(?=[/_])", one_numbering=False),
)


def published_patient(path: str) -> NamedPatient | None:
    """Return the patient that the names of a published data set tell.

    Args:
        path: relative to a root or absolute, with "/", image endings taken off.

    Returns:
        None where no scheme of `NAMING_SCHEMES` fits.
    """
    for scheme in NAMING_SCHEMES:
        if match := scheme.pattern.search(path):
            return NamedPatient(match[1], scheme.one_numbering, in_folder="/" in path[match.end(1) :])
    return None
