"""Many images on the Predict page: what was given, a table of answers, and which of them to look at."""

import base64
import io
from collections import Counter
from pathlib import Path

import pandas as pd
import streamlit as st

from cxr_core.classes import class_label
from cxr_core.imaging.display import SCREEN_SIDE
from cxr_core.imaging.zip_archive import RefusedArchive
from cxr_core.inference.batch_prediction import MAX_FILES, image_thumbnail, predict_batch, sort_items, write_overlays
from cxr_core.inference.image_sources import bytes_sources, failing_source, path_sources
from cxr_core.inference.prediction_rows import flat_row, rows_csv
from ui.common.components import offer_download, progress_bar
from ui.common.permissions import may

MAX_UPLOAD_MEGABYTES = 200
# Twice the height of a row, so that it stays sharp on a dense screen.
_THUMBNAIL_SIDE = 128
_ROW_PIXELS = 64
_TABLE_PIXELS = 520
_AS_GIVEN, _DOUBT = "given", "doubt"
_MARKS = {"ok": "", "abstain": "no answer", "error": "unreadable"}


def ask_for_folder(place, *, disabled):
    """Let those who may open folders name one on this computer; others are not asked.

    Args:
        place: container to ask in.
        disabled: bool, something else was given, which comes first.

    Returns:
        str, empty where there is none.
    """
    if not may("folders"):
        return ""
    with place.popover("Or a folder", icon=":material/folder_open:", disabled=disabled, help="On this computer."):
        directory = st.text_input(
            "Folder or ZIP on this computer",
            placeholder="/home/me/scans",
            help="All images in it and below it are answered. Nothing is changed there.",
        ).strip()
        if st.button("Answer anew", disabled=not directory, help="Reads the files again, where they have changed."):
            st.session_state.pop("many", None)
    return "" if disabled else directory


def answer_given(classifier, uploads, directory):
    """Answer many images, once per visit, with a progress bar.

    Args:
        classifier: classifier.Classifier.
        uploads: list of streamlit's UploadedFile; ZIPs among them are looked into.
        directory: str, a folder or ZIP on this computer, where there are no uploads.

    Returns:
        list of batch_prediction.Item that keep a thumbnail each; the page stops with a sentence where a ZIP is refused, or
        where they are too many.
    """
    key = (classifier, directory, tuple(upload.file_id for upload in uploads))
    known = st.session_state.get("many")
    if known is None or known["key"] != key:
        sources = _sources(uploads, directory)
        with progress_bar("Answering") as report:
            items = predict_batch(classifier, sources, keep=_keep_thumbnail, progress=report)
        known = st.session_state["many"] = {"key": key, "items": items}
    return known["items"]


def forget_answers():
    """Let go of what was answered, and of the uploads behind it."""
    for name in ("many", "maps"):
        st.session_state.pop(name, None)


def _sources(uploads, directory):
    sources = []
    for upload in uploads:
        try:
            sources += bytes_sources(upload.name, upload.getvalue())
        except RefusedArchive as error:
            if len(uploads) == 1:
                st.error(f"{error} Choose another file.", icon=":material/folder_zip:")
                st.stop()
            sources.append(failing_source(upload.name, error))
    sources = sources or path_sources(Path(directory).expanduser())
    if len(sources) > MAX_FILES:
        st.error(
            f"These are {len(sources):,} images; this page answers at most {MAX_FILES:,} at once. "
            "`python -m cxr_core predict FOLDER --csv FILE` answers any number."
        )
        st.stop()
    return sources


def _keep_thumbnail(_number, answer):
    return image_thumbnail(answer, _THUMBNAIL_SIDE)


def show_batch(items, classifier, layer, look):
    """Show how many got which answer, the table, and its downloads.

    Args:
        items: list of batch_prediction.Item, at least one.
        classifier: the classifier.Classifier that answered.
        layer: as for `batch_prediction.write_overlays`.
        look: dict of alpha and colour_map, as for `overlay.overlay_map`.

    Returns:
        batch_prediction.Item whose row was clicked, or None.
    """
    st.subheader(f"{len(items):,} images: {_counted(items)}")
    chosen = _show_table(items, classifier.classes)
    with st.container(horizontal=True):
        offer_download(
            "Download the table",
            lambda: rows_csv([item.row for item in items], classifier.classes).encode(),
            "answers.csv",
            "text/csv",
            help="All rows with probabilities, reasons and notes, as comma-separated values.",
        )
        _offer_overlays(items, classifier, {"layer": layer} | look)
    return chosen


def _counted(items):
    counts = Counter(item.row["label"] or item.row["status"] for item in items)
    words = {"abstain": "without an answer", "error": "unreadable"}
    order = sorted(counts, key=lambda name: (name in words, -counts[name]))
    return ", ".join(f"{counts[name]:,} {words.get(name) or class_label(name)}" for name in order)


def _show_table(items, classes):
    orders = {_AS_GIVEN: "as given", _DOUBT: "doubt, least sure first"}
    orders |= {name: f"probability of {class_label(name)}, highest first" for name in classes}
    order = st.selectbox(
        "Order",
        list(orders),
        format_func=orders.get,
        width=340,
        help="Doubt is small where the highest probability is far above the second. Unreadable files come last.",
    )
    items = items if order == _AS_GIVEN else sort_items(items, order)
    percent = {
        f"p_{name}": st.column_config.ProgressColumn(
            class_label(name), format="percent", min_value=0, max_value=1, width=105
        )
        for name in classes
    }
    event = st.dataframe(
        pd.DataFrame([_table_row(item, classes) for item in items]),
        width="stretch",
        height=min(_TABLE_PIXELS, 40 + _ROW_PIXELS * len(items)),
        row_height=_ROW_PIXELS,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        # Another order is another table: what was clicked in one is another row in the next.
        key=f"many_{order}",
        column_config={
            "image": st.column_config.ImageColumn("", width="small"),
            "answer": st.column_config.TextColumn("Answer", width=90),
            "file": st.column_config.TextColumn("File", width=190),
            **percent,
            "margin": st.column_config.NumberColumn(
                "Margin",
                format="percent",
                width=80,
                help="Highest probability less the second: the smaller, the more doubt.",
            ),
            "why": st.column_config.TextColumn("Why not"),
        },
    )
    rows = event.selection.rows
    # A click may still belong to a table that was longer.
    return items[rows[0]] if rows and rows[0] < len(items) else None


def _table_row(item, classes):
    flat = flat_row(item.row, classes)
    image = f"data:image/jpeg;base64,{base64.b64encode(item.kept).decode()}" if item.kept else None
    answer = class_label(flat["label"]) if flat["label"] else _MARKS[flat["status"]]
    numbers = {name: flat[name] for name in (*(f"p_{c}" for c in classes), "margin")}
    return (
        {"image": image, "answer": answer, "file": flat["file"]} | numbers | {"why": flat["error"] or flat["reasons"]}
    )


def _offer_overlays(items, classifier, settings):
    answered = [item.source for item in items if item.row["label"]]
    made = st.session_state["many"].get("overlays")
    if made is None or made[0] != settings:
        pressed = st.button(
            "Make a ZIP of overlays",
            disabled=not answered,
            icon=":material/folder_zip:",
            help=f"Where the classifier looked for its answer, for each of the {len(answered):,} images that have "
            f"one: Grad-CAM, JPEG, at most {SCREEN_SIDE:,} pixels. It takes about as long as the answers.",
        )
        if not pressed:
            return
        stream = io.BytesIO()
        with progress_bar("Drawing overlays") as report:
            write_overlays(stream, classifier, answered, side=SCREEN_SIDE, progress=report, **settings)
        st.session_state["many"]["overlays"] = (settings, stream.getvalue())
        st.rerun()
    offer_download(
        "Download the overlays",
        made[1],
        "overlays.zip",
        "application/zip",
        help=f"{len(answered):,} images, {len(made[1]) / 1e6:.1f} MB.",
    )
