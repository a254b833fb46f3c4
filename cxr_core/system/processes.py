"""Which processes are alive, and how one ends soon after the one it works for.

A training outlives a page, a browser and a lost connection, but not the app, job or worker that it was started by:
nobody could see or stop it any more. It ends by itself and can be resumed.
"""

import os
import socket
import threading
import time

import psutil

_OWNER = "CXR_LAB_OWNER"
_LOOK_EVERY_SECONDS = 0.5
_GRACE_SECONDS = 15.0
# Where a process of another computer writes to a shared folder, its last sign of life must do.
_SILENCE_SECONDS = 180.0


def process_facts(pid=None):
    """Return what tells a process from all others, dict of pid, pid_started (Unix seconds) and host; ours for None."""
    process = psutil.Process(pid)
    return {"pid": process.pid, "pid_started": process.create_time(), "host": socket.gethostname()}


def find_process(status):
    """Return the psutil.Process that a status names, or None where it has gone or runs on another computer.

    Args:
        status: has `pid`, `pid_started` and `host`, as `process_facts` gives them.
    """
    if status.pid is None or status.host not in ("", socket.gethostname()):
        return None
    return _find(status.pid, status.pid_started)


def process_is_alive(status):
    """Return True if the process named in a status still exists.

    Of a process on another computer only the status's `updated` (Unix seconds) can tell: it counts as gone after
    three minutes of silence.
    """
    if status.pid is not None and status.host not in ("", socket.gethostname()):
        return time.time() - status.updated < _SILENCE_SECONDS
    return find_process(status) is not None


def tie_to_parent():
    """From now on every process started from here, and what these start, ends soon after this process does."""
    facts = process_facts()
    os.environ[_OWNER] = f"{facts['pid']} {facts['pid_started']}"


def on_owner_exit(let_go):
    """End this process soon after its owner, if it has one; see `tie_to_parent`.

    Args:
        let_go: callable() that asks this process's own work to end. What has not ended 15 seconds later is ended.

    Returns:
        threading.Thread, started, or None where nobody owns this process.
    """
    owner = os.environ.get(_OWNER, "").split()
    if len(owner) != 2 or int(owner[0]) == os.getpid():
        return None

    def look():
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


def _find(pid, started):
    try:
        process = psutil.Process(pid)
        same = started is None or abs(process.create_time() - started) < 1.0
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
