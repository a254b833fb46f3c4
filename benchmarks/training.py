"""Training: the article's way against ours, on one split of one data set, in one run.

Throughput of the article's recipe: seconds per batch of (a) the article's way (ImageDataGenerator feeding `fit` of
Keras's own layers), (b) our input pipeline feeding the same network as we train it, its normalisation fused, (c)
`train_on_batch` of (b) on data that lie in memory, by turns. The same for `finetune`: its part that learns, fed with
kept activations, and with the same activations from memory. Whole trainings by the command line, each in a fresh
process: `quick` from a cold start and with warm caches, on the article's random split, and `finetune` on the grouped
split over several seeds. A training has reached its accuracy once its classifier is exported and evaluated; the
search for copies comes after. Peak memory is the system's own high-water mark of the process, at any moment. Last,
our input pipeline reads a prepared data set of 1,000 and one of 100,000 images (a sparse file: what the pixels show
does not matter here).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.reporting import (
    RESULTS_DIR,
    SUMMARY_HEADER,
    four_digits,
    judge_target,
    print_table,
    summarize,
    summary_row,
    write_result,
)
from cxr_core.runs.run import Run
from cxr_core.system.files import read_json

ARTICLE_ACCURACY = 0.956
_PROJECT_DIR = Path(__file__).resolve().parent.parent
_WAYS = {"article": "article's way", "ours": "our pipeline", "memory": "data in memory"}


def measure_batches(folder, n_batches, rounds):
    """Time batches of the article's recipe, by turns.

    Args:
        folder: Path of the data set.
        n_batches: int, batches per turn.
        rounds: int, turns of each way.

    Returns:
        dict of way (a key of `_WAYS`) to a list of images per second, one per turn.
    """
    import keras
    import tensorflow as tf

    from cxr_core.data.prepared_images import read_images
    from cxr_core.training.batches import EpochClock, image_batches
    from cxr_core.training.network import build_model

    config, prepared, labels = _prepared("article", folder, n_batches, rounds)
    images = config.preprocessing.scaled(read_images(prepared.images_u8, range(len(labels))))
    model = build_model(config, labels.shape[1])
    # A clone is made of Keras's own layers.
    as_published = keras.models.clone_model(model)
    as_published.set_weights(model.get_weights())
    for network in (model, as_published):
        network.compile(keras.optimizers.Adam(config.learning_rate), "categorical_crossentropy", metrics=["accuracy"])
    generator = tf.keras.preprocessing.image.ImageDataGenerator(
        rotation_range=15, horizontal_flip=True, fill_mode="nearest"
    )
    ours = image_batches(prepared.images_u8, np.arange(len(labels)), labels, config, EpochClock())
    size = config.batch_size

    def article():
        flow = generator.flow(images, labels, batch_size=size)
        as_published.fit(flow, steps_per_epoch=len(labels) // size, epochs=1, verbose=0)

    ways = {
        "article": article,
        "ours": lambda: model.fit(ours, epochs=1, verbose=0, shuffle=False),
        "memory": lambda: _train_in_memory(model, images, labels, size),
    }
    return _by_turns(ways, len(labels), rounds)


def measure_activations(folder, n_batches, rounds):
    """Time batches of `finetune`'s kept activations, read from disk and lying in memory, by turns.

    Args and returns:
        As for `measure_batches`; without the article's way, which keeps none.
    """
    import keras

    from cxr_core.training.batches import EpochClock, activation_batches
    from cxr_core.training.frozen_activations import keep_activations, split_network
    from cxr_core.training.network import build_model

    config, prepared, labels = _prepared("finetune", folder, n_batches, rounds)
    trunk, trained = split_network(build_model(config, labels.shape[1]), config.train_from)
    kept = keep_activations(
        trunk, prepared.images_u8, np.arange(len(labels)), config, key=prepared.key, copies=1, progress=lambda *_: None
    )
    trained.compile(keras.optimizers.Adam(config.learning_rate), "categorical_crossentropy", metrics=["accuracy"])
    ours = activation_batches(kept, labels, config, EpochClock())
    in_memory = kept[0].astype(np.float32)
    ways = {
        "ours": lambda: trained.fit(ours, epochs=1, verbose=0, shuffle=False),
        "memory": lambda: _train_in_memory(trained, in_memory, labels, config.batch_size),
    }
    return _by_turns(ways, len(labels), rounds)


def _prepared(recipe, folder, n_batches, rounds):
    """Prepare seeded images of a folder, as many as fill the batches: (configuration, images, one-hot labels)."""
    from cxr_core.data.dataset import scan_dataset
    from cxr_core.data.prepared_images import prepare_images
    from cxr_core.recipes.training_config import make_config

    settings = [f"epochs={rounds + 1}", f"start={'imagenet' if _imagenet_at_hand() else 'shipped'}"]
    config = make_config(recipe, roots=(str(folder),), settings=settings)
    table = scan_dataset(folder).table
    n_images = min(len(table) // config.batch_size, n_batches) * config.batch_size
    rows = np.sort(np.random.default_rng(0).permutation(len(table))[:n_images])
    prepared = prepare_images(table.iloc[rows].reset_index(drop=True), config.preprocessing)
    names = sorted(table["class_name"].unique())
    return config, prepared, np.eye(len(names), dtype=np.float32)[prepared.table["class_name"].map(names.index)]


def _train_in_memory(network, values, labels, batch_size):
    for start in range(0, len(labels), batch_size):
        network.train_on_batch(values[start : start + batch_size], labels[start : start + batch_size])


def _by_turns(ways, n_images, rounds):
    """Call each way once for its graph to be traced, then time it by turns: images per second."""
    speeds = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if turn:
                speeds[name].append(n_images / (time.perf_counter() - start))
    return speeds


def _imagenet_at_hand():
    from cxr_core.recipes.backbones import imagenet_weights_path

    return imagenet_weights_path().exists()


def stream_images(n_images, n_batches):
    """Read batches of a prepared data set of blank images, and say what that took.

    Args:
        n_images: int.
        n_batches: int.

    Returns:
        dict of images, images_per_second and peak_mb of this process.
    """
    from cxr_core.recipes.training_config import make_config
    from cxr_core.system.memory import peak_memory
    from cxr_core.training.batches import EpochClock, image_batches

    config = make_config("article", settings=("epochs=1",))
    size = config.preprocessing.size
    with tempfile.TemporaryDirectory(prefix="cxr-lab-stream-") as folder:
        path = Path(folder) / "prepared.npy"
        np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(n_images, size, size)).flush()
        labels = np.eye(3, dtype=np.float32)[np.arange(n_images) % 3]
        batches = image_batches(np.load(path, mmap_mode="r"), np.arange(n_images), labels, config, EpochClock())
        start = time.perf_counter()
        for _ in batches.take(n_batches):
            pass
        seconds = time.perf_counter() - start
    return {
        "images": n_images,
        "images_per_second": n_batches * config.batch_size / seconds,
        "peak_mb": peak_memory() / 1e6,
    }


def stream_fresh(n_images, n_batches):
    """Run `stream_images` in a fresh process; returns what it returns."""
    code = (
        "import json\nfrom benchmarks.training import stream_images\n"
        f"print(json.dumps(stream_images({n_images}, {n_batches})))"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=_PROJECT_DIR, capture_output=True, text=True)
    if answer.returncode:
        raise RuntimeError(f"Streaming must end with 0; received {answer.returncode}: {answer.stderr[-800:]}")
    return json.loads(answer.stdout.splitlines()[-1])


def train_fresh(folder, home, *, recipe, split, seed=0, settings=()):
    """Train in a fresh process whose caches lie under `home`.

    Returns:
        dict of seconds until the classifier was exported and evaluated, total_seconds (with what came
        after it), epochs, accuracy (test), peak_mb (million bytes, resident).

    Raises:
        RuntimeError: the training failed; its last lines are named.
    """
    run = Run(Path(home) / "runs" / f"{recipe}-{split}-{seed}-{time.time_ns()}")
    words = ["-m", "cxr_core", "train", str(folder), "--recipe", recipe, "--split", split, "--seed", str(seed)]
    for setting in settings:
        words += ["--set", setting]
    process = subprocess.Popen(
        [sys.executable, *words, "--run", str(run.path)],
        cwd=_PROJECT_DIR, env=os.environ | {"CXR_LAB_HOME": str(home)},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    start, wall, ready = time.perf_counter(), time.time(), None
    _, said = process.communicate()
    total = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"A training must end with 0; received {process.returncode}: {said[-800:]}")
    # The predictions are written once the exported classifier has scored both sides, and never again.
    ready = (run.path / "predictions.csv").stat().st_mtime - wall
    return {
        "seconds": ready,
        "total_seconds": total,
        "epochs": len(run.epochs()),
        "accuracy": json.loads((run.path / "metrics.json").read_text())["test"]["accuracy"],
        "peak_mb": run.status().peak_memory_bytes / 1e6,
    }


def trainings_part(options):
    """Whole trainings, before this process loads TensorFlow: only one of them should be large at a time."""
    few, fewer = ((), ()) if not options.quick_look else (("epochs=1",), ("epochs=1", "cached_augmentations=1"))
    start = () if _imagenet_at_hand() else ("start=shipped",)
    groups = {"quick, cold": [], "quick, warm": [], "finetune, grouped": []}
    with tempfile.TemporaryDirectory(prefix="cxr-lab-training-") as home:
        for number in range(options.rounds):
            place = Path(home) / str(number)
            for name in ("quick, cold", "quick, warm"):
                again = {"recipe": "quick", "split": "random", "settings": (*start, *few)}
                groups[name].append(train_fresh(options.folder, place, seed=number, **again))
        again = {"recipe": "finetune", "split": "grouped", "settings": (*start, *fewer)}
        for seed in range(options.seeds):
            groups["finetune, grouped"].append(train_fresh(options.folder, Path(home) / "0", seed=seed, **again))
    for column in ("seconds", "total_seconds", "accuracy", "epochs", "peak_mb"):
        print(column)
        rows = [(name, summarize([run[column] for run in runs])) for name, runs in groups.items() if runs]
        print_table(("training", *SUMMARY_HEADER), [summary_row(*row) for row in rows])
    cold, warm, tuned = groups.values()
    right = float(np.mean([run["accuracy"] for run in cold]))
    peak = max(run["peak_mb"] for runs in groups.values() for run in runs)
    targets = [
        judge_target("seconds of quick from a cold start", float(np.median([r["seconds"] for r in cold])), below=60),
        judge_target("seconds of quick with warm caches", float(np.median([r["seconds"] for r in warm])), below=20),
        judge_target(f"mean accuracy of quick over {options.rounds} seeds", right, at_least=ARTICLE_ACCURACY),
        judge_target("peak memory of a training process in MB", peak, below=2000),
    ]
    if tuned:
        mean = float(np.mean([run["accuracy"] for run in tuned]))
        targets.append(judge_target(f"mean accuracy of finetune over {len(tuned)} seeds", mean, at_least=0.975))
    return {"runs": groups, "targets": targets}


def streaming_part(options):
    """Batches of prepared images that lie on disk: images per second and peak memory."""
    streams = [stream_fresh(n, 10 if options.quick_look else 200) for n in (1_000, 100_000)]
    print_table(tuple(streams[0]), [tuple(map(four_digits, stream.values())) for stream in streams])
    growth = streams[1]["peak_mb"] - streams[0]["peak_mb"]
    more = judge_target("MB more for reading batches of 100,000 images than of 1,000", growth, below=100)
    return {"streams": streams, "targets": [more]}


def batches_part(options):
    """The article's recipe: images per second of each way."""
    return _speeds(measure_batches(options.folder, options.batches, options.rounds), at_least=0.95)


def activations_part(options):
    """The part of `finetune` that learns: images per second from kept activations and from memory."""
    return _speeds(measure_activations(options.folder, options.batches, options.rounds), at_least=0.9)


def _speeds(speeds, *, at_least):
    summaries = {name: summarize(values) for name, values in speeds.items()}
    print_table(("images per second", *SUMMARY_HEADER), [summary_row(_WAYS[n], s) for n, s in summaries.items()])
    share = summaries["ours"]["median"] / summaries["memory"]["median"]
    target = judge_target("our pipeline's share of the speed on data in memory", share, at_least=at_least)
    return {"images_per_second": summaries, "targets": [target]}


PARTS = {
    "trainings": trainings_part,
    "streaming": streaming_part,
    "batches": batches_part,
    "activations": activations_part,
}


def main():
    """Measure, print, judge and write; parts that are not measured now keep what was measured before."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="data set, for example covid_cxr")
    parser.add_argument("--batches", type=int, default=30, help="per turn (default: 30)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each way, and seeds of quick (default: 5)")
    parser.add_argument("--seeds", type=int, default=5, help="of finetune (default: 5; 0 leaves it out)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to measure (default: all)")
    parser.add_argument("--quick-look", action="store_true", help="a few batches, one round, one epoch; no result file")
    options = parser.parse_args()
    if options.quick_look:
        options.batches, options.rounds, options.seeds = 3, 1, min(1, options.seeds)
    parts = read_json(RESULTS_DIR / "training.json")["parts"]
    # In this order: the trainings are measured before this process loads TensorFlow.
    for name in (name for name in PARTS if name in options.only):
        print(f"{name}\n")
        parts[name] = PARTS[name](options)
        for target in parts[name]["targets"]:
            print(f"{target['what']}: {target['value']} (target {target['target']}), {_verdict(target)}\n")
        if not options.quick_look:
            write_result("training", {"parts": parts})


def _verdict(target):
    return "met" if target["met"] else "missed"


if __name__ == "__main__":
    main()
