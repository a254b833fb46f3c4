"""Broken files by the thousand: real ones with bytes changed, cut, repeated or joined, decoded under limits.

Each worker process has a limit on its memory; a file that ends it, takes over five seconds or raises
anything but `UnreadablePicture` is a finding.
"""

import argparse
import io
import multiprocessing
import resource
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image

from benchmarks.report import judge_target, print_table, write_result
from cxr_core.phantoms import draw_phantom
from cxr_core.pictures import UnreadablePicture, open_picture

SECONDS = 5.0
_MEMORY_BYTES = 3_000_000_000
_BATCH = 500
_DICOM_FILES = Path(pydicom.__file__).parent / "data" / "test_files"


def seeds():
    """Return whole files as bytes: drawings in every format, and the pictures that pydicom ships."""
    grey = Image.fromarray(draw_phantom("covid", np.random.default_rng(0)))
    files = []
    for image in (grey, grey.convert("RGB")):
        for kind in ("JPEG", "PNG", "BMP", "TIFF", "WEBP"):
            stream = io.BytesIO()
            image.save(stream, kind)
            files.append(stream.getvalue())
    return files + [path.read_bytes() for path in sorted(_DICOM_FILES.glob("*.dcm"))]


def mutate(files, rng):
    """Return one broken file, bytes."""
    data = bytearray(files[int(rng.integers(len(files)))])
    kind = rng.integers(5)
    if kind == 0:
        return bytes(data[: int(rng.integers(len(data)))])
    if kind == 1:
        other = files[int(rng.integers(len(files)))]
        return bytes(data[: int(rng.integers(len(data)))]) + other[int(rng.integers(len(other))) :]
    if kind == 2:
        start, length = int(rng.integers(len(data))), int(rng.integers(1, 64))
        return bytes(data[:start] + data[start : start + length] * int(rng.integers(2, 50)) + data[start:])
    # Headers decide what is allocated: most changes go there.
    reach = len(data) if kind == 3 else min(len(data), 1_000)
    for position in rng.integers(0, reach, rng.integers(1, 12)):
        data[position] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(256)]))
    return bytes(data)


def try_batch(seed, count):
    """Decode `count` broken files; return (Counter of outcomes, list of findings, slowest seconds)."""
    rng, files, outcomes, findings, slowest = np.random.default_rng(seed), seeds(), Counter(), [], 0.0
    for number in range(count):
        data, start = mutate(files, rng), time.perf_counter()
        try:
            open_picture(data)
            outcomes["read"] += 1
        except UnreadablePicture:
            outcomes["refused with a sentence"] += 1
        except Exception as error:  # noqa: BLE001 - every other kind is a finding
            findings.append(f"seed {seed}, file {number}: {type(error).__name__}")
        slowest = max(slowest, time.perf_counter() - start)
    return outcomes, findings, slowest


def _limit_memory():
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


def _in_own_process(batch):
    """Try one batch in a process of its own, so that one that ends is a finding and no more."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=_limit_memory) as pool:
        try:
            return pool.submit(try_batch, *batch).result()
        except BrokenProcessPool:
            return Counter(), [f"seed {batch[0]}: the process ended"], 0.0


def fuzz(count):
    """Try `count` files, two batches at a time; returns the result, a dict."""
    outcomes, findings, slowest = Counter(), [], 0.0
    batches = [(seed, min(_BATCH, count - start)) for seed, start in enumerate(range(0, count, _BATCH))]
    with ThreadPoolExecutor(2) as threads:
        for counted, found, seconds in threads.map(_in_own_process, batches):
            outcomes += counted
            findings += found
            slowest = max(slowest, seconds)
    return {
        "files": sum(outcomes.values()) + len(findings),
        "outcomes": dict(outcomes),
        "findings": findings,
        "targets": [
            judge_target("crashes and tracebacks", len(findings), below=1),
            judge_target("slowest file, s", slowest, below=SECONDS),
        ],
    }


def main():
    """Fuzz, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    options = parser.parse_args()
    result = fuzz(options.count)
    print_table(("outcome", "files"), result["outcomes"].items())
    for finding in result["findings"]:
        print(finding)
    print_table(
        ("target", "value", "", ""), [(t["what"], t["value"], t["target"], t["met"]) for t in result["targets"]]
    )
    write_result("fuzz", result)


if __name__ == "__main__":
    main()
