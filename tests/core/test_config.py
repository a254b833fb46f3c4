"""config.py: whether an installation is public."""

import pytest

from cxr_core.config import is_shared


@pytest.mark.parametrize(("setting", "shared"), [("1", True), ("0", False), ("", False)])
def test_an_environment_variable_decides_whether_an_installation_is_public(monkeypatch, setting, shared):
    monkeypatch.setenv("CXR_LAB_SHARED", setting)
    assert is_shared() is shared
