"""Seconds and peak memory of each step on 1,000, 10,000 and 100,000 images, or more, each step in a fresh process.

The images are drawn, small and all different; what grows with their number is measured, not their decoding.
They lie in the system's file cache, having just been written.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np

from benchmarks.reporting import RESULTS_DIR, four_digits, write_result
from cxr_core.system.files import read_json

_SIZES = (1_000, 10_000, 100_000, 1_000_000)
_CLASSES = ("normal", "covid", "virus")
_BLOCK = 500
_PROJECT_DIR = Path(__file__).resolve().parent.parent
_CURVE = _PROJECT_DIR / "docs" / "images" / "scale.png"


def scan(folder):
    """Scan the folder: with every file opened, or with what the index keeps, depending on who came before."""
    from cxr_core.data.dataset import scan_dataset

    return partial(scan_dataset, folder)


def stamp(folder):
    """Ask whether anything changed, as a page does at each rerun."""
    from cxr_core.data.dataset import folder_stamp

    return partial(folder_stamp, folder)


def split(folder):
    """Split by patient."""
    from cxr_core.data.dataset import scan_dataset
    from cxr_core.splits.split import make_split

    return partial(make_split, scan_dataset(folder).table, "grouped", seed=0)


def measure(folder):
    """Measure brightness, sharpness, frames, text and the rest of every image."""
    from cxr_core.data.dataset import scan_dataset
    from cxr_core.data.property_table import measure_images

    return partial(measure_images, scan_dataset(folder).table)


def prepare(folder):
    """Decode and prepare every image as the duplicates are looked for in."""
    from cxr_core.data.dataset import scan_dataset
    from cxr_core.data.prepared_images import prepare_images
    from cxr_core.imaging.preprocessing import Preprocessing

    return partial(prepare_images, scan_dataset(folder).table, Preprocessing())


def duplicates(folder):
    """Look for near copies among prepared images."""
    from cxr_core.splits.duplicates import find_duplicates

    return partial(find_duplicates, prepare(folder)())


def page(folder):
    """Open the Dataset page and wait for its analysis; go to another page, from which one comes back."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(_PROJECT_DIR / "streamlit_app.py"), default_timeout=3_600)
    for name, value in (("source", "folder"), ("folders", str(folder))):
        app.session_state[f"{name}_choice"] = app.session_state[f"{name}_kept"] = value
    app.run()
    app.switch_page("pages/dataset.py").run()
    if app.error or app.exception:
        raise RuntimeError(f"The Dataset page must open: {[told.value for told in (*app.error, *app.exception)]}")
    app.switch_page("pages/overview.py").run()
    return app.switch_page("pages/dataset.py").run


# In this order, in one home: name, then a function that gets ready, untimed, and returns the call to time.
STEPS = {
    "first scan": scan,
    "second opening": scan,
    "has it changed?": stamp,
    "measuring": measure,
    "preparing": prepare,
    "duplicates": duplicates,
    "grouped split": split,
    "Dataset page, coming back": page,
}


def draw_images(folder, n, seed):
    """Draw `n` images in three classes, two to a patient in two of them, with as many processes as cores.

    Args:
        folder: Path; gets the sub-folders normal, covid and virus.
        n: int.
        seed: int; the same seed draws the same images.
    """
    for name in _CLASSES:
        (folder / name).mkdir(parents=True)
    with ProcessPoolExecutor() as pool:
        blocks = [range(start, min(start + _BLOCK, n)) for start in range(0, n, _BLOCK)]
        for _ in pool.map(partial(_draw_block, folder, seed), blocks):
            pass


def _draw_block(folder, seed, numbers):
    cv2.setNumThreads(1)
    for i in numbers:
        class_name, patient = _CLASSES[i % 3], i // 6
        ending = "png" if i % 2 else "jpg"
        name = {"normal": f"IM-{patient:06d}-{i:06d}", "covid": f"covid-{i:06d}"}.get(
            class_name, f"person{patient}_virus_{i}"
        )
        image = _draw_image(class_name, np.random.default_rng((seed, i)))
        (folder / class_name / f"{name}.{ending}").write_bytes(cv2.imencode(f".{ending}", image)[1].tobytes())


def _draw_image(class_name, rng):
    """Turn, shift, shade and roughen one of a few drawings: uint8 (H, W), sides 64 to 96 pixels."""
    drawing = _drawings(class_name)[rng.integers(16)]
    height, width = (int(side) for side in rng.integers(64, 97, 2))
    turn = cv2.getRotationMatrix2D((64, 64), rng.uniform(-15, 15), rng.uniform(0.8, 1.25))
    turn[:, 2] += rng.uniform(-12, 12, 2)
    image = cv2.resize(cv2.warpAffine(drawing, turn, (128, 128), borderMode=cv2.BORDER_REPLICATE), (width, height))
    shade = cv2.resize(rng.uniform(0.4, 1.3, (6, 6)), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(image * shade + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)


@lru_cache
def _drawings(class_name):
    from cxr_core.data.phantoms import draw_phantom

    return [cv2.resize(draw_phantom(class_name, np.random.default_rng(i)), (128, 128)) for i in range(16)]


def measure_step(name, folder, home):
    """Run one step in a fresh process whose caches lie under `home`.

    Returns:
        dict of seconds and cpu_seconds (the call alone, the latter summed over threads, which other
        work on the machine hardly changes), process_seconds (with starting and getting ready) and
        peak_mb (million bytes).

    Raises:
        RuntimeError: the process failed; its last lines are named.
    """
    result = Path(home) / "result.json"
    step = [sys.executable, "-m", "benchmarks.scale", "--step", name, "--folder", folder, "--result", result]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cold_start", *map(str, step)],
        cwd=_PROJECT_DIR, env=os.environ | {"CXR_LAB_HOME": str(home)}, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"A fresh process must end with 0; received {done.returncode}: {done.stderr[-800:]}")
    whole = json.loads(done.stdout)
    return {
        **{name: four_digits(value) for name, value in json.loads(result.read_text()).items()},
        "process_seconds": four_digits(whole["seconds"]),
        "peak_mb": four_digits(whole["peak_mb"]),
    }


def _run_step(name, folder, result):
    call = STEPS[name](folder)
    start, cpu_start = time.perf_counter(), time.process_time()
    call()
    spent = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu_start}
    result.write_text(json.dumps(spent))


def _print_markdown(sizes):
    print(f"| step | {' | '.join(f'{n:,} images' for n in sizes)} |")
    print(f"|---|{'---:|' * len(sizes)}")
    for name in STEPS:
        print(f"| {name} | {' | '.join(_cell(sizes[n].get(name)) for n in sizes)} |")


def _cell(step):
    if step is None:
        return "not measured"
    return f"{step['seconds']:.3g} s, {step['cpu_seconds']:.3g} s CPU, {step['peak_mb']:.0f} MB"


def draw_curve(sizes, path):
    """Draw each step's processor seconds against the number of images, both in powers of ten, as a PNG file."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.5, 4.2), dpi=110)
    for name in STEPS:
        measured = {n: steps[name]["cpu_seconds"] for n, steps in sizes.items() if name in steps}
        axes.loglog(list(measured), list(measured.values()), marker="o", label=name)
    first, last = min(sizes), max(n for n, steps in sizes.items() if "duplicates" in steps)
    start = sizes[first]["duplicates"]["cpu_seconds"]
    for power, style in ((1, "--"), (2, ":")):
        label = "in proportion" if power == 1 else "with the square"
        axes.loglog([first, last], [start, start * (last / first) ** power], style, color="grey", label=label)
    axes.set(xlabel="Images", ylabel="Processor seconds", title="What a data set costs, step by step")
    axes.legend(fontsize=8, ncols=2)
    figure.tight_layout()
    figure.savefig(path)


def main():
    """Draw, measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--smallest", type=int, default=_SIZES[0], help="leave out smaller sets (default: 1000)")
    parser.add_argument("--largest", type=int, default=100_000, help="leave out larger sets (default: 100000)")
    parser.add_argument("--steps", nargs="*", choices=STEPS, help="measure these anew; the others keep their figures")
    parser.add_argument("--seed", type=int, default=0, help="seed of the drawings (default: 0)")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        return _run_step(options.step, options.folder, options.result)
    kept = read_json(RESULTS_DIR / "scale.json")["images"]
    sizes = {int(n): steps for n, steps in kept.items()}
    for n in (n for n in _SIZES if options.smallest <= n <= options.largest):
        with tempfile.TemporaryDirectory(prefix="cxr-lab-scale-") as home:
            folder = Path(home) / "images"
            draw_images(folder, n, options.seed)
            # A first scan in any case: every other step opens what it left.
            measured = {name: measure_step(name, folder, home) for name in STEPS if _is_due(name, options.steps)}
            sizes[n] = sizes.get(n, {}) | measured
    _print_markdown(sizes)
    packages = {package: version(package) for package in ("pandas", "pyarrow", "scikit-learn")}
    write_result("scale", {"seed": options.seed, "further_packages": packages, "images": sizes})
    draw_curve(sizes, _CURVE)


def _is_due(name, steps):
    return not steps or name in steps or name == "first scan"


if __name__ == "__main__":
    main()
