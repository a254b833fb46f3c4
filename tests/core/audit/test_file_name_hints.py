"""file_name_hints.py: names as they occur, and near misses."""

import pytest

from cxr_core.audit.file_name_hints import other_disease, says_lateral


@pytest.mark.parametrize("name", ["a-lateral.jpg", "lateral-view.png", "x-L.jpg", "x_l.JPG.jpg", "x-lat-1.png"])
def test_these_names_speak_of_a_side_view(name):
    assert says_lateral(name)


@pytest.mark.parametrize(
    "name", ["unilateral.jpg", "bilateral-2.jpg", "collateral.png", "wall.jpg", "plate.png", "gr2_lrg-a"]
)
def test_these_names_do_not_speak_of_a_side_view(name):
    assert not says_lateral(name)


@pytest.mark.parametrize(
    ("name", "class_name", "disease"),
    [
        ("SARS-10.1148rg.242035193-g04mr34g0-Fig8a-day0.jpg", "covid", "SARS"),
        ("MERS-CoV-1-s2.0.jpg", "COVID-19", "MERS"),
        ("ards-secondary-to-tiger-snake-bite.jpg", "covid", "snake bite"),
        ("ARDSSevere.jpg", "covid", "ARDS"),
        ("acute-respiratory-distress-syndrome-ards-1.jpg", "covid", "ARDS"),
        ("pneumocystis-jiroveci-pneumonia-4-L.jpg", "covid", "pneumocystis"),
        ("X-ray_of_cyst_in_pneumocystis_pneumonia_1.jpg", "covid", "pneumocystis"),
        ("streptococcus-pneumoniae-pneumonia-1.jpg", "covid", "streptococcus"),
        ("e-coli-pneumonia.jpg", "covid", "E. coli"),
        ("person1_bacteria_2.jpeg", "virus", "bacterial pneumonia"),
        ("covid-19-caso-70.jpg", "normal", "COVID-19"),
        ("covid_12.png", "Tuberculosis", "COVID-19"),
    ],
)
def test_a_name_that_speaks_of_another_disease_than_its_class_is_told(name, class_name, disease):
    assert other_disease(name, class_name) == disease


@pytest.mark.parametrize(
    ("name", "class_name"),
    [
        ("covid-19-rapidly-progressive-acute-respiratory-distress-syndrome-ards-day-1.jpg", "covid"),
        ("SARS-CoV-2-and-influenza.jpg", "covid"),
        ("nCoV-radiol.2020200269.fig1-day7.jpeg", "covid"),
        ("auntminnie-2020_01_31_x-ray_coronavirus_US.jpg", "covid"),
        ("covid-19-pneumonia-12.jpg", "covid"),
        ("standards-1.jpg", "covid"),
        ("summers-day.jpg", "covid"),
        ("E63574A7-4188-4C8D-8D17-9D67A18A1AFA.jpeg", "covid"),
        ("person1_virus_6.jpeg", "virus"),
        ("influenza-3.jpeg", "Viral Pneumonia"),
        ("NORMAL2-IM-0115-0001.jpeg", "normal"),
        ("tb-3.jpg", "tuberculosis"),
        ("SARS-1.jpg", "SARS"),
        ("SARS-1.jpg", "sick"),
    ],
)
def test_a_name_that_fits_its_class_or_says_nothing_is_left_alone(name, class_name):
    assert other_disease(name, class_name) is None


def test_real_names_of_other_diseases_are_found_and_no_others():
    from conftest import SHARED_DATA

    folder = SHARED_DATA / "covid_cxr" / "covid"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data")
    words = (
        "pneumocystis", "pneumococcal", "streptococcus", "klebsiella", "legionella", "aspiration", "snake",
    )  # fmt: skip
    starts = ("sars-", "mers-", "acute-respiratory-distress", "ardssevere")
    names = sorted(p.name for p in folder.iterdir())
    expected = [n for n in names if n.lower().startswith(starts) or any(w in n.lower() for w in words)]
    assert len(expected) == 43
    assert [n for n in names if other_disease(n, "covid")] == expected
