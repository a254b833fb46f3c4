"""The running app in a real Chromium, and what its tests do on every page."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
from playwright.sync_api import expect, sync_playwright

from cxr_core.config import PROJECT_DIR
from cxr_core.data.phantoms import draw_demo_data, draw_phantom

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SECONDS = 1000
# A page rests when nothing of it has changed for half a second: a click reaches the server a moment later, and tables,
# plots and images appear after the page's script has ended. Before its first answer a page says that no script runs.
RESTED = """asked => {
    if (!window.changes) {
      window.changes = {}
      const kinds = {attributes: true, characterData: true, childList: true, subtree: true}
      new MutationObserver(() => { window.changes.last = performance.now() }).observe(document, kinds)
    }
    const app = document.querySelector('[data-testid=stApp]')
    const answered = app?.dataset.testScriptState === 'notRunning' && app.dataset.testConnectionState === 'CONNECTED'
      && document.querySelector('[data-testid=stMain] [data-testid=stElementContainer]')
      && !document.querySelector('[data-testid=stSkeleton], [data-testid=stAppSkeleton]')
      && [...document.images].every(image => image.complete)
    if (!answered || window.changes.asked !== asked) window.changes.last = performance.now()
    window.changes.asked = asked
    return performance.now() - window.changes.last > 500
  }"""
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt-get install chromium)")


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The running app: (address, home folder)."""
    home = tmp_path_factory.mktemp("home")
    with running_app(home, free_port()) as address:
        yield address, home


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running_app(home, port, *options, **environment):
    """Run the app with further options and variables; what it prints stands in `home/streamlit.log`."""
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.headless", "true"]
    command += ["--server.port", str(port), "--server.address", "127.0.0.1", *options]
    environment = os.environ | {"CXR_LAB_HOME": str(home)} | environment
    with (home / "streamlit.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=PROJECT_DIR, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    wait_until(lambda: answers(f"{address}/_stcore/health"), "the app answers")
    yield address
    process.terminate()
    process.wait(10)


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def copied_data(tmp_path_factory):
    """Drawings in three classes, one of them once more, smaller and saved as JPEG, and one that is too dark."""
    folder = draw_demo_data(tmp_path_factory.mktemp("copied") / "drawings", images_per_class=15)
    original = sorted((folder / "normal").iterdir())[0]
    image = cv2.imread(str(original))
    cv2.imwrite(str(folder / "normal" / "again.jpg"), cv2.resize(image, None, fx=0.8, fy=0.8))
    cv2.imwrite(str(folder / "normal" / "dark.png"), draw_phantom("normal", np.random.default_rng(77)) // 8)
    return folder


@pytest.fixture(scope="module")
def context(browser):
    """What the pages of a module share: what the browser has loaded once, it does not load and compile again."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(60 * SECONDS)
    expect.set_options(timeout=60 * SECONDS)
    yield context
    context.close()


@pytest.fixture
def page(context):
    page = context.new_page()
    yield page
    page.close()
    # Who was signed in is so no more.
    context.clear_cookies()


def answers(url):
    try:
        return urllib.request.urlopen(url, timeout=2).status == 200
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def wait_until(condition, what, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"Waited {seconds} seconds in vain until {what}.")
        time.sleep(0.2)


def rest(page):
    """Wait until the page has answered what was done last.

    Before, a control may for a moment be there twice, or be drawn anew under the mouse.
    """
    page.wait_for_function(RESTED, arg=time.monotonic(), polling=100)


def open_page(page, address):
    page.goto(address)
    rest(page)


def choose(page, label, option, *, rests=True):
    """Choose an option; a page that is drawn anew all the time, as that of a training, never rests."""
    box = page.get_by_role("combobox", name=label)
    expect(box).to_have_count(1)
    box.click()
    page.get_by_role("option", name=option, exact=True).click()
    if rests:
        rest(page)


def open_folder(page, folder):
    """Type a folder into the data set picker, whose box moves to the sidebar: for a moment both are there."""
    rest(page)
    box = page.get_by_role("textbox", name="Folders")
    expect(box).to_have_count(1)
    box.fill(str(folder))
    box.press("Control+Enter")


def go_through(page, title):
    """Open a page by its link, whatever its own title."""
    page.get_by_test_id("stSidebarNavLink").get_by_text(title, exact=True).click()
    rest(page)


def open_from_sidebar(page, name):
    go_through(page, name)
    expect(page.get_by_role("heading", name=name, exact=True, level=1)).to_be_visible()
