"""Which images show the same radiograph, and what to do about them."""

import pandas as pd
import streamlit as st

from cxr_core.classes import class_label
from cxr_core.splits.curation import exclude, excluded_rows, include, mark_distinct, unmark_distinct
from cxr_core.splits.duplicates import differences, group_table, spare_members
from ui.common.components import one_page, page_header
from ui.common.curation import dataset_curation, decide, offer_undo
from ui.common.dataset_analysis import grouping
from ui.common.dataset_picker import choose_dataset, demo_note
from ui.common.markdown import plain_name
from ui.data.gallery import image_gallery

REASON = "duplicate"
page_header("Duplicates", "One radiograph in several files teaches twice, and tests what was taught.")
dataset = choose_dataset()
demo_note(dataset)
offer_undo(dataset)
found, curation = grouping(dataset), dataset_curation(dataset)
table = found.table
groups = group_table(found.duplicates(), table, found.pairs, excluded_rows(table, curation))

columns = st.columns(4)
columns[0].metric("Groups", f"{len(groups):,}", border=True, help="Images that show the same radiograph.")
columns[1].metric("Images in them", f"{groups['images'].sum():,}", border=True, help="Of all that can be read.")
columns[2].metric(
    "Across classes",
    f"{groups['across_classes'].sum():,}",
    border=True,
    help="One radiograph, two answers: look here first.",
)
columns[3].metric(
    "Still whole", f"{groups['whole'].sum():,}", border=True, help="Groups of which more than one image takes part."
)
if groups.empty:
    st.success("No image shows the same radiograph as another.", icon=":material/check:")
    st.stop()
st.caption("Whatever you decide, a grouped split keeps each group on one side.")

chosen = st.segmented_control(
    "Show", ["all", "across classes", "still whole", "equal files"], default="all", help="Which groups to look at."
)
filters = {"across classes": "across_classes", "still whole": "whole", "equal files": "equal"}
shown = groups[groups[filters[chosen]]] if chosen in filters else groups
with st.popover("Reduce all to their best image", icon=":material/filter_1:", disabled=not groups["whole"].any()):
    st.write(
        "Of each group the image with most pixels stays; the others are left out of every later split. "
        "No file is deleted."
    )
    if st.button("Reduce all groups", type="primary", help="Can be undone."):
        others = pd.concat([spare_members(table.iloc[rows]) for rows in groups["rows"]])
        decide(dataset, exclude(curation, others, REASON), f"{len(others):,} copies are left out.")

for rows in one_page(shown["rows"].tolist(), 6, "duplicates_page"):
    group = table.iloc[rows]
    names = " and ".join(plain_name(class_label(c)) for c in group["class_name"].unique())
    with st.container(border=True):
        st.markdown(f"**{len(rows)} images, {names}**")
        texts = differences(group, found.pairs)
        captions = [
            f"{r.width} × {r.height}, {r.bytes / 1000:,.0f} kB: {text}"
            for r, text in zip(group.itertuples(), texts, strict=True)
        ]
        image_gallery(dataset, group, captions, f"group_{rows[0]}")
        with st.container(horizontal=True):
            if st.button("Keep only the best", key=f"best_{rows[0]}", help="The one with most pixels."):
                others = spare_members(group)
                decide(dataset, exclude(curation, others, REASON), f"{len(others)} of {len(rows)} images are left out.")
            if st.button("Keep all", key=f"whole_{rows[0]}", help="Take every image of this group in again."):
                decide(dataset, include(curation, group), f"All {len(rows)} images take part.")
            if st.button(
                "Not duplicates", key=f"distinct_{rows[0]}", help="They only look alike; later splits may part them."
            ):
                decide(dataset, mark_distinct(curation, group), "Noted: these are different radiographs.")

if curation.distinct:
    st.caption(f"{len(curation.distinct)} groups are marked as different radiographs.")
    if st.button("Forget these marks", help="Look-alikes are duplicates again."):
        decide(dataset, unmark_distinct(curation, table), "The marks are gone.")
