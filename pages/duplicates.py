"""Which images show the same radiograph, and which of them take part?"""

import pandas as pd
import streamlit as st

from cxr_core.splits.curation import DUPLICATE, exclude, excluded_rows, include, mark_distinct, unmark_distinct
from cxr_core.splits.duplicates import differences, group_table, spare_members
from ui.common.components import one_page, page_header
from ui.common.curation import dataset_curation, decide, offer_undo
from ui.common.dataset_analysis import grouping
from ui.common.dataset_picker import choose_dataset, credit_images
from ui.common.markdown import plain_label, plain_text
from ui.common.metrics import images_text
from ui.data.gallery import image_gallery
from ui.data.whole_image import compare_copies

page_header("Duplicates", "A radiograph saved twice counts twice in training and can leak into the test set.")
dataset = choose_dataset()
offer_undo(dataset)
found, curation = grouping(dataset), dataset_curation(dataset)
table = found.table
groups = group_table(found.duplicates(), table, found.pairs, excluded_rows(table, curation))

columns = st.columns(4)
columns[0].metric("Groups", f"{len(groups):,}", border=True, help="A group shows one radiograph in several files.")
columns[1].metric("Images in groups", f"{groups['images'].sum():,}", border=True, help="Of all readable images.")
columns[2].metric(
    "In two classes",
    f"{groups['across_classes'].sum():,}",
    border=True,
    help="Same radiograph, conflicting labels: review these first.",
)
columns[3].metric(
    "Not yet resolved", f"{groups['whole'].sum():,}", border=True, help="Groups with more than one included image."
)
if groups.empty:
    st.success("No two images show the same radiograph.", icon=":material/check:")
    st.stop()
st.caption("Whatever you decide, a grouped split never separates copies.")

chosen = st.segmented_control(
    "Show",
    ["All", "In two classes", "Not yet resolved", "Identical files"],
    default="All",
    required=True,
    help="Groups to review.",
)
filters = {"In two classes": "across_classes", "Not yet resolved": "whole", "Identical files": "equal"}
shown = groups[groups[filters[chosen]]] if chosen in filters else groups
if st.button(
    "Keep one image per group",
    icon=":material/filter_1:",
    disabled=not groups["whole"].any(),
    help="Keeps the image with the highest resolution of each group and excludes the others from all later splits. "
    "No file is deleted, and it can be undone.",
):
    others = pd.concat([spare_members(table.iloc[rows]) for rows in groups["rows"]])
    decide(dataset, exclude(curation, others, DUPLICATE, among=table), f"{images_text(len(others))} excluded.")

for rows in one_page(shown["rows"].tolist(), 6, "duplicates_page"):
    group = table.iloc[rows]
    names = " and ".join(plain_label(c) for c in group["class_name"].unique())
    with st.container(border=True):
        st.markdown(f"**{len(rows)} images, {names}**")
        facts = [plain_text(fact) for fact in differences(group, found.pairs)]
        image_gallery(dataset, group, facts, f"group_{rows[0]}", selectable=False)
        with st.container(horizontal=True):
            if st.button(
                "Compare", icon=":material/compare:", key=f"compare_{rows[0]}", help="Two copies over each other."
            ):
                compare_copies(group)
            if st.button("Keep the sharpest", key=f"best_{rows[0]}", help="The one with the highest resolution."):
                others = spare_members(group)
                decide(
                    dataset,
                    exclude(curation, others, DUPLICATE, among=table),
                    f"{len(others)} of {len(rows)} images excluded.",
                )
            if st.button("Keep all", key=f"whole_{rows[0]}", help="Includes every image of this group again."):
                decide(dataset, include(curation, group), f"All {len(rows)} images included.")
            if st.button(
                "Not duplicates",
                key=f"distinct_{rows[0]}",
                help="They only look alike; later splits may separate them.",
            ):
                decide(dataset, mark_distinct(curation, group), "Marked as different radiographs.")

if curation.distinct:
    st.caption(f"Groups marked as different radiographs: {len(curation.distinct)}.")
    if st.button("Clear these marks", help="Treats them as duplicates again."):
        decide(dataset, unmark_distinct(curation, table), "Marks cleared.")
credit_images(dataset)
