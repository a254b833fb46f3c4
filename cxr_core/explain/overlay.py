"""Where a classifier looked: scale its maps and lay them over the image."""

import cv2
import numpy as np

from cxr_core.imaging.display import display_bgr

COLOUR_MAPS = {"jet": cv2.COLORMAP_JET, "inferno": cv2.COLORMAP_INFERNO}


class MapUnavailable(ValueError):
    """A map that cannot be had of this layer or model; the message is one sentence for a person."""


def scale_maps(maps):
    """Scale each map by its own maximum.

    Args:
        maps: float32 (..., h, w), zero or above.

    Returns:
        float32 of the same shape in [0, 1]; a map without any positive value stays zero.
    """
    highest = maps.max(axis=(-2, -1), keepdims=True)
    return np.divide(maps, highest, out=np.zeros_like(maps), where=highest > 0)


def overlay_map(image, map_, *, alpha=0.4, colour_map="jet"):
    """Blend a map into an image.

    Args:
        image: uint8 or uint16, (H, W) or (H, W, 3) BGR; not changed.
        map_: float32 (H, W) in [0, 1], as `Preprocessing.map_on_image` lays it.
        alpha: float in [0, 1], the map's share of the blend.
        colour_map: "jet" or "inferno".

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


def colour_bar(colour_map):
    """Return the colours of a map from 0 to 1, uint8 (1, 256, 3) RGB, to stand beside an overlay."""
    colours = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[None], COLOUR_MAPS[colour_map])
    return cv2.cvtColor(colours, cv2.COLOR_BGR2RGB)
