"""config.py: whether an installation is public, and how long decoding may take."""

import pytest

from cxr_core.config import decode_seconds, is_shared


@pytest.mark.parametrize(("setting", "shared"), [("1", True), ("0", False), ("", False)])
def test_an_environment_variable_decides_whether_an_installation_is_public(monkeypatch, setting, shared):
    monkeypatch.setenv("CXR_LAB_SHARED", setting)
    assert is_shared() is shared


@pytest.mark.parametrize("text", ["0", "-1", "soon", "inf", "nan"])
def test_a_deadline_that_is_no_number_of_seconds_is_refused(monkeypatch, text):
    monkeypatch.setenv("CXR_LAB_DECODE_SECONDS", text)
    with pytest.raises(ValueError, match="CXR_LAB_DECODE_SECONDS must be a number of seconds above 0"):
        decode_seconds()


def test_the_deadline_of_decoding_is_ten_seconds_unless_it_is_set(monkeypatch):
    monkeypatch.delenv("CXR_LAB_DECODE_SECONDS", raising=False)
    assert decode_seconds() == 10
    monkeypatch.setenv("CXR_LAB_DECODE_SECONDS", "2.5")
    assert decode_seconds() == 2.5
