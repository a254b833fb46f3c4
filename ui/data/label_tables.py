"""As what was a data set read, which columns does its label table have, and which finding forms which class?"""

import hashlib
import os
from pathlib import Path

import pandas as pd
import streamlit as st

from cxr_core.data.dataset import Dataset
from cxr_core.data.layouts.tables.label_mapping import (
    COLUMN_FIELDS,
    LabelMapping,
    guess_columns,
    load_mapping,
    save_mapping,
)
from cxr_core.data.layouts.tables.root_tables import finding_counts, has_table, unknown_tables
from cxr_core.data.layouts.wrapped_folders import folders_above_data
from cxr_core.system.visit_folders import visit_folder_of
from ui.common.dataset_picker import open_anew
from ui.common.markdown import plain_name, plain_text
from ui.common.permissions import show_refusal

_NO_COLUMN = "–"
_HELP = {
    "path": "The image's file, with or without its folder.",
    "label": "Its class; several findings may be separated by |.",
    "patient": "Keeps a patient's images on one side of a split.",
    "split": "train, validation or test.",
    "view": "PA, AP or lateral.",
    "age": "In years; only the age group is kept.",
    "sex": "M or F.",
    "source": "Hospital or collection.",
    "mask": "The image's lung mask.",
}


def show_layouts(dataset: Dataset) -> None:
    """Say as what each root was read, and offer to read its label tables in another way."""
    for sentence in dataset.layouts:
        st.caption(plain_text(sentence))
    for folder in (folder for root in dataset.roots for folder in folders_above_data(Path(root))):
        for name, columns in unknown_tables(folder).items():
            with st.expander(f"{plain_name(name)} is not read: it is no label table that is known"):
                ask_for_columns(folder, columns, name)
        if has_table(folder) and st.toggle(
            "Choose which findings form which class",
            key=f"classes {_tag(folder)}",
            help=f"The findings in the label table of {plain_name(folder.name)}, and the classes that they become.",
        ):
            _ask_for_classes(folder)


def ask_for_columns(root: Path, columns: tuple[str, ...], table: str = "") -> None:
    """Ask which column of a label table tells what, and keep the answer with the data set.

    Args:
        root: a table, or the folder that it lies in.
        columns: of the table.
        table: its name, where `root` is a folder.
    """
    place = f"{_tag(root)} {table}".strip()
    if _is_closed(root):
        return
    guesses = guess_columns(columns)
    with st.form(f"columns {place}"):
        chosen = {}
        for name, cell in zip(COLUMN_FIELDS, st.columns(3) * 3, strict=True):
            offered = [_NO_COLUMN, *columns]
            guess = offered.index(guesses.get(name, _NO_COLUMN))
            chosen[name] = cell.selectbox(name, offered, guess, help=_HELP[name], key=f"column {place} {name}")
        if st.form_submit_button("Read the table", type="primary"):
            told = {field: column for field, column in chosen.items() if column != _NO_COLUMN}
            if {"path", "label"} <= set(told):
                save_mapping(LabelMapping(told, load_mapping(root).classes), root)
                open_anew()
            st.error("Choose the columns of path and label.")


def _ask_for_classes(root: Path) -> None:
    """Show the findings with the classes that they form, to be changed."""
    if _is_closed(root):
        return
    counts = finding_counts(root)
    rows = [(finding, images, class_name or "") for finding, (images, class_name) in counts.items()]
    before = pd.DataFrame(rows, columns=["finding", "images", "class"])
    after = st.data_editor(
        before,
        width="stretch",
        placeholder="–",
        hide_index=True,
        disabled=["finding", "images"],
        key=f"edit {_tag(root)}",
    )
    st.caption(
        "Of several findings of an image, the first with a class that you changed counts, then the usual order. "
        "An empty class leaves images out that have no other finding."
    )
    mapping = load_mapping(root)
    left, right, _ = st.columns([1, 1, 2])
    if left.button("Use these classes", type="primary", disabled=after.equals(before)):
        changed = after[after["class"] != before["class"]]
        classes = {f.lower(): (c or "").strip() for f, c in zip(changed["finding"], changed["class"], strict=True)}
        save_mapping(LabelMapping(mapping.columns, {**mapping.classes, **classes}), root)
        open_anew()
    if right.button("Back to the usual classes", disabled=not mapping.classes):
        save_mapping(LabelMapping(mapping.columns), root)
        open_anew()


def _tag(root: Path) -> str:
    """Return what stands for a root in the keys of its widgets, which a browser reads: not where it lies."""
    return hashlib.sha256(os.fsencode(root)).hexdigest()[:16]


def _is_closed(root: Path) -> bool:
    """Return True, and say why, where a visitor may not change how a root is read; what they uploaded is their own."""
    return visit_folder_of([root]) is None and show_refusal("keeping")
