"""How an image is prepared: one frozen object, stored with every model and used everywhere."""

from dataclasses import asdict, dataclass

import cv2
import numpy as np

from cxr_core.system.validation import check_kinds, settings_from_dict

# Images are prepared many at a time, one per thread; OpenCV's own threads would only compete.
cv2.setNumThreads(1)

_INTERPOLATIONS = {"linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA, "cubic": cv2.INTER_CUBIC}
_SCALINGS = {"0..1": (1 / 255, 0.0), "-1..1": (2 / 255, -1.0)}
_ALLOWED = {
    "clahe": ("off", "before", "after"),
    "aspect": ("stretch", "pad"),
    "interpolation": tuple(_INTERPOLATIONS),
    "scaling": tuple(_SCALINGS),
}


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """From decoded pixels to what a classifier sees. The defaults are the article's.

    Attributes:
        white_balance_percent: float in [0, 50) or None; each channel is stretched between
            this percentile and 100 minus it. None leaves the brightness alone.
        clahe: "off", "before" or "after" the white balance.
        clahe_clip_limit: float > 0, contrast limit of CLAHE.
        clahe_tiles: int >= 1, tiles per side of CLAHE.
        aspect: "stretch" to a square as the article does, or "pad" with black.
        interpolation: "linear", "area" or "cubic".
        size: int, side of the square image in pixels.
        scaling: "0..1" or "-1..1", the range of the float image.

    Raises:
        ValueError: a value outside its range; the rule and the value are named.

    Example:
        >>> import numpy as np
        >>> from cxr_core import Preprocessing, draw_phantom
        >>> image_u8 = Preprocessing(size=224).image_u8(draw_phantom("normal", np.random.default_rng(0)))
        >>> image_u8.shape, image_u8.dtype.name
        ((224, 224), 'uint8')
    """

    white_balance_percent: float | None = 0.05
    clahe: str = "off"
    clahe_clip_limit: float = 2.0
    clahe_tiles: int = 8
    aspect: str = "stretch"
    interpolation: str = "linear"
    size: int = 224
    scaling: str = "0..1"

    def __post_init__(self):
        check_kinds(self)
        for name, allowed in _ALLOWED.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}; received {getattr(self, name)!r}.")
        percent = self.white_balance_percent
        if percent is not None and not 0 <= percent < 50:
            raise ValueError(f"white_balance_percent must lie in [0, 50) or be None; received {percent}.")
        if self.clahe_clip_limit <= 0 or self.clahe_tiles < 1:
            raise ValueError(
                "clahe_clip_limit must be above 0 and clahe_tiles at least 1; "
                f"received {self.clahe_clip_limit} and {self.clahe_tiles}."
            )
        if self.size < 32:
            raise ValueError(f"size must be at least 32 pixels; received {self.size}.")

    def to_dict(self):
        """Return the settings as a plain dictionary, for a card or a cache key."""
        return asdict(self)

    def image_u8(self, image):
        """Prepare one image.

        Args:
            image: uint8 or uint16, (H, W) or (H, W, 3) BGR, as `reader.decode_image` gives.
                It is not changed.

        Returns:
            uint8 (size, size), grey. An image of one single value gives zeros.

        Source:
            The steps are those of the article that CXR Lab implements: decode, white balance
            per channel, grey, resize.
        """
        channels = _different_channels(image)
        if self.clahe == "before":
            channels = [self._equalize(c) for c in channels]
        channels = [balance_channel(c, self.white_balance_percent) for c in channels]
        grey = channels[0] if len(channels) == 1 else cv2.cvtColor(cv2.merge(channels), cv2.COLOR_BGR2GRAY)
        if self.clahe == "after":
            grey = self._equalize(grey)
        return self._resize(grey)

    def scaled(self, images_u8):
        """Turn prepared images into a classifier's input.

        Args:
            images_u8: uint8 (..., size, size).

        Returns:
            float32 (..., size, size, 3), three equal channels in the range named by `scaling`.
        """
        factor, offset = _SCALINGS[self.scaling]
        values = images_u8.astype(np.float32) * np.float32(factor) + np.float32(offset)
        return np.repeat(values[..., None], 3, axis=-1)

    def map_on_image(self, map_, image_shape):
        """Lay a map over the square image back onto the image it was made from.

        Args:
            map_: float32 (h, w), any size, covering the prepared square.
            image_shape: (H, W, ...), shape of the decoded image.

        Returns:
            float32 (H, W), bilinear; padding is cut away.
        """
        height, width = image_shape[:2]
        if self.aspect == "stretch":
            return cv2.resize(map_, (width, height), interpolation=cv2.INTER_LINEAR)
        side = max(height, width)
        square = cv2.resize(map_, (side, side), interpolation=cv2.INTER_LINEAR)
        top, left = (side - height) // 2, (side - width) // 2
        return square[top : top + height, left : left + width]

    def _equalize(self, channel):
        tiles = (self.clahe_tiles, self.clahe_tiles)
        return cv2.createCLAHE(clipLimit=self.clahe_clip_limit, tileGridSize=tiles).apply(channel)

    def _resize(self, grey):
        interpolation = _INTERPOLATIONS[self.interpolation]
        if self.aspect == "stretch":
            return cv2.resize(grey, (self.size, self.size), interpolation=interpolation)
        height, width = grey.shape
        scale = self.size / max(height, width)
        new_height, new_width = max(1, round(height * scale)), max(1, round(width * scale))
        small = cv2.resize(grey, (new_width, new_height), interpolation=interpolation)
        square = np.zeros((self.size, self.size), np.uint8)
        top, left = (self.size - new_height) // 2, (self.size - new_width) // 2
        square[top : top + new_height, left : left + new_width] = small
        return square


def preprocessing_from_dict(values):
    """Build a Preprocessing from a card's dictionary; ValueError names an unknown setting."""
    return settings_from_dict(Preprocessing, values)


def _different_channels(image):
    # Grey values saved as colour, as most radiographs are: one channel says it all, and grey of three equal ones is it.
    if image.ndim == 2:
        return [image]
    blue, green, red = cv2.split(image)
    equal = cv2.norm(blue, green, cv2.NORM_INF) == 0 and cv2.norm(green, red, cv2.NORM_INF) == 0
    return [blue] if equal else [blue, green, red]


def balance_channel(channel, percent):
    """Stretch one channel between two percentiles, exactly as numpy's percentile would.

    Args:
        channel: uint8 or uint16 (H, W).
        percent: float in [0, 50) or None for no stretch.

    Returns:
        uint8 (H, W). Where both percentiles agree, values above them become 255, all others 0.

    Source:
        The article's white balance; percentiles come from one histogram instead of a sort,
        the stretch from a table with one entry per possible value.
    """
    levels = np.iinfo(channel.dtype).max + 1
    if percent is None:
        return channel if levels == 256 else (channel // 257).astype(np.uint8)
    counts = _histogram(channel, levels)
    low, high = (_percentile(counts, channel.size, p) for p in (percent, 100.0 - percent))
    values = np.arange(levels)
    if high > low:
        table = np.clip((values - low) * 255.0 / (high - low), 0, 255).astype(np.uint8)
    else:
        table = np.where(values > high, 255, 0).astype(np.uint8)
    return cv2.LUT(channel, table) if levels == 256 else table[channel]


def _histogram(channel, levels):
    # OpenCV counts in float32, which is exact up to 2**24 pixels.
    if channel.size < 2**24:
        return cv2.calcHist([channel], [0], None, [levels], [0, levels]).ravel().astype(np.int64)
    return np.bincount(channel.ravel(), minlength=levels)


def _percentile(counts, n, percent):
    position = (n - 1) * (percent / 100)
    below = int(np.floor(position))
    share = position - below
    cumulative = np.cumsum(counts)
    a, b = np.searchsorted(cumulative, [below, min(below + 1, n - 1)], side="right")
    # numpy's own order of operations, so that the last bit agrees too.
    return b - (b - a) * (1 - share) if share >= 0.5 else a + (b - a) * share
