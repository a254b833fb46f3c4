"""What does decoding in a worker process cost an honest scan, and how much memory do the largest images take at once?

Cost: a drawing of 512 pixels, decoded in this process and in a worker by turns. Memory: four images of 40 million
pixels, answered at once by the built-in classifier, both ways; of this process and its workers together, each page
that they share counted once (PSS, Linux alone).
"""

import argparse
import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import psutil
from PIL import Image

from benchmarks.reporting import (
    SUMMARY_HEADER,
    four_digits,
    judge_target,
    print_table,
    summarize,
    summary_row,
    write_result,
)
from cxr_core.config import MAX_PIXELS, SHIPPED_MODEL_DIR
from cxr_core.data.phantoms import draw_phantom
from cxr_core.imaging.display import png_bytes
from cxr_core.imaging.isolated_decoding import open_isolated
from cxr_core.imaging.reader import open_image
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.selective_prediction import answer_upload
from cxr_core.system.memory import keep_memory_small, release_memory

_WARM_UP, _AT_ONCE, _LOOK_SECONDS = 5, 4, 0.02
_KINDS = {
    "JPEG, grey": ("L", "JPEG", {}),
    "JPEG, colour": ("RGB", "JPEG", {}),
    "JPEG 2000, colour": ("RGB", "JPEG2000", {"quality_mode": "rates", "quality_layers": [60]}),
}


def measure_cost(data, calls):
    """Return milliseconds per call: {"plain": [...], "isolated": [...]}, by turns."""
    milliseconds = {"plain": [], "isolated": []}
    for number in range(_WARM_UP + calls):
        start = time.perf_counter()
        open_image(data)
        between = time.perf_counter()
        with open_isolated(data):
            end = time.perf_counter()
        if number >= _WARM_UP:
            milliseconds["plain"].append(1000 * (between - start))
            milliseconds["isolated"].append(1000 * (end - between))
    return milliseconds


def largest_image(drawing, mode, kind, options):
    """Return the bytes of a drawing, uint8 (H, W), enlarged to the most pixels that are read."""
    side = int(MAX_PIXELS**0.5)
    stream = io.BytesIO()
    Image.fromarray(cv2.resize(drawing, (side, side))).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


def measure_peak(classifier, data, *, isolated):
    """Return the peak of memory in MB while so many images are answered at once."""
    ended, seen = threading.Event(), []
    # What encoding the image left behind is no part of answering it.
    release_memory()

    def watch():
        while not ended.wait(_LOOK_SECONDS):
            seen.append(_memory_megabytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for future in [pool.submit(answer_upload, classifier, data, isolated=isolated) for _ in range(_AT_ONCE)]:
                future.result()
    finally:
        ended.set()
        watcher.join()
    return four_digits(max(seen))


def _memory_megabytes():
    this, total = psutil.Process(), 0
    for process in (this, *this.children(recursive=True)):
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total / 1e6


def main():
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.isolated_decoding", description=__doc__)
    parser.add_argument("--calls", type=int, default=200, help="decodings of the honest scan each way (default: 200)")
    options = parser.parse_args()
    keep_memory_small()
    drawing = draw_phantom("covid", np.random.default_rng(0))
    cost = {way: summarize(values) for way, values in measure_cost(png_bytes(drawing), options.calls).items()}
    print_table(("ms", *SUMMARY_HEADER), [summary_row(way, summary) for way, summary in cost.items()])
    classifier, peaks = load_classifier(SHIPPED_MODEL_DIR), {}
    for name, how in _KINDS.items():
        data = largest_image(drawing, *how)
        peaks[name] = {way: measure_peak(classifier, data, isolated=way == "isolated") for way in ("isolated", "plain")}
        print(f"{name}: at most {peaks[name]['isolated']} MB, {peaks[name]['plain']} MB without workers")
    targets = [
        judge_target(
            "ms that a worker adds to an honest scan, median",
            cost["isolated"]["median"] - cost["plain"]["median"],
            below=2,
        ),
        judge_target(
            "MB while four images of 40 million pixels are answered",
            max(peak["isolated"] for peak in peaks.values()),
            below=1500,
        ),
    ]
    for target in targets:
        print(target)
    write_result("isolated_decoding", {"milliseconds": cost, "peak_megabytes": peaks, "targets": targets})


if __name__ == "__main__":
    main()
