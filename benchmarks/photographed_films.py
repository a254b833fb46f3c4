"""Photographed films: how many drawn photographs of radiographs are known as such, and how many radiographs wrongly.

Each photograph shows a radiograph in perspective in a dark room, on a light box or on a grey wall, under uneven light,
a little blurred, with noise, saved as JPEG. None was tuned on a true photograph, of which there are none at hand.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from benchmarks.reporting import judge_target, print_table, write_result
from cxr_core.imaging.grey_range import grey_u8
from cxr_core.imaging.photo_detection import FILM_SIDES, count_film_sides
from cxr_core.imaging.reader import IMAGE_ENDINGS, UnreadableImage, read_image

SURROUNDINGS = {"dark room": (25, 70), "light box": (190, 250), "grey wall": (90, 160)}
_WIDTH = 700


def draw_photograph(radiograph, surroundings, rng):
    """Draw a photograph of a radiograph.

    Args:
        radiograph: uint8 (H, W).
        surroundings: one of `SURROUNDINGS`.
        rng: numpy.random.Generator.

    Returns:
        uint8 (h, w), larger than the film by an eighth to a half.
    """
    film_height = round(_WIDTH * radiograph.shape[0] / radiograph.shape[1])
    film = cv2.resize(radiograph, (_WIDTH, film_height), interpolation=cv2.INTER_AREA).astype(np.float32)
    film = film * rng.uniform(0.6, 0.85) + rng.uniform(15, 40)
    height, width = round(film_height * rng.uniform(1.12, 1.5)), round(_WIDTH * rng.uniform(1.12, 1.5))
    margin = np.float32([(width - _WIDTH) / 2, (height - film_height) / 2])
    corners = np.float32([[0, 0], [_WIDTH, 0], [_WIDTH, film_height], [0, film_height]])
    moved = corners + margin + rng.uniform(-0.7, 0.7, (4, 2)).astype(np.float32) * margin
    aslant = cv2.getPerspectiveTransform(corners, moved)
    clouds = cv2.resize(rng.normal(0, 6, (6, 6)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    is_film = cv2.warpPerspective(np.ones_like(film), aslant, (width, height))
    image = (rng.uniform(*SURROUNDINGS[surroundings]) + clouds) * (1 - is_film)
    image += cv2.warpPerspective(film, aslant, (width, height)) * is_film
    y, x = np.mgrid[0 : 1 : 1j * height, 0 : 1 : 1j * width]
    lamp = rng.uniform(0.2, 0.8, 2)
    image *= 1 - rng.uniform(0.1, 0.4) * ((x - lamp[0]) ** 2 + (y - lamp[1]) ** 2)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.5)) + rng.normal(0, rng.uniform(1, 4), image.shape)
    image = np.clip(image, 0, 255).astype(np.uint8)
    jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 95))])[1]
    return cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE)


def measure(folders, every=6):
    """Count on all images in some folders, and on a drawn photograph of every sixth; returns the result, a dict."""
    rng, wrong, found = np.random.default_rng(0), {}, {name: [0, 0] for name in SURROUNDINGS}
    for folder in folders:
        files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_ENDINGS)
        wrong[folder.name] = [0, 0]
        for number, path in enumerate(files):
            try:
                image = read_image(path)
            except UnreadableImage:
                continue
            wrong[folder.name][0] += int(count_film_sides(image) >= FILM_SIDES)
            wrong[folder.name][1] += 1
            if number % every == 0:
                grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
                kind = tuple(SURROUNDINGS)[rng.integers(len(SURROUNDINGS))]
                photograph = draw_photograph(grey_u8(grey), kind, rng)
                found[kind][0] += int(count_film_sides(photograph) >= FILM_SIDES)
                found[kind][1] += 1
    shares = [100 * n / of for n, of in wrong.values()]
    target = judge_target("radiographs called photographs, most in one set, %", max(shares), below=1)
    return {"radiographs": wrong, "photographs": found, "targets": [target]}


def main():
    """Count, print and write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.photographed_films", description=__doc__.splitlines()[0]
    )
    parser.add_argument("folders", metavar="DIR", nargs="+", type=Path)
    result = measure(parser.parse_args().folders)
    for title, key in (("radiographs called photographs", "radiographs"), ("photographs found", "photographs")):
        print_table((title, "", "of"), [(name, n, of) for name, (n, of) in result[key].items()])
    write_result("photographed_films", result)


if __name__ == "__main__":
    main()
