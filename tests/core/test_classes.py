"""classes.py: names, order and colours of classes."""

import re

import pytest

from cxr_core.classes import class_colours, class_label, order_classes


@pytest.mark.parametrize(
    ("name", "label"), [("covid", "COVID-19"), ("COVID", "COVID-19"), ("virus", "Viral"), ("asthma", "asthma")]
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
