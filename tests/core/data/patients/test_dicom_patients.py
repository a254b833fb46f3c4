"""DICOM headers tie the images of one patient, and nothing of who that is stays on the disk."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import dicom

from cxr_core.data.dataset import scan_dataset
from cxr_core.data.patients.dicom_patients import HashedIdentity, dicom_patients, hash_identity, patient_salt

SALT = bytes(range(32))
NAME, ID, BIRTH = "Zyxwv^Jane", "MRN-7741-Q", "19610307"


def patients(*identities, salt=SALT):
    return dicom_patients(pd.DataFrame([hash_identity(*identity, salt) for identity in identities]))


@pytest.fixture
def folder(tmp_path):
    """Two classes of five DICOM images: three of one patient in both classes, the others of a patient each."""
    rng = np.random.default_rng(0)
    for k in range(10):
        path = tmp_path / "data" / ("covid" if k % 2 else "normal") / f"{k}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        told = {"PatientID": ID if k < 3 else f"other{k}", "PatientName": NAME, "PatientBirthDate": BIRTH}
        path.write_bytes(dicom(rng.integers(0, 4096, (16, 16), dtype=np.uint16), **told))
    return tmp_path / "data"


def scan(folder, index="index"):
    return scan_dataset(folder, index_dir=folder.parent / index).table.sort_values("file").reset_index(drop=True)


def test_a_patients_images_are_one_patient_in_every_class(folder):
    table = scan(folder).set_index("file")
    assert table.loc[["normal/0.dcm", "covid/1.dcm", "normal/2.dcm"], "patient"].nunique() == 1
    assert table["patient"].nunique() == 8
    assert set(table["patient_from"]) == {"DICOM"}


def test_nothing_of_the_patient_is_in_the_table_or_on_the_disk(folder):
    table = scan(folder)
    kept = table.to_csv().encode() + b"".join(
        p.read_bytes() for p in (folder.parent / "index").rglob("*") if p.is_file()
    )
    for told in (NAME, ID, ID.casefold(), BIRTH, "other3"):
        assert told.encode() not in kept


def test_patients_are_the_same_after_a_further_image_and_another_scan(folder):
    before = scan(folder).set_index("file")["patient"]
    (folder / "covid" / "new.dcm").write_bytes(dicom(np.eye(16, dtype=np.uint16), PatientID=ID, PatientBirthDate=BIRTH))
    after = scan(folder).set_index("file")["patient"]
    assert after[before.index].equals(before)
    assert after["covid/new.dcm"] == before["normal/0.dcm"]


def test_another_installation_has_other_hashes(folder):
    assert not set(scan(folder)["patient"]) & set(scan(folder, "elsewhere")["patient"])


def test_after_the_key_is_lost_old_and_new_images_are_still_one_patient(folder):
    scan(folder)
    (folder.parent / "index" / "patients.salt").unlink()
    (folder / "covid" / "new.dcm").write_bytes(dicom(np.eye(16, dtype=np.uint16), PatientID=ID, PatientBirthDate=BIRTH))
    table = scan(folder).set_index("file")["patient"]
    assert table["covid/new.dcm"] == table["normal/0.dcm"]


def test_only_its_owner_may_read_the_key(tmp_path):
    salt = patient_salt(tmp_path)
    assert patient_salt(tmp_path) == salt and len(salt) == 32
    assert (tmp_path / "patients.salt").stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["patients.salt"]


def test_without_a_place_to_keep_it_a_key_is_drawn_all_the_same(tmp_path):
    (tmp_path / "file").write_text("no folder")
    assert len(patient_salt(tmp_path / "file")) == 32


words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8).map("p-".__add__)


@settings(max_examples=50)
@given(words, words, words, words)
def test_one_identifier_is_one_patient_unless_issuers_or_births_differ(patient, other, issuer, birth):
    told = patients((patient, issuer, birth), (f" {patient.upper()} ", issuer, birth), (other, issuer, birth))
    assert told[0] == told[1]
    assert (told[2] == told[0]) == (other.casefold() == patient.casefold())


def test_two_hospitals_with_one_identifier_are_told_apart_by_the_issuer_or_the_birth():
    assert patients(("17", "A", ""), ("17", "B", ""), ("17", "a", "")).nunique() == 2
    assert patients(("17", "", "19500101"), ("17", "", "19800101")).nunique() == 2
    assert patients(("17", "A", "19500101"), ("17", "B", "19500101"), ("17", "A", "19500101")).nunique() == 2


def test_where_one_image_lacks_the_issuer_or_the_birth_its_patient_is_not_parted():
    assert patients(("17", "A", ""), ("17", "B", ""), ("17", "", "")).nunique() == 1
    assert patients(("17", "", "19500101"), ("17", "", "")).nunique() == 1


@pytest.mark.parametrize("told", ["", " ", "0", "000000", "ANONYMOUS", "Anon1", "unknown", "N/A", "XXXX", "removed"])
def test_what_removing_identities_leaves_behind_is_no_patient(told):
    assert hash_identity(told, "A", BIRTH, SALT) == HashedIdentity()


def test_an_identifier_that_nearly_all_images_share_is_no_patient(folder):
    for path in folder.rglob("*.dcm"):
        path.write_bytes(dicom(np.eye(16, dtype=np.uint16) * int(path.stem), PatientID="DEMO"))
    for k in range(4):
        (folder / "covid" / f"n{k}.dcm").write_bytes(dicom(np.eye(16, dtype=np.uint16) * (20 + k), PatientID="DEMO"))
    assert scan(folder)["patient"].isna().all()


def test_the_list_counts_before_the_header(folder):
    path = folder / "list.csv"
    path.write_text("path,label,patient\ncovid/1.dcm,covid,c1\nnormal/0.dcm,normal,\nnormal/2.dcm,normal,\n")
    table = scan(path).set_index("file")
    assert table.loc["covid/1.dcm", ["patient", "patient_from"]].tolist() == ["c1", "list"]
    assert table.loc[["normal/0.dcm", "normal/2.dcm"], "patient"].nunique() == 1
