"""How an image of a data set is shown small."""

from pathlib import Path

import numpy as np
import streamlit as st

from cxr_core.classes import class_label
from cxr_core.imaging.display import thumbnail
from cxr_core.imaging.reader import UnreadableImage
from ui.common.markdown import plain_name

THUMBNAIL_PIXELS = 118
LARGE_PIXELS = 448


@st.cache_data(max_entries=600, show_spinner=False)
def image_thumbnail(path, mtime_ns, side=224):
    """Return a thumbnail, uint8 (h, w, 3), or None if the file is gone or broken."""
    try:
        return thumbnail(Path(path).read_bytes(), side)
    except (UnreadableImage, OSError):
        return None


def show_images(paths, captions):
    """Show thumbnails with captions, each with its own aspect; rows wrap with the screen's width."""
    with st.container(horizontal=True, gap="small"):
        for path, caption in zip(paths, captions, strict=True):
            with st.container(width=THUMBNAIL_PIXELS):
                show_image(path, caption)


def show_image(path, caption):
    """Show one thumbnail with its caption."""
    mtime = Path(path).stat().st_mtime_ns if Path(path).exists() else 0
    image = image_thumbnail(path, mtime)
    if image is None:
        st.caption(f"{caption} (the file is gone)")
    else:
        st.image(_on_square(image), caption=caption, width=THUMBNAIL_PIXELS)


def show_large(row):
    """Show one image at the width of its column, with its class, file and size; `row` is of a data set's table."""
    image = image_thumbnail(row["path"], row["mtime_ns"], LARGE_PIXELS)
    name = f"{plain_name(class_label(row['class_name']))}: {plain_name(row['file'])}"
    facts = f"{name}, {row['width']} × {row['height']} pixels"
    if image is None:
        st.caption(f"{facts} (the file is gone)")
    else:
        st.image(image, caption=facts, width="stretch")


def _on_square(image):
    """Pad with transparency to a square, so that a grid stays even."""
    side = max(image.shape[:2])
    square = np.zeros((side, side, 4), np.uint8)
    top, left = (side - image.shape[0]) // 2, (side - image.shape[1]) // 2
    square[top : top + image.shape[0], left : left + image.shape[1], :3] = image
    square[top : top + image.shape[0], left : left + image.shape[1], 3] = 255
    return square
