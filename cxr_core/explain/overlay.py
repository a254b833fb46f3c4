"""How is a map scaled and laid over the image?"""

import cv2
import numpy as np

from cxr_core.imaging.display import display_bgr
from cxr_core.system.arrays import BoolArray, FloatArray, ImageArray, UInt8Array

COLOUR_MAPS = {"jet": cv2.COLORMAP_JET, "inferno": cv2.COLORMAP_INFERNO}


class MapUnavailable(ValueError):
    """A map that this layer or model does not support; the message is one sentence for the user."""


def scale_maps(maps: FloatArray) -> FloatArray:
    """Scale each map by its own maximum.

    Args:
        maps: float32 (..., h, w), not negative.

    Returns:
        float32 of the same shape in [0, 1]; a map without any positive value stays zero.
    """
    highest = maps.max(axis=(-2, -1), keepdims=True)
    return np.divide(maps, highest, out=np.zeros_like(maps), where=highest > 0)


def overlay_map(image: ImageArray, map_: FloatArray, *, alpha: float = 0.4, colour_map: str = "jet") -> UInt8Array:
    """Blend a map into an image.

    Args:
        image: uint8 or uint16, (H, W) or (H, W, 3) BGR; not changed.
        map_: float32 (H, W) in [0, 1], as `Preprocessing.map_on_image` returns it.
        alpha: in [0, 1], the map's weight in the blend.
        colour_map: a key of `COLOUR_MAPS`.

    Returns:
        uint8 (H, W, 3) RGB.

    Raises:
        ValueError: sizes differ, alpha outside [0, 1] or an unknown colour map.
    """
    if map_.shape != image.shape[:2]:
        raise ValueError(f"The map must have the image's size {image.shape[:2]}; received {map_.shape}.")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in [0, 1]; received {alpha}.")
    if colour_map not in COLOUR_MAPS:
        raise ValueError(f"colour_map must be one of {', '.join(COLOUR_MAPS)}; received {colour_map!r}.")
    colours = cv2.applyColorMap(cv2.convertScaleAbs(map_, alpha=255), COLOUR_MAPS[colour_map])
    blend = cv2.addWeighted(colours, alpha, display_bgr(image), 1 - alpha, 0)
    return cv2.cvtColor(blend, cv2.COLOR_BGR2RGB)


def colour_bar(colour_map: str) -> UInt8Array:
    """Return a colour map's colours from 0 to 1, uint8 (1, 256, 3) RGB, as the legend of an overlay."""
    colours = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[None], COLOUR_MAPS[colour_map])
    return cv2.cvtColor(colours, cv2.COLOR_BGR2RGB)


def share_inside(map_: FloatArray, mask: BoolArray) -> float | None:
    """Return the proportion of a map's weight inside a mask, both (H, W); None where the map is all zeros."""
    total = map_.sum()
    return float(map_[mask].sum() / total) if total > 0 else None
