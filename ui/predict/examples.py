"""Which images can one try on the Predict page? Drawings, since radiographs are not ours to give away."""

import numpy as np
import streamlit as st

from cxr_core.classes import KNOWN_CLASSES
from cxr_core.data.phantoms import draw_phantom
from cxr_core.imaging.display import png_bytes


@st.cache_data(show_spinner=False)
def example_images() -> dict[str, bytes]:
    """Return a drawing of each class: {its name: PNG file}."""
    return {
        f"Drawing of {label}": png_bytes(draw_phantom(name, np.random.default_rng(7)))
        for name, label in KNOWN_CLASSES.items()
    }
