"""How are the images of tests and examples drawn: shapes that stand for chest radiographs?

They are drawings. A classifier trained on them has learned to tell drawings apart, no more.
"""

from pathlib import Path

import cv2
import numpy as np

from cxr_core.system.arrays import FloatArray, UInt8Array
from cxr_core.system.files import atomic_path
from cxr_core.system.progress import Progress

IMAGES_PER_CLASS = 60
_CLASSES = ("normal", "covid", "virus")
_DRAW_SIZE = 320
# Across and down, in shares of the side.
Pair = tuple[float, float]


def draw_demo_data(
    folder: str | Path, *, images_per_class: int = IMAGES_PER_CLASS, seed: int = 0, progress: Progress | None = None
) -> Path:
    """Draw a data set into a folder, unless it is there already.

    Args:
        folder: gets the sub-folders normal, covid and virus.
        images_per_class: how many drawings of each.
        seed: the same seed draws the same images.
        progress: counts the drawings.

    Returns:
        The folder.

    Example:
        >>> from tempfile import mkdtemp
        >>> from cxr_core import draw_demo_data
        >>> sorted(folder.name for folder in draw_demo_data(mkdtemp() + "/demo", images_per_class=1).iterdir())
        ['covid', 'normal', 'virus']
    """
    folder = Path(folder)
    total = images_per_class * len(_CLASSES)
    for i in range(total):
        class_name, number = _CLASSES[i // images_per_class], i % images_per_class
        path = folder / class_name / f"drawing-{number:03d}.{'png' if number % 3 else 'jpg'}"
        if not path.exists():
            image = draw_phantom(class_name, np.random.default_rng((seed, i)))
            with atomic_path(path) as temporary:
                temporary.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
        if progress:
            progress(i + 1, total)
    return folder


def draw_phantom(class_name: str, rng: np.random.Generator) -> UInt8Array:
    """Draw one chest.

    Args:
        class_name: "normal" (clear lungs), "covid" (soft patches at the outer, lower lungs) or
            "virus" (fine streaks through both lungs).
        rng: of everything that differs between two drawings.

    Returns:
        uint8 (H, W), longest side 240 to 900 pixels.

    Example:
        >>> import numpy as np
        >>> from cxr_core import draw_phantom
        >>> drawing = draw_phantom("covid", np.random.default_rng(0))
        >>> drawing.ndim, drawing.dtype.name
        (2, 'uint8')
    """
    if class_name not in _CLASSES:
        raise ValueError(f"class_name must be one of {', '.join(_CLASSES)}; received {class_name!r}.")
    size = _DRAW_SIZE
    body = _ellipse(size, (0.5, 0.62), (0.46, 0.62), 0.03)
    lungs = [
        _ellipse(
            size, (x + rng.normal(0, 0.008), 0.5 + rng.normal(0, 0.01)), (0.155 + rng.normal(0, 0.008), 0.31), 0.015
        )
        for x in (0.3, 0.7)
    ]
    lung = np.maximum(*lungs)
    image = 20 + 150 * body - 105 * lung * (1 - 0.15 * rng.random())
    image += 95 * _ellipse(size, (0.56, 0.64), (0.13, 0.17), 0.03) * body
    image += 75 * _ellipse(size, (0.5, 0.5), (0.045, 0.6), 0.015) * body
    image += 30 * _ribs(size, rng) * body
    if class_name == "covid":
        image += 90 * _patches(size, lung, rng)
    elif class_name == "virus":
        image += 170 * _streaks(size, lung, rng)
    # Every chest has a texture of its own: without it all drawings of a class would be copies of one.
    image += 9 * (_texture(size, 2.5, rng) + _texture(size, 6, rng)) * body
    # Film grain: enlarged without it, a drawing looks like a blurred radiograph.
    image += rng.normal(0, 9, image.shape)
    image = np.clip(image * rng.uniform(0.85, 1.1), 0, 255).astype(np.uint8)
    height, width = rng.integers(240, 901), rng.integers(240, 901)
    size_xy = (int(np.clip(width, 0.75 * height, 1.3 * height)), int(height))
    return cv2.resize(image, size_xy, interpolation=cv2.INTER_CUBIC)


def _ellipse(size: int, centre: Pair, radii: Pair, softness: float) -> FloatArray:
    """Return float32 (size, size) in [0, 1]: an ellipse with a soft edge, in shares of the side."""
    y, x = (axis.astype(np.float32) / size for axis in np.ogrid[0:size, 0:size])
    distance = np.hypot((x - centre[0]) / radii[0], (y - centre[1]) / radii[1])
    return np.clip((1 - distance) / (softness / min(radii)) + 0.5, 0, 1)


def _texture(size: int, sigma: float, rng: np.random.Generator) -> FloatArray:
    """Return float32 (size, size), smooth noise of spread 1."""
    noise = cv2.GaussianBlur(rng.normal(0, 1, (size, size)).astype(np.float32), (0, 0), sigma)
    return noise / noise.std()


def _ribs(size: int, rng: np.random.Generator) -> FloatArray:
    canvas = np.zeros((size, size), np.float32)
    first, bend = rng.uniform(0.15, 0.24), rng.uniform(0.09, 0.16)
    for height in np.linspace(first, rng.uniform(0.72, 0.82), rng.integers(7, 10)) + rng.normal(0, 0.008):
        for x in (0.29, 0.71):
            centre = (int(x * size), int((height + 0.12) * size))
            cv2.ellipse(canvas, centre, (int(0.2 * size), int(bend * size)), 0, 195, 345, 1.0, 5, cv2.LINE_AA)
    return cv2.GaussianBlur(canvas, (0, 0), 1.5)


def _patches(size: int, lung: FloatArray, rng: np.random.Generator) -> FloatArray:
    canvas = np.zeros((size, size), np.float32)
    for _ in range(rng.integers(4, 8)):
        side = rng.choice([-1, 1])
        centre = (0.5 + side * rng.uniform(0.22, 0.32), rng.uniform(0.45, 0.75))
        radii = (rng.uniform(0.04, 0.09), rng.uniform(0.04, 0.09))
        canvas = np.maximum(canvas, _ellipse(size, centre, radii, 0.05) * rng.uniform(0.5, 1))
    return canvas * lung


def _streaks(size: int, lung: FloatArray, rng: np.random.Generator) -> FloatArray:
    canvas = np.zeros((size, size), np.float32)
    for _ in range(90):
        start = rng.uniform(0.12, 0.88, 2) * size
        turn, length = rng.uniform(0, np.pi), rng.uniform(0.03, 0.09) * size
        end = start + length * np.array([np.cos(turn), np.sin(turn)])
        cv2.line(canvas, tuple(int(v) for v in start), tuple(int(v) for v in end), 1.0, 1, cv2.LINE_AA)
    return cv2.GaussianBlur(canvas, (0, 0), 0.8) * lung
