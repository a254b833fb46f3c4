"""How is a training image changed at random? Small, seeded changes, so that no epoch repeats the one before."""

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cxr_core.system.arrays import FloatArray, IntArray, UInt8Array
from cxr_core.system.validation import check_kinds

# Of each strength: the least and the greatest value.
RANGES: dict[str, tuple[float, float]] = {
    "p_image": (0.01, 1),
    "p_transform": (0.01, 1),
    "rotation_degrees": (0, 180),
    "zoom": (0, 0.9),
    "shift": (0, 0.9),
    "frame": (0, 1),
    "histogram_matching": (0, 1),
    "spectrum_matching": (0, 1),
    "brightness": (0, 1),
    "contrast": (0, 0.99),
    "blur": (0, 20),
    "resolution": (0, 0.95),
    "jpeg_quality": (1, 100),
    "gamma": (0, 3),
    "noise": (0, 100),
    "text_overlay": (0, 1),
    "outside_lungs": (0, 1),
}


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """The random changes to a training image. The defaults are the article's.

    Attributes:
        p_image: in [0.01, 1], probability that an image is changed at all. Rotation smooths an image slightly; if some
            stay as they are, the network sees both.
        p_transform: in [0.01, 1], probability of each change below in an image that is changed; rotation, flip, zoom
            and shift always apply.
        rotation_degrees: in [0, 180], maximum angle in either direction; the border repeats the edge pixels.
        horizontal_flip: whether half of the images are mirrored.
        zoom: in [0, 0.9], scaled by a factor of up to 1 ± this value.
        shift: in [0, 0.9], maximum shift, as a proportion of the side.
        frame: in [0, 1], probability that a uniform grey fills the border of a moved image, not its edge pixels.
        histogram_matching: in [0, 1], how closely at most the grey values follow those of another training image.
        spectrum_matching: in [0, 1], how closely at most the sharpness follows that of another training image.
        brightness: in [0, 1], maximum change in either direction, as a proportion of the grey range.
        contrast: in [0, 0.99], stretched around the mean by a factor of up to 1 ± this value.
        blur: in [0, 20], maximum sigma of a Gaussian blur, in pixels.
        resolution: in [0, 0.95], shrunk by up to this proportion and enlarged again.
        jpeg_quality: in [1, 100], recompressed at a quality from here to 100; 100 is off.
        gamma: in [0, 3], greys are raised to a power between exp(-gamma) and exp(gamma).
        noise: in [0, 100], maximum standard deviation of the noise, in grey values.
        text_overlay: in [0, 1], probability that one to three words are drawn into the image.
        outside_lungs: in [0, 1], probability that what lies outside the lungs is replaced, before all else; see
            `replace_outside_lungs`.

    Raises:
        ValueError: a value outside its range; the rule and the value are named.

    Source:
        Matching follows Fourier domain adaptation (Yang & Soatto 2020, arXiv:2004.05498) and stylised training images
        (Geirhos et al. 2019, arXiv:1811.12231): what reveals the source of an image, but no disease, is exchanged
        between the classes, so that it predicts nothing.
    """

    p_image: float = 1.0
    p_transform: float = 1.0
    rotation_degrees: float = 15.0
    horizontal_flip: bool = True
    zoom: float = 0.0
    shift: float = 0.0
    frame: float = 0.0
    histogram_matching: float = 0.0
    spectrum_matching: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    blur: float = 0.0
    resolution: float = 0.0
    jpeg_quality: int = 100
    gamma: float = 0.0
    noise: float = 0.0
    text_overlay: float = 0.0
    outside_lungs: float = 0.0

    def __post_init__(self) -> None:
        check_kinds(self)
        for name, (low, high) in RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must lie between {low} and {high}; received {getattr(self, name)}.")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as a plain dictionary."""
        return asdict(self)

    @property
    def needs_second_image(self) -> bool:
        """Whether `apply` needs a second image, to match it or to take what surrounds its lungs."""
        return bool(self.histogram_matching or self.spectrum_matching or self.outside_lungs)

    def apply(
        self,
        image_u8: UInt8Array,
        rng: np.random.Generator,
        other_u8: UInt8Array | None = None,
        lungs: tuple[UInt8Array, UInt8Array] | None = None,
    ) -> UInt8Array:
        """Return one augmented copy.

        Args:
            image_u8: uint8 (H, W), not changed.
            rng: the same state gives the same copy.
            other_u8: uint8 (H, W), another training image to match; without it nothing is matched.
            lungs: of the image and of the other one, each uint8 of any size, 255 where lung is certain and 0
                everywhere where none were found; without them what lies outside the lungs stays.

        Returns:
            uint8 (H, W).
        """
        if self.outside_lungs and other_u8 is not None and lungs is not None and rng.random() < self.outside_lungs:
            image_u8 = replace_outside_lungs(image_u8, other_u8, lungs, rng)
        if self.p_image < 1 and rng.random() >= self.p_image:
            return image_u8.copy()
        image = self._warp(image_u8, rng)
        if other_u8 is not None:
            image = self._match(image, other_u8, rng)
        if self.resolution and self._happens(rng):
            image = _coarsen(image, 1 - rng.uniform(0, self.resolution))
        if self.blur and self._happens(rng):
            sigma = rng.uniform(0, self.blur)
            if sigma > 0.1:
                image = cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        image = self._change_greys(image, rng)
        if self.text_overlay and rng.random() < self.text_overlay:
            image = _write_text(image, rng)
        if self.noise and self._happens(rng):
            grain = rng.normal(0, rng.uniform(0, self.noise), image.shape)
            image = np.clip(image + grain, 0, 255).astype(np.uint8)
        if self.jpeg_quality < 100 and self._happens(rng):
            image = _recompress(image, int(rng.integers(self.jpeg_quality, 101)))
        return image

    def _happens(self, rng: np.random.Generator) -> bool:
        return self.p_transform >= 1 or rng.random() < self.p_transform

    def _warp(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Rotate, flip, zoom and shift in one step."""
        height, width = image.shape
        angle = rng.uniform(-self.rotation_degrees, self.rotation_degrees)
        scale = 1 + rng.uniform(-self.zoom, self.zoom)
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, scale)
        if self.horizontal_flip and rng.random() < 0.5:
            matrix = matrix @ np.array([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1]], float)
        if self.shift:
            matrix[:, 2] += rng.uniform(-self.shift, self.shift, 2) * (width, height)
        border, grey = cv2.BORDER_REPLICATE, 0
        if self.frame and rng.random() < self.frame:
            # Frames are mostly black, now and then white or dark grey.
            border, grey = cv2.BORDER_CONSTANT, int(rng.choice([0, 0, 0, 30, 255]))
        return cv2.warpAffine(
            image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=border, borderValue=grey
        )

    def _match(self, image: UInt8Array, other: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        if self.spectrum_matching and self._happens(rng):
            image = match_spectrum(image, other, rng.uniform(0, self.spectrum_matching))
        if self.histogram_matching and self._happens(rng):
            image = match_histogram(image, other, rng.uniform(0, self.histogram_matching))
        return image

    def _change_greys(self, image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """Change gamma, contrast and brightness in one table of grey values."""
        greys = np.arange(256, dtype=float)
        if self.gamma and self._happens(rng):
            greys = 255 * (greys / 255) ** np.exp(rng.uniform(-self.gamma, self.gamma))
        if (self.contrast or self.brightness) and self._happens(rng):
            gain = 1 + rng.uniform(-self.contrast, self.contrast)
            shift = 255 * rng.uniform(-self.brightness, self.brightness)
            mean = float(image.mean())
            greys = (greys - mean) * gain + mean + shift
        return cv2.LUT(image, np.clip(greys, 0, 255).astype(np.uint8))


def match_histogram(image_u8: UInt8Array, other_u8: UInt8Array, strength: float = 1.0) -> UInt8Array:
    """Histogram matching: give an image the distribution of grey values of another one.

    Args:
        image_u8: uint8 (H, W), not changed.
        other_u8: uint8, of any size, not changed.
        strength: in [0, 1], how closely; 0 changes nothing.

    Returns:
        uint8 (H, W).

    Source:
        Histogram matching, Gonzalez & Woods, Digital Image Processing, section 3.3.
    """
    own, wanted = (np.cumsum(np.bincount(i.ravel(), minlength=256)) / i.size for i in (image_u8, other_u8))
    greys = np.arange(256)
    table = (1 - strength) * greys + strength * np.interp(own, wanted, greys)
    return cv2.LUT(image_u8, np.round(table).astype(np.uint8))


def match_spectrum(image_u8: UInt8Array, other_u8: UInt8Array, strength: float = 1.0) -> UInt8Array:
    """Spectrum matching: give an image the sharpness of another one.

    The amplitudes of each ring of equal frequency are scaled to their mean in the other image. The twelve lowest
    rings, which hold the chest itself, are changed little or not at all.

    Args:
        image_u8: uint8 (H, W), not changed.
        other_u8: uint8 (H, W), not changed.
        strength: in [0, 1], share of the change on a logarithmic scale; 0 changes nothing but rounding.

    Returns:
        uint8 (H, W).

    Raises:
        ValueError: the sizes differ.
    """
    if image_u8.shape != other_u8.shape:
        raise ValueError(f"Both images must have the same size; received {image_u8.shape} and {other_u8.shape}.")
    rings = _rings(image_u8.shape)
    mean = float(image_u8.mean())
    waves = np.fft.rfft2(image_u8.astype(np.float32) - mean)
    difference = _ring_levels(np.fft.rfft2(other_u8.astype(np.float32)), rings) - _ring_levels(waves, rings)
    gain = np.clip(strength * difference, *_LEAST_AND_MOST_GAIN)
    gain[:_COARSE_RINGS] *= np.linspace(0, 1, len(gain[:_COARSE_RINGS]))
    changed = np.fft.irfft2(waves * np.exp(gain)[rings], s=image_u8.shape) + mean
    return np.clip(np.round(changed), 0, 255).astype(np.uint8)


def replace_outside_lungs(
    image_u8: UInt8Array, other_u8: UInt8Array, lungs: tuple[UInt8Array, UInt8Array], rng: np.random.Generator
) -> UInt8Array:
    """Keep the lungs of an image and replace what surrounds them, so that it tells nothing about the class.

    The lungs, grown by up to a fifteenth of the image and with a soft edge, are laid over one of: a uniform grey, the
    image itself strongly blurred, or, in half of the copies, another image whose own lungs are blurred away.

    Args:
        image_u8: uint8 (H, W), not changed.
        other_u8: uint8 (H, W), not changed.
        lungs: of both, as for `Augmentation.apply`.
        rng: draws what surrounds the lungs, how far they are grown and how soft their edge is.

    Returns:
        uint8 (H, W); the image itself where no lungs were found.

    Source:
        Replacing the background as in Xiao et al. 2020, arXiv:2006.09994; that chest radiographs are told by what
        surrounds the lungs: DeGrave et al. 2021, doi:10.1038/s42256-021-00338-7.
    """
    pixel = max(image_u8.shape) / 224
    edge, grown = rng.uniform(1.5, 6) * pixel, int(rng.integers(0, 16) * pixel)
    own = _soft_mask(lungs[0], image_u8.shape, edge, grown)
    if own is None:
        return image_u8
    image = image_u8.astype(np.float32)
    kind = rng.integers(0, 4)
    if kind == 0:
        around = np.full_like(image, rng.integers(0, 256))
    elif kind == 1:
        around = cv2.GaussianBlur(image, (0, 0), rng.uniform(8, 25) * pixel)
    else:
        around = other_u8.astype(np.float32)
        theirs = _soft_mask(lungs[1], image_u8.shape, 6 * pixel, int(6 * pixel))
        if theirs is not None:
            around += (cv2.GaussianBlur(around, (0, 0), 18 * pixel) - around) * theirs
    return np.clip(around + (image - around) * own, 0, 255).astype(np.uint8)


# Logarithms: detail becomes up to twenty times weaker, but at most 4.5 times stronger, since most of that is noise.
_LEAST_AND_MOST_GAIN = (-3.0, 1.5)
_COARSE_RINGS = 12
_WORDS = ("R", "L", "PA", "AP", "A", "B1", "2C", "portable", "erect", "supine", "mobile", "day 3")


@lru_cache(maxsize=4)
def _rings(shape: tuple[int, int]) -> IntArray:
    """Return int (H, W // 2 + 1): each frequency's distance from zero, in cycles per image."""
    height, width = shape
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    return np.round(np.hypot(down, across) * max(shape)).astype(int)


def _ring_levels(waves: npt.NDArray[np.complexfloating[Any, Any]], rings: IntArray) -> FloatArray:
    """Return float (rings,): the logarithm of the mean amplitude of each ring."""
    sums = np.bincount(rings.ravel(), np.abs(waves).ravel())
    return np.log(sums / np.maximum(np.bincount(rings.ravel()), 1) + 1e-3)


def _soft_mask(lungs: UInt8Array, shape: tuple[int, ...], edge: float, grown: int) -> FloatArray | None:
    """Return float32 (H, W), 1 in the lungs grown by some pixels, with an edge of that sigma; None without lungs."""
    mask = (cv2.resize(lungs, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR) > 127).astype(np.float32)
    if not mask.any():
        return None
    if grown:
        mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grown + 1, 2 * grown + 1)))
    return cv2.GaussianBlur(mask, (0, 0), edge)


def _coarsen(image: UInt8Array, scale: float) -> UInt8Array:
    """Shrink an image by a factor and enlarge it again."""
    height, width = image.shape
    size = (max(1, int(width * scale)), max(1, int(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def _recompress(image: UInt8Array, quality: int) -> UInt8Array:
    """Encode an image as JPEG and decode it again."""
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
    assert decoded is not None  # OpenCV reads what it wrote
    return decoded


def _write_text(image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """Draw one to three words as they stand on radiographs."""
    image, (height, width) = image.copy(), image.shape
    for _ in range(rng.integers(1, 4)):
        place = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        size, grey = rng.uniform(0.3, 0.8) * height / 224, int(rng.choice([0, 220, 255]))
        cv2.putText(image, str(rng.choice(_WORDS)), place, int(rng.integers(0, 4)), size, grey, 1, cv2.LINE_AA)
    return image
