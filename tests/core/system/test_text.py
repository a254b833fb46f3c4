"""text.py: names that a terminal or a page could not show."""

import pytest

from cxr_core.system.text import as_text, is_text, printable_name


@pytest.mark.parametrize("name", ["scan 1.png", "Größe.dcm", "肺.png", ""])
def test_a_printable_name_stays_as_it_is(name):
    assert printable_name(name) == name


@pytest.mark.parametrize("name", ["a\x1b[2Jb.png", "a\nb.png", "a\u202egnp.exe"])
def test_what_cannot_be_printed_becomes_a_replacement_character(name):
    shown = printable_name(name)
    assert shown.isprintable()
    assert len(shown) == len(name)
    assert shown.count("\N{REPLACEMENT CHARACTER}") == 1


def test_a_name_whose_bytes_are_no_utf_8_is_no_text_and_gets_question_marks():
    name = b"a\xff.png".decode(errors="surrogateescape")
    assert not is_text(name)
    assert as_text(name) == "a?.png"


def test_other_names_are_text():
    assert is_text("肺.png")
    assert as_text("肺.png") == "肺.png"
