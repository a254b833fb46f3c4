"""How an image is shown: eight bits, smaller, as PNG or JPEG."""

import cv2
import numpy as np

from cxr_core.imaging.reader import decode_image

SCREEN_SIDE = 1000
_JPEG_QUALITY = 88


def display_bgr(image):
    """Return a decoded image as uint8 (H, W, 3) BGR; 16-bit values are stretched to their range."""
    if image.dtype == np.uint16:
        low, high = int(image.min()), int(image.max())
        image = ((image.astype(np.float32) - low) * (255 / max(1, high - low))).astype(np.uint8)
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image


def display_rgb(image):
    """Return a decoded image as uint8 (H, W, 3) RGB for a screen."""
    return cv2.cvtColor(display_bgr(image), cv2.COLOR_BGR2RGB)


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


def jpeg_bytes(image_rgb):
    """Return uint8 (H, W, 3) RGB as the bytes of a JPEG file."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    return cv2.imencode(".jpg", cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def thumbnail(data, side=224):
    """Shrink an image file for a grid.

    Args:
        data: bytes of the file.
        side: int, longest side in pixels.

    Returns:
        uint8 (h, w, 3) RGB with the image's own aspect.

    Raises:
        reader.UnreadableImage: the bytes are no image.
    """
    return cv2.cvtColor(shrink(display_bgr(decode_image(data)), side), cv2.COLOR_BGR2RGB)
