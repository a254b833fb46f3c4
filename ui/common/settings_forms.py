"""The inputs of preprocessing and augmentation: each form returns a finished settings object."""

from typing import Any, NamedTuple

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cxr_core.imaging.augmentation import Augmentation
from cxr_core.imaging.preprocessing import Aspect, Clahe, Interpolation, Preprocessing, Scaling
from cxr_core.imaging.preprocessing_steps import PREPROCESSING_STEPS

_CLAHE: dict[Clahe, str] = {"off": "Off", "before": "Before", "after": "After"}
_ASPECTS: list[Aspect] = ["stretch", "pad"]
_INTERPOLATIONS: list[Interpolation] = ["linear", "area", "cubic"]
SCALINGS: dict[Scaling, str] = {"0..1": "0–1", "-1..1": "−1 to 1"}


class _Slider(NamedTuple):
    """One slider; its ends are whole numbers where its setting is."""

    label: str
    low: float
    high: float
    help: str


_AUGMENTATION_SLIDERS = {
    "p_image": _Slider(
        "Proportion augmented", 0.05, 1.0, "The other images stay as they are. The article augments every image."
    ),
    "p_transform": _Slider(
        "Probability of each change",
        0.05,
        1.0,
        "Of each change to grey values or detail; rotation, zoom and shift always apply.",
    ),
    "rotation_degrees": _Slider("Rotation in degrees", 0.0, 45.0, "Maximum angle, in either direction."),
    "zoom": _Slider("Zoom", 0.0, 0.5, "Scaled by a factor of up to 1 ± this value."),
    "shift": _Slider("Shift", 0.0, 0.5, "Maximum shift, as a proportion of the side."),
    "frame": _Slider(
        "Grey border",
        0.0,
        1.0,
        "Probability that a uniform grey fills the border of a moved image, not its edge pixels.",
    ),
    "histogram_matching": _Slider(
        "Histogram matching", 0.0, 1.0, "How closely the grey values follow those of another training image."
    ),
    "spectrum_matching": _Slider(
        "Sharpness matching", 0.0, 1.0, "How closely the sharpness follows that of another training image."
    ),
    "brightness": _Slider("Brightness", 0.0, 0.5, "Maximum change, as a proportion of the grey range."),
    "contrast": _Slider("Contrast", 0.0, 0.9, "Stretched around the mean by a factor of up to 1 ± this value."),
    "gamma": _Slider("Gamma", 0.0, 1.0, "Stretches dark or light greys; 0.5 means exponents from 0.6 to 1.6."),
    "noise": _Slider("Noise", 0.0, 30.0, "Maximum standard deviation, in grey values."),
    "text_overlay": _Slider("Random text", 0.0, 1.0, "Probability that words such as AP or portable are drawn."),
    "outside_lungs": _Slider(
        "Outside the lungs",
        0.0,
        1.0,
        "Probability that what lies outside the lungs is replaced, so that it tells nothing about the class.",
    ),
    "blur": _Slider("Blur in pixels", 0.0, 4.0, "Maximum sigma of a Gaussian blur."),
    "resolution": _Slider("Lost resolution", 0.0, 0.9, "Shrunk by up to this proportion and enlarged again."),
    "jpeg_quality": _Slider("Lowest JPEG quality", 10, 100, "Recompressed at a quality from here to 100; 100 is off."),
}


def ask_preprocessing(place: DeltaGenerator, start: Preprocessing) -> Preprocessing:
    """Ask in a container for every preprocessing option, beginning with the values of `start`."""
    white_balance = _ask_white_balance(place, start)
    clahe, clip_limit, tiles = _ask_clahe(place, start)
    aspect = place.segmented_control(
        "Aspect", _ASPECTS, default=start.aspect, required=True, format_func=str.capitalize,
        help="Stretch to a square as in the article, or pad with black.",
    )  # fmt: skip
    interpolation = place.segmented_control(
        "Interpolation", _INTERPOLATIONS, default=start.interpolation, required=True, format_func=str.capitalize,
        help="How pixels are resampled.",
    )  # fmt: skip
    scaling = place.segmented_control(
        "Scaling", list(SCALINGS), default=start.scaling, required=True, format_func=SCALINGS.__getitem__,
        help="Range of the network's input; ImageNet weights expect −1 to 1.",
    )  # fmt: skip
    return Preprocessing(
        white_balance_percent=white_balance,
        clahe=clahe,
        clahe_clip_limit=clip_limit,
        clahe_tiles=tiles,
        aspect=aspect or "stretch",
        interpolation=interpolation or "linear",
        scaling=scaling or "0..1",
        size=start.size,
        further_steps=_ask_further_steps(place, start),
    )


def _ask_white_balance(place: DeltaGenerator, start: Preprocessing) -> float | None:
    """Ask for the percentile in % of the white balance; None switches it off."""
    wanted = place.toggle(
        "White balance",
        start.white_balance_percent is not None,
        help="Stretch the grey values between two percentiles.",
    )
    percent = place.slider(
        "Percentile", 0.0, 5.0, start.white_balance_percent or 0.05, 0.05, disabled=not wanted,
        help="Percentage of pixels that become black, and as many white. The article uses 0.05.",
    )  # fmt: skip
    return percent if wanted else None


def _ask_clahe(place: DeltaGenerator, start: Preprocessing) -> tuple[Clahe, float, int]:
    """Ask for CLAHE: when it is applied, its clip limit and its tiles per side."""
    when = place.segmented_control(
        "CLAHE", list(_CLAHE), default=start.clahe, required=True, format_func=_CLAHE.__getitem__,
        help="Contrast-limited adaptive histogram equalisation, before or after the white balance.",
    )  # fmt: skip
    clip_limit = place.slider(
        "CLAHE clip limit",
        0.5,
        10.0,
        start.clahe_clip_limit,
        0.5,
        help="A higher limit gives more contrast and more noise.",
    )
    tiles = place.slider("CLAHE tiles", 2, 16, start.clahe_tiles, help="Tiles per side; each is equalised on its own.")
    return when or "off", clip_limit, tiles


def _ask_further_steps(place: DeltaGenerator, start: Preprocessing) -> tuple[tuple[str, float], ...]:
    """Ask for the setting of every registered step; those that are off are left out."""
    before = dict(start.further_steps)
    values = {
        name: place.slider(
            step.label, float(step.low), float(step.high), float(before.get(name, step.off)), help=step.help
        )
        for name, step in PREPROCESSING_STEPS.items()
    }
    return tuple((name, value) for name, value in values.items() if value != PREPROCESSING_STEPS[name].off)


def ask_augmentation(start: Augmentation, key: str = "augmentation") -> Augmentation:
    """Ask for every augmentation option, beginning with the values of `start`; `key` begins the keys of the widgets."""
    columns = st.columns(4)
    values: dict[str, Any] = {
        name: columns[i % 4].slider(
            slider.label,
            slider.low,
            slider.high,
            getattr(start, name),
            help=slider.help,
            key=f"{key}_{name}",
            persist_state="session",
        )
        for i, (name, slider) in enumerate(_AUGMENTATION_SLIDERS.items())
    }
    flip = columns[3].toggle(
        "Mirror left and right", start.horizontal_flip, key=f"{key}_flip", persist_state="session",
        help="For half of the images. The heart then appears on the right.",
    )  # fmt: skip
    return Augmentation(horizontal_flip=flip, **values)
