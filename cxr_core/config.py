"""Where do runs, caches and data sets lie, and how large may an upload be?"""

import os
from pathlib import Path

from platformdirs import user_data_path

_PACKAGE_DIR = Path(__file__).resolve().parent
_IN_CHECKOUT = (_PACKAGE_DIR.parent / "streamlit_app.py").is_file()
# The app and the built-in classifier: beside the package in a checkout, inside it where a wheel was installed.
PROJECT_DIR = _PACKAGE_DIR.parent if _IN_CHECKOUT else _PACKAGE_DIR / "_app"
# What is written: in the checkout, or in the user's own folder where a wheel was installed.
_DEFAULT_HOME = PROJECT_DIR if _IN_CHECKOUT else user_data_path("cxr-lab", appauthor=False)
HOME_DIR = Path(os.environ.get("CXR_LAB_HOME") or _DEFAULT_HOME).resolve()
RUNS_DIR = HOME_DIR / "runs"
JOBS_DIR = HOME_DIR / "jobs"
CACHE_DIR = HOME_DIR / "cache"
INDEX_DIR = HOME_DIR / "index"
DATA_DIR = HOME_DIR / "data"
# Thresholds that were chosen for hospitals, by classifier.
SITES_DIR = HOME_DIR / "sites"
# Data sets that visitors of a shared installation upload, each with its caches, until their visit ends.
VISITS_DIR = HOME_DIR / "visits"
# Answers that people marked as wrong.
MARKED_DIR = HOME_DIR / "marked"
SHIPPED_MODEL_DIR = PROJECT_DIR / "models" / "cxr-mobilenetv2"
LUNG_MODEL_DIR = PROJECT_DIR / "models" / "lungs"
# Real radiographs under open licences, which every page shows until another data set is chosen.
TEACHING_DIR = PROJECT_DIR / "teaching_set"
# The page of a whole reproduction, where one was made: docs/reproduction/index.md.
ARTICLE_PAGE = PROJECT_DIR / "docs" / "reproduction" / "article.html"

NOTICE = "For research and teaching. Not a medical device, not for diagnosis."

MAX_FILE_BYTES = 40_000_000
MAX_PIXELS = 40_000_000
# The longest side that OpenCV works with in every function; ten times that of any radiograph.
MAX_SIDE = 32_766
_CACHE_GIGABYTES = 20.0
_DECODE_SECONDS = 10.0
# Of the data sets of all visits together.
VISITS_LIMIT_BYTES = 10_000_000_000


def cache_limit_bytes() -> int:
    """Return how large the caches may become: 20 GB, or as the environment variable `CXR_LAB_CACHE_GB` says.

    Raises:
        ValueError: the variable holds no number above 0.
    """
    return int(_number_above_0("CXR_LAB_CACHE_GB", "gigabytes", _CACHE_GIGABYTES) * 1e9)


def decode_seconds() -> float:
    """Return how long decoding an upload may take: 10 seconds, or as the environment variable `CXR_LAB_DECODE_SECONDS`.

    Raises:
        ValueError: the variable holds no number above 0.
    """
    return _number_above_0("CXR_LAB_DECODE_SECONDS", "seconds", _DECODE_SECONDS)


def _number_above_0(variable: str, unit: str, default: float) -> float:
    setting = os.environ.get(variable, "").strip()
    try:
        number = float(setting or default)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ValueError(f"{variable} must be a number of {unit} above 0; received {setting!r}.")
    return number


def keeps_images() -> bool:
    """Return True where the owner allows images of marked answers to be kept: `CXR_LAB_KEEP_IMAGES=1`."""
    return os.environ.get("CXR_LAB_KEEP_IMAGES", "").strip() not in ("", "0")


def is_shared() -> bool:
    """Return True on a public installation, whose visitors may not open folders of this computer.

    The environment variable `CXR_LAB_SHARED` (1 or 0) decides; without it Streamlit Community Cloud is recognised by
    the folder that it mounts an app's repository under.
    """
    setting = os.environ.get("CXR_LAB_SHARED")
    if setting is not None:
        return setting not in ("", "0")
    return Path("/mount/src").is_dir()
