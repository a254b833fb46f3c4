"""Small, seeded changes to a training image, so that a classifier sees more than it was given."""

from dataclasses import asdict, dataclass

import cv2
import numpy as np

from cxr_core.checks import check_kinds


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What may happen to a training image. The defaults are the article's.

    Attributes:
        share: float in (0, 1], how many of the images are changed at all. Turning smooths an image a
            little; where some stay as they are, a network meets both.
        rotation_degrees: float, turned by up to this much either way; edges repeat the nearest pixel.
        horizontal_flip: bool, mirrored half of the time.
        zoom: float in [0, 1), scaled by 1 ± this much.
        brightness: float in [0, 1], shifted by up to this share of the range either way.
        contrast: float in [0, 1), spread around the mean by 1 ± this much.
        blur: float >= 0, Gaussian blur with a sigma of up to this many pixels.
        resolution: float in [0, 1), shrunk by up to this share and enlarged again.
        jpeg_quality: int in [1, 100], re-compressed with a quality from here to 100; 100 is off.

    Raises:
        ValueError: a value outside its range; the rule and the value are named.
    """

    share: float = 1.0
    rotation_degrees: float = 15.0
    horizontal_flip: bool = True
    zoom: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    blur: float = 0.0
    resolution: float = 0.0
    jpeg_quality: int = 100

    def __post_init__(self):
        check_kinds(self)
        for name, low, high in (
            ("share", 0.01, 1),
            ("rotation_degrees", 0, 180),
            ("zoom", 0, 0.9),
            ("brightness", 0, 1),
            ("contrast", 0, 0.99),
            ("blur", 0, 20),
            ("resolution", 0, 0.95),
            ("jpeg_quality", 1, 100),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must lie between {low} and {high}; received {getattr(self, name)}.")

    def to_dict(self):
        """Return the settings as a plain dictionary."""
        return asdict(self)

    def apply(self, image_u8, rng):
        """Return one augmented copy.

        Args:
            image_u8: uint8 (H, W), not changed.
            rng: numpy.random.Generator; the same state gives the same copy.

        Returns:
            uint8 (H, W).
        """
        if self.share < 1 and rng.random() >= self.share:
            return image_u8.copy()
        image = self._warp(image_u8, rng)
        if self.resolution:
            scale = 1 - rng.uniform(0, self.resolution)
            height, width = image.shape
            small = cv2.resize(
                image, (max(1, int(width * scale)), max(1, int(height * scale))), interpolation=cv2.INTER_AREA
            )
            image = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
        if self.blur:
            sigma = rng.uniform(0, self.blur)
            if sigma > 0.1:
                image = cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        if self.contrast or self.brightness:
            gain = 1 + rng.uniform(-self.contrast, self.contrast)
            shift = 255 * rng.uniform(-self.brightness, self.brightness)
            mean = float(image.mean())
            table = np.clip((np.arange(256) - mean) * gain + mean + shift, 0, 255).astype(np.uint8)
            image = cv2.LUT(image, table)
        if self.jpeg_quality < 100:
            quality = int(rng.integers(self.jpeg_quality, 101))
            encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            image = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
        return image

    def _warp(self, image, rng):
        height, width = image.shape
        angle = rng.uniform(-self.rotation_degrees, self.rotation_degrees)
        scale = 1 + rng.uniform(-self.zoom, self.zoom)
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, scale)
        if self.horizontal_flip and rng.random() < 0.5:
            matrix = matrix @ np.array([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1]], float)
        return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
