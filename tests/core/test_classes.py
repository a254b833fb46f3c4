"""classes.py: names, order and colours of classes."""

import re

import pytest

from cxr_core.classes import class_colours, class_key, class_label, matched_classes, merged_spellings, order_classes


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("covid", "COVID-19"),
        ("COVID", "COVID-19"),
        ("virus", "Viral"),
        ("other", "Other finding"),
        ("asthma", "asthma"),
    ],
)
def test_a_class_folder_has_a_name_for_people(name, label):
    assert class_label(name) == label


def test_classes_come_in_the_articles_order_then_by_alphabet_without_repeats():
    assert order_classes(["zoster", "virus", "asthma", "covid", "normal", "virus"]) == (
        "normal", "covid", "virus", "asthma", "zoster",
    )  # fmt: skip


def test_known_classes_have_okabe_and_itos_colours():
    colours = class_colours(["normal", "COVID", "virus"])
    assert colours == {"normal": "#009E73", "COVID": "#D55E00", "virus": "#0072B2"}


def test_further_classes_differ_in_colour_from_the_known_ones_and_each_other():
    colours = class_colours(["normal", "covid", "virus", "a", "b", "c", "d"])
    assert len(set(colours.values())) == 7
    assert all(re.fullmatch("#[0-9A-F]{6}", c) for c in colours.values())


@pytest.mark.parametrize(
    ("key", "spellings"),
    {
        "normal": [
            "normal",
            "NORMAL",
            "Normal",
            "Healthy",
            "No Finding",
            "normal cases",
            "NormalCases",
            "Normal-samples",
            "Normal chest X-ray",
            "NORMAL (2)",
            "0_normal",
            "01. Normal",
            " gesund ",
            "normal\u200b",
            "\uff2eormal",
        ],
        "covid": [
            "COVID\u201119",
            "Covid \u2013 19",
            "covid",
            "COVID",
            "COVID-19",
            "Covid19",
            "covid_19",
            "SARS-CoV-2",
            "COVID-19 pneumonia",
            "covid images",
            "COVID-19 positive",
            "COVID+",
            "COVID-19 (+)",
            "SARS-CoV-2 positive",
            "2019-nCoV",
            "Coronavirus",
            "1_covid",
            "COVID19(460)",
        ],
        "virus": ["virus", "Viral", "Viral Pneumonia", "viral_pneumonia"],
        "pneumonia": ["PNEUMONIA", "pneumonia"],
        "0": ["0"],
        "none": ["None"],
        "neumon\u00eda": ["Neumon\u00eda", "Neumoni\u0301a"],
        "cases": ["cases", "Cases"],
        "abnormal": ["Abnormal"],
        "non covid": ["Non COVID"],
        # Negative for it.
        "covid-": ["COVID-", "COVID\u2212"],
        "covid-19 (-)": ["COVID-19 (-)"],
        "tb+": ["TB+"],
        "19": ["19"],
    }.items(),
)
def test_spellings_of_one_class_share_a_key(key, spellings):
    assert {class_key(name) for name in spellings} == {key}


def test_spellings_in_one_data_set_are_merged_and_a_single_one_is_kept():
    names = ["NORMAL", "normal", "COVID", "Asthma", "ASTHMA"]
    assert merged_spellings(names) == {
        "NORMAL": "normal", "normal": "normal", "COVID": "COVID", "Asthma": "ASTHMA", "ASTHMA": "ASTHMA",
    }  # fmt: skip


def test_a_classifiers_own_spelling_is_preferred_to_another_of_the_same_class():
    assert matched_classes(["NORMAL", "COVID-19", "zoster"], ["normal", "covid"]) == {
        "NORMAL": "normal", "COVID-19": "covid",
    }  # fmt: skip
    assert matched_classes(["normal", "Normal"], ["Normal", "normal"]) == {"normal": "normal", "Normal": "Normal"}


def test_two_spellings_of_one_class_have_one_label():
    assert class_label("COVID-19") == class_label("covid") == "COVID-19"
    assert class_label("Viral Pneumonia") == "Viral"
