"""Lung regions per second on real images, and seconds for 2,000 bootstrap resamples of 500 predictions."""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.reporting import four_digits, judge_target, write_result
from cxr_core.data.dataset import scan_dataset
from cxr_core.data.prepared_images import prepare_images
from cxr_core.evaluation.metrics import evaluate_predictions
from cxr_core.imaging.lung_segmentation import lung_region
from cxr_core.imaging.preprocessing import Preprocessing

_PROCESSES = 2
_CLASSES = ("normal", "covid", "virus")


def main():
    """Measure both and print what was met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    table = scan_dataset(options.folder).table
    rows = np.random.default_rng(0).permutation(len(table))[: options.images]
    images = np.array(prepare_images(table.iloc[rows].reset_index(drop=True), Preprocessing()).images_u8)
    lungs = median(_images_per_second(images) for _ in range(options.rounds))
    seconds = median(_seconds_to_evaluate() for _ in range(options.rounds))
    found = float(np.mean([lung_region(image).found for image in images]))
    targets = [
        judge_target("lung regions per second, two processes, 224 pixels", lungs, at_least=200),
        judge_target("seconds for all figures of 500 predictions with intervals", seconds, below=2),
    ]
    for target in targets:
        print(f"{target['what']}: {target['value']} ({target['target']}: {'met' if target['met'] else 'missed'})")
    print(f"lungs found in {found:.1%} of {len(images)} images")
    write_result("lungs_and_intervals", {"images": len(images), "found": four_digits(found), "targets": targets})


def _images_per_second(images):
    with ProcessPoolExecutor(_PROCESSES) as pool:
        list(pool.map(_regions, [images[:8]] * _PROCESSES))
        start = time.perf_counter()
        list(pool.map(_regions, np.array_split(images, _PROCESSES)))
        return len(images) / (time.perf_counter() - start)


def _regions(images):
    return sum(lung_region(image).found for image in images)


def _seconds_to_evaluate():
    rng = np.random.default_rng(0)
    names, probabilities = np.array(_CLASSES)[rng.integers(0, 3, 500)], rng.dirichlet([1, 1, 1], 500)
    start = time.perf_counter()
    evaluate_predictions(names, probabilities, _CLASSES)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
