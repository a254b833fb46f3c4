"""Broken files by the thousand: real ones with bytes changed, cut, repeated or joined, decoded under limits.

Every tenth is sent to the HTTP interface, whole or with its form broken, too. Each worker process has a limit on
its memory; a file that ends it, takes over five seconds, raises anything but `UnreadableImage` or is answered with a
server's error is a finding.
"""

import argparse
import io
import multiprocessing
import resource
import signal
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from starlette.testclient import TestClient

from benchmarks.reporting import judge_target, print_table, write_result
from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.data.phantoms import draw_phantom
from cxr_core.http_api import build_api
from cxr_core.imaging.reader import UnreadableImage, open_image
from cxr_core.inference.classifier import load_classifier

SECONDS = 5.0
PEAK_MB = 1_500
_MEMORY_BYTES = 4_000_000_000
_HANGS_SECONDS = 60
_SENT = 10
_BATCH = 500
_DICOM_FILES = Path(pydicom.__file__).parent / "data" / "test_files"


def seeds():
    """Return whole files as bytes: drawings in every format, images of extreme sides, and those that pydicom ships."""
    grey = Image.fromarray(draw_phantom("covid", np.random.default_rng(0)))
    files = []
    for image in (grey, grey.convert("RGB")):
        for kind in ("JPEG", "PNG", "BMP", "TIFF", "WEBP"):
            stream = io.BytesIO()
            image.save(stream, kind)
            files.append(stream.getvalue())
    for kind in ("PNG", "BMP", "TIFF"):
        stream = io.BytesIO()
        Image.new("L", (1_100_000, 2)).save(stream, kind)
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
    """Try `count` broken files; return (Counter of outcomes, list of findings, slowest seconds, peak memory in MB)."""
    rng, files, outcomes, findings, slowest = np.random.default_rng(seed), seeds(), Counter(), [], 0.0
    with TestClient(build_api(load_classifier(SHIPPED_MODEL_DIR)), raise_server_exceptions=True) as client:
        for number in range(count):
            data, start = mutate(files, rng), time.perf_counter()
            # Without a handler the alarm ends the process, which is a finding.
            signal.setitimer(signal.ITIMER_REAL, _HANGS_SECONDS)
            try:
                outcomes[_decode(data)] += 1
                if number % _SENT == 0:
                    outcomes[_send(client, data, rng)] += 1
            except Exception as error:  # noqa: BLE001 - whatever comes is a finding
                findings.append(f"seed {seed}, file {number}: {type(error).__name__}")
            signal.setitimer(signal.ITIMER_REAL, 0)
            slowest = max(slowest, time.perf_counter() - start)
    return outcomes, findings, slowest, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000


def _decode(data):
    try:
        open_image(data)
        return "read"
    except UnreadableImage:
        return "refused with a sentence"


def _send(client, data, rng):
    """Send a file to the HTTP interface in a form, half of the time a broken one; return what came of it."""
    head = b'--limit\r\nContent-Disposition: form-data; name="files"; filename="scan"\r\n\r\n'
    form = head + data + b"\r\n--limit--\r\n"
    if rng.integers(2):
        form = mutate([form], rng)
    answer = client.post("/predict", content=form, headers={"Content-Type": "multipart/form-data; boundary=limit"})
    if answer.status_code >= 500 or not isinstance(answer.json(), list | dict):
        raise RuntimeError(f"The interface must answer below 500 and with JSON; received {answer.status_code}.")
    return f"sent, answered {answer.status_code}"


def _limit_memory():
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


def _in_own_process(batch):
    """Try one batch in a process of its own, so that one that ends is a finding and no more."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=_limit_memory) as pool:
        try:
            return pool.submit(try_batch, *batch).result()
        except BrokenProcessPool:
            return Counter(), [f"seed {batch[0]}: the process ended"], 0.0, 0.0


def fuzz(count):
    """Try `count` files, two batches at a time; returns the result, a dict."""
    outcomes, findings, slowest, peak_mb = Counter(), [], 0.0, 0.0
    batches = [(seed, min(_BATCH, count - start)) for seed, start in enumerate(range(0, count, _BATCH))]
    with ThreadPoolExecutor(2) as threads:
        for counted, found, seconds, batch_mb in threads.map(_in_own_process, batches):
            outcomes += counted
            findings += found
            slowest, peak_mb = max(slowest, seconds), max(peak_mb, batch_mb)
    decoded = sum(n for name, n in outcomes.items() if not name.startswith("sent"))
    return {
        "files": decoded + len(findings),
        "outcomes": dict(outcomes),
        "findings": findings,
        "targets": [
            judge_target("crashes and tracebacks", len(findings), below=1),
            judge_target("slowest file, s", slowest, below=SECONDS),
            judge_target("highest peak memory, MB", peak_mb, below=PEAK_MB),
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
