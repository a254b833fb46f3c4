"""How is one doubted label shown, and what can be decided about it?"""

from pathlib import Path

import pandas as pd
import streamlit as st

from cxr_core.audit.embeddings import Embeddings
from cxr_core.audit.label_review import nearest_images
from cxr_core.classes import class_label, order_classes
from cxr_core.config import SHIPPED_MODEL_DIR
from cxr_core.data.dataset import Dataset
from cxr_core.runs.training_images import are_seen, seen_digests
from cxr_core.splits.curation import Curation, exclude, excluded_rows
from cxr_core.splits.groups import ImageGroups
from cxr_core.splits.label_decisions import decide_label
from cxr_core.system.text import percent
from ui.common.curation import BY_HAND, dataset_curation, decide
from ui.common.markdown import Markdown, plain_label, plain_name
from ui.common.metrics import images_text
from ui.common.model_picker import open_classifier
from ui.common.thumbnails import image_with_map, show_large
from ui.data.gallery import image_tiles

_SKIPPED = "labels_skipped"


def open_cases(doubts: pd.DataFrame, group: ImageGroups, curation: Curation) -> pd.DataFrame:
    """Return the rows of `label_doubts` whose image takes part and has no decided label yet; skipped ones come last."""
    images = group.table.iloc[doubts["row"]].reset_index(drop=True)
    decided = images["digest"].isin(curation.labels) | excluded_rows(images, curation)
    skipped = images["digest"].isin(st.session_state.get(_SKIPPED, ()))
    return pd.concat([doubts[~decided & ~skipped], doubts[~decided & skipped]], ignore_index=True)


def review_table(cases: pd.DataFrame, group: ImageGroups) -> pd.DataFrame:
    """Return the cases for people to read: file, label, the likeliest other class, and the probability of each."""
    return pd.DataFrame({
        "file": group.table["file"].to_numpy()[cases["row"]],
        "label": cases["given"].map(class_label).to_numpy(),
        "rather": cases["suggested"].map(class_label).to_numpy(),
        "its label": cases["p_given"].to_numpy(),
        "other class": cases["p_suggested"].to_numpy(),
        "doubted": cases["is_doubted"].map({True: "yes", False: "no"}).to_numpy(),
    })  # fmt: skip


def built_in_note(group: ImageGroups) -> Markdown:
    """Say of how many images the built-in classifier knows the label: there a wrong one may hide."""
    seen = seen_digests(SHIPPED_MODEL_DIR)
    n = int(are_seen(group.table, seen).sum()) if seen else 0
    if not n:
        return "It was trained on none of these images."
    return f"The built-in classifier was trained on {images_text(n)} of these: their wrong labels may go unnoticed."


def review_case(dataset: Dataset, group: ImageGroups, known: Embeddings, cases: pd.DataFrame) -> None:
    """Show the most doubtful image beside what may be decided about it, and the images most like it."""
    case = cases.iloc[0]
    at = int(case["row"])
    row = group.table.iloc[at]
    left, right = st.columns(2)
    with left:
        show_large(row)
    with right:
        st.header(f"Is this {plain_label(case['given'])}?")
        st.markdown(
            f"The label says **{plain_label(case['given'])}**, to which the head gives {percent(case['p_given'])}. It "
            f"gives **{plain_label(case['suggested'])}** {percent(case['p_suggested'])}."
        )
        _offer_decisions(dataset, group, row, case)
        _show_map(row, str(case["suggested"]))
    st.header("Most like it")
    near = group.table.iloc[nearest_images(known.values, group.groups, at)]
    image_tiles(near, [plain_label(name) for name in near["class_name"]], "label_neighbours")


def _offer_decisions(dataset: Dataset, group: ImageGroups, row: pd.Series, case: pd.Series) -> None:
    curation, this = dataset_curation(dataset), row.to_frame().T
    given, suggested = str(case["given"]), str(case["suggested"])
    with st.container(horizontal=True):
        if st.button("Keep", shortcut="K", help="The label is right."):
            confirmed = decide_label(curation, this, given, dataset)
            decide(dataset, confirmed, f"{plain_name(row['file'])} stays {plain_label(given)}.")
        if st.button(f"It is {plain_label(suggested)}", shortcut="L", help="The image gets this label from now on."):
            _relabel(dataset, row, suggested)
        if st.button("Leave out", shortcut="X", help="From all later splits; the file stays."):
            left_out = exclude(curation, this, BY_HAND, among=group.table)
            decide(dataset, left_out, f"{plain_name(row['file'])} is excluded.")
        if st.button("Skip", shortcut="S", help="Comes back at the end."):
            st.session_state[_SKIPPED] = {*st.session_state.get(_SKIPPED, ()), row["digest"]}
            st.rerun()
    others = set(dataset.classes) - {given, suggested}
    if others:
        with st.popover("Another class", help="None of the two."):
            for other in order_classes(others):
                if st.button(plain_label(other), key=f"label_{other}", help="The image gets this label from now on."):
                    _relabel(dataset, row, other)


def _relabel(dataset: Dataset, row: pd.Series, class_name: str) -> None:
    changed = decide_label(dataset_curation(dataset), row.to_frame().T, class_name, dataset)
    decide(dataset, changed, f"{plain_name(row['file'])} is {plain_label(class_name)} from now on.")


def _show_map(row: pd.Series, class_name: str) -> None:
    """Show where the built-in classifier sees the other class, if it is one of its classes."""
    if class_name not in open_classifier(SHIPPED_MODEL_DIR).classes:
        return
    image = image_with_map(SHIPPED_MODEL_DIR, Path(row["path"]), class_name)
    if image is not None:
        said = f"Grad-CAM of the built-in classifier for {plain_label(class_name)}"
        st.image(image, caption=said, alt=said, width=224)
