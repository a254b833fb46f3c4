"""What a process has open is not removed, and the lock ends with its process."""

import subprocess
import sys

import pytest

from cxr_core.system.holds import hold, remove_unless_held

HOLDER = """
import sys
from cxr_core.system.holds import hold
held = hold(sys.argv[1])
print("held", flush=True)
input()
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x")
    return path


def test_what_nobody_holds_is_removed(file):
    assert remove_unless_held(file, file.unlink)
    assert not file.exists()


def test_what_is_held_stays_until_the_last_holder_lets_go(file):
    first, second = hold(file), hold(file)
    first.close()
    assert not remove_unless_held(file, file.unlink)
    second.close()
    assert remove_unless_held(file, file.unlink)


def test_what_another_process_holds_stays_until_that_is_killed(file):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, file], stdin=-1, stdout=-1)
    assert process.stdout.readline() == b"held\n"
    assert not remove_unless_held(file, file.unlink)
    process.kill()
    process.communicate()
    assert remove_unless_held(file, file.unlink)


def test_what_is_not_there_can_be_neither_held_nor_removed(tmp_path):
    with pytest.raises(FileNotFoundError):
        hold(tmp_path / "gone")
    assert not remove_unless_held(tmp_path / "gone", pytest.fail)
