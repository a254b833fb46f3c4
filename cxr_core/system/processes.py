"""Is a process alive, and how does it end together with its owner?

A training outlives a page, a browser and a lost connection, but not the app, job or worker that started it: nobody
could see or stop it any more. It then ends by itself and can be resumed.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol, TypedDict

import psutil

_OWNER = "CXR_LAB_OWNER"
_LOOK_EVERY_SECONDS = 0.5
_GRACE_SECONDS = 15.0
# Of a process on another computer that writes to a shared folder, only the age of its last status is known.
_SILENCE_SECONDS = 180.0
# Of 20 steps; each gets a fifth less of a core that others want.
_STEPS_BACK = 10


class ProcessFacts(TypedDict):
    """What identifies a process: its id, when it was created (Unix seconds) and on which computer it runs."""

    pid: int
    pid_started: float
    host: str


class ProcessStatus(Protocol):
    """A stored status that names a process by its `ProcessFacts`; pid is None before a process has begun.

    `host` is "" in files that were written before it was recorded: the process is then looked for on this computer.
    `updated` is the Unix time of the last sign of life.
    """

    @property
    def pid(self) -> int | None: ...
    @property
    def pid_started(self) -> float | None: ...
    @property
    def host(self) -> str: ...
    @property
    def updated(self) -> float: ...


def process_facts(pid: int | None = None) -> ProcessFacts:
    """Return what identifies a process; this one for None."""
    process = psutil.Process(pid)
    return {"pid": process.pid, "pid_started": process.create_time(), "host": socket.gethostname()}


def find_process(status: ProcessStatus) -> psutil.Process | None:
    """Return the process that a status names, or None if it has ended or runs on another computer."""
    if status.pid is None or status.host not in ("", socket.gethostname()):
        return None
    return _find(status.pid, status.pid_started)


def process_is_alive(status: ProcessStatus) -> bool:
    """Return True if the process that a status names still exists.

    A process on another computer counts as ended once its status has not been updated for three minutes.
    """
    if status.pid is not None and status.host not in ("", socket.gethostname()):
        return time.time() - status.updated < _SILENCE_SECONDS
    return find_process(status) is not None


def make_way() -> None:
    """Let other programs go first on the cores, from now on; what this process starts does so, too. Not on Windows."""
    if sys.platform != "win32":
        os.nice(_STEPS_BACK)


def tie_to_parent() -> None:
    """Make this process the owner of every process started from now on, directly or not: they end soon after it."""
    facts = process_facts()
    os.environ[_OWNER] = f"{facts['pid']} {facts['pid_started']}"


def on_owner_exit(let_go: Callable[[], object]) -> threading.Thread | None:
    """Watch this process's owner in a thread, and end this process soon after it; see `tie_to_parent`.

    Args:
        let_go: asks this process's own work to end. The process is ended 15 seconds later at the latest.

    Returns:
        The started thread, or None if nobody owns this process.
    """
    owner = os.environ.get(_OWNER, "").split()
    if len(owner) != 2 or int(owner[0]) == os.getpid():
        return None

    def look() -> None:
        while _find(int(owner[0]), float(owner[1])) is not None:
            time.sleep(_LOOK_EVERY_SECONDS)
        try:
            let_go()
        finally:
            time.sleep(_GRACE_SECONDS)
            os._exit(1)

    watcher = threading.Thread(target=look, daemon=True, name="owner")
    watcher.start()
    return watcher


def _find(pid: int, started: float | None) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        same = started is None or abs(process.create_time() - started) < 1.0
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
