"""How is an image of a data set shown small, alone or with what drove a classifier's answer?"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cxr_core.config import SHIPPED_MODEL_DIR, TEACHING_DIR
from cxr_core.data.teaching_set import INDEX_FILE, TeachingImage, example_images, teaching_images
from cxr_core.explain.overlay import overlay_map
from cxr_core.imaging.display import jpeg_bytes, shrink, square_png, thumbnail
from cxr_core.imaging.isolated_decoding import open_file, read_image
from cxr_core.imaging.reader import UnreadableImage
from cxr_core.system.arrays import UInt8Array
from cxr_core.system.files import file_stamp
from cxr_core.system.text import percent
from ui.common.markdown import Markdown, plain_label, plain_name
from ui.common.model_picker import export_stamp, open_classifier

THUMBNAIL_PIXELS = 118
LARGE_PIXELS = 448
_OVERLAY_SIDE = _TILE_SIDE = 224


def image_thumbnail(path: str, mtime_ns: int, side: int) -> UInt8Array | None:
    """Return a thumbnail, uint8 (h, w, 3) RGB, or None if the file is missing or broken."""
    if _is_teaching_file(path):
        return _teaching_thumbnail(path, mtime_ns, side)
    return _own_thumbnail(path, mtime_ns, side)


def image_tile(path: str, mtime_ns: int) -> bytes | None:
    """Return a thumbnail in the middle of a square, which keeps a grid even, as bytes of a PNG file, or None."""
    return _teaching_tile(path, mtime_ns) if _is_teaching_file(path) else _own_tile(path, mtime_ns)


def _is_teaching_file(path: str | Path) -> bool:
    """Return True for what comes with the app, and is therefore kept once for all visits."""
    return Path(path).is_relative_to(TEACHING_DIR)


def _thumbnail(path: str, side: int) -> UInt8Array | None:
    try:
        return thumbnail(read_image(path), side)
    except (UnreadableImage, OSError):
        return None


def _tile(path: str) -> bytes | None:
    image = _thumbnail(path, _TILE_SIDE)
    return None if image is None else square_png(image)


@st.cache_data(max_entries=50, show_spinner=False)
def _teaching_thumbnail(teaching_file: str, mtime_ns: int, side: int) -> UInt8Array | None:
    return _thumbnail(teaching_file, side)


@st.cache_data(max_entries=200, show_spinner=False)
def _teaching_tile(teaching_file: str, mtime_ns: int) -> bytes | None:
    return _tile(teaching_file)


# Of each visit its own, so that nothing of a visitor's images stays in memory when the visit has ended.
@st.cache_data(scope="session", max_entries=50, show_spinner=False)
def _own_thumbnail(path: str, mtime_ns: int, side: int) -> UInt8Array | None:
    return _thumbnail(path, side)


@st.cache_data(scope="session", max_entries=300, show_spinner=False)
def _own_tile(path: str, mtime_ns: int) -> bytes | None:
    return _tile(path)


def image_with_map(folder: Path, path: Path, class_name: str) -> bytes | None:
    """Return an image with Grad-CAM of a class.

    Args:
        folder: of the classifier.
        path: of the image.
        class_name: one of the classifier's classes.

    Returns:
        The bytes of a JPEG file, which Streamlit sends as it is: a PNG file without transparency it would turn into one
        whenever the page runs. None if the image is missing or broken.
    """
    open_classifier(folder)
    changed = path.stat().st_mtime_ns if path.exists() else 0
    is_shared = folder == SHIPPED_MODEL_DIR and _is_teaching_file(path)
    kept = _teaching_overlay if is_shared else _own_overlay
    return kept(str(folder), export_stamp(folder), str(path), changed, class_name)


@st.cache_data(max_entries=200, show_spinner=False)
def _teaching_overlay(
    folder: str, stamp: tuple[int, ...], teaching_file: str, mtime_ns: int, class_name: str
) -> bytes | None:
    return _overlay(folder, teaching_file, class_name)


@st.cache_data(scope="session", max_entries=300, show_spinner=False)
def _own_overlay(folder: str, stamp: tuple[int, ...], path: str, mtime_ns: int, class_name: str) -> bytes | None:
    return _overlay(folder, path, class_name)


def _overlay(folder: str, path: str, class_name: str) -> bytes | None:
    classifier = open_classifier(Path(folder))
    try:
        prediction = classifier.predict_opened(open_file(path, Path(path).read_bytes()))
    except (UnreadableImage, OSError):
        return None
    image = shrink(prediction.image, _OVERLAY_SIDE)
    map_ = prediction.maps[prediction.classes.index(class_name)]
    return jpeg_bytes(overlay_map(image, classifier.map_on_image(map_, image.shape)))


def known_teaching_images() -> dict[str, TeachingImage]:
    """Return the images that come with the app by their content; none where their index cannot be read."""
    try:
        return _teaching_images(file_stamp(TEACHING_DIR / INDEX_FILE))
    except (OSError, ValueError):
        return {}


def examples() -> dict[str, TeachingImage]:
    """Return {what the built-in classifier answers: an image}; empty where the teaching set cannot be read."""
    return example_images(known_teaching_images().values())


@st.cache_resource(max_entries=1, show_spinner=False)
def _teaching_images(stamp: tuple[int, ...]) -> dict[str, TeachingImage]:
    return teaching_images()


def prediction_caption(predicted: str, true: str, confidence: float) -> Markdown:
    """Say whether a prediction is right, with its confidence in [0, 1]; both classes are named where it is wrong."""
    answer = f"{plain_label(predicted)} ({percent(confidence, 0)})"
    if predicted == true:
        return f":material/check: {answer}"
    return f":material/close: predicted {answer}, true {plain_label(true)}"


def choose_image(place: DeltaGenerator, rows: pd.DataFrame, first: str = "") -> pd.Series:
    """Let the user choose an image of a data set by its file name.

    Args:
        place: container to ask in.
        rows: at least one row of a data set's table.
        first: path of the image that is chosen at first; where it is none of these, the first of them is.

    Returns:
        The row. Where several folders have a file of that name, the whole paths are shown, so that each can be chosen.
    """
    is_shared = rows["file"].duplicated(keep=False)
    names: pd.Series = rows["file"].where(~is_shared, rows["path"])
    start = int((rows["path"] == first).to_numpy().argmax())
    name = place.selectbox("Image", names.tolist(), start, help="Type to search by file name.")
    return rows[names == name].iloc[0]


def show_images(paths: Iterable[str | Path], captions: Iterable[Markdown]) -> None:
    """Show thumbnails with captions, each with its own aspect; rows wrap at the width of the screen."""
    with st.container(horizontal=True, gap="small"):
        for path, caption in zip(paths, captions, strict=True):
            with st.container(width=THUMBNAIL_PIXELS):
                show_image(path, caption)


def show_image(path: str | Path, caption: Markdown) -> None:
    """Show one thumbnail with its caption."""
    mtime = Path(path).stat().st_mtime_ns if Path(path).exists() else 0
    tile = image_tile(str(path), mtime)
    if tile is None:
        st.caption(f"{caption} (file not found)")
    else:
        st.image(tile, caption=caption, alt=f"{Path(path).name}: {caption}", width=THUMBNAIL_PIXELS)


def show_tile(tile: bytes | None, caption: Markdown, *, alt: str) -> None:
    """Show an `image_tile`, or that its file is missing, at the width of its container, with its caption."""
    if tile is None:
        st.caption(f"{caption} (file not found)")
    else:
        st.image(tile, caption=caption, width="stretch", alt=alt)


def show_large(row: pd.Series) -> None:
    """Show the image of one row of a data set's table at the width of its column, with class, file and size."""
    image = image_thumbnail(row["path"], row["mtime_ns"], LARGE_PIXELS)
    name = f"{plain_label(row['class_name'])}: {plain_name(row['file'])}"
    facts = f"{name}, {row['width']:d} × {row['height']:d} pixels"
    if image is None:
        st.caption(f"{facts} (file not found)")
    else:
        st.image(image, caption=facts, alt=facts, width="stretch")
        credit_image(row)


def credit_image(row: pd.Series) -> None:
    """Say whose the image of one row of a data set's table is, where it comes with the app."""
    known = known_teaching_images().get(row["digest"])
    if known:
        st.caption(plain_name(known.credit, 200))
