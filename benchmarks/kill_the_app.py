"""What is left of a training when the server of the app is killed at a random moment: processes, states, half files.

A visitor presses "Train on the teaching set" on the page Training of a shared installation; the server is sent SIGKILL
some seconds later. Then it is counted which processes live on and for how long, what the run says, whether each of its
tables can be read, and whether it is resumed to its end. Linux.
"""

import argparse
import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
from streamlit.proto.WidgetStates_pb2 import WidgetStates

from benchmarks.fault_injection import is_readable, wait_for_end
from benchmarks.reporting import judge_target, print_table, write_result
from benchmarks.streamlit_client import visit
from cxr_core.config import PROJECT_DIR
from cxr_core.jobs.training_queue import all_runs
from cxr_core.runs.lifecycle import resume_run
from cxr_core.system.files import is_temporary

_PATIENCE_SECONDS = 300
_BUTTON, _EPOCHS, _FEWEST = "Train on the teaching set", "Epochs", 5


def start_app(home):
    """Start the app as a shared installation whose files are in a folder; returns (process, address)."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["-m", "streamlit", "run", "streamlit_app.py", "--server.port", str(port), "--server.headless", "true"]
    process = subprocess.Popen(
        [sys.executable, *words], cwd=PROJECT_DIR, env=os.environ | {"CXR_LAB_HOME": str(home), "CXR_LAB_SHARED": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address, end = f"http://127.0.0.1:{port}", time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end:
        with suppress(OSError):
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=5).close()
            return process, address
        time.sleep(0.2)
    raise TimeoutError(f"The app has not started within {_PATIENCE_SECONDS} s.")


async def press_train(address):
    """Open the page Training, choose the fewest epochs and press the button; the visit then ends."""
    async with visit(address, "training") as visitor:
        elements = await visitor.rerun()
        button = next(e.button for e in elements if e.WhichOneof("type") == "button" and e.button.label == _BUTTON)
        slider = next(e.slider for e in elements if e.WhichOneof("type") == "slider" and e.slider.label == _EPOCHS)
        states = WidgetStates()
        states.widgets.add(id=slider.id).double_array_value.data.append(_FEWEST)
        states.widgets.add(id=button.id, trigger_value=True)
        await visitor.rerun(states)


def own_processes(home):
    """Return the processes, list of psutil.Process, that work in the home of one app."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("CXR_LAB_HOME") == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def half_files(home):
    """Return the names of files and folders that a writer had not finished, list of str."""
    return [path.name for path in home.rglob(".*") if is_temporary(path.name)]


def kill_once(home, seconds):
    """Start the app and a training, kill the server after some seconds, and resume the run; returns a dict."""
    process, address = start_app(home)
    known = {run.name for run in all_runs(home / "runs")}
    asyncio.run(press_train(address))
    run = next(run for run in all_runs(home / "runs") if run.name not in known)
    time.sleep(seconds)
    before = run.status()
    others = len(own_processes(home)) - 1
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = time.monotonic()
    while (alive := own_processes(home)) and time.monotonic() - killed < 30:
        time.sleep(0.1)
    gone = round(time.monotonic() - killed, 1)
    for orphan in alive:
        orphan.kill()
    status = run.status()
    found = {
        "killed after s": round(seconds, 1), "state before": before.state, "processes beside the server": others,
        "orphans": len(alive), "last process gone after s": gone, "state after": status.state,
        "message": status.message, "readable": is_readable(run), "half files": half_files(home),
    }  # fmt: skip
    if status.state != "finished":
        os.environ["CXR_LAB_HOME"] = str(home)
        resume_run(run)
        status = wait_for_end(run)
    return found | {
        "resumed": status.state == "finished" and is_readable(run),
        "half files of the run afterwards": half_files(run.path),
    }


def whole_seconds(home):
    """Return how long an undisturbed training takes from the press of the button on."""
    process, address = start_app(home)
    asyncio.run(press_train(address))
    begin = time.monotonic()
    run = all_runs(home / "runs")[0]
    while run.status().state in ("queued", "starting", "running"):
        time.sleep(0.1)
        if time.monotonic() - begin > _PATIENCE_SECONDS:
            raise TimeoutError(f"The training has not ended within {_PATIENCE_SECONDS} s: {run.log_tail()}")
    seconds = time.monotonic() - begin
    process.kill()
    process.wait()
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=10, help="how many (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    parser.add_argument("--within", type=float, help="of so many seconds (default: those of a training that is let be)")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp())
    try:
        within = options.within or whole_seconds(home)
        rows = []
        for seconds in np.random.default_rng(options.seed).uniform(0, within, options.kills):
            rows.append(kill_once(home, float(seconds)))
            print(rows[-1], flush=True)
    finally:
        for process in own_processes(home):
            process.kill()
        shutil.rmtree(home, ignore_errors=True)
    counts = [
        ("orphans after 30 s", sum(row["orphans"] for row in rows)),
        ("said to be active afterwards", sum(row["state after"] in ("starting", "running") for row in rows)),
        ("not readable", sum(not row["readable"] for row in rows)),
        ("not resumed to the end", sum(not row["resumed"] for row in rows)),
        ("half-written files in the run afterwards", sum(len(row["half files of the run afterwards"]) for row in rows)),
    ]
    print_table(("kills", len(rows)), counts)
    targets = [judge_target(what, count, below=1) for what, count in counts]
    write_result("kill_the_app", {"within s": round(within, 1), "rows": rows, "targets": targets})


if __name__ == "__main__":
    main()
