"""How is an image prepared for the network? By one frozen object, which is stored with every model."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import cv2
import numpy as np

from cxr_core.imaging.grey_range import count_values, full_range
from cxr_core.imaging.preprocessing_steps import apply_further_steps, check_further_steps
from cxr_core.system.arrays import AnyImage, FloatArray, ImageArray, IntArray, UInt8Array
from cxr_core.system.validation import check_kinds, settings_from_dict

# Images are prepared many at a time, one per thread; OpenCV's own threads would only compete.
cv2.setNumThreads(1)

Clahe = Literal["off", "before", "after"]
Aspect = Literal["stretch", "pad"]
Interpolation = Literal["linear", "area", "cubic"]
Scaling = Literal["0..1", "-1..1"]

# How far beside the places of an even grid a map's cells looked: (down, right), as proportions of the square's side.
MapOffset = tuple[float, float]
_INTERPOLATIONS: dict[Interpolation, int] = {
    "linear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "cubic": cv2.INTER_CUBIC,
}
# From so many pixels on a map is brought to its image by matrices.
_FILM_PIXELS = 1 << 21
# Factor and offset that turn 0 to 255 into the range.
_SCALINGS: dict[Scaling, tuple[float, float]] = {"0..1": (1 / 255, 0.0), "-1..1": (2 / 255, -1.0)}


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """The steps from decoded pixels to the classifier's input. The defaults are the article's.

    Attributes:
        white_balance_percent: in [0, 50); each channel is stretched between this percentile and 100 minus it. None
            leaves the brightness alone.
        clahe: contrast-limited adaptive histogram equalisation, off or before or after the white balance.
        clahe_clip_limit: > 0, contrast limit of CLAHE.
        clahe_tiles: >= 1, tiles per side of CLAHE.
        aspect: stretch to a square as the article does, or pad with black.
        interpolation: how the image is resized.
        size: >= 32, side of the square image in pixels.
        scaling: range of the float image.
        further_steps: name in `preprocessing_steps.PREPROCESSING_STEPS` and setting of whatever is done besides, in
            order.

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
    clahe: Clahe = "off"
    clahe_clip_limit: float = 2.0
    clahe_tiles: int = 8
    aspect: Aspect = "stretch"
    interpolation: Interpolation = "linear"
    size: int = 224
    scaling: Scaling = "0..1"
    further_steps: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        check_kinds(self)
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
        check_further_steps(self.further_steps)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as a plain dictionary, for a model card or a cache key.

        Without further steps it has no entry for them, as in the cards of versions that knew none.
        """
        values = asdict(self)
        if not self.further_steps:
            del values["further_steps"]
        return values

    def image_u8(self, image: ImageArray) -> UInt8Array:
        """Prepare one image.

        Args:
            image: uint8 or uint16, (H, W) or (H, W, 3) BGR, as `reader.decode_image` returns it; not changed.

        Returns:
            uint8 (size, size), grey. An image of a single value becomes all zeros.

        Source:
            The steps are those of the article that CXR Lab implements: decode, white balance per channel, convert to
            grey, resize. Further steps come last.
        """
        if self.clahe == "before" or self.white_balance_percent is None:
            # The white balance alone finds the range by itself.
            image = full_range(image)
        channels = _different_channels(image)
        if self.clahe == "before":
            channels = [self._equalize(c) for c in channels]
        balanced = [balance_channel(c, self.white_balance_percent) for c in channels]
        grey = balanced[0] if len(balanced) == 1 else cv2.cvtColor(cv2.merge(balanced), cv2.COLOR_BGR2GRAY)
        if self.clahe == "after":
            grey = self._equalize(grey)
        return apply_further_steps(self._resize(grey), self.further_steps)

    def scaled(self, images_u8: UInt8Array) -> FloatArray:
        """Scale prepared images to a classifier's input.

        Args:
            images_u8: uint8 (..., size, size).

        Returns:
            float32 (..., size, size, 3), three equal channels in the range named by `scaling`.
        """
        factor, offset = _SCALINGS[self.scaling]
        values = images_u8.astype(np.float32) * np.float32(factor) + np.float32(offset)
        return np.repeat(values[..., None], 3, axis=-1)

    def map_on_image(
        self, map_: FloatArray, image_shape: tuple[int, ...], offset: MapOffset = (0.0, 0.0)
    ) -> FloatArray:
        """Resample a map of the prepared square to the decoded image.

        Args:
            map_: float32 (h, w), any size, covering the prepared square but for the offset.
            image_shape: (H, W, ...), shape of the decoded image.
            offset: how far beside the places of an even grid its cells looked.

        Returns:
            float32 (H, W), bilinear; padding is cut away. At a border that no cell looked at, the nearest value.
        """
        height, width = image_shape[:2]
        side = max(height, width)
        whole_height, whole_width = (height, width) if self.aspect == "stretch" else (side, side)
        if height * width >= _FILM_PIXELS:
            rows = _linear_weights(map_.shape[0], whole_height, height, offset[0])
            columns = _linear_weights(map_.shape[1], whole_width, width, offset[1])
            # NumPy's product would wake further threads, which cost more than they help.
            return cv2.gemm(rows @ map_, columns, 1, np.empty(0), 0, flags=cv2.GEMM_2_T)
        whole = _moved(cv2.resize(map_, (whole_width, whole_height), interpolation=cv2.INTER_LINEAR), offset)
        top, left = (whole_height - height) // 2, (whole_width - width) // 2
        return whole[top : top + height, left : left + width]

    def _equalize(self, channel: AnyImage) -> AnyImage:
        tiles = (self.clahe_tiles, self.clahe_tiles)
        return cv2.createCLAHE(clipLimit=self.clahe_clip_limit, tileGridSize=tiles).apply(channel)

    def _resize(self, grey: UInt8Array) -> UInt8Array:
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


def balance_change(image: ImageArray) -> float:
    """Return how much the usual white balance changes an image: the mean difference of its grey values, 0 to 255."""
    balanced, plain = Preprocessing().image_u8(image), Preprocessing(white_balance_percent=None).image_u8(image)
    return float(cv2.absdiff(balanced, plain).mean())


def preprocessing_from_dict(values: object) -> Preprocessing:
    """Build a Preprocessing from a model card's dictionary; ValueError names an unknown setting."""
    return settings_from_dict(Preprocessing, values)


def _different_channels(image: ImageArray) -> list[ImageArray]:
    """Split an image into its channels; one if all three are equal, as in most radiographs that were saved in colour.

    Converting three equal channels to grey would give the same values.
    """
    if image.ndim == 2:
        return [image]
    blue, green, red = cv2.split(image)
    equal = cv2.norm(blue, green, cv2.NORM_INF) == 0 and cv2.norm(green, red, cv2.NORM_INF) == 0
    return [blue] if equal else [blue, green, red]


def balance_channel(channel: ImageArray, percent: float | None) -> UInt8Array:
    """White balance of one channel: stretch it between two percentiles, which equal those of `numpy.percentile`.

    Args:
        channel: uint8 or uint16 (H, W).
        percent: in [0, 50); the channel is stretched between this percentile and 100 minus it. None for no stretch.

    Returns:
        uint8 (H, W). Where both percentiles agree, values above them become 255, all others 0.

    Source:
        The article's white balance; the percentiles come from a histogram instead of a sort, and the stretch from a
        table with one entry per possible value.
    """
    levels = np.iinfo(channel.dtype).max + 1
    if percent is None:
        return (channel if levels == 256 else channel // 257).astype(np.uint8, copy=False)
    counts = count_values(channel)
    low, high = (_percentile(counts, channel.size, p) for p in (percent, 100.0 - percent))
    values = np.arange(levels)
    if high > low:
        table = np.clip((values - low) * 255.0 / (high - low), 0, 255).astype(np.uint8)
    else:
        table = np.where(values > high, 255, 0).astype(np.uint8)
    return cv2.LUT(channel, table)


def _percentile(counts: IntArray, n: int, percent: float) -> float:
    """Return a percentile of the `n` values whose histogram is `counts`."""
    position = (n - 1) * (percent / 100)
    below = int(np.floor(position))
    share = position - below
    cumulative = np.cumsum(counts)
    a, b = np.searchsorted(cumulative, [below, min(below + 1, n - 1)], side="right")
    # NumPy's order of operations, so that the last bit agrees, too.
    return b - (b - a) * (1 - share) if share >= 0.5 else a + (b - a) * share


def _linear_weights(cells: int, pixels: int, kept: int, offset: float) -> FloatArray:
    """Return what each pixel takes of each cell when a row of cells is stretched over a side, float32 (kept, cells).

    Two small matrices make the map of a film in a quarter of the time that OpenCV takes to resize and move it.

    Args:
        cells: of the row.
        pixels: of the whole side.
        kept: pixels in the middle of the side, whose weights are returned.
        offset: how far the cells are moved, as a proportion of the side; beyond the ends the last cells are repeated.
    """
    pixel = np.arange(kept) + (pixels - kept) // 2 - offset * pixels
    place = (np.clip(pixel, 0, pixels - 1) + 0.5) * (cells / pixels) - 0.5
    distance = np.abs(np.clip(place, 0, cells - 1)[:, None] - np.arange(cells))
    return np.maximum(1 - distance, 0).astype(np.float32)


def _moved(map_: FloatArray, offset: MapOffset) -> FloatArray:
    """Move a map (H, W) down and right by proportions of its sides; its edges are repeated."""
    if offset == (0.0, 0.0):
        return map_
    height, width = map_.shape
    matrix = np.array([[1, 0, offset[1] * width], [0, 1, offset[0] * height]])
    return cv2.warpAffine(map_, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
