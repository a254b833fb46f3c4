"""Which data set is open? It is opened once and shared between reruns."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import pandas as pd
import streamlit as st

from cxr_core.config import DATA_DIR, TEACHING_DIR
from cxr_core.data.dataset import ChangeWatch, Dataset, folder_stamp, scan_dataset
from cxr_core.data.kaggle import DownloadFailed, find_kaggle, watch_download
from cxr_core.data.layouts.tables.root_tables import UnknownColumns
from cxr_core.data.teaching_set import can_restore, check_teaching_set, keep_shipped_analysis, restore_teaching_set
from cxr_core.imaging.zip_archive import LeftOut, RefusedArchive, unpack_zip
from cxr_core.splits.label_decisions import with_decided_labels
from cxr_core.system.progress import SharedResults
from cxr_core.system.visit_folders import Visit, VisitFolder
from ui.common.components import plain_error, progress_bar
from ui.common.curation import dataset_curation
from ui.common.markdown import Markdown, plain_name, plain_text
from ui.common.metrics import images_text
from ui.common.navigation import choose, keep_choice
from ui.common.permissions import is_open_to_strangers, may, show_refusal
from ui.common.thumbnails import known_teaching_images

_SOURCES = {
    "teaching": "Teaching set",
    "kaggle": "COVID CXR images from Kaggle",
    "zip": "A ZIP file of yours",
    "folder": "A folder or CSV on this computer",
}
# As it is now, and as it was before its files changed.
_TEACHING_SETS: SharedResults = SharedResults(2)


def choose_dataset(ask_for_columns: Callable[[Path, tuple[str, ...]], None] | None = None) -> Dataset:
    """Let the user choose a data set in the sidebar and open it.

    Args:
        ask_for_columns: asks what the columns of a root's label table tell, where nobody knows them; by default a link
            leads to the page that does.

    Returns:
        The data set, named on the page; where there is none yet, the page stops with a sentence.
    """
    sources = [s for s in _SOURCES if s != "folder" or may("folders")]
    source = st.sidebar.selectbox(
        "Data set",
        sources,
        format_func=_SOURCES.__getitem__,
        key=keep_choice("source", "teaching", sources),
        help="The teaching set needs no download. More radiographs come from Kaggle or from your own files.",
    )
    if source == "teaching":
        roots: tuple[str, ...] = (str(TEACHING_DIR),)
    elif source == "kaggle":
        roots = (str(_fetch_kaggle()),)
    elif source == "zip":
        roots = (str(_unpack_upload()),)
    elif show_refusal("folders"):
        st.stop()
    else:
        roots = _ask_for_folders()
    try:
        scanned = _open(roots)
    except UnknownColumns as error:
        st.error(plain_error(error))
        if ask_for_columns:
            ask_for_columns(error.root, error.columns)
        else:
            st.page_link("pages/dataset.py", label="Say what its columns tell", icon=":material/table_edit:")
        st.stop()
    except (FileNotFoundError, ValueError) as error:
        st.error(plain_error(error))
        st.stop()
    planted = ", among them eight planted copies and two planted wrong labels" if source == "teaching" else ""
    st.caption(f"Data set: **{_dataset_name(source, roots)}**, {images_text(len(scanned.table))}{planted}")
    return with_decided_labels(scanned, dataset_curation(scanned))


def open_once(roots: Sequence[str], why: str) -> None:
    """Choose a data set in place of the visitor, once in a visit; whatever they choose afterwards stays chosen.

    Call it before `choose_dataset`.

    Args:
        roots: folders or files of this computer; nothing happens where one is missing, or where this visitor may not
            open folders.
        why: for which purpose; each has its one time.
    """
    opened: set[str] = st.session_state.setdefault("opened_once", set())
    if why in opened or not roots or not may("folders") or not all(Path(root).exists() for root in roots):
        return
    opened.add(why)
    if list(roots) == [str(TEACHING_DIR)]:
        choose("source", "teaching")
    else:
        choose("source", "folder")
        choose("folders", "\n".join(roots))


def _dataset_name(source: str, roots: tuple[str, ...]) -> Markdown:
    """Return what a data set is called: folders of this computer by their own names."""
    return ", ".join(plain_name(Path(root).name) for root in roots) if source == "folder" else _SOURCES[source]


def credit_images(dataset: Dataset) -> None:
    """Say below the images whose they are and on which terms, where they are those that come with the app."""
    if dataset.roots == (str(TEACHING_DIR),):
        collections = dict.fromkeys(image.credit for image in known_teaching_images().values())
        st.caption(f"Teaching set: {'; '.join(plain_name(credit, 200) for credit in collections)}.")


def _fetch_kaggle() -> Path:
    found = find_kaggle()
    if found:
        return found
    _offer_download()
    st.stop()


def _offer_download() -> None:
    st.info(
        "The article's data set (1,823 radiographs, about 1.2 GB) is not on this computer yet. "
        "Kaggle may require a free account."
    )
    if show_refusal("keeping"):
        st.stop()
    if st.button(
        "Download from Kaggle", type="primary", help="Downloads and unpacks it once, into this project's folder."
    ):
        with st.status("Downloading the data set from Kaggle…") as status:
            try:
                for line in watch_download():
                    status.update(label=f"Downloading the data set from Kaggle… {plain_text(line)}")
            except DownloadFailed as error:
                status.update(label="Download failed", state="error")
                st.error(plain_error(error))
                st.stop()
        st.rerun()


def _unpack_upload() -> Path:
    upload = st.sidebar.file_uploader(
        "ZIP",
        "zip",
        help="One folder per class, each with its images. At most 2 GB unpacked. "
        + ("It is deleted when you close the page." if is_open_to_strangers() else "A larger one opens as a folder."),
    )
    if upload is None:
        unpacked = st.session_state.get("unpacked")
        if unpacked and unpacked.is_dir():
            return unpacked
        st.info("Upload a ZIP file in the sidebar, with one folder per class (normal, covid or any others) or a table.")
        st.stop()
    name = hashlib.sha256(upload.getbuffer()).hexdigest()[:16]
    try:
        if is_open_to_strangers():
            folder = _unpack_for_visit(upload, name)
        else:
            folder = _unpack(upload, DATA_DIR / "uploads" / name)
    except ValueError as error:
        st.error(f"{plain_error(error)} Choose another file in the sidebar.")
        st.stop()
    st.session_state["unpacked"] = folder
    _show_left_out(st.session_state.get("left_out", {}).get(name, []))
    return folder


def _show_left_out(left_out: list[LeftOut]) -> None:
    if left_out:
        with st.sidebar.expander(f"Left out of the ZIP: {len(left_out)}"):
            st.dataframe(pd.DataFrame(left_out, columns=["file", "reason"]), hide_index=True, placeholder="–")


def _unpack(upload: BinaryIO, folder: Path) -> Path:
    if not folder.is_dir():
        with progress_bar("Unpacking") as report:
            left_out: list[LeftOut] = []
            unpack_zip(upload, folder, left_out=left_out, progress=report)
        st.session_state["left_out"] = {folder.name: left_out}
    return folder


def _unpack_for_visit(upload: BinaryIO, name: str) -> Path:
    """Unpack a visitor's data set into a folder that goes when the visit ends, or with the next data set."""
    unpacked: Path | None = st.session_state.get("unpacked")
    if unpacked and unpacked.name == name and unpacked.is_dir():
        return unpacked
    visit, folder = _visit(), VisitFolder()
    try:
        path = _unpack(upload, folder.path / name)
    except (RefusedArchive, OSError):
        folder.close()
        raise
    visit.take(folder)
    return path


@st.cache_resource(scope="session", on_release=Visit.end, show_spinner=False)
def _visit() -> Visit:
    return Visit()


def open_anew() -> None:
    """Rerun the page, and scan the data set there: what its label table means has just been changed."""
    st.session_state.pop("dataset", None)
    st.rerun()


def _ask_for_folders() -> tuple[str, ...]:
    key = keep_choice("folders", "")
    # In the middle of the page while nothing else is there; the sidebar may have to be scrolled to it.
    place = st.sidebar if st.session_state[key].strip() else st
    text = place.text_area(
        "Folders",
        key=key,
        placeholder="/home/me/radiographs",
        help="One per line: a folder with one sub-folder per class, a public data set with its label table, or a table "
        "with the columns path and label, and optionally patient, split, view, age, sex, source and mask. Classes with "
        "the same name are merged.",
    )
    roots = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not roots:
        st.info("Enter a folder, with one sub-folder per class: normal, covid, virus or any others.")
        st.stop()
    return roots


def _check_teaching_set() -> None:
    """Stop the page where the teaching set is damaged; those who may can restore it there."""
    try:
        check_teaching_set()
    except ValueError as error:
        st.error(plain_error(error))
        if can_restore() and may("keeping"):
            text = "Brings back what is missing or changed, from the history of the project's folder."
            st.button("Restore the teaching set", icon=":material/restore:", help=text, on_click=_restore)
        st.stop()


def _restore() -> None:
    try:
        restore_teaching_set()
    except ValueError as error:
        st.error(plain_error(error))


def _open(roots: tuple[str, ...]) -> Dataset:
    known: Dataset | None = st.session_state.get("dataset")
    if (
        known is None
        or st.session_state["dataset_key"] != (roots, known.stamp)
        or st.session_state["dataset_watch"].has_changed()
    ):
        known = _teaching_set() if roots == (str(TEACHING_DIR),) else _scan(roots)
        st.session_state["dataset"] = known
        st.session_state["dataset_watch"] = ChangeWatch(known)
        st.session_state["dataset_key"] = (roots, known.stamp)
    return known


def _teaching_set() -> Dataset:
    """List the teaching set, once for all visits as long as its files stay as they are."""
    _check_teaching_set()

    def open_it() -> Dataset:
        keep_shipped_analysis()
        return _scan((str(TEACHING_DIR),))

    return _TEACHING_SETS.get(folder_stamp(TEACHING_DIR), open_it)


def _scan(roots: tuple[str, ...]) -> Dataset:
    with progress_bar("Listing the images") as report:
        return scan_dataset(*roots, progress=report)
