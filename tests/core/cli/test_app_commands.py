"""The dashboard from the command line."""

import os
import sys

import pytest

from cxr_core.cli.main import main
from cxr_core.config import PROJECT_DIR


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot put another program in a process's place")
def test_app_becomes_streamlit_with_this_projects_pages(monkeypatch):
    started = []
    monkeypatch.setattr(os, "execv", lambda program, words: started.append((program, words)))
    main(["app", "--port", "8600", "--no-browser"])
    ((program, words),) = started
    assert program == sys.executable
    assert words[1:5] == ["-m", "streamlit", "run", str(PROJECT_DIR / "streamlit_app.py")]
    assert words[5:] == ["--server.port", "8600", "--server.address", "localhost", "--server.headless", "true"]
