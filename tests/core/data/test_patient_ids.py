"""Images are of one patient where, and only where, something says so."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_core.data.patient_ids import find_patients, patients_sentence

few = settings(max_examples=25)


def found(*files, class_name=None, **columns):
    classes = class_name or [file.split("/")[0] for file in files]
    return pd.DataFrame({"file": files, "class_name": classes}).assign(**columns)


def patients(*files, **columns):
    """The patient of each file; None where nothing tells."""
    told = find_patients(found(*files, **columns))["patient"]
    return told.where(told.notna(), None).tolist()


def are_one(*files, **columns):
    told = patients(*files, **columns)
    return told[0] is not None and len(set(told)) == 1


def sources(*files, **columns):
    return find_patients(found(*files, **columns))["patient_from"].tolist()


numbers = st.integers(1, 99_999)

# How each published data set calls an image of patient n: image k, in a folder for a class.
PUBLISHED = {
    "MIMIC-CXR": lambda n, k: f"files/p10/p{10_000_000 + n}/s5{k:07d}/{n:08x}-{k:08x}.jpg",
    "MIMIC-CXR, flat": lambda n, k: f"covid/p{10_000_000 + n}_s5{k:07d}_{k:08x}.jpg",
    "CheXpert": lambda n, k: f"CheXpert-v1.0-small/train/patient{n:05d}/study{k}/view1_frontal.jpg",
    "CheXpert, flat": lambda n, k: f"covid/patient{n:05d}_study{k}_view1_frontal.jpg",
    "RICORD": lambda n, k: f"covid/MIDRC-RICORD-1C-419639-{n:06d}-{k + 40_000}-0.png",
    "RICORD, TCIA": lambda n, k: f"MIDRC-RICORD-1C/MIDRC-RICORD-1C-419639-{n:06d}/08-09-2004-NA-XR CHEST-{k}/1-1.dcm",
    "Kermany, virus": lambda n, k: f"PNEUMONIA/person{n}_virus_{k}.jpeg",
    "Kermany, bacteria": lambda n, k: f"train/PNEUMONIA/person{n}_bacteria_{k}.jpeg.jpg",
    "Kermany, normal": lambda n, k: f"NORMAL/IM-{n:04d}-0001-{k:04d}.jpeg",
    "Kermany, second normal": lambda n, k: f"NORMAL/NORMAL2-IM-{n:04d}-{k:04d}.jpeg",
    "Kermany, Mendeley": lambda n, k: f"PNEUMONIA/VIRUS-{n + 1000}-{k % 10_000:04d}.jpeg",
    "NIH": lambda n, k: f"images_{k % 12:03d}/images/{n:08d}_{k % 1000:03d}.png",
    "PadChest": lambda n, k: f"{k % 54}/2168401113669640{n:022d}_00-{k % 1000:03d}-014.png",
    "BIDS": lambda n, k: f"sub-S{n:05d}/ses-E{k:05d}/mod-rx/sub-S{n:05d}_ses-E{k:05d}_run-1_bp-chest_vp-pa_dx.png",
    "BIDS, flat": lambda n, k: f"covid/sub-S{n:05d}_ses-E{k:05d}_run-1_bp-chest_vp-ap_dx.png",
}


@pytest.mark.parametrize("naming", PUBLISHED)
@few
@given(n=numbers, other=numbers, k=numbers, later=numbers)
def test_published_names_tie_the_images_of_one_patient_and_no_others(naming, n, other, k, later):
    name = PUBLISHED[naming]
    first, second, third = patients(name(n, k), name(n, later), name(other, k))
    assert first == second is not None
    assert (third == first) == (other == n)


@pytest.mark.parametrize("naming", PUBLISHED)
def test_it_is_said_whether_the_folder_or_the_file_told(naming):
    in_folder = naming in {"MIMIC-CXR", "CheXpert", "RICORD, TCIA", "BIDS"}
    assert sources(PUBLISHED[naming](7, 1)) == ["folder" if in_folder else "name"]


def test_equal_file_names_of_chexpert_are_not_one_patient():
    files = [
        f"{c}/patient{n:05d}/study1/view{v}.jpg" for c, n in (("a", 1), ("b", 2)) for v in ("1_frontal", "2_lateral")
    ]
    assert patients(*files) == ["patient00001", "patient00001", "patient00002", "patient00002"]


def test_one_published_patient_is_the_same_in_two_classes_and_two_roots():
    assert are_one("normal/00000013_001.png", "covid/00000013_005.png", root=[0, 1])


def test_bids_numbers_of_two_roots_are_two_patients():
    assert len(set(patients("sub-01/ses-1/a.png", "sub-01/ses-1/a.png", root=[0, 1]))) == 2


# Folders

folder_names = st.sampled_from(
    ["patient{}", "Patient_{}", "patient-{}", "pat{:03d}", "subject {}", "p{:04d}", "case_{}"]
)
inner_paths = st.sampled_from(["{}.png", "images/{}.png", "study{}/front.jpg", "PA/{}.jpg", "2020/series{}/1.dcm"])


@few
@given(word=folder_names, inside=inner_paths, n=st.integers(0, 999), other=st.integers(0, 999))
def test_a_folder_that_says_patient_is_one(word, inside, n, other):
    files = [f"covid/{word.format(p)}/{inside.format(k)}" for p, k in ((n, 1), (n, 2), (other, 1))]
    one, same, third = patients(*files)
    assert one == same is not None
    assert (third == one) == (n == other)
    assert sources(*files) == ["folder"] * 3


@few
@given(st.lists(st.integers(1, 4), min_size=3, max_size=12), st.sampled_from(["{}", "{:04d}", "A{}", "x{:x}9"]))
def test_folders_of_numbers_below_a_class_are_patients(sizes, word):
    owners = [p for p, size in enumerate(sizes) for _ in range(size)]
    files = [f"covid/{word.format(p)}/{k}.png" for k, p in enumerate(owners)]
    told = patients(*files)
    assert None not in told
    assert pd.factorize(pd.Series(told))[0].tolist() == owners


def test_a_bare_number_begins_anew_in_every_class_and_an_identifier_does_not():
    files = [f"{c}/{p}/{k}.png" for c in ("covid", "normal") for p in ("1", "2", "3") for k in (1, 2)]
    assert len(set(patients(*files))) == 6
    assert len(set(patients(*(file.replace("/", "/12345", 1) for file in files)))) == 3


def test_a_file_called_the_same_in_two_folders_is_not_one_patient():
    assert patients("covid/1.png", "normal/1.png", "virus/1.png") == [None] * 3


@pytest.mark.parametrize(
    "folders",
    [
        ["images_001", "images_002", "images_003"],
        ["hospital1", "hospital2", "hospital3"],
        ["PA", "AP", "L"],
        ["2019", "2020", "2021"],
        ["mild", "severe", "critical"],
        ["batch 1", "batch 2", "batch 3"],
        ["1", "2"],
    ],
)
def test_a_folder_of_many_peoples_images_is_no_patient(folders):
    assert patients(*(f"covid/{folder}/img{k}.png" for folder in folders for k in range(3))) == [None] * 3 * len(
        folders
    )


def test_numbered_folders_with_many_images_each_are_no_patients():
    assert set(patients(*(f"covid/{p}/{k}.png" for p in range(4) for k in range(21)))) == {None}


def test_a_class_that_is_called_like_a_patient_is_none():
    files = [f"{c}/{k}.png" for c in ("case1", "case2") for k in range(12)]
    assert set(patients(*files)) == {None}


# Series

bases = st.sampled_from(
    [
        "covid-19-pneumonia-58",
        "ryct.2020200034.fig5",
        "4-x",
        "SARS-10.1148rg-g04mr34g04",
        "scan_0012",
        "Patient 7 chest",
    ]
)
endings = st.sampled_from(["day-3", "day7", "day 10", "day1-pa", "day6-2", "PA", "L", "AP", "lateral", "prior", "later",
                           "on-admission", "12-hours", "3-days"])  # fmt: skip


@few
@given(base=bases, first=endings, second=endings, separator=st.sampled_from("-_ ."))
def test_days_views_and_times_of_one_name_are_one_patient(base, first, second, separator):
    assert are_one(f"covid/{base}{separator}{first}.jpg", f"covid/{base}{separator}{second}.png")


@few
@given(bases, endings)
def test_a_series_ends_with_its_folder_and_its_name(base, ending):
    one, elsewhere, other = patients(
        f"covid/{base}-{ending}.png", f"virus/{base}-{ending}.png", f"covid/{base}9-{ending}.png"
    )
    assert len({one, elsewhere, other} - {None}) == 3


@pytest.mark.parametrize(
    "names",
    [
        ("ryct.2020003.fig2-a", "ryct.2020003.fig2-b"),
        ("lancet-case2a", "lancet-case2b"),
        ("1-s2.0-S1684118220300682-main.pdf-002-a1", "1-s2.0-S1684118220300682-main.pdf-002-a2"),
        ("SARS-10.1148rg.242035193-g04mr34g04a-Fig4a-day7", "SARS-10.1148rg.242035193-g04mr34g04b-Fig4b-day12"),
        ("16660_1_1", "16660_5_1"),
        ("covid-19-caso-70-1-PA", "covid-19-caso-70-2-APS"),
        ("covid-19-pneumonia-35-1", "covid-19-pneumonia-35-2"),
        ("covid-19-pneumonia-20", "covid-19-pneumonia-20-pa-on-admission"),
        ("88de9d8c39e946abd495b37cd07d89e5-0666-0", "88de9d8c39e946abd495b37cd07d89e5-2ee6-0"),
    ],
)
def test_names_of_the_covid_chestxray_collection_tie_its_series(names):
    assert are_one(*(f"covid/{name}.jpg" for name in names))


@pytest.mark.parametrize(
    "names",
    [
        ("covid-19-pneumonia-12", "covid-19-pneumonia-14"),
        ("COVID-1", "COVID-2"),
        ("Viral Pneumonia-1", "Viral Pneumonia-2"),
        ("covid-19-pneumonia-mild", "covid-19-pneumonia-bilateral"),
        ("xray-a", "xray-b"),
        ("a", "b"),
        ("01E392EE-69F9-4E33-BFCE-E5C968654737", "01E392EE-69F9-4E33-BFCE-E5C968654738"),
        ("JPCLN001", "JPCLN002"),
        ("PA", "L"),
    ],
)
def test_names_that_only_look_alike_tie_nothing(names):
    assert patients(*(f"covid/{name}.jpg" for name in names)) == [None, None]


@pytest.mark.parametrize("name", ["scan2020-day{}", "x1-day {}", "img-1 {} days"])
@pytest.mark.parametrize("n", [20, 2_000])
def test_a_name_that_most_images_share_is_no_patient(name, n):
    assert set(patients(*(f"covid/{name.format(k)}.png" for k in range(n)))) == {None}


@few
@given(st.lists(st.from_regex(r"[a-z0-9_. -]{1,12}", fullmatch=True), unique=True, min_size=1, max_size=40))
def test_any_names_are_read_without_an_error(names):
    told = find_patients(found(*(f"covid/{name}.png" for name in names)))
    assert told["patient"].isna().equals(told["patient_from"].isna())


# What counts first


def test_the_list_counts_before_the_header_the_folder_and_the_name():
    hashed = {"dicom_id": ["h1", "h1", None, None], "dicom_issuer": None, "dicom_birth": None}
    files = [f"covid/patient7/person{n}_virus_1.png" for n in range(3)] + ["covid/person3_virus_1.png"]
    told = find_patients(found(*files, listed_patient=["n0", None, None, None], **hashed))
    assert told.to_numpy().tolist() == [["n0", "list"], ["h1", "DICOM"], ["patient7", "folder"], ["person3", "name"]]


def test_the_sentence_counts_what_told():
    files = ["covid/person1_virus_1.png", "covid/patient2/1.png", "covid/a.png", "covid/b.png"]
    table = found(*files).join(find_patients(found(*files)))
    assert patients_sentence(table) == (
        "The patient is known for 2 of 4 images: 1 from folder names, 1 from file names."
    )
    assert patients_sentence(table[2:]) == "Nothing tells the patient of any of the 2 images."


@pytest.mark.parametrize(
    "naming", ["PAT_{:04d}_img_{}", "subj{:02d}_visit{}", "case {:02d} ({})", "hospital-pt{}-view{}"]
)
def test_a_number_of_an_image_behind_the_number_of_a_patient_makes_no_patient(naming):
    files = [f"covid/{naming.format(patient, image)}.png" for patient in (1, 2, 3) for image in (1, 2)]
    told = find_patients(pd.DataFrame({"file": files, "class_name": "covid"}))["patient"].tolist()
    assert told[::2] == told[1::2]
    assert len(set(told)) == 3 and None not in told
