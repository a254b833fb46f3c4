"""From nothing to one probability: fresh processes of both sides, their wall seconds and peak resident memory.

The system hands a starting process its parent's peak, so the parent must be small:
`python -m benchmarks.cold_start COMMAND...` imports next to nothing, measures, and prints JSON
(Linux and macOS).
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

_PROJECT_DIR = Path(__file__).resolve().parent.parent
_RUNS = {"ours": 5, "article": 2}


def measure_fresh(file, model):
    """Start each side afresh, by turns, with one image and one model folder (Paths).

    Returns:
        dict of side to a list of dicts of seconds and peak_mb (million bytes), and how many TensorFlow and
        Keras modules ours imports.

    Raises:
        RuntimeError: a process failed; its last lines are named.
    """
    commands = {
        "article": [sys.executable, "-m", "benchmarks.article_baseline", str(file), "--model", str(model)],
        "ours": [sys.executable, "-m", "cxr_core", "predict", str(file), "--model", str(model), "--json", "-"],
    }
    runs = {name: [] for name in commands}
    for turn in range(max(_RUNS.values())):
        for name, command in commands.items():
            if turn < _RUNS[name]:
                runs[name].append(json.loads(_run([sys.executable, "-m", "benchmarks.cold_start", *command]).stdout))
    return runs, _count_tensorflow(commands["ours"])


def _count_tensorflow(command):
    """Run a Python command once more, untimed, and look for TensorFlow in Python's own list of its imports."""
    trace = _run([command[0], "-X", "importtime", *command[1:]]).stderr.splitlines()
    modules = {line.rsplit("|", 1)[-1].strip() for line in trace if line.startswith("import time:")}
    return sum(module.split(".")[0] in ("tensorflow", "keras") for module in modules)


def _run(command):
    done = subprocess.run(command, cwd=_PROJECT_DIR, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"A fresh process must end with 0; received {done.returncode}: {done.stderr[-800:]}")
    return done


def _measure(command):
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 1e6
    print(json.dumps({"seconds": seconds, "peak_mb": peak_mb}))
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(_measure(sys.argv[1:]))
