"""Example images for the Predict page: drawings, since radiographs are not ours to give away."""

import cv2
import numpy as np
import streamlit as st

from cxr_core.classes import KNOWN_CLASSES
from cxr_core.data.phantoms import draw_phantom


@st.cache_data(show_spinner=False)
def example_images():
    """Return a drawing per class: dict of name to PNG bytes."""
    return {
        f"Drawing of {label}": cv2.imencode(".png", draw_phantom(name, np.random.default_rng(7)))[1].tobytes()
        for name, label in KNOWN_CLASSES.items()
    }
