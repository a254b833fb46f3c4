"""Where a classifier looked: scale its maps and lay them over the picture."""

import cv2
import numpy as np

SCREEN_SIDE = 1000
MAP_METHODS = ("Grad-CAM", "Grad-CAM++", "Score-CAM")
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


def overlay_map(picture, map_, *, alpha=0.4, colour_map="jet"):
    """Blend a map into a picture.

    Args:
        picture: uint8 or uint16, (H, W) or (H, W, 3) BGR; not changed.
        map_: float32 (H, W) in [0, 1], as `Preprocessing.map_on_picture` lays it.
        alpha: float in [0, 1], the map's share of the blend.
        colour_map: "jet" or "inferno".

    Returns:
        uint8 (H, W, 3) RGB.

    Raises:
        ValueError: sizes differ, alpha outside [0, 1] or an unknown colour map.
    """
    if map_.shape != picture.shape[:2]:
        raise ValueError(f"The map must have the picture's size {picture.shape[:2]}; received {map_.shape}.")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in [0, 1]; received {alpha}.")
    if colour_map not in COLOUR_MAPS:
        raise ValueError(f"colour_map must be one of {', '.join(COLOUR_MAPS)}; received {colour_map!r}.")
    colours = cv2.applyColorMap(cv2.convertScaleAbs(map_, alpha=255), COLOUR_MAPS[colour_map])
    blend = cv2.addWeighted(colours, alpha, display_bgr(picture), 1 - alpha, 0)
    return cv2.cvtColor(blend, cv2.COLOR_BGR2RGB)


def colour_bar(colour_map):
    """Return the colours of a map from 0 to 1, uint8 (1, 256, 3) RGB, to stand beside an overlay."""
    colours = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[None], COLOUR_MAPS[colour_map])
    return cv2.cvtColor(colours, cv2.COLOR_BGR2RGB)


def display_bgr(picture):
    """Return a decoded picture as uint8 (H, W, 3) BGR; 16-bit values are stretched to their range."""
    if picture.dtype == np.uint16:
        low, high = int(picture.min()), int(picture.max())
        picture = ((picture.astype(np.float32) - low) * (255 / max(1, high - low))).astype(np.uint8)
    return cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if picture.ndim == 2 else picture


def display_rgb(picture):
    """Return a decoded picture as uint8 (H, W, 3) RGB for a screen."""
    return cv2.cvtColor(display_bgr(picture), cv2.COLOR_BGR2RGB)


def shrink(image, side):
    """Return an image whose longest side is at most `side` pixels; smaller ones stay as they are."""
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def png_bytes(image_rgb):
    """Return uint8 (H, W, 3) RGB, or (H, W) grey, as the bytes of a PNG file."""
    image = image_rgb if image_rgb.ndim == 2 else cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", image)[1].tobytes()
