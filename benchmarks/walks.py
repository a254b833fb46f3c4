"""Clicks and scrolls of three tasks in a real browser: judge the classifier, train and compare, read five scans.

Each press of the mouse, each field that is filled in and each upload is a click. A scroll is one turn of the wheel by
most of a screen, made only where what is to be read or pressed lies outside the window of 1280 x 800 pixels. Every
walk begins on the Overview and takes the shortest way there is. An earlier commit, whose pages have controls of their
own, walks to the same ends:

    git worktree add --detach /tmp/earlier b4a2ae9
    python -m benchmarks.walks --earlier /tmp/earlier
    python -m benchmarks.walks
"""

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import sync_playwright

from benchmarks.reporting import RESULTS_DIR, print_table, write_result
from cxr_core.config import PROJECT_DIR, TEACHING_DIR
from cxr_core.data.phantoms import draw_demo_data, draw_phantom
from cxr_core.system.files import read_json

WIDTH, HEIGHT = 1280, 800
# A turn of the wheel leaves some lines in sight; of a tall block so much must be seen.
TURN, SEEN = 700, 400
_IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'
_MILLISECONDS = 1_000
_PATIENCE = 180 * _MILLISECONDS
SIDES = "before", "now"
# Both classifiers have an answer to these.
SCANS = tuple(f"hannover/{name}.jpg" for name in ("0578e08b", "073a8f93", "0cd9fcb6", "1663b242", "1930e42f"))


class Visitor:
    """Presses and reads as a person does, and counts."""

    def __init__(self, page, home):
        self.page, self.home = page, home
        self.clicks = self.scrolls = 0

    def rest(self):
        self.page.wait_for_timeout(400)
        self.page.wait_for_selector(_IDLE)

    def see(self, what):
        """Scroll until something is in the window."""
        what.wait_for(state="visible")
        self.rest()
        in_sidebar = what.evaluate("e => !!e.closest('[data-testid=stSidebar]')")
        for _ in range(40):
            box = what.bounding_box()
            if box["y"] >= 0 and box["y"] + min(box["height"], SEEN) <= HEIGHT:
                return
            # Beside the figures, which would take the wheel for themselves.
            self.page.mouse.move(150 if in_sidebar else 345, 400)
            self.page.mouse.wheel(0, TURN if box["y"] > 0 else -TURN)
            self.page.wait_for_timeout(400)
            self.scrolls += 1
        raise RuntimeError(f"Not to be scrolled to: {what}")

    def press(self, what, at=None):
        self.see(what)
        self.clicks += 1
        what.click(position=at)
        self.rest()

    def fill(self, field, text):
        self.see(field)
        self.clicks += 1
        field.fill(text)
        field.press("Control+Enter")
        self.rest()

    def choose(self, label, option):
        self.press(self.page.get_by_role("combobox", name=label))
        self.press(self.page.get_by_role("option", name=option, exact=True))

    def upload(self, paths):
        self.see(self.page.get_by_test_id("stFileUploader"))
        self.clicks += 1
        self.page.set_input_files('input[type="file"]', paths)
        self.rest()

    def open(self, name):
        self.press(self.page.get_by_test_id("stSidebarNavLink").get_by_text(name, exact=True))

    def button(self, name):
        self.press(self.page.get_by_role("button", name=name))

    def download(self, name):
        button = self.page.get_by_role("button", name=name).first
        self.see(button)
        self.clicks += 1
        with self.page.expect_download() as download:
            button.click()
        assert download.value.path().stat().st_size > 10_000

    def heading(self, name):
        return self.page.get_by_role("heading", name=name)

    def wait_for_runs(self, number):
        """Wait until so many trainings have ended."""
        end = time.monotonic() + 600
        while time.monotonic() < end:
            states = [read_json(path)["state"] for path in self.home.glob("runs/*/status.json")]
            if states.count("finished") == number:
                self.page.wait_for_timeout(3_000)
                return self.rest()
            if "failed" in states:
                break
            time.sleep(1)
        raise RuntimeError(f"{number} trainings must finish; their states are {states}.")


def judge_earlier(visitor, _inputs):
    """Its accuracy, its false alarms elsewhere, the verdict with its reasons, its maps and its calibration."""
    page = visitor.page
    visitor.see(page.get_by_text("Accuracy").first)
    visitor.see(page.get_by_text("False alarms").first)
    visitor.open("Shortcuts")
    visitor.see(page.get_by_test_id("stAlert").first)
    visitor.see(page.get_by_text("With shuffled weights the maps correlate"))
    visitor.open("Evaluation")
    visitor.press(page.get_by_role("radio", name="Confidence"))
    visitor.see(page.get_by_text("Expected calibration error").first)


def judge_present(visitor, _inputs):
    page = visitor.page
    visitor.see(page.get_by_text("Accuracy").first)
    visitor.see(page.get_by_text("False alarms").first)
    visitor.see(page.get_by_text(re.compile("^Confidence and accuracy differ by")))
    visitor.see(page.get_by_text("Its maps change when its weights are shuffled"))
    visitor.press(page.get_by_role("link", name="Why"))
    visitor.see(page.get_by_test_id("stAlert").first)


def study_earlier(visitor, inputs):
    page = visitor.page
    visitor.open("Dataset")
    visitor.choose("Data set", "A folder or CSV on this computer")
    visitor.fill(page.get_by_role("textbox", name="Folders"), str(inputs["folder"]))
    visitor.heading("What gives the class away").wait_for(state="visible")
    visitor.open("Duplicates")
    visitor.button("Reduce all to their best picture")
    visitor.button("Reduce all groups")
    visitor.open("Quality")
    visitor.button(re.compile("^Leave out all"))
    visitor.open("Training")
    visitor.button("Start training")
    visitor.wait_for_runs(1)
    visitor.fill(page.get_by_role("spinbutton", name="Seed"), "1")
    visitor.button("Start training")
    visitor.wait_for_runs(2)
    table = page.get_by_test_id("stDataFrame").last
    for row in (0, 1):
        visitor.press(table, at={"x": 48, "y": 35 + 35 * row + 17})
    visitor.see(visitor.heading("Curves"))
    visitor.see(visitor.heading("Settings that differ"))
    visitor.open("Evaluation")
    visitor.press(page.get_by_role("combobox", name="Classifier"))
    visitor.press(page.get_by_role("option").nth(1))
    visitor.download("Report (HTML)")


def study_present(visitor, inputs):
    page = visitor.page
    visitor.button("Open your own images")
    visitor.fill(page.get_by_role("textbox", name="Folders"), str(inputs["folder"]))
    visitor.heading("What gives the class away").wait_for(state="visible")
    visitor.open("Duplicates")
    visitor.button("Keep one image per group")
    visitor.open("Quality")
    visitor.button(re.compile("^Exclude (all|this image)"))
    visitor.open("Training")
    visitor.button("Start training")
    visitor.wait_for_runs(1)
    visitor.button(re.compile("^Train again with seed"))
    visitor.wait_for_runs(2)
    visitor.press(page.get_by_role("radio", name="Compare"))
    visitor.see(visitor.heading("Curves"))
    visitor.see(visitor.heading("Settings that differ"))
    visitor.download(re.compile("^Report of"))


def read_earlier(visitor, inputs):
    page = visitor.page
    visitor.open("Predict")
    visitor.upload(inputs["scans"])
    table = page.get_by_test_id("stDataFrame")
    for row in range(len(inputs["scans"])):
        visitor.press(table, at={"x": 18, "y": 40 + 64 * row + 32})
        page.get_by_test_id("stText").get_by_text(inputs["scans"][row].name).wait_for(state="visible")
        visitor.see(visitor.heading("The classifier answers"))
        visitor.see(page.get_by_test_id("stImage").first)


def read_present(visitor, inputs):
    visitor.open("Predict")
    visitor.upload(inputs["scans"])
    for scan in inputs["scans"]:
        visitor.see(visitor.page.get_by_alt_text(re.compile(f"^{scan.name}: Grad-CAM")))


TASKS = {
    "judge the built-in classifier": (judge_earlier, judge_present),
    "open, clean, train, compare, report": (study_earlier, study_present),
    "read five scans with maps": (read_earlier, read_present),
}


def measure(checkout, earlier):
    """Walk all tasks in one checkout; returns {task: (clicks, scrolls)}."""
    counts = {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        inputs = {"folder": drawn_data(Path(folder)), "scans": [TEACHING_DIR / name for name in SCANS]}
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        for task, walks in TASKS.items():
            home = Path(tempfile.mkdtemp(dir=folder))
            with running_app(checkout, home) as address:
                page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
                page.set_default_timeout(_PATIENCE)
                page.goto(address)
                visitor = Visitor(page, home)
                visitor.rest()
                walks[0 if earlier else 1](visitor, inputs)
                page.close()
            counts[task] = visitor.clicks, visitor.scrolls
        browser.close()
    return counts


def drawn_data(folder):
    """Return a folder of drawings in three classes with one copy and one that is too dark."""
    data = draw_demo_data(folder / "drawings", images_per_class=40)
    first = sorted((data / "normal").iterdir())[0]
    cv2.imwrite(str(data / "normal" / "again.jpg"), cv2.resize(cv2.imread(str(first)), None, fx=0.8, fy=0.8))
    cv2.imwrite(str(data / "normal" / "dark.png"), draw_phantom("normal", np.random.default_rng(77)) // 8)
    return data


@contextmanager
def running_app(checkout, home):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.headless", "true"]
    command += ["--server.port", str(port), "--server.address", "127.0.0.1"]
    environment = os.environ | {"CXR_LAB_HOME": str(home)}
    with (home / "streamlit.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=checkout, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/_stcore/health")
        yield address
    finally:
        process.terminate()
        process.wait(30)


def wait_for(url):
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise RuntimeError(f"The app must answer at {url} within a minute; it did not.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--earlier", type=Path, help="a checkout of commit b4a2ae9, to be walked instead")
    arguments = parser.parse_args()
    walked = measure(arguments.earlier or PROJECT_DIR, earlier=arguments.earlier is not None)
    file = RESULTS_DIR / "walks.json"
    counts = read_json(file)["counts"] if file.exists() else {}
    counts |= {SIDES[0] if arguments.earlier else SIDES[1]: walked}
    write_result("walks", {"counts": counts})
    rows = []
    for task in TASKS:
        before, now = ([*counts[one][task], sum(counts[one][task])] if one in counts else [""] * 3 for one in SIDES)
        rows.append((task, *before, *now, f"{now[2] / before[2]:.0%}" if before[2] and now[2] else ""))
    columns = ("clicks", "scrolls", "together")
    print_table(("task", *(f"{column} {one}" for one in SIDES for column in columns), "share"), rows)


if __name__ == "__main__":
    main()
