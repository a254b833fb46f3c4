"""What is started goes when its owner goes, and not before."""

import os
import signal
import subprocess
import sys

import psutil
import pytest
from conftest import PROJECT

CHILD = """
import os, pathlib, sys, time
import cxr_core.system.processes as processes
processes._GRACE_SECONDS = float(sys.argv[2])
said = pathlib.Path(sys.argv[1])
processes.on_owner_exit(said.with_suffix(".gone").touch)
said.write_text(str(os.getpid()))
while not (said.with_suffix(".gone").exists() and sys.argv[3] == "polite"):
    time.sleep(0.01)
"""
OWNER = """
import subprocess, sys, time
from cxr_core.system.processes import tie_to_parent
tie_to_parent()
# A session of its own and a process in between, as for a job of the app.
between = "import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True)"
subprocess.run([sys.executable, "-c", between, sys.executable, "-c", *sys.argv[1:]], check=True)
print("started", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("manners", ["polite", "deaf"])
def test_a_process_that_an_app_started_ends_after_the_app_was_killed(tmp_path, until, manners):
    said = tmp_path / "child"
    words = [sys.executable, "-c", OWNER, CHILD, str(said), "0.1", manners]
    owner = subprocess.Popen(words, cwd=PROJECT, stdout=subprocess.PIPE)
    owner.stdout.readline()
    until(lambda: said.exists() and said.read_text())
    child = psutil.Process(int(said.read_text()))
    assert not said.with_suffix(".gone").exists()
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    assert said.with_suffix(".gone").exists()


def test_a_process_without_an_owner_watches_nobody(monkeypatch):
    from cxr_core.system.processes import on_owner_exit

    monkeypatch.delenv("CXR_LAB_OWNER", raising=False)
    assert on_owner_exit(pytest.fail) is None
