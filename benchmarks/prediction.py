"""From upload to answer, warm and from a fresh process: the article's way against ours, same weights.

Warm: bytes, decoded, prepared, classified, explained by Grad-CAM of the article's layer, and encoded as
an overlay image, a JPEG as in the article. Each side has its own process; rounds alternate. Fresh:
probabilities alone.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from benchmarks import article_way
from benchmarks.fresh import measure_fresh
from benchmarks.report import (
    SUMMARY_HEADER,
    judge_target,
    print_table,
    summarize,
    summary_row,
    write_result,
)
from cxr_core.answers import answer_upload
from cxr_core.classifier import load_classifier
from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.phantoms import draw_phantom
from cxr_core.pictures import decode_picture
from cxr_core.preprocess import Preprocessing

WARM_UP_CALLS, CALLS, CALLS_PER_ROUND = 3, 30, 5
PHANTOM_SIDE = 512
SAME_ANSWER = 1e-3
_NAMES = {"article": "article's way", "ours": "ours"}
open_classifier = cache(load_classifier)


def answer_ours(data, model, _scratch):
    """Answer one upload as the product does, gate and all; return seconds and, for comparison, probabilities.

    The probabilities (list of float) are those after the article's preprocessing and without a temperature,
    so that both sides can be held to one answer; the time is that of the model's own way, which does more.
    """
    classifier = open_classifier(model)
    start = time.perf_counter()
    answer = answer_upload(classifier, data, article_way.MAP_LAYER)
    overlay = answer.overlay(classifier, answer.prediction.label, alpha=article_way.ALPHA)
    cv2.imencode(".jpg", cv2.cvtColor(overlay, cv2.COLOR_RGB2BGR))
    seconds = time.perf_counter() - start
    plain = Preprocessing(scaling=classifier.card.preprocessing.scaling)
    same = replace(classifier, card=replace(classifier.card, preprocessing=plain, temperature=1.0))
    return seconds, same.predict(plain.image_u8(answer.prediction.picture)[None])[0].tolist()


def answer_article(data, model, scratch):
    """Answer one upload the article's way; return seconds and probabilities (list of float)."""
    article_way.load_model(model)
    start = time.perf_counter()
    probabilities = article_way.answer_upload(data, Path(scratch) / "upload", model)
    return time.perf_counter() - start, probabilities.tolist()


def measure_warm(uploads, model, scratch):
    """Ask both sides by turns.

    Args:
        uploads: list of bytes, asked about in order, over and over.
        model: Path of the model folder.
        scratch: folder for the article's files.

    Returns:
        dict of side to a list of seconds, and the largest difference between the two sides' probabilities.
    """
    sides = {"article": answer_article, "ours": answer_ours}
    spawn = multiprocessing.get_context("spawn")
    pools = {name: ProcessPoolExecutor(1, mp_context=spawn) for name in sides}

    def ask(name, numbers):
        return [
            pools[name].submit(sides[name], uploads[number % len(uploads)], model, scratch).result()
            for number in numbers
        ]

    answers = {name: [] for name in sides}
    for name in sides:
        ask(name, range(WARM_UP_CALLS))
    for first in range(0, CALLS, CALLS_PER_ROUND):
        for name in sides:
            answers[name] += ask(name, range(first, first + CALLS_PER_ROUND))
    for pool in pools.values():
        pool.shutdown()
    probabilities = {name: np.array([answer for _, answer in pairs]) for name, pairs in answers.items()}
    difference = np.abs(probabilities["article"] - probabilities["ours"]).max()
    return {name: [seconds for seconds, _ in pairs] for name, pairs in answers.items()}, float(difference)


def draw_upload(folder):
    """Draw a demo phantom, 512 pixels a side, into a folder; return its Path."""
    picture = cv2.resize(draw_phantom("covid", np.random.default_rng(0)), (PHANTOM_SIDE, PHANTOM_SIDE))
    path = Path(folder) / "phantom.png"
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    return path


def measure_all(files, model):
    """Measure both sides, warm and fresh; return the result to print and write, a dict."""
    with tempfile.TemporaryDirectory() as scratch:
        paths = [path.resolve() for path in files] or [draw_upload(scratch)]
        uploads = [path.read_bytes() for path in paths]
        seconds, difference = measure_warm(uploads, model, scratch)
        runs, tensorflow_modules = measure_fresh(paths[0], model)
    shapes = [decode_picture(data).shape for data in uploads]
    warm = {name: summarize([1000 * value for value in values]) for name, values in seconds.items()}
    fresh = {
        name: {figure: summarize([run[figure] for run in of_side]) for figure in ("seconds", "peak_mb")}
        for name, of_side in runs.items()
    }
    # A fresh start is judged by its worst run.
    targets = [
        judge_target("warm, times as fast", warm["article"]["median"] / warm["ours"]["median"], at_least=20),
        judge_target("fresh, slowest, s", fresh["ours"]["seconds"]["max"], below=3),
        judge_target("fresh, highest peak, MB", fresh["ours"]["peak_mb"]["max"], below=350),
        judge_target("fresh, TensorFlow modules imported", tensorflow_modules, below=1),
        judge_target("difference in probability", difference, below=SAME_ANSWER),
    ]
    pictures = {"drawn": not files, "width_x_height": [f"{shape[1]}x{shape[0]}" for shape in shapes]}
    return {"pictures": pictures, "warm_milliseconds": warm, "fresh": fresh, "targets": targets}


def main():
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prediction", description=__doc__.splitlines()[0])
    parser.add_argument("files", metavar="FILE", nargs="*", type=Path, help="pictures (default: a drawn phantom)")
    parser.add_argument("--model", type=Path, default=SHIPPED_MODEL_DIR, help="folder (default: the shipped model)")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    result = measure_all(options.files, options.model.resolve())
    rows = [summary_row(f"warm, {name}, ms", result["warm_milliseconds"][side]) for side, name in _NAMES.items()]
    for figure, unit in (("seconds", "s"), ("peak_mb", "MB")):
        rows += [summary_row(f"fresh, {name}, {unit}", result["fresh"][side][figure]) for side, name in _NAMES.items()]
    print_table(("", *SUMMARY_HEADER), rows)
    verdicts = [(t["what"], t["value"], t["target"], "met" if t["met"] else "MISSED") for t in result["targets"]]
    print_table(("ours against its target", "value", "target", ""), verdicts)
    write_result("prediction", result)


if __name__ == "__main__":
    main()
