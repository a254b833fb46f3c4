"""The inputs of preprocessing and augmentation."""

import streamlit as st

from cxr_core.imaging.augmentation import Augmentation
from cxr_core.imaging.preprocessing import Preprocessing

_AUGMENTATION_SLIDERS = {
    "p_image": ("Share of images changed", 0.05, 1.0, "The others stay as they are. The article changes all."),
    "p_transform": (
        "How often each change",
        0.05,
        1.0,
        "Chance of each change below but zoom, shift and rotation.",
    ),
    "rotation_degrees": ("Rotation in degrees", 0.0, 45.0, "Turned by up to this much either way."),
    "zoom": ("Zoom", 0.0, 0.5, "Scaled by one plus or minus this."),
    "shift": ("Shift", 0.0, 0.5, "Moved by up to this share of the side."),
    "frame": (
        "Frames",
        0.0,
        1.0,
        "How often one grey lies outside the turned image, not its nearest pixel.",
    ),
    "histogram_matching": (
        "Borrowed greys",
        0.0,
        1.0,
        "Takes over another training image's mix of greys, up to this far.",
    ),
    "spectrum_matching": (
        "Borrowed sharpness",
        0.0,
        1.0,
        "Becomes as sharp as another training image, up to this far.",
    ),
    "brightness": ("Brightness", 0.0, 0.5, "Shifted by up to this share of the grey range."),
    "contrast": ("Contrast", 0.0, 0.9, "Spread around the mean by one plus or minus this."),
    "gamma": ("Gamma", 0.0, 1.0, "Dark or bright greys are spread; 0.5 is a power of 0.6 to 1.6."),
    "noise": ("Noise", 0.0, 30.0, "Spread of up to this many grey values."),
    "text_overlay": ("Lettering", 0.0, 1.0, "How often words such as AP or portable are written into the image."),
    "blur": ("Blur in pixels", 0.0, 4.0, "Gaussian blur with a sigma of up to this."),
    "resolution": ("Lost resolution", 0.0, 0.9, "Shrunk by up to this share and enlarged again."),
    "jpeg_quality": ("Lowest JPEG quality", 10, 100, "Re-compressed with a quality from here to 100; 100 is off."),
}


def ask_preprocessing(place, start):
    """Ask for every preprocessing option.

    Args:
        place: a Streamlit container.
        start: preprocessing.Preprocessing, the values shown first.

    Returns:
        Preprocessing.
    """
    balance = place.toggle(
        "White balance",
        start.white_balance_percent is not None,
        help="Stretch the grey values between two percentiles.",
    )
    percent = place.slider(
        "Percentile",
        0.0,
        5.0,
        start.white_balance_percent or 0.05,
        0.05,
        disabled=not balance,
        help="Share of pixels in % that become black, and as many white. The article takes 0.05.",
    )
    clahe = place.segmented_control(
        "CLAHE", ["off", "before", "after"], default=start.clahe, help="Local contrast, before or after white balance."
    )
    clip = place.slider(
        "CLAHE clip limit", 0.5, 10.0, start.clahe_clip_limit, 0.5, help="Higher means more contrast, and more noise."
    )
    tiles = place.slider(
        "CLAHE tiles", 2, 16, start.clahe_tiles, help="Tiles per side that are equalised on their own."
    )
    aspect = place.segmented_control(
        "Aspect",
        ["stretch", "pad"],
        default=start.aspect,
        help="Stretch to a square as the article does, or pad with black.",
    )
    interpolation = place.segmented_control(
        "Interpolation", ["linear", "area", "cubic"], default=start.interpolation, help="How pixels are resized."
    )
    scaling = place.segmented_control(
        "Scaling",
        ["0..1", "-1..1"],
        default=start.scaling,
        help="Range of the numbers; ImageNet weights were made for -1..1.",
    )
    return Preprocessing(
        white_balance_percent=percent if balance else None,
        clahe=clahe or "off",
        clahe_clip_limit=clip,
        clahe_tiles=tiles,
        aspect=aspect or "stretch",
        interpolation=interpolation or "linear",
        scaling=scaling or "0..1",
        size=start.size,
    )


def ask_augmentation(start, key="augmentation"):
    """Ask for every augmentation option, in four columns; see `ask_preprocessing`."""
    columns = st.columns(4)
    values = {
        name: columns[i % 4].slider(label, low, high, getattr(start, name), help=help_text, key=f"{key}_{name}")
        for i, (name, (label, low, high, help_text)) in enumerate(_AUGMENTATION_SLIDERS.items())
    }
    flip = columns[3].toggle(
        "Mirror left and right",
        start.horizontal_flip,
        help="Half of the time. The heart then lies on the right.",
        key=f"{key}_flip",
    )
    return Augmentation(horizontal_flip=flip, **values)
