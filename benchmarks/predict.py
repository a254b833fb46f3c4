"""All figures of predicting, in parts: warm, films, fresh, batch, app, soak, sessions, visitors.

Warm, films and fresh stand against the article's way, same weights. Warm: bytes decoded, prepared, classified and
explained by Grad-CAM of the article's layer ("map"); then once more with our gate, and encoded as an overlay image, a
JPEG as in the article ("overlay"). Each side has its own process; rounds alternate. Films: the same, of ten of the
files drawn at 2520 × 2048 pixels and saved as JPEG. Fresh: probabilities alone. App, soak and sessions need Chromium;
see `served_app.py`.
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

from benchmarks import article_baseline
from benchmarks.cold_start import measure_fresh
from benchmarks.films import JPEG_QUALITY, draw_film
from benchmarks.reporting import (
    RESULTS_DIR,
    SUMMARY_HEADER,
    judge_target,
    print_table,
    summarize,
    summary_row,
    write_result,
)
from benchmarks.served_app import measure_memory, measure_sessions, measure_soak, measure_visitors
from cxr_core.classes import KNOWN_CLASSES
from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.data.phantoms import draw_phantom
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.imaging.reader import decode_image
from cxr_core.inference.batch_prediction import predict_batch
from cxr_core.inference.classifier import load_classifier
from cxr_core.inference.image_sources import path_sources
from cxr_core.inference.selective_prediction import answer_upload
from cxr_core.system.files import read_json

WARM_UP_CALLS, CALLS, CALLS_PER_ROUND = 3, 30, 5
PHANTOM_SIDE, DRAWN, BATCH, FILMS = 512, 30, 500, 10
SAME_ANSWER = 1e-3
_NAMES = {"article": "article's way", "ours": "ours"}
open_classifier = cache(load_classifier)


def answer_ours(data, model, _scratch):
    """Answer one upload as the product does; see `answer_article`.

    The probabilities are those after the article's preprocessing and without a temperature, so that both sides can
    be held to one answer; the times are those of the model's own way, which does more.
    """
    classifier = open_classifier(model)
    start = time.perf_counter()
    classifier.predict_image(data, article_baseline.MAP_LAYER)
    map_seconds, start = time.perf_counter() - start, time.perf_counter()
    answer = answer_upload(classifier, data, article_baseline.MAP_LAYER)
    overlay = answer.overlay(classifier, answer.prediction.label, alpha=article_baseline.ALPHA)
    cv2.imencode(".jpg", cv2.cvtColor(overlay, cv2.COLOR_RGB2BGR))
    overlay_seconds = time.perf_counter() - start
    plain = Preprocessing(scaling=classifier.card.preprocessing.scaling)
    same = replace(classifier, card=replace(classifier.card, preprocessing=plain, temperature=1.0))
    probabilities = same.predict(plain.image_u8(answer.prediction.image)[None])[0].tolist()
    return {"map": map_seconds, "overlay": overlay_seconds, "probabilities": probabilities}


def answer_article(data, model, scratch):
    """Answer one upload the article's way.

    Returns:
        dict of seconds from bytes to the map and to the saved overlay, and probabilities (list of float).
    """
    article_baseline.load_model(model)
    path = Path(scratch) / "upload"
    start = time.perf_counter()
    probabilities, map_ = article_baseline.explain_upload(data, path, model)
    map_seconds = time.perf_counter() - start
    article_baseline.save_overlay(path, map_, path.with_name(path.name + "_cam.jpg"))
    overlay_seconds = time.perf_counter() - start
    return {"map": map_seconds, "overlay": overlay_seconds, "probabilities": probabilities.tolist()}


def measure_warm(uploads, model, scratch):
    """Ask both sides by turns.

    Args:
        uploads: list of bytes, asked about in order, over and over.
        model: Path of the model folder.
        scratch: folder for the article's files.

    Returns:
        dict of side to a list of what `answer_article` returns.
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
    return answers


def draw_uploads(folder):
    """Draw phantoms of every class, 512 pixels a side, into a folder; return their Paths."""
    paths = []
    for number in range(DRAWN):
        image = draw_phantom(tuple(KNOWN_CLASSES)[number % 3], np.random.default_rng(number))
        paths.append(Path(folder) / f"phantom-{number:02d}.png")
        paths[-1].write_bytes(cv2.imencode(".png", cv2.resize(image, (PHANTOM_SIDE, PHANTOM_SIDE)))[1].tobytes())
    return paths


def warm_part(paths, model):
    """From bytes to the map, and to the answer with gate and overlay, in warm processes of both sides."""
    return _by_turns("warm", [path.read_bytes() for path in paths], model, {"map": 40, "overlay": 20})


def films_part(paths, model):
    """The same with full-size films, drawn from the first ten files."""
    drawings = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths[:FILMS]]
    films = [(draw_film(image, seed) >> 4).astype(np.uint8) for seed, image in enumerate(drawings)]
    uploads = [cv2.imencode(".jpg", film, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes() for film in films]
    return _by_turns("film", uploads, model, {})


def _by_turns(what, uploads, model, least):
    """Ask both sides about uploads; `least` is how many times as fast ours must be, by step."""
    with tempfile.TemporaryDirectory() as scratch:
        answers = measure_warm(uploads, model, scratch)
    result, targets = {}, []
    for step in ("map", "overlay"):
        result[step] = {side: summarize([1000 * a[step] for a in of_side]) for side, of_side in answers.items()}
        times = result[step]["article"]["median"] / result[step]["ours"]["median"]
        targets.append(judge_target(f"{what}, bytes to {step}, times as fast", times, at_least=least.get(step, 1)))
    probabilities = [np.array([a["probabilities"] for a in of_side]) for of_side in answers.values()]
    difference = float(np.abs(probabilities[0] - probabilities[1]).max())
    targets.append(judge_target(f"{what}, difference in probability", difference, below=SAME_ANSWER))
    sizes = sorted({"x".join(map(str, decode_image(data).shape[1::-1])) for data in uploads})
    return {"milliseconds": result, "width_x_height": sizes, "targets": targets}


def fresh_part(paths, model):
    """One probability from a fresh process of both sides: wall seconds and peak memory."""
    runs, tensorflow_modules = measure_fresh(paths[0], model)
    figures = {
        side: {figure: summarize([run[figure] for run in of_side]) for figure in ("seconds", "peak_mb")}
        for side, of_side in runs.items()
    }
    # A fresh start is judged by its worst run.
    targets = [
        judge_target("fresh, slowest, s", figures["ours"]["seconds"]["max"], below=1.5),
        judge_target("fresh, highest peak, MB", figures["ours"]["peak_mb"]["max"], below=350),
        judge_target("fresh, TensorFlow modules imported", tensorflow_modules, below=1),
    ]
    return {**figures, "targets": targets}


def batch_part(paths, model):
    """Answers with gate to 500 files, images per second."""
    classifier = open_classifier(model)
    sources = [source for number in range(BATCH) for source in path_sources(paths[number % len(paths)])]
    predict_batch(classifier, sources[:WARM_UP_CALLS])
    start = time.perf_counter()
    predict_batch(classifier, sources)
    rate = BATCH / (time.perf_counter() - start)
    return {"images_per_second": rate, "targets": [judge_target("batch, images per second", rate, at_least=60)]}


PARTS = {
    "warm": warm_part,
    "films": films_part,
    "fresh": fresh_part,
    "batch": batch_part,
    "app": measure_memory,
    "soak": measure_soak,
    "sessions": measure_sessions,
    "visitors": measure_visitors,
}


def _show(name, result):
    """Print what a part measured, and how it stands against its targets."""
    print(f"{name}\n")
    if name in ("warm", "films"):
        rows = [
            summary_row(f"bytes to {step}, {_NAMES[side]}, ms", summary)
            for step, sides in result["milliseconds"].items()
            for side, summary in sides.items()
        ]
        print_table(("", *SUMMARY_HEADER), rows)
    elif name == "fresh":
        units = {"seconds": "s", "peak_mb": "MB"}
        rows = [summary_row(f"{_NAMES[s]}, {u}", result[s][f]) for f, u in units.items() for s in _NAMES]
        print_table(("", *SUMMARY_HEADER), rows)
    elif name == "sessions":
        rows = [summary_row(f"upload to answer, {way}, s", summary) for way, summary in result["seconds"].items()]
        print_table(("", *SUMMARY_HEADER), rows)
    elif name == "visitors":
        print_table(("", *SUMMARY_HEADER), [summary_row("upload to answer, s", result["seconds"])])
    elif "megabytes" in result:
        print_table(("after", "MB"), result["megabytes"].items())
    verdicts = [(t["what"], t["value"], t["target"], "met" if t["met"] else "MISSED") for t in result["targets"]]
    print_table(("against its target", "value", "target", ""), verdicts)


def main():
    """Measure, print and write; parts that are not measured now keep what was measured before."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.predict", description=__doc__.splitlines()[0])
    parser.add_argument("files", metavar="FILE", nargs="*", type=Path, help="images (default: drawn phantoms)")
    parser.add_argument("--model", type=Path, default=SHIPPED_MODEL_DIR, help="folder (default: the shipped model)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to measure (default: all)")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    kept = RESULTS_DIR / "predict.json"
    parts = read_json(kept)["parts"] if kept.exists() else {}
    with tempfile.TemporaryDirectory() as drawn:
        paths = [path.resolve() for path in options.files] or draw_uploads(drawn)
        for name in options.only:
            parts[name] = {"drawn": not options.files, **PARTS[name](paths, options.model.resolve())}
            _show(name, parts[name])
            write_result("predict", {"parts": parts})


if __name__ == "__main__":
    main()
