"""What does an audit from nothing cost, step by step? Seconds by the clock, processor seconds and peak memory."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.reporting import four_digits, judge_target, print_table, write_result

_PROJECT_DIR = Path(__file__).resolve().parent.parent
_AIM_SECONDS = 60
# The steps that other computers can take over, see `audit --ray`.
_SHARED = (
    "Preparing the images",
    "Looking for duplicates",
    "Measuring the images",
    "Preparing the images for the network",
    "Computing features",
)
# What begins, unannounced, when the images of a step are done.
_AFTERWARDS = {
    "Looking for duplicates": "Comparing pairs",
    "Computing features": "Flags, leaks, what gives the class away",
}


class _Steps:
    """Takes note of when each step begins; a `Phase` for the audit."""

    def __init__(self):
        self.spent = {}
        self._name, self._last = "Listing the images", self._now()

    def __call__(self, name):
        self._turn(name)
        return self._report

    def _report(self, done, total):
        if done == total and self._name in _AFTERWARDS:
            self._turn(_AFTERWARDS[self._name])

    def _turn(self, name):
        now = self._now()
        taken = [b - a for a, b in zip(self._last, now, strict=True)]
        before = self.spent.get(self._name, (0, 0))
        self.spent[self._name] = tuple(a + b for a, b in zip(before, taken, strict=True))
        self._name, self._last = name, now

    def end(self):
        """Return {step: {seconds, cpu_seconds}}."""
        self._turn("")
        return {
            name: {"seconds": four_digits(seconds), "cpu_seconds": four_digits(cpu)}
            for name, (seconds, cpu) in self.spent.items()
        }

    @staticmethod
    def _now():
        return time.perf_counter(), time.process_time()


def audit(folders):
    """Audit folders in this process; returns dict of images, steps and peak_mb."""
    from cxr_core.audit.data_audit import audit_report
    from cxr_core.data.dataset import scan_dataset
    from cxr_core.splits.curation import Curation
    from cxr_core.system.memory import peak_memory

    steps = _Steps()
    dataset = scan_dataset(*folders)
    audit_report(dataset, Curation(), phase=steps)
    return {"images": len(dataset.table), "steps": steps.end(), "peak_mb": four_digits(peak_memory() / 1e6)}


def main():
    """Audit in a fresh process with empty caches, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit", description=__doc__)
    parser.add_argument("folders", metavar="DIR", nargs="+", type=Path, help="data sets")
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.result:
        options.result.write_text(json.dumps(audit(options.folders)))
        return
    with tempfile.TemporaryDirectory(prefix="cxr-lab-audit-") as home:
        result = Path(home) / "result.json"
        words = ["-m", "benchmarks.audit", *map(str, options.folders), "--result", str(result)]
        done = subprocess.run(
            [sys.executable, *words], cwd=_PROJECT_DIR, env=os.environ | {"CXR_LAB_HOME": home}, check=False
        )
        if done.returncode:
            raise SystemExit("Error: the audit did not end; what it said stands above.")
        found = json.loads(result.read_text())
    print_table(("step", "seconds", "CPU seconds"), [(name, *spent.values()) for name, spent in found["steps"].items()])
    seconds, cpu = (sum(spent[name] for spent in found["steps"].values()) for name in ("seconds", "cpu_seconds"))
    shared = sum(found["steps"][name]["cpu_seconds"] for name in _SHARED)
    found |= {"seconds": four_digits(seconds), "cpu_seconds": four_digits(cpu), "shared": four_digits(shared / cpu)}
    print(f"{found['images']:,} images: {seconds:.0f} s, {cpu:.0f} s of processor time, {found['peak_mb']:.0f} MB.")
    print(f"Other computers can take over {found['shared']:.0%} of the processor time.")
    target = judge_target("seconds of the audit", seconds, below=_AIM_SECONDS)
    print(f"{target['what']}: {target['value']} (target {target['target']}), {'met' if target['met'] else 'missed'}")
    write_result("audit", found | {"targets": [target]})


if __name__ == "__main__":
    main()
