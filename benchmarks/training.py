"""Training: the article's way against ours, on one split of one data set, in one run.

Throughput of the article's recipe: seconds per batch of (a) the article's way (ImageDataGenerator feeding
`fit` of Keras's own layers), (b) our input pipeline feeding the same network as we train it, its normalisation fused,
(c) `train_on_batch` of (b) on data that lie in memory, by turns. Then whole trainings by the command line, each in a
fresh process: `quick` from a cold start and with warm caches, on the article's random split, and `finetune` on the
grouped split over several seeds. A training has reached its accuracy once its classifier is exported and evaluated;
the search for copies comes after. Peak memory is the system's own high-water mark of the process, at any moment. Last,
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
    SUMMARY_HEADER,
    four_digits,
    judge_target,
    print_table,
    summarize,
    summary_row,
    write_result,
)
from cxr_core.runs.run import Run

ARTICLE_ACCURACY = 0.956
_ARTICLE_EPOCHS = 50
_PROJECT_DIR = Path(__file__).resolve().parent.parent
_WAYS = {"article": "article's way", "ours": "our pipeline", "memory": "data in memory"}


def measure_batches(folder, n_batches, rounds):
    """Time batches of the article's recipe, by turns.

    Args:
        folder: Path of the data set.
        n_batches: int, batches per turn.
        rounds: int, turns of each way.

    Returns:
        (speeds, images): dict of way (a key of `_WAYS`) to a list of images per second, one per turn;
        and how many images the data set has.
    """
    import keras
    import tensorflow as tf

    from cxr_core.data.dataset import scan_dataset
    from cxr_core.data.prepared_images import prepare_images, read_images
    from cxr_core.recipes.training_config import make_config
    from cxr_core.training.batches import EpochClock, image_batches
    from cxr_core.training.network import build_model

    settings = [f"epochs={rounds + 1}", f"start={'imagenet' if _imagenet_at_hand() else 'shipped'}"]
    config = make_config("article", roots=(str(folder),), settings=settings)
    table = scan_dataset(folder).table
    n_images = min(len(table), n_batches * config.batch_size)
    n_batches = n_images // config.batch_size
    rows = np.random.default_rng(0).permutation(len(table))[:n_images]
    prepared = prepare_images(table.iloc[np.sort(rows)].reset_index(drop=True), config.preprocessing)
    names = sorted(table["class_name"].unique())
    labels = np.eye(len(names), dtype=np.float32)[prepared.table["class_name"].map(names.index)]
    images = config.preprocessing.scaled(read_images(prepared.images_u8, range(len(labels))))
    model = build_model(config, len(names))
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

    def in_memory():
        for start in range(0, n_batches * size, size):
            model.train_on_batch(images[start : start + size], labels[start : start + size])

    def article():
        flow = generator.flow(images, labels, batch_size=size)
        as_published.fit(flow, steps_per_epoch=n_batches, epochs=1, verbose=0)

    ways = {
        "article": article,
        "ours": lambda: model.fit(ours, epochs=1, verbose=0, shuffle=False),
        "memory": in_memory,
    }
    speeds = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            # The first turn of each way also traces its graph.
            if turn:
                speeds[name].append(n_batches * size / (time.perf_counter() - start))
    return speeds, len(table)


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


def main():
    """Measure, print, judge and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="data set, for example covid_cxr")
    parser.add_argument("--batches", type=int, default=30, help="per turn (default: 30)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each way, and seeds of quick (default: 5)")
    parser.add_argument("--seeds", type=int, default=5, help="of finetune (default: 5; 0 leaves it out)")
    parser.add_argument("--quick-look", action="store_true", help="a few batches, one round, one epoch; no result file")
    options = parser.parse_args()
    batches, rounds, seeds = options.batches, options.rounds, options.seeds
    few, fewer = ((), ()) if not options.quick_look else (("epochs=1",), ("epochs=1", "cached_augmentations=1"))
    if options.quick_look:
        batches, rounds, seeds = 3, 1, min(1, seeds)
    start = () if _imagenet_at_hand() else ("start=shipped",)
    with tempfile.TemporaryDirectory(prefix="cxr-lab-training-") as home:
        # Before this process loads TensorFlow: only one of them should be large at a time.
        cold, warm = [], []
        for number in range(rounds):
            place = Path(home) / str(number)
            for runs in (cold, warm):
                again = {"recipe": "quick", "split": "random", "settings": (*start, *few)}
                runs.append(train_fresh(options.folder, place, seed=number, **again))
        tuned, again = [], {"recipe": "finetune", "split": "grouped", "settings": (*start, *fewer)}
        for seed in range(seeds):
            tuned.append(train_fresh(options.folder, Path(home) / "0", seed=seed, **again))
    streams = [stream_fresh(n, 10 if options.quick_look else 200) for n in (1_000, 100_000)]
    speeds, n_images = measure_batches(options.folder, batches, rounds)
    print("Images per second, article's recipe")
    print_table(("way", *SUMMARY_HEADER), [summary_row(_WAYS[n], summarize(v)) for n, v in speeds.items()])
    groups = {"quick, cold": cold, "quick, warm": warm, "finetune, grouped": tuned}
    for column in ("seconds", "total_seconds", "accuracy", "epochs", "peak_mb"):
        print(column)
        rows = [(name, summarize([run[column] for run in runs])) for name, runs in groups.items() if runs]
        print_table(("training", *SUMMARY_HEADER), [summary_row(*row) for row in rows])
    print("Streaming")
    print_table(tuple(streams[0]), [tuple(map(four_digits, stream.values())) for stream in streams])
    share = float(np.median(speeds["ours"]) / np.median(speeds["memory"]))
    right = float(np.mean([run["accuracy"] for run in cold]))
    peak = max(run["peak_mb"] for runs in groups.values() for run in runs)
    targets = [
        judge_target("our pipeline's share of the speed on data in memory", share, at_least=0.95),
        judge_target("seconds of quick from a cold start", float(np.median([r["seconds"] for r in cold])), below=60),
        judge_target("seconds of quick with warm caches", float(np.median([r["seconds"] for r in warm])), below=20),
        judge_target(f"mean accuracy of quick over {rounds} seeds", right, at_least=ARTICLE_ACCURACY),
        judge_target("peak memory of a training process in MB", peak, below=2000),
    ]
    growth = streams[1]["peak_mb"] - streams[0]["peak_mb"]
    targets.append(judge_target("MB more for reading batches of 100,000 images than of 1,000", growth, below=100))
    if tuned:
        mean = float(np.mean([run["accuracy"] for run in tuned]))
        targets.append(judge_target(f"mean accuracy of finetune over {len(tuned)} seeds", mean, at_least=0.975))
        tenth = four_digits(_ARTICLE_EPOCHS * 0.8 * n_images / float(np.median(speeds["article"])) / 10)
        slowest = max(run["seconds"] for run in tuned)
        targets.append(judge_target("seconds of finetune: a tenth of the article's 50 epochs", slowest, below=tenth))
    for target in targets:
        print(f"{target['what']}: {target['value']} (target {target['target']}), {_verdict(target)}")
    if not options.quick_look:
        summaries = {name: summarize(values) for name, values in speeds.items()}
        write_result(
            "training", {"images_per_second": summaries, "trainings": groups, "streaming": streams, "targets": targets}
        )


def _verdict(target):
    return "met" if target["met"] else "missed"


if __name__ == "__main__":
    main()
