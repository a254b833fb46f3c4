"""CXR Lab's core: from a folder of chest radiographs to a classifier one can question. What should one import first?

The names below are loaded when they are first asked for, so that `import cxr_core` takes no time; everything else is
imported from the file that LAYOUT names for its question. Nothing here imports Streamlit, and only `cxr_core.training`,
which runs in a process of its own, imports TensorFlow.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cxr_core.config import SHIPPED_MODEL_DIR as SHIPPED_MODEL_DIR
    from cxr_core.data.dataset import Dataset as Dataset
    from cxr_core.data.dataset import scan_dataset as scan_dataset
    from cxr_core.data.phantoms import draw_demo_data as draw_demo_data
    from cxr_core.data.phantoms import draw_phantom as draw_phantom
    from cxr_core.imaging.preprocessing import Preprocessing as Preprocessing
    from cxr_core.inference.classifier import load_classifier as load_classifier
    from cxr_core.library import audit_dataset as audit_dataset
    from cxr_core.library import evaluate as evaluate
    from cxr_core.library import gradcam as gradcam
    from cxr_core.library import train as train
    from cxr_core.recipes.training_config import make_config as make_config
    from cxr_core.splits.split import make_split as make_split

__version__ = "0.1.0"

# The few names that most scripts need, and where they live.
_HOMES = {
    "SHIPPED_MODEL_DIR": "config",
    "Dataset": "data.dataset",
    "Preprocessing": "imaging.preprocessing",
    "audit_dataset": "library",
    "draw_demo_data": "data.phantoms",
    "draw_phantom": "data.phantoms",
    "evaluate": "library",
    "gradcam": "library",
    "load_classifier": "inference.classifier",
    "make_config": "recipes.training_config",
    "make_split": "splits.split",
    "scan_dataset": "data.dataset",
    "train": "library",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
