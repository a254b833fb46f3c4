"""Which DICOM files are of one patient, without keeping who that is?

An identifier has so few possible values that a plain hash of it can be undone by trying them all. HMAC (RFC 2104) with
a key that is drawn once per installation, and never leaves it, cannot be.
"""

import hmac
import os
import re
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pandas as pd

_SALT_FILE = "patients.salt"
_SALT_BYTES = 32
_HEX_DIGITS = 16
# What removing identities leaves behind: no patient is called so.
_NO_ID = re.compile(
    r"[0x*#.?_ -]*|anon\w*|anonymi[sz]ed\b.*|unknown|none|null|nan|n/?a|no[-_ ]?id|de[-_ ]?identified|removed|patient"
    r"|patient[-_ ]?id|test",
    re.IGNORECASE,
)


class HashedIdentity(NamedTuple):
    """Who a DICOM header says its patient is, hashed; None where it does not say.

    Attributes:
        dicom_id: of PatientID.
        dicom_issuer: of PatientID with IssuerOfPatientID.
        dicom_birth: of PatientID with PatientBirthDate, so that equal birthdays of two patients are not equal here.
    """

    dicom_id: str | None = None
    dicom_issuer: str | None = None
    dicom_birth: str | None = None


def hash_identity(patient_id: str, issuer: str, birth_date: str, salt: bytes) -> HashedIdentity:
    """Hash what a DICOM header says of its patient.

    Args:
        patient_id: PatientID; an empty one, or one such as "ANONYMOUS", tells nothing.
        issuer: IssuerOfPatientID, or "".
        birth_date: PatientBirthDate, or "".
        salt: of `patient_salt`.

    Source:
        RFC 2104 (HMAC) with SHA-256, cut to 64 bits: that two of a million patients are equal has a chance of 3e-8.
    """
    known = " ".join(patient_id.split()).casefold()
    if _NO_ID.fullmatch(known):
        return HashedIdentity()

    def digest(*words: str) -> str:
        return hmac.digest(salt, "\0".join(words).encode("utf-8", "replace"), "sha256").hex()[:_HEX_DIGITS]

    issuer, birth_date = " ".join(issuer.split()).casefold(), birth_date.strip()
    return HashedIdentity(
        digest("id", known),
        digest("issuer", known, issuer) if issuer else None,
        digest("birth", known, birth_date) if birth_date else None,
    )


def dicom_patients(hashed: pd.DataFrame) -> pd.Series:
    """Return which files are of one patient.

    One identifier is one patient, unless its files disagree. Two hospitals may use one identifier: then the issuer,
    where every one of its files names one, tells them apart, and likewise the date of birth.

    Args:
        hashed: DataFrame of N rows with the columns of `HashedIdentity`.

    Returns:
        str (N,), missing where the header does not say.
    """
    patients = hashed["dicom_id"].astype(object)
    for column in ("dicom_issuer", "dicom_birth"):
        told = hashed[column].notna()
        always_told = told.groupby(patients).transform("all") & patients.notna()
        several = hashed[column].groupby(patients).transform("nunique") > 1
        apart = always_told & several
        patients = patients.where(~apart, patients.str.cat(hashed[column].astype(object), sep="-"))
    return patients


def patient_salt(folder: str | Path) -> bytes:
    """Return the key that this installation hashes identifiers with; drawn at random at its first use.

    Args:
        folder: of all indexes. Where nothing can be kept there, the key holds for this scan only.

    Returns:
        32 bytes.
    """
    path = Path(folder) / _SALT_FILE
    salt = secrets.token_bytes(_SALT_BYTES)
    with suppress(OSError):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _keep_first(salt, path)
        kept = path.read_bytes()
        if len(kept) == _SALT_BYTES:
            return kept
    return salt


def salt_check(salt: bytes) -> str:
    """Return what tells whether hashes were made with this key, and nothing else of it."""
    return hmac.digest(salt, b"check", "sha256").hex()[:_HEX_DIGITS]


def _keep_first(salt: bytes, path: Path) -> None:
    """Write a key that its owner alone may read, unless another scan has written one meanwhile."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(salt)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
        except OSError:  # a file system without links
            os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
