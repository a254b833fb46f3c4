"""Where things lie, what classes are called and coloured, and what an upload may cost."""

import os
from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parent.parent
HOME_DIR = Path(os.environ.get("CXR_LAB_HOME", PROJECT_DIR)).resolve()
RUNS_DIR = HOME_DIR / "runs"
JOBS_DIR = HOME_DIR / "jobs"
CACHE_DIR = HOME_DIR / "cache"
INDEX_DIR = HOME_DIR / "index"
DATA_DIR = HOME_DIR / "data"
SHIPPED_MODEL_DIR = PROJECT_DIR / "models" / "cxr-mobilenetv2"

NOTICE = "For research and teaching. Not a medical device, not for diagnosis."

MAX_FILE_BYTES = 40_000_000
MAX_PIXELS = 40_000_000


def is_shared():
    """Return True where strangers use this installation: folders by path are then off.

    Set `CXR_LAB_SHARED=1` or `0` to decide; otherwise Streamlit Community Cloud is
    recognised by the folder it mounts an app's repository under.
    """
    setting = os.environ.get("CXR_LAB_SHARED")
    if setting is not None:
        return setting not in ("", "0")
    return Path("/mount/src").is_dir()
