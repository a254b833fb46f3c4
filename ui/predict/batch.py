"""How are many images predicted at once: what was given, a table of the answers, and which one is looked at?"""

import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cxr_core.classes import class_label
from cxr_core.imaging.display import SCREEN_SIDE, data_url, display_rgb, jpeg_bytes, shrink
from cxr_core.imaging.reader import UnreadableImage
from cxr_core.imaging.zip_archive import RefusedArchive
from cxr_core.inference.batch_prediction import (
    MAX_FILES,
    Item,
    image_thumbnail,
    predict_batch,
    sort_items,
    write_overlays,
)
from cxr_core.inference.classifier import Classifier
from cxr_core.inference.image_sources import Source, bytes_sources, failing_source, path_sources, read_source
from cxr_core.inference.prediction_rows import flat_row, rows_csv
from cxr_core.inference.selective_prediction import Answer, answer_upload
from cxr_core.system.text import percent
from ui.common.components import offer_download, plain_error, progress_bar
from ui.common.markdown import Markdown, plain_label, plain_name, plain_text
from ui.common.metrics import images_text
from ui.common.navigation import keep_choice, screen
from ui.common.permissions import may
from ui.predict.single_answer import MapLook
from ui.predict.uploads import Upload

# Twice the height of a row, so that it stays sharp on a high-resolution screen.
_THUMBNAIL_SIDE = 128
_ROW_PIXELS = 64
_TABLE_PIXELS = 520
# Of so few images the maps are shown without asking: two side by side at 1280 pixels, one on a phone.
_MAPPED, _MAP_PIXELS = 6, 320
_AS_GIVEN, _DOUBT = "given", "doubt"
_NARROW_COLUMNS: dict[str, tuple[str, ...]] = {
    "phone": ("image", "answer", "file"),
    "tablet": ("image", "answer", "why", "file"),
}
_MARKS = {"ok": "", "abstain": "no answer", "error": "unreadable"}


def folder_key() -> str:
    """Return the key of the folder's field, whose choice is kept."""
    return keep_choice("predicted_folder", "")


def ask_for_folder(place: DeltaGenerator, *, disabled: bool) -> str:
    """Let those who may open folders enter one on this computer; others are not asked.

    Args:
        place: container to ask in.
        disabled: True where something else was given, which takes precedence.

    Returns:
        Path of the folder; empty where none was entered.
    """
    if not may("folders"):
        return ""
    with place.popover(
        "Or choose a folder", icon=":material/folder_open:", disabled=disabled, help="On this computer."
    ):
        directory = st.text_input(
            "Folder or ZIP on this computer",
            key=folder_key(),
            placeholder="/home/me/scans",
            help="All images in it and its sub-folders are classified. Nothing is changed there.",
        ).strip()
        if st.button("Run again", disabled=not directory, help="Reads the files again, in case they have changed."):
            st.session_state.pop("many", None)
    return "" if disabled else directory


def answer_given(classifier: Classifier, uploads: Sequence[Upload], directory: str) -> list[Item[bytes]]:
    """Classify many images, once per visit, with a progress bar.

    Args:
        classifier: predicts.
        uploads: images, and ZIP files of images.
        directory: a folder or ZIP on this computer, where there are no uploads.

    Returns:
        Items that keep a thumbnail each; the page stops with a sentence where a ZIP is refused or there are too many
        images.
    """
    key = (classifier, directory, tuple(upload.file_id for upload in uploads))
    known = st.session_state.get("many")
    if known is None or known["key"] != key:
        sources = _sources(uploads, directory)
        with progress_bar("Classifying") as report:
            items = predict_batch(classifier, sources, keep=_keep_thumbnail, progress=report, isolated=True)
        known = st.session_state["many"] = {"key": key, "items": items}
    return known["items"]


def forget_answers() -> None:
    """Drop all answers of this visit, and with them the uploads that they came from."""
    for name in ("many", "maps"):
        st.session_state.pop(name, None)


def _sources(uploads: Sequence[Upload], directory: str) -> list[Source]:
    sources: list[Source] = []
    for upload in uploads:
        try:
            sources += bytes_sources(upload.name, upload.data)
        except RefusedArchive as error:
            if len(uploads) == 1:
                st.error(f"{plain_error(error)} Choose another file.", icon=":material/folder_zip:")
                st.stop()
            sources.append(failing_source(upload.name, error))
    sources = sources or path_sources(Path(directory).expanduser())
    if len(sources) > MAX_FILES:
        st.error(
            f"These are {len(sources):,} images; this page takes at most {MAX_FILES:,} at once. "
            "`python -m cxr_core predict FOLDER --csv FILE` takes any number."
        )
        st.stop()
    return sources


def _keep_thumbnail(_number: int, answer: Answer) -> bytes:
    return image_thumbnail(answer, _THUMBNAIL_SIDE)


def show_batch(items: list[Item[bytes]], classifier: Classifier, layer: str, look: MapLook) -> Item[bytes] | None:
    """Show how many images got which answer, the table of answers, and its downloads.

    Args:
        items: at least one.
        classifier: the one that answered.
        layer: as for `batch_prediction.write_overlays`.
        look: how overlays look.

    Returns:
        The item whose row is selected, or None.
    """
    st.header(f"{images_text(len(items))}: {_counted(items)}")
    chosen = _show_table(items, classifier.classes)
    with st.container(horizontal=True):
        offer_download(
            "Download the table",
            lambda: rows_csv([item.row for item in items], classifier.classes).encode(),
            "answers.csv",
            "text/csv",
            help="A CSV file: all rows with probabilities, reasons and notes.",
        )
        _offer_overlays(items, classifier, layer, look)
    if len(items) <= _MAPPED and chosen is None:
        _show_maps(items, classifier, layer, look)
    return chosen


def _show_maps(items: Sequence[Item[bytes]], classifier: Classifier, layer: str, look: MapLook) -> None:
    """Show a few images large, each with its answer and, where it has one, the map of that class."""
    settings = {"layer": layer, **look}
    known = st.session_state["many"].get("open_maps")
    if known is None or known[0] != settings:
        drawn = []
        with progress_bar("Drawing maps") as report:
            for done, item in enumerate(items, start=1):
                drawn.append(_drawn(item, classifier, layer, look))
                report(done, len(items))
        known = st.session_state["many"]["open_maps"] = (settings, drawn)
    with st.grid("auto", min_column_width=_MAP_PIXELS):
        for item, image in zip(items, known[1], strict=True):
            with st.container(border=True, height="stretch"):
                _show_mapped(item, image)


def _drawn(item: Item[bytes], classifier: Classifier, layer: str, look: MapLook) -> bytes | None:
    """Return an image as JPEG, with the map of the predicted class where it has an answer; None if it is unreadable."""
    try:
        answer = answer_upload(classifier, read_source(item.source), layer, isolated=True)
    except (UnreadableImage, OSError):
        return None
    label = answer.prediction.label if answer.status == "ok" else None
    image = answer.overlay(classifier, label, **look) if label else display_rgb(answer.prediction.image)
    return jpeg_bytes(shrink(image, SCREEN_SIDE))


def _show_mapped(item: Item[bytes], image: bytes | None) -> None:
    row, name = item.row, plain_name(item.source.name, 40)
    if row["label"]:
        st.markdown(f"**{plain_label(row['label'])}** ({percent(row['probabilities'][row['label']])})")
        what = f"Grad-CAM of {plain_label(row['label'])}"
    else:
        why = row["error"] or " ".join(row["reasons"])
        st.markdown(f"**{_MARKS[row['status']].capitalize()}.** {plain_text(why)}")
        what = "Without a map"
    if image:
        st.image(image, caption=f"{name}. {what}.", alt=f"{item.source.name}: {what}", width="stretch")
    else:
        st.caption(name)


def _counted(items: Sequence[Item[bytes]]) -> Markdown:
    counts = Counter(item.row["label"] or item.row["status"] for item in items)
    words = {"abstain": "without an answer", "error": "unreadable"}
    order = sorted(counts, key=lambda name: (name in words, -counts[name]))
    return ", ".join(f"{counts[name]:,} {words.get(name) or plain_label(name)}" for name in order)


def _show_table(items: list[Item[bytes]], classes: Sequence[str]) -> Item[bytes] | None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = _ask_order(classes)
        with_numbers = any(item.row["status"] == "abstain" for item in items) and st.toggle(
            "Show the numbers without an answer, too",
            key=keep_choice("refused_numbers", False),
            help="For experts: what the classifier computed where it gives no answer. Do not rely on it.",
        )
    items = items if order == _AS_GIVEN else sort_items(items, order, only_answered=not with_numbers)
    # Streamlit forgets the selection, too, when another page is shown.
    kept = st.session_state["many"].setdefault("rows", {})
    table = pd.DataFrame([_table_row(item, classes, with_numbers=with_numbers) for item in items])
    numbers = [*(f"p_{name}" for name in classes), "margin"]
    table[numbers] = 100 * table[numbers].astype(float)
    event = st.dataframe(
        table,
        alt="One row per image: the answer, why there is none, the file and the probabilities.",
        column_order=_NARROW_COLUMNS.get(screen()),
        width="stretch",
        placeholder="–",
        height=min(_TABLE_PIXELS, 40 + _ROW_PIXELS * len(items)),
        row_height=_ROW_PIXELS,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        selection_default={"selection": {"rows": kept.get(order, [])}},
        # Another order is another table: a row selected in one is a different image in the next.
        key=f"many_{order}",
        column_config=_columns(classes),
    )
    rows = kept[order] = event.selection.rows
    # A selection may still belong to a longer table.
    return items[rows[0]] if rows and rows[0] < len(items) else None


def _ask_order(classes: Sequence[str]) -> str:
    orders = {_AS_GIVEN: "Original order", _DOUBT: "Least certain first"}
    orders |= {name: f"Probability of {class_label(name)}, highest first" for name in classes}
    return st.selectbox(
        "Order", list(orders), key=keep_choice("order", _AS_GIVEN, orders), format_func=orders.__getitem__, width=340,
        help="An answer is less certain the closer its two highest probabilities are. Unreadable files come last.",
    )  # fmt: skip


def _columns(classes: Sequence[str]) -> dict[str, Any]:
    percent = {
        f"p_{name}": st.column_config.ProgressColumn(
            class_label(name), format="%.1f %%", min_value=0, max_value=100, width=105
        )
        for name in classes
    }
    return {
        "image": st.column_config.ImageColumn("", width="small"),
        "answer": st.column_config.TextColumn("Answer", width=90),
        "why": st.column_config.TextColumn("Why no answer", width=190),
        "file": st.column_config.TextColumn("File", width=190),
        **percent,
        "margin": st.column_config.NumberColumn(
            "Margin", format="%.1f %%", width=80,
            help="Highest minus second-highest probability: the smaller, the less certain.",
        ),
    }  # fmt: skip


def _table_row(item: Item[bytes], classes: Sequence[str], *, with_numbers: bool) -> dict[str, Any]:
    flat, label = flat_row(item.row, classes, only_answered=not with_numbers), item.row["label"]
    image = data_url("jpeg", item.kept) if item.kept else None
    answer = class_label(label) if label else _MARKS[item.row["status"]]
    why = flat["error"] or flat["reasons"] or None
    numbers = {name: flat[name] for name in (*(f"p_{c}" for c in classes), "margin")}
    return {"image": image, "answer": answer, "why": why, "file": flat["file"]} | numbers


def _offer_overlays(items: Sequence[Item[bytes]], classifier: Classifier, layer: str, look: MapLook) -> None:
    settings = {"layer": layer, **look}
    answered = [item.source for item in items if item.row["label"]]
    made = st.session_state["many"].get("overlays")
    if made is None or made[0] != settings:
        pressed = st.button(
            "Make a ZIP file of overlays",
            disabled=not answered,
            icon=":material/folder_zip:",
            help=f"Grad-CAM overlays of the predicted class, for each of the {len(answered):,} images with an answer: "
            f"JPEG, at most {SCREEN_SIDE:,} pixels. It takes about as long as the predictions.",
        )
        if not pressed:
            return
        stream = io.BytesIO()
        with progress_bar("Drawing overlays") as report:
            write_overlays(
                stream, classifier, answered, side=SCREEN_SIDE, progress=report, layer=layer, isolated=True, **look
            )
        st.session_state["many"]["overlays"] = (settings, stream.getvalue())
        st.rerun()
    offer_download(
        "Download the overlays",
        made[1],
        "overlays.zip",
        "application/zip",
        help=f"{images_text(len(answered))}, {len(made[1]) / 1e6:.1f} MB.",
    )
