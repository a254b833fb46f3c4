"""Start the app as Streamlit Community Cloud does, and let visitors use it: `python -m tests.community_cloud`.

The checkout is a copy that the app cannot write to, the installation is shared, and all of its processes together have
2.7 GB of memory (a cgroup, on Linux as root; elsewhere the memory is watched and not limited). One visitor in Chromium
opens every page, from a cold start; then several at once, on the wire, walk all pages, upload, and train. What is
reported: page times, memory, tracebacks. Ends with 1 where a traceback, an exception on a page or a process killed for
its memory was seen, or a training did not end.

With `--fresh` the app runs in a new environment of `requirements.txt` alone, which takes minutes and the network.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
from playwright.async_api import async_playwright
from streamlit.proto.WidgetStates_pb2 import WidgetStates

from benchmarks.reporting import judge_target, print_table, summarize, write_result
from benchmarks.streamlit_client import headings, visit
from cxr_core.config import PROJECT_DIR, TEACHING_DIR
from cxr_core.data.teaching_set import EXAMPLES

LIMIT_BYTES = 2_700_000_000
PAGES = sorted(path.stem for path in (PROJECT_DIR / "pages").glob("*.py"))
_BUTTON = "Train on the teaching set"
_IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'
# Root may write where modes forbid it, unless it gives this up.
_WITHOUT_OVERRIDE = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
_TRAINING_SECONDS = 600
_CGROUPS = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))


def copy_checkout(folder):
    """Copy what git knows, and what is new and not ignored, into a folder that nobody may write to."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT_DIR, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, names):
        if (PROJECT_DIR / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT_DIR / name, folder / name)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)


def build_environment(folder):
    """Make an environment of `requirements.txt` alone; returns its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", str(PROJECT_DIR / "requirements.txt")], check=True)
    return str(python)


class MemoryLimit:
    """A cgroup that limits the memory of the processes in it; without effect where none can be made."""

    def __init__(self):
        self.folder = None
        for root, name in zip(_CGROUPS, ("memory.limit_in_bytes", "memory.max"), strict=True):
            with suppress(OSError):
                folder = root / f"cxr-lab-{os.getpid()}"
                if (root / name).exists() or (root / "cgroup.controllers").exists():
                    folder.mkdir()
                    (folder / name).write_text(str(LIMIT_BYTES))
                    self.folder = folder
                    return

    def take(self):
        """Put the calling process into it; called in the child before the app begins."""
        if self.folder:
            (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def kills(self):
        """Return how many processes were killed for their memory."""
        for name in ("memory.oom_control", "memory.events"):
            with suppress(OSError, TypeError):
                lines = dict(line.split() for line in (self.folder / name).read_text().splitlines())
                return int(lines["oom_kill"])
        return 0

    def close(self):
        """Remove it, once what is still in it has ended."""
        for _ in range(50 if self.folder else 0):
            with suppress(OSError):
                self.folder.rmdir()
                return
            for pid in (self.folder / "cgroup.procs").read_text().split():
                with suppress(OSError):
                    os.kill(int(pid), signal.SIGKILL)
            time.sleep(0.1)


class SharedApp:
    """The running app, and the most memory that its processes had together."""

    def __init__(self, process, port, log):
        self.process, self.address, self.log = psutil.Process(process.pid), f"http://127.0.0.1:{port}", log
        self.most_bytes = 0

    def memory(self):
        """Bytes of the app and of all that it started, the trainings included; what they share counts once."""
        total = 0
        for process in [self.process, *self.process.children(recursive=True)]:
            with suppress(psutil.Error):
                facts = process.memory_full_info()
                # Of the proportional set size only Linux tells.
                total += getattr(facts, "pss", facts.rss)
        self.most_bytes = max(self.most_bytes, total)
        return total

    async def watch(self):
        while True:
            self.memory()
            await asyncio.sleep(0.2)

    def tracebacks(self):
        return self.log.read_text(errors="replace").count("Traceback (most recent call last)")


@asynccontextmanager
async def running(python, checkout, home, limit):
    """Start the app, bound by the modes of files where that is possible; yields a SharedApp that may not answer yet."""
    port, as_root = _free_port(), hasattr(os, "geteuid") and os.geteuid() == 0
    bound = _WITHOUT_OVERRIDE if as_root and shutil.which(_WITHOUT_OVERRIDE[0]) else ()
    home.mkdir()
    log = home.with_suffix(".log")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CXR_LAB", "PYTHON"))}
    environment |= {"CXR_LAB_SHARED": "1", "CXR_LAB_HOME": str(home), "HOME": str(home), "KERAS_HOME": str(home)}
    environment |= {"CXR_LAB_MEMORY_MB": str(LIMIT_BYTES // 1_000_000), "PYTHONDONTWRITEBYTECODE": "1"}
    words = ["-m", "streamlit", "run", "streamlit_app.py", "--server.headless", "true"]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*bound, python, *words, "--server.port", str(port), "--server.address", "127.0.0.1"],
            cwd=checkout, env=environment, stdout=stream, stderr=stream, preexec_fn=limit.take,
        )  # fmt: skip
    app = SharedApp(process, port, log)
    watching = asyncio.create_task(app.watch())
    try:
        yield app
    finally:
        watching.cancel()
        others = app.process.children(recursive=True)
        process.terminate()
        process.wait(20)
        for other in others:
            with suppress(psutil.Error):
                other.kill()


def _free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def open_cold(browser, app, name):
    """Open a page of an app that was started this moment; returns (seconds until it is shown, the page)."""
    start, page = time.perf_counter(), await browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(120_000)
    while True:
        with suppress(Exception):
            await page.goto(f"{app.address}/{name}")
            break
        await asyncio.sleep(0.05)
    await _until_shown(page)
    return time.perf_counter() - start, page


async def open_page(page, address, name):
    """Open a page by its address; returns the seconds until it is shown and rests, and the exceptions on it."""
    start = time.perf_counter()
    await page.goto(f"{address}/{'' if name == 'overview' else name}")
    await _until_shown(page)
    return time.perf_counter() - start, await page.get_by_test_id("stException").count()


async def _until_shown(page):
    await page.get_by_test_id("stHeading").first.wait_for()
    await page.wait_for_selector(_IDLE)


def texts(elements):
    """Return what the elements of a page say."""
    said = []
    for element in elements:
        part = getattr(element, element.WhichOneof("type"))
        said += [getattr(part, name) for name in ("body", "label") if isinstance(getattr(part, name, None), str)]
    return " ".join(said)


async def walk(app, number, measured):
    """Let one visitor on the wire walk all pages, upload a scan and read the answer."""
    async with visit(app.address, "overview") as visitor:
        for name in PAGES[number % len(PAGES) :] + PAGES[: number % len(PAGES)]:
            visitor._page = "" if name == "overview" else name
            start = time.perf_counter()
            elements = await visitor.rerun()
            measured["pages"].append(time.perf_counter() - start)
            measured["exceptions"] += sum(e.WhichOneof("type") == "exception" for e in elements)
        visitor._page = "predict"
        await visitor.rerun()
        scan = TEACHING_DIR / list(EXAMPLES.values())[number % len(EXAMPLES)]
        start = time.perf_counter()
        elements = await visitor.upload("scan.jpg", scan.read_bytes())
        measured["uploads"].append(time.perf_counter() - start)
        measured["unanswered"] += not any(text.startswith(("Prediction", "No answer")) for text in headings(elements))


async def train(app, measured):
    """Let one visitor on the wire train on the teaching set; notes the seconds to the first curve and to the end."""
    async with visit(app.address, "training") as visitor:
        elements = visitor._elements
        if not any(e.WhichOneof("type") == "button" and e.button.label == _BUTTON for e in elements):
            measured["trainings"].append({"problem": "not offered"})
            return
        states = WidgetStates()
        button = next(e.button for e in elements if e.WhichOneof("type") == "button" and e.button.label == _BUTTON)
        states.widgets.add(id=button.id, trigger_value=True)
        start, curves = time.perf_counter(), None
        elements = await visitor.rerun(states)
        while time.perf_counter() - start < _TRAINING_SECONDS:
            passed = time.perf_counter() - start
            if curves is None and any(e.WhichOneof("type") == "plotly_chart" for e in elements):
                curves = passed
            said = texts(elements)
            if "Open its evaluation" in said:
                measured["trainings"].append({"curves": curves, "end": passed})
                return
            if "**Failed**" in said or "**Paused**" in said:
                break
            await asyncio.sleep(1)
            elements = await visitor.rerun()
        measured["trainings"].append({"problem": texts(elements)[:300]})


async def use(options, python, checkout, folder, limit):
    """Carry out the whole visit; returns a dict of what was measured."""
    result = {"load before": os.getloadavg()[0], "limited": limit.folder is not None, "trained alone": None}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        for name in ("dataset", "overview"):
            async with running(python, checkout, folder / f"cold-{name}", limit) as app:
                result[f"cold {name}"], page = await open_cold(browser, app, "" if name == "overview" else name)
                if name == "dataset":
                    await page.close()
                    continue
                await _use_warm(options, app, page, result)
                result["most memory"], result["tracebacks"] = app.most_bytes, app.tracebacks()
        await browser.close()
    return result | {"killed": limit.kills(), "load after": os.getloadavg()[0]}


async def _use_warm(options, app, page, result):
    result["pages"], exceptions = {}, 0
    for turn in ("first", "again"):
        for name in PAGES:
            seconds, found = await open_page(page, app.address, name)
            result["pages"].setdefault(name, {})[turn] = seconds
            exceptions += found
    await page.close()
    result["memory, pages opened"] = app.memory()
    app.most_bytes = 0
    alone = {"trainings": []}
    await train(app, alone)
    result["trained alone"], result["memory, one training"] = alone["trainings"][0], app.most_bytes
    measured = {"pages": [], "uploads": [], "trainings": [], "exceptions": exceptions, "unanswered": 0}
    await asyncio.gather(
        *(walk(app, number, measured) for number in range(options.visitors)),
        *(train(app, measured) for _ in range(options.trainings)),
    )
    result["at once"] = measured


def report(result, options):
    """Print what was measured; returns the targets and whether anything broke."""
    pages = [(name, f"{took['first']:.2f}", f"{took['again']:.2f}") for name, took in result["pages"].items()]
    print_table(("page, s", "first", "again"), pages)
    at_once, alone = result["at once"], result["trained alone"]
    rows = [("pages", summarize(at_once["pages"])), ("uploads", summarize(at_once["uploads"]))]
    print_table((f"{options.visitors} at once, s", "min", "median", "max", "n"), [(n, *s.values()) for n, s in rows])
    megabytes = {name: result[name] / 1e6 for name in ("memory, pages opened", "memory, one training", "most memory")}
    ends = [one["end"] for one in at_once["trainings"] if "end" in one]
    targets = [
        judge_target("cold start to a shown Overview, s", result["cold overview"], below=5),
        judge_target("cold start to a shown Dataset page, s", result["cold dataset"], below=8),
        judge_target("slowest page, opened again, s", max(t["again"] for t in result["pages"].values()), below=3),
        judge_target(f"slowest page of {options.visitors} visitors at once, s", max(at_once["pages"]), below=3),
        judge_target("one training, s until its curves", alone.get("curves") or 999.0, below=10),
        judge_target("one training, s until its end", alone.get("end") or 999.0, below=60),
        judge_target("app and one training, MB", megabytes["memory, one training"], below=1_000),
        judge_target("everything at once, MB", megabytes["most memory"], below=2_700),
    ]
    print_table(("target", "", "measured", "met"), [(t["what"], t["target"], t["value"], t["met"]) for t in targets])
    print("trainings at once, s until each end:", [f"{end:.0f}" for end in sorted(ends)])
    print("memory, MB:", {name: round(value) for name, value in megabytes.items()}, "limited:", result["limited"])
    print(f"load before {result['load before']:.1f}, after {result['load after']:.1f}")
    problems = {
        "tracebacks": result["tracebacks"],
        "exceptions on pages": at_once["exceptions"],
        "uploads without an answer": at_once["unanswered"],
        "killed for memory": result["killed"],
        "trainings that did not end": [one for one in [alone, *at_once["trainings"]] if "problem" in one],
    }
    print(json.dumps(problems, indent=2))
    return targets, problems


def main():
    """Carry it out, print a report, and keep it with the other measurements where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fresh", action="store_true", help="a new environment of requirements.txt alone")
    parser.add_argument("--visitors", type=int, default=10, help="how many walk all pages at once (default: 10)")
    parser.add_argument("--trainings", type=int, default=3, help="how many more train meanwhile (default: 3)")
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/community_cloud.json")
    options = parser.parse_args()
    limit = MemoryLimit()
    with tempfile.TemporaryDirectory(prefix="cxr-lab-cloud-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        python = build_environment(folder / "environment") if options.fresh else sys.executable
        (folder / "checkout").mkdir()
        copy_checkout(folder / "checkout")
        try:
            result = asyncio.run(use(options, python, folder / "checkout", folder, limit))
        finally:
            limit.close()
            subprocess.run(["chmod", "-R", "u+w", str(folder / "checkout")], check=False)
    targets, problems = report(result, options)
    if options.write:
        write_result("community_cloud", result | {"targets": targets, "problems": problems})
    return int(any(problems.values()))


if __name__ == "__main__":
    raise SystemExit(main())
