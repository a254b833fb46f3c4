"""Which images must an input gate refuse?

Photographs and other examinations that come with installed packages, drawings, and radiographs that were rotated,
inverted, cropped or placed into something else.
"""

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cxr_core.data.phantoms import draw_phantom
from cxr_core.imaging.reader import UnreadableImage, decode_image
from cxr_core.system.arrays import FloatArray, ImageArray, IntArray, UInt8Array

# "tuning" to fit a gate, "kept" to measure it.
Side = Literal["tuning", "kept"]

# Of each package's images the first tuple is for tuning, the second is kept out of it. No source is in both.
_PACKAGES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "skimage/data": (
        (
            "astronaut.png", "brick.png", "camera.png", "coffee.png", "coins.png", "grass.png", "gravel.png",
            "clock_motion.png", "motorcycle_left.png", "page.png", "retina.jpg", "phantom.png", "color.png",
            "chessboard_GRAY.png",
        ),
        (
            "chelsea.png", "rocket.jpg", "hubble_deep_field.jpg", "moon.png", "text.png", "horse.png", "ihc.png",
            "cell.png", "microaneurysms.png", "logo.png",
        ),
    ),
    "sklearn/datasets/images": (("china.jpg",), ("flower.jpg",)),
    "matplotlib/mpl-data/sample_data": (("grace_hopper.jpg",), ("Minduka_Present_Blue_Pack.png", "logo2.png")),
    "pydicom/data/test_files": (
        ("CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "examples_palette.dcm"),
        (
            "693_J2KI.dcm", "examples_overlay.dcm", "examples_rgb_color.dcm", "examples_jpeg2k.dcm", "JPEG-lossy.dcm",
            "J2K_pixelrep_mismatch.dcm", "examples_ybr_color.dcm", "liver_1frame.dcm", "image_dfl.dcm",
            "GDCMJ2K_TextGBR.dcm",
        ),
    ),
}  # fmt: skip
_VOLUMES: dict[Side, str] = {"tuning": "example4d.nii.gz", "kept": "anatomical.nii"}
_SLICES = 24
_WORDS = tuple(
    "the of and patient study method result figure table lung image model data class found after before with "  # noqa: SIM905
    "without between under over page chapter section number value mean range error left right report normal".split()
)
# The ways of altering a radiograph, of `ALTERATIONS`, that the gate's first question is fitted on.
FITTED_ALTERATIONS = (
    "upside down", "on its side", "inverted", "a part of one", "several in one", "in a page", "in a viewer",
)  # fmt: skip


@dataclass(frozen=True)
class NegativeImage:
    """One image that a gate must refuse.

    Attributes:
        kind: what it is, in words.
        pixels: uint8 or uint16, (H, W) or (H, W, 3) BGR.
    """

    kind: str
    pixels: ImageArray


def negative_images(side: Side, n: int, rng: np.random.Generator, *, drawings: bool = True) -> Iterator[NegativeImage]:
    """Make images that are not radiographs: photographs, other examinations, text, screens, noise, drawings.

    Args:
        side: the two share no photograph, no volume and no way of setting text.
        n: about how many; each kind gets its share.
        rng: chooses and varies the images.
        drawings: whether phantoms are among them: not where the classifier was trained on phantoms.

    Raises:
        ValueError: there is no such side.
    """
    if side not in ("tuning", "kept"):
        raise ValueError(f"side must be tuning or kept; received {side!r}.")
    photographs, examinations = _package_images(side)
    makers: dict[str, Callable[[np.random.Generator], UInt8Array]] = {
        "noise": _draw_noise,
        "gradients and patterns": _draw_pattern,
        "a page of text": _draw_opencv_page if side == "tuning" else _draw_pillow_page,
        "a screen": _draw_screen,
    }
    if drawings:
        makers["a drawing"] = lambda rng: draw_phantom(str(rng.choice(["normal", "covid", "virus"])), rng)
    # Photographs are what people try first, and there are few: half of all.
    for i in range(n // 2):
        yield NegativeImage("a photograph", _vary(photographs[i % len(photographs)], rng))
    for i in range(n // 6):
        yield NegativeImage("another examination", _vary(examinations[i % len(examinations)], rng, whole=True))
    for kind, draw in makers.items():
        for _ in range(n // 3 // len(makers)):
            yield NegativeImage(kind, draw(rng))


def altered_radiographs(
    images: Sequence[ImageArray], rng: np.random.Generator, kinds: Sequence[str] = FITTED_ALTERATIONS
) -> Iterator[NegativeImage]:
    """Alter radiographs so that no answer to them can be right: one image of each, the kinds in turn.

    Args:
        images: as `reader.decode_image` returns them.
        rng: chooses how they are altered.
        kinds: some of `ALTERATIONS`.
    """
    for i, radiograph in enumerate(images):
        kind = kinds[i % len(kinds)]
        others = [_grey_u8(images[int(rng.integers(len(images)))]) for _ in range(3)]
        yield NegativeImage(kind, ALTERATIONS[kind](_grey_u8(radiograph), others, rng))


def small_grey(image: ImageArray, side: int = 512) -> UInt8Array:
    """Return a decoded image in grey, its longest side at most `side` pixels."""
    grey = _grey_u8(image)
    scale = side / max(grey.shape)
    return grey if scale >= 1 else cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def mild_copy(image: ImageArray, rng: np.random.Generator) -> UInt8Array:
    """Return a radiograph as another workstation might save it: slightly rotated, brighter, softer, cropped closer."""
    grey = small_grey(image)
    height, width = grey.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-8, 8), rng.uniform(0.92, 1.12))
    grey = cv2.warpAffine(grey, turn, (width, height))
    if rng.random() < 0.5:
        grey = grey[:, ::-1]
    values = grey.astype(np.float32)
    values = (values - 128) * rng.uniform(0.75, 1.2) + 128 + rng.uniform(-20, 20)
    if rng.random() < 0.5:
        values = cv2.GaussianBlur(values, (0, 0), rng.uniform(0.3, 1.2))
    quality = int(rng.integers(50, 96))
    _, coded = cv2.imencode(".jpg", _clip_u8(values), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cast(UInt8Array, cv2.imdecode(coded, cv2.IMREAD_UNCHANGED))


def _upside_down(image: UInt8Array, _others: Sequence[UInt8Array], rng: np.random.Generator) -> UInt8Array:
    return cv2.flip(image, int(rng.choice([0, -1])))


def _on_its_side(image: UInt8Array, _others: Sequence[UInt8Array], rng: np.random.Generator) -> UInt8Array:
    return cv2.rotate(image, int(rng.choice([cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE])))


def _negative(image: UInt8Array, _others: Sequence[UInt8Array], _rng: np.random.Generator) -> UInt8Array:
    return 255 - image


def _piece(image: UInt8Array, _others: Sequence[UInt8Array], rng: np.random.Generator) -> UInt8Array:
    return _crop(image, rng, 0.2, 0.42)


def _four_in_one(image: UInt8Array, others: Sequence[UInt8Array], _rng: np.random.Generator) -> UInt8Array:
    quarters = [cv2.resize(one, (256, 256), interpolation=cv2.INTER_AREA) for one in (image, *others)]
    return np.vstack([np.hstack(quarters[:2]), np.hstack(quarters[2:])])


def _two_in_one(image: UInt8Array, others: Sequence[UInt8Array], rng: np.random.Generator) -> UInt8Array:
    pair = [cv2.resize(one, (400, 480), interpolation=cv2.INTER_AREA) for one in (image, others[0])]
    return np.hstack(pair) if rng.random() < 0.7 else np.vstack(pair)


def _half(image: UInt8Array, _others: Sequence[UInt8Array], rng: np.random.Generator) -> UInt8Array:
    """Cut off the left, right, upper or lower half, or black it out."""
    height, width = image.shape
    halves = (np.s_[:, : width // 2], np.s_[:, width // 2 :], np.s_[: height // 2], np.s_[height // 2 :])
    half = halves[int(rng.integers(4))]
    if rng.random() < 0.5:
        return np.ascontiguousarray(image[half])
    covered = image.copy()
    covered[half] = 0
    return covered


def _one_lung(image: UInt8Array, _others: Sequence[UInt8Array], rng: np.random.Generator) -> UInt8Array:
    """Cut out about the place of one lung."""
    height, width = image.shape
    left = rng.uniform(0.02, 0.1) + rng.choice([0.0, 0.44])
    rows = slice(int(rng.uniform(0, 0.1) * height), int(rng.uniform(0.8, 0.95) * height))
    return np.ascontiguousarray(image[rows, int(left * width) : int((left + rng.uniform(0.36, 0.42)) * width)])


def _turned(image: UInt8Array, _others: Sequence[UInt8Array], rng: np.random.Generator) -> UInt8Array:
    """Turn by 15 to 90 degrees about the middle; corners come in black, or the whole image stays in view."""
    height, width = image.shape
    degrees = float(rng.uniform(15, 90) * rng.choice([-1, 1]))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    if rng.random() < 0.5:
        cosine, sine = abs(turn[0, 0]), abs(turn[0, 1])
        new_width, new_height = int(height * sine + width * cosine), int(height * cosine + width * sine)
        turn[:, 2] += (new_width - width) / 2, (new_height - height) / 2
        width, height = new_width, new_height
    return cv2.warpAffine(image, turn, (width, height)).astype(np.uint8)


def _stretched(image: UInt8Array, _others: Sequence[UInt8Array], rng: np.random.Generator) -> UInt8Array:
    """Stretch one side to two and a half to three and a half times the other's scale."""
    height, width = image.shape
    factor = rng.uniform(2.5, 3.5)
    wide = rng.random() < 0.5
    size = (round(width * factor), height) if wide else (width, round(height * factor))
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def _in_a_viewer(image: UInt8Array, _others: Sequence[UInt8Array], rng: np.random.Generator) -> UInt8Array:
    """Show it in a window of a program, with bars and lists, as a screenshot or a slightly turned photograph of one."""
    height, width = int(rng.integers(500, 800)), int(rng.integers(700, 1200))
    shade = int(rng.integers(5, 90)) if rng.random() < 0.7 else int(rng.integers(150, 245))
    window = np.full((height, width), shade, np.uint8)
    ink = 200 if shade < 120 else 40
    cv2.rectangle(window, (0, 0), (width, int(rng.integers(20, 60))), int(rng.integers(0, 256)), -1)
    for y in range(80, height - 20, int(rng.integers(22, 45))):
        cv2.putText(window, " ".join(rng.choice(_WORDS, 2)), (10, y), 0, 0.5, ink, 1, cv2.LINE_AA)
    side = rng.uniform(0.55, 0.9) * height
    scale = side / max(image.shape)
    shown = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    top = int(rng.uniform(0.1, 0.9) * (height - shown.shape[0]))
    left = int(rng.uniform(0.3, 0.9) * (width - shown.shape[1]))
    window[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
    if rng.random() < 0.5:
        return window
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-6, 6), rng.uniform(0.85, 1.0))
    return cv2.warpAffine(window, turn, (width, height), borderValue=int(rng.integers(0, 200))).astype(np.uint8)


def _on_a_screen(image: UInt8Array, _others: Sequence[UInt8Array], rng: np.random.Generator) -> UInt8Array:
    """Photograph a screen from the side: perspective, its frame, the room, a tint and the pattern of its pixels."""
    height, width = 600, 800
    room = cv2.resize(rng.integers(20, 200, (3, 4)).astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
    screen = cv2.copyMakeBorder(
        cv2.resize(image, (420, 420), interpolation=cv2.INTER_AREA), 40, 60, 90, 90, cv2.BORDER_CONSTANT, value=15
    )
    screen_height, screen_width = screen.shape
    corners = np.array([[0, 0], [screen_width, 0], [screen_width, screen_height], [0, screen_height]], np.float32)
    shift = np.array([(width - screen_width) / 2, (height - screen_height) / 2])
    placed = (corners + shift + rng.uniform(-35, 35, (4, 2))).astype(np.float32)
    perspective = cv2.getPerspectiveTransform(corners, placed)
    photo = cv2.warpPerspective(screen, perspective, (width, height), dst=room, borderMode=cv2.BORDER_TRANSPARENT)
    y, x = np.mgrid[0:height, 0:width]
    waves = 1 + 0.06 * np.sin(x * rng.uniform(0.5, 2.5) + y * rng.uniform(-0.6, 0.6))
    tint = rng.uniform(0.8, 1.15, 3)
    return _clip_u8(photo[..., None] * waves[..., None] * tint)


def _in_a_page(image: UInt8Array, _others: Sequence[UInt8Array], rng: np.random.Generator) -> UInt8Array:
    return _put_into_page(image, rng)


# What is done to a radiograph, grey uint8 (H, W), with three others at hand.
ALTERATIONS: dict[str, Callable[[UInt8Array, Sequence[UInt8Array], np.random.Generator], UInt8Array]] = {
    "upside down": _upside_down,
    "on its side": _on_its_side,
    "inverted": _negative,
    "a part of one": _piece,
    "several in one": _four_in_one,
    "in a page": _in_a_page,
    "in a viewer": _in_a_viewer,
    "half of one": _half,
    "one lung": _one_lung,
    "turned": _turned,
    "stretched": _stretched,
    "two in one": _two_in_one,
    "on a screen": _on_a_screen,
}


def _package_images(side: Side) -> tuple[list[ImageArray], list[ImageArray]]:
    """Return the photographs and the other examinations that come with installed packages."""
    photographs: list[ImageArray] = []
    examinations: list[ImageArray] = []
    for folder, names in _PACKAGES.items():
        package, _, inside = folder.partition("/")
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            continue
        for name in names[side == "kept"]:
            path = Path(spec.origin).parent / inside / name
            try:
                image = decode_image(path.read_bytes())
            except (OSError, UnreadableImage):  # another version of the package
                continue
            (examinations if package == "pydicom" else photographs).append(image)
    return photographs, examinations + _volume_slices(_VOLUMES[side])


def _volume_slices(name: str) -> list[UInt8Array]:
    """Return slices of a volume that comes with nibabel; none where it is not installed."""
    if importlib.util.find_spec("nibabel") is None:
        return []
    import nibabel

    path = Path(nibabel.__file__).parent / "tests" / "data" / name
    if not path.exists():
        return []
    volume = np.asarray(nibabel.Nifti1Image.from_filename(path).dataobj, np.float32)
    volume = volume[..., 0] if volume.ndim == 4 else volume
    slices: list[UInt8Array] = []
    for axis in range(3):
        for position in np.linspace(0.25, 0.75, _SLICES // 3) * (volume.shape[axis] - 1):
            plane = np.take(volume, int(position), axis=axis)
            span = np.ptp(plane) or 1.0
            slices.append(np.round((plane - plane.min()) / span * 255).astype(np.uint8))
    return slices


def _vary(image: ImageArray, rng: np.random.Generator, *, whole: bool = False) -> UInt8Array:
    """Return a version of an image: cropped, flipped, grey or not, of another size and contrast."""
    varied = _crop(_u8(image), rng, *((0.85, 1.0) if whole else (0.35, 1.0)))
    if varied.ndim == 3 and rng.random() < 0.6:
        varied = cv2.cvtColor(varied, cv2.COLOR_BGR2GRAY)
    if rng.random() < 0.3:
        varied = cv2.flip(varied, int(rng.choice([-1, 0, 1])))
    if rng.random() < 0.15:
        varied = 255 - varied
    values = (varied.astype(np.float32) - 128) * rng.uniform(0.6, 1.3) + 128 + rng.uniform(-30, 30)
    side = int(rng.integers(200, 1200))
    scale = side / max(values.shape[:2])
    size = (max(8, round(values.shape[1] * scale)), max(8, round(values.shape[0] * scale)))
    return cv2.resize(_clip_u8(values), size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def _crop(image: UInt8Array, rng: np.random.Generator, smallest: float, largest: float) -> UInt8Array:
    """Cut out a part whose sides are a random share of the image's, between `smallest` and `largest`."""
    height, width = image.shape[:2]
    share_y, share_x = rng.uniform(smallest, largest, 2)
    h, w = max(8, int(height * share_y)), max(8, int(width * share_x))
    top, left = int(rng.integers(0, max(1, height - h + 1))), int(rng.integers(0, max(1, width - w + 1)))
    return np.ascontiguousarray(image[top : top + h, left : left + w])


def _size(rng: np.random.Generator) -> tuple[int, int]:
    height, width = rng.integers(200, 1000, 2)
    return int(height), int(width)


def _colour(rng: np.random.Generator, low: int, high: int) -> tuple[int, int, int]:
    first, second, third = rng.integers(low, high, 3)
    return int(first), int(second), int(third)


def _draw_noise(rng: np.random.Generator) -> UInt8Array:
    height, width = _size(rng)
    channels = int(rng.choice([1, 1, 3]))
    cell = float(rng.choice([1, 2, 8, 40]))
    small = (max(2, int(height / cell)), max(2, int(width / cell)), channels)
    noise = rng.integers(0, 256, small) if rng.random() < 0.5 else rng.normal(128, 50, small)
    return np.squeeze(cv2.resize(_clip_u8(noise), (width, height), interpolation=cv2.INTER_CUBIC))


def _draw_pattern(rng: np.random.Generator) -> UInt8Array:
    height, width = _size(rng)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    turn = rng.uniform(0, 2 * np.pi)
    along = np.cos(turn) * x / width + np.sin(turn) * y / height
    kind = rng.integers(4)
    if kind == 0:
        values = along
    elif kind == 1:
        values = np.sin(along * rng.uniform(5, 80))
    elif kind == 2:
        values = np.hypot(x / width - rng.random(), y / height - rng.random())
    else:
        values = np.full((height, width), rng.random(), np.float32)
        values[0, 0] += rng.choice([0, 0.01])
    span = np.ptp(values) or 1.0
    image = np.round((values - values.min()) / span * rng.integers(60, 256)).astype(np.uint8)
    return 255 - image if rng.random() < 0.5 else image


def _draw_opencv_page(rng: np.random.Generator) -> UInt8Array:
    width, height = int(rng.integers(500, 900)), int(rng.integers(600, 1200))
    page = np.full((height, width), int(rng.integers(225, 256)), np.uint8)
    font, scale = int(rng.integers(0, 5)), rng.uniform(0.35, 0.8)
    step = int(40 * scale)
    for y in range(int(rng.integers(30, 120)), height - 20, step):
        line = " ".join(rng.choice(_WORDS, 14))
        cv2.putText(page, line, (int(rng.integers(15, 40)), y), font, scale, int(rng.integers(0, 80)), 1, cv2.LINE_AA)
    return 255 - page if rng.random() < 0.2 else page


def _draw_pillow_page(rng: np.random.Generator) -> UInt8Array:
    width, height = int(rng.integers(500, 900)), int(rng.integers(600, 1200))
    page = Image.new("RGB", (width, height), _colour(rng, 230, 256))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=float(rng.uniform(11, 24)))
    y = int(rng.integers(20, 90))
    while y < height - 30:
        words = " ".join(rng.choice(_WORDS, int(rng.integers(3, 12))))
        draw.text((int(rng.integers(20, 60)), y), words, fill=(20, 20, 30), font=font)
        y += int(rng.integers(18, 44))
    return cv2.cvtColor(np.asarray(page), cv2.COLOR_RGB2BGR)


def _draw_screen(rng: np.random.Generator) -> UInt8Array:
    """Draw a window with a title bar, a list, boxes, buttons and words."""
    width, height = int(rng.integers(700, 1300)), int(rng.integers(400, 900))
    dark = rng.random() < 0.4
    back, ink = ((30, 26, 22), (220, 220, 215)) if dark else ((250, 250, 248), (45, 40, 35))
    screen = np.full((height, width, 3), back, np.uint8)
    accent = _colour(rng, 40, 230)
    cv2.rectangle(screen, (0, 0), (width, int(rng.integers(24, 60))), accent, -1)
    left = int(rng.integers(120, 260))
    cv2.rectangle(screen, (0, 0), (left, height), tuple(int(v * 0.93) for v in back), -1)
    for y in range(80, height - 20, int(rng.integers(24, 40))):
        cv2.putText(screen, str(rng.choice(_WORDS)), (16, y), 0, 0.5, ink, 1, cv2.LINE_AA)
    for _ in range(int(rng.integers(2, 7))):
        x, y = int(rng.integers(left, width - 80)), int(rng.integers(60, height - 60))
        w, h = int(rng.integers(60, 400)), int(rng.integers(30, 260))
        filled = -1 if rng.random() < 0.4 else 1
        cv2.rectangle(screen, (x, y), (x + w, y + h), _colour(rng, 60, 240), filled)
        cv2.putText(screen, " ".join(rng.choice(_WORDS, 3)), (x + 6, y + 20), 0, 0.5, ink, 1, cv2.LINE_AA)
    return cv2.cvtColor(screen, cv2.COLOR_BGR2GRAY) if rng.random() < 0.3 else screen


def _put_into_page(image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """Place a radiograph as a figure into a page of text."""
    page = _draw_opencv_page(rng)
    width = int(page.shape[1] * rng.uniform(0.3, 0.5))
    figure = cv2.resize(image, (width, max(8, round(image.shape[0] * width / image.shape[1]))))
    figure = figure[: page.shape[0] - 40]
    top = int(rng.integers(20, page.shape[0] - figure.shape[0] - 10))
    left = int(rng.integers(20, page.shape[1] - width - 10))
    page[top : top + figure.shape[0], left : left + width] = figure
    return page


def _u8(image: ImageArray) -> UInt8Array:
    if image.dtype == np.uint8:
        return cast(UInt8Array, image)
    return cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def _clip_u8(values: FloatArray | IntArray) -> UInt8Array:
    return np.clip(values, 0, 255).astype(np.uint8)


def _grey_u8(image: ImageArray) -> UInt8Array:
    image_u8 = _u8(image)
    return image_u8 if image_u8.ndim == 2 else cv2.cvtColor(image_u8, cv2.COLOR_BGR2GRAY)
