"""Images per second from file to prepared pixels: the article's way against ours, by turns in one run."""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.article_baseline import prepare_file
from benchmarks.reporting import SUMMARY_HEADER, four_digits, print_table, summarize, summary_row, write_result
from cxr_core.imaging.preprocessing import Preprocessing
from cxr_core.imaging.reader import UnreadableImage, decode_image, is_dicom, is_image_file, read_image

# As many as cxr_core.data.prepared_images takes.
OUR_THREADS = 3


def draw_sample(folder, n, seed):
    """Draw `n` images, or all there are, that both sides can read; reading them warms the disk cache.

    Returns:
        list of Path.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and is_image_file(path))
    sample = []
    for position in np.random.default_rng(seed).permutation(len(paths)):
        if len(sample) == n:
            break
        if _both_read(paths[position]):
            sample.append(paths[position])
    if not sample:
        raise SystemExit("Error: the folder must hold images; not one was found that both sides can read.")
    return sample


def _both_read(path):
    data = path.read_bytes()
    try:
        decode_image(data)
    except UnreadableImage:
        return False
    return not is_dicom(data)


def prepare_article(paths):
    """Return uint8 (N, 224, 224): one after the other."""
    return np.stack([prepare_file(path)[..., 0] for path in paths])


def prepare_ours(paths):
    """Return uint8 (N, 224, 224): three at a time, nothing kept on disk."""
    preprocessing = Preprocessing()
    with ThreadPoolExecutor(OUR_THREADS) as pool:
        return np.stack(list(pool.map(lambda path: preprocessing.image_u8(read_image(path)), paths)))


def main():
    """Measure, print and write; exit with 1 if the two sides' pixels differ."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.preprocessing", description=__doc__)
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder of images, sub-folders included")
    parser.add_argument("--images", type=int, default=600, help="size of the sample (default: 600)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds per side (default: 3)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample (default: 0)")
    options = parser.parse_args()
    paths = draw_sample(options.folder, options.images, options.seed)
    sides = {"article": prepare_article, "ours": prepare_ours}
    rates, pixels = {name: [] for name in sides}, {}
    for _ in range(options.rounds):
        for name, prepare in sides.items():
            start = time.perf_counter()
            pixels[name] = prepare(paths)
            rates[name].append(len(paths) / (time.perf_counter() - start))
    differing = int((pixels["article"] != pixels["ours"]).any(axis=(1, 2)).sum())
    summaries = {name: summarize(values) for name, values in rates.items()}
    ratio = four_digits(summaries["ours"]["median"] / summaries["article"]["median"])
    print_table(
        ("images/s", *SUMMARY_HEADER),
        [
            summary_row("article's way, 1 thread", summaries["article"]),
            summary_row(f"ours, {OUR_THREADS} threads", summaries["ours"]),
        ],
    )
    print(f"Ratio of medians: {ratio}. Images whose pixels differ: {differing} of {len(paths)}.")
    result = {"images": len(paths), "seed": options.seed, "images_per_second": summaries}
    write_result("preprocessing", result | {"ratio_of_medians": ratio, "images_with_differing_pixels": differing})
    return int(differing > 0)


if __name__ == "__main__":
    raise SystemExit(main())
