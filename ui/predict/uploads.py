"""Which files were uploaded on the Predict page, now or before a visit to another page?

Streamlit empties an upload field, and forgets its files, when a page without it is shown. They are therefore kept in
the memory of the visit, up to a limit, until they are removed.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.uploaded_file_manager import UploadedFile

from cxr_core.config import MAX_FILE_BYTES
from ui.common.markdown import plain_name
from ui.common.metrics import images_text
from ui.common.permissions import is_open_to_strangers
from ui.predict.upload_pace import FILES_PER_MINUTE, UploadPace

# Of all files of a visit together, on one's own computer and where many visits share the memory.
MAX_TOTAL_MEGABYTES = {False: 1_000, True: 200}
_FIELD, _STATE = "scans", "kept_scans"
_NAMED = 3


@dataclass(frozen=True)
class Upload:
    """One uploaded file.

    Attributes:
        name: as the browser told it, to be shown only.
        data: its content.
        file_id: Streamlit's, different for each upload.
    """

    name: str
    data: bytes
    file_id: str


@dataclass(frozen=True)
class _Kept:
    """Files from before the field was emptied, and those that are in it."""

    earlier: tuple[Upload, ...] = ()
    in_field: tuple[Upload, ...] = ()


def has_uploads() -> bool:
    """Return True where files of this visit are kept, or have just been uploaded."""
    kept = st.session_state.get(_STATE, _Kept())
    return bool(st.session_state.get(_FIELD) or kept.earlier or kept.in_field)


def ask_for_uploads(place: DeltaGenerator, kept_place: DeltaGenerator) -> tuple[Upload, ...]:
    """Ask for images in an upload field, and offer to remove those that are kept from before.

    Args:
        place: container to ask in.
        kept_place: container that names what is kept.

    Returns:
        All files of this visit, in the order of their upload. The page stops with a sentence where they are too many.
    """
    field = place.file_uploader(
        "Chest radiographs",
        accept_multiple_files=True,
        key=_FIELD,
        on_change=_notice_removal,
        help="One or many: JPEG, PNG, BMP, TIFF, WebP or DICOM, frontal view, or a ZIP file of them; an image may "
        f"have {MAX_FILE_BYTES // 1_000_000} MB. They stay in memory until you remove them or close the page, and are "
        "neither stored nor logged.",
    )
    kept = st.session_state.get(_STATE, _Kept())
    if field:
        kept = _Kept(kept.earlier, _uploads(field))
    elif kept.in_field:
        # Emptied by Streamlit, not by the user: `_notice_removal` would have been called.
        kept = _Kept((*kept.earlier, *kept.in_field))
    st.session_state[_STATE] = kept
    if kept.earlier:
        _offer_removal(kept_place, kept.earlier)
    files = (*kept.earlier, *kept.in_field)
    _check_total(files)
    _check_pace(files)
    return files


def _notice_removal() -> None:
    """Forget the files of a field that the user has emptied."""
    if not st.session_state[_FIELD]:
        st.session_state[_STATE] = _Kept(st.session_state.get(_STATE, _Kept()).earlier)


def _uploads(field: Sequence[UploadedFile]) -> tuple[Upload, ...]:
    return tuple(Upload(file.name, file.getvalue(), file.file_id) for file in field)


def _offer_removal(place: DeltaGenerator, files: Sequence[Upload]) -> None:
    names = ", ".join(plain_name(file.name, 40) for file in files[:_NAMED])
    more = f" and {len(files) - _NAMED:,} more" if len(files) > _NAMED else ""
    with place.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"Kept from before: {names}{more}.")
        st.button(
            "Remove them" if len(files) > 1 else "Remove it",
            icon=":material/close:",
            help="Forgets what was uploaded before you went to another page, and the answers.",
            on_click=_remove_earlier,
        )


def _remove_earlier() -> None:
    st.session_state[_STATE] = _Kept(in_field=st.session_state[_STATE].in_field)


def _check_pace(files: Sequence[Upload]) -> None:
    if not is_open_to_strangers():
        return
    pace = st.session_state.setdefault("upload_pace", UploadPace())
    seconds = pace.seconds_to_wait([file.file_id for file in files], time.monotonic())
    if seconds:
        st.info(
            f"Visitors share this computer: after {FILES_PER_MINUTE} files within a minute, the next ones wait. Yours "
            f"can go on in {seconds:d} seconds; nothing is lost.",
            icon=":material/hourglass:",
        )
        st.button("Go on", help="Takes the files that you uploaded last, once the time has passed.")
        st.stop()


def _check_total(files: Sequence[Upload]) -> None:
    megabytes = sum(len(file.data) for file in files) / 1e6
    limit = MAX_TOTAL_MEGABYTES[is_open_to_strangers()]
    if megabytes > limit:
        st.error(
            f"These {images_text(len(files))} have {megabytes:,.0f} MB together; this page keeps at most {limit:,} MB. "
            "Remove some of them. `python -m cxr_core predict FOLDER --csv FILE` takes any number."
        )
        st.stop()
