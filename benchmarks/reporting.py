"""What the benchmarks share: summaries, the machine's facts, a table and a result file."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from statistics import median

from cxr_core.system.files import write_json

RESULTS_DIR = Path(__file__).resolve().parent / "results"
_PACKAGES = ("numpy", "opencv-python-headless", "pillow", "onnxruntime", "keras")
SUMMARY_HEADER = ("min", "median", "max", "n")


def summarize(values):
    """Return a dict of the min, median, max and n of a sequence of numbers, four digits kept."""
    summary = {"min": min(values), "median": median(values), "max": max(values)}
    return {name: four_digits(value) for name, value in summary.items()} | {"n": len(values)}


def four_digits(value):
    """Round a number to four significant digits."""
    return float(f"{value:.4g}")


def judge_target(what, value, *, at_least=None, below=None):
    """Compare one measured number with its target.

    Args:
        what: str, what was measured, with its unit.
        value: float or int.
        at_least, below: float, exactly one of them: the limit.

    Returns:
        dict of what, target, value and met (bool).
    """
    if (at_least is None) == (below is None):
        raise ValueError(f"Give one of at_least and below; received {at_least} and {below}.")
    target, met = (f">= {at_least}", value >= at_least) if below is None else (f"< {below}", value < below)
    return {
        "what": what,
        "target": target,
        "value": value if isinstance(value, int) else four_digits(value),
        "met": bool(met),
    }


def summary_row(name, summary):
    """Return a table's row: a name, then a summary in the order of SUMMARY_HEADER."""
    return (name, *(summary[column] for column in SUMMARY_HEADER))


def print_table(header, rows):
    """Print rows of any values under a header, in columns as wide as they need to be."""
    lines = [tuple(str(value) for value in row) for row in (header, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        name, *values = (
            text.ljust(width) if i == 0 else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join([name, *values]))
    print()


def write_result(name, result):
    """Write `result` (dict) with the commit and the machine's facts to `results/<name>.json`."""
    write_json(RESULTS_DIR / f"{name}.json", {"commit": _commit(), "machine": _machine_facts(), **result})


def _commit():
    """The commit that was measured, with "+" if the code has changed since; None outside a repository."""
    command = ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
    described = subprocess.run(command, cwd=RESULTS_DIR, capture_output=True, text=True, check=False)
    return described.stdout.strip() or None


def _machine_facts():
    """What a figure depends on, and nothing that names the machine or its user."""
    try:
        tensorflow = version("tensorflow-cpu")
    except ModuleNotFoundError:
        tensorflow = version("tensorflow")
    return {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "system": platform.system(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "packages": {package: version(package) for package in _PACKAGES} | {"tensorflow": tensorflow},
    }
