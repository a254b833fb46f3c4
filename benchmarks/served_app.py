"""The whole app in a browser: its memory when every page was opened, over many uploads, and ten sessions at once.

Memory is the resident memory of the app's process and of those it started, in million bytes; Chromium's is not in it.
"""

import asyncio
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
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psutil
from playwright.async_api import async_playwright

from benchmarks.reporting import judge_target, summarize
from benchmarks.streamlit_client import headings, visit
from cxr_core.classes import class_label
from cxr_core.config import PROJECT_DIR, SHIPPED_MODEL_DIR
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.selective_prediction import answer_upload
from cxr_core.system.memory import peak_memory

PAGES = sorted(path.stem for path in (PROJECT_DIR / "pages").glob("*.py"))
UPLOADS_OPEN, SESSIONS, VISITORS, ROUNDS = 50, 10, 20, 3
SOAK_UPLOADS, SOAK_FIRST = 500, 100
_IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'
_ANSWERED = re.compile("^(Prediction: |No answer)")
_MILLISECONDS = 1_000
_PATIENCE = 300 * _MILLISECONDS


def measure_memory(uploads, _model):
    """Open every page, then upload 50 images; return a dict of MB after each step, and the targets."""

    async def run(app):
        steps = {"started": app.memory_mb()}
        page = await app.open_page()
        for name in PAGES:
            await app.visit(page, name)
            steps[name] = app.memory_mb()
        for number in range(UPLOADS_OPEN):
            await app.upload(page, uploads[number % len(uploads)])
        steps[f"{UPLOADS_OPEN} uploads"] = app.memory_mb()
        return steps, round(peak_memory(app.process.pid) / 1e6, 1)

    steps, peak = _with_app(run)
    return {
        "megabytes": steps | {"the most at any moment": peak},
        "targets": [judge_target("app, pages opened and 50 uploads, MB", max(steps.values()), below=500)],
    }


def measure_soak(uploads, _model):
    """Upload 500 images, each in a new session; return MB every 50 uploads, and the targets."""

    async def run(app):
        steps, page = {}, await app.open_page()
        for number in range(1, SOAK_UPLOADS + 1):
            await app.upload(page, uploads[number % len(uploads)])
            if number % 50 == 0:
                steps[number] = app.memory_mb()
        return steps

    steps = _with_app(run)
    growth = 100 * (steps[SOAK_UPLOADS] / steps[SOAK_FIRST] - 1)
    what = f"soak, growth from {SOAK_FIRST} to {SOAK_UPLOADS} uploads, %"
    return {"megabytes": steps, "targets": [judge_target(what, growth, below=5)]}


def measure_sessions(uploads, _model):
    """Let ten sessions upload at once, three times: visitors on the wire, then ten pages of Chromium.

    The ten pages share the app's processors, and take most of them for drawing; visitors of a shared app bring their
    own. Returns a dict of seconds from upload to the whole answer (wire) and to its heading (Chromium), and targets.
    """
    classifier = load_classifier(SHIPPED_MODEL_DIR)
    chosen = [uploads[number % len(uploads)] for number in range(SESSIONS)]
    expected = [_heading(answer_upload(classifier, path.read_bytes())) for path in chosen]

    async def run(app):
        async with AsyncExitStack() as stack:
            visitors = [await stack.enter_async_context(visit(app.address, "predict")) for _ in range(SESSIONS)]
            await _answer_on_wire(visitors[0], chosen[0])  # the classifier is open now
            wire = await _at_once(_answer_on_wire, visitors, chosen)
        pages = [await app.open_page() for _ in range(SESSIONS)]
        return {"wire": wire, "Chromium": await _at_once(app.upload, pages, chosen)}

    result, targets = {}, []
    for way, rounds in _with_app(run).items():
        result[way] = summarize([seconds for answers in rounds for seconds, _ in answers])
        other = sum(text != wanted for a in rounds for (_, text), wanted in zip(a, expected, strict=True))
        what = f"{SESSIONS} sessions at once, {way}"
        targets.append(judge_target(f"{what}, slowest answer, s", result[way]["max"], below=1))
        targets.append(judge_target(f"{what}, answers unlike the serial ones", other, below=1))
    return {"seconds": result, "targets": targets}


def measure_visitors(uploads, _model):
    """Let twenty visitors on the wire upload at once, three times; count the answers unlike the serial ones.

    Returns a dict of the images (int), the answers (int), seconds from upload to the whole answer, and the targets.
    """
    classifier = load_classifier(SHIPPED_MODEL_DIR)
    chosen = [uploads[number % len(uploads)] for number in range(VISITORS)]
    expected = [_heading(answer_upload(classifier, path.read_bytes())) for path in chosen]

    async def run(address):
        async with AsyncExitStack() as stack:
            visitors = [await stack.enter_async_context(visit(address, "predict")) for _ in range(VISITORS)]
            return await _at_once(_answer_on_wire, visitors, chosen)

    async def inside():
        with tempfile.TemporaryDirectory() as home:
            async with _started_server(home) as (_, address):
                return await run(address)

    rounds = asyncio.run(inside())
    found = [(seconds, text, wanted) for a in rounds for (seconds, text), wanted in zip(a, expected, strict=True)]
    return {
        "images": len(set(chosen)),
        "answers": len(found),
        "seconds": summarize([seconds for seconds, _, _ in found]),
        "targets": [
            judge_target(
                f"{VISITORS} visitors, answers unlike the serial ones", sum(t != w for _, t, w in found), below=1
            )
        ],
    }


async def _at_once(upload, sessions, paths):
    """Upload one file in every session at once, three times; returns a list of lists of what `upload` returns."""
    return [await asyncio.gather(*map(upload, sessions, paths)) for _ in range(ROUNDS)]


async def _answer_on_wire(visitor, path):
    """Upload an image; return (seconds until all of its answer has come, its heading)."""
    start = time.perf_counter()
    elements = await visitor.upload(path.name, path.read_bytes())
    seconds = time.perf_counter() - start
    # On the wire a heading is Markdown, in which every sign of a name is escaped.
    heading = next(text for text in headings(elements) if _ANSWERED.match(text))
    return seconds, re.sub(r"\\(.)", r"\1", heading)


def _heading(answer):
    """Return the heading that the page shows over an answer."""
    if answer.status != "ok":
        return "No answer"
    sure = answer.prediction.probabilities.max()
    return f"Prediction: {class_label(answer.label)} ({answer.in_words}, {sure:.1%})"


def _with_app(run):
    """Run `run(_App)`, a coroutine function, against an app of its own; return what it returns."""

    async def inside():
        with tempfile.TemporaryDirectory() as home:
            async with _started_app(home) as app:
                return await run(app)

    return asyncio.run(inside())


class _App:
    """A running app and the browser that looks at it."""

    def __init__(self, process, address, browser):
        self.process, self.address, self.browser = psutil.Process(process.pid), address, browser

    def memory_mb(self):
        processes = [self.process, *self.process.children(recursive=True)]
        return round(sum(p.memory_info().rss for p in processes) / 1e6, 1)

    async def open_page(self):
        page = await self.browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(_PATIENCE)
        return page

    async def visit(self, page, name):
        await page.goto(f"{self.address}/{'' if name == 'overview' else name}")
        await page.get_by_test_id("stHeading").first.wait_for()
        await page.wait_for_selector(_IDLE)

    async def upload(self, page, path):
        """Upload an image in a new session; return (seconds until its answer is seen, its heading)."""
        await self.visit(page, "predict")
        await page.get_by_test_id("stFileUploaderDropzone").first.wait_for()
        start = time.perf_counter()
        await page.set_input_files('input[type="file"]', path)
        heading = page.get_by_role("heading", name=_ANSWERED)
        await heading.wait_for()
        seconds, text = time.perf_counter() - start, await heading.inner_text()
        await page.wait_for_selector(_IDLE)
        return seconds, text.strip()


@asynccontextmanager
async def _started_app(home):
    async with _started_server(home) as (process, address), async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        yield _App(process, address, browser)
        await browser.close()


@asynccontextmanager
async def _started_server(home):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.headless", "true"]
    command += ["--server.port", str(port), "--server.address", "127.0.0.1"]
    with (Path(home) / "streamlit.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=PROJECT_DIR, env=os.environ | {"CXR_LAB_HOME": home}, stdout=log, stderr=log
        )
    try:
        address = f"http://127.0.0.1:{port}"
        await _until_healthy(f"{address}/_stcore/health")
        yield process, address
    finally:
        process.terminate()
        process.wait(10)


async def _until_healthy(url):
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            await asyncio.sleep(0.1)
    raise RuntimeError(f"The app must answer at {url} within a minute; it did not.")
