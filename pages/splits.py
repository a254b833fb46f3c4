"""What a split would leak, and the split itself."""

import streamlit as st

from cxr_core.classes import class_label
from cxr_core.splits.leakage import compare_splits, leakage_of
from cxr_core.splits.split import SPLIT_KINDS, make_split, split_counts, split_kinds, split_table
from ui.common.components import download_table, page_header
from ui.common.curation import dataset_curation
from ui.common.dataset_analysis import grouping
from ui.common.dataset_picker import choose_dataset, demo_note
from ui.common.thumbnails import show_images

page_header("Splits", "Which images teach, which choose, which test, and whether the test has been seen before.")
dataset = choose_dataset()
demo_note(dataset)
found = grouping(dataset)
_, table, groups = found.taking_part(dataset_curation(dataset))

left, right = st.columns([3, 1])
kinds = split_kinds(table)
kind = left.segmented_control("Split", kinds, default="grouped", help=" ".join(f"{k}: {SPLIT_KINDS[k]}" for k in kinds))
seed = right.number_input("Seed", 0, value=0, help="Another seed, another split; the same seed, the same split.")
kind = kind or "grouped"
try:
    split = make_split(table, kind, seed=seed, groups=groups)
except ValueError as error:
    left_out = " Take images in again on the Quality or Duplicates page." if len(table) < len(found.table) else ""
    st.error(f"{error}{left_out}")
    st.stop()
leaks = leakage_of(split.names(len(table)), table, groups)
(st.warning if leaks.count() else st.success)(leaks.sentence)
rows = split_table(table, groups, split)
st.dataframe(split_counts(table, split).rename(index=class_label).rename_axis("class"), width="stretch")

if leaks.count():
    st.subheader("Seen before", help="A test image, and the training image that shares its patient or radiograph.")
    for row in leaks.rows[leaks.rows["split"] == "test"].head(4).itertuples():
        show_images([row.path, table["path"].iloc[row.train_row]], ["test", f"training: {row.cause}"])

st.subheader("All kinds of split", help="On the same images, with the same seed.")
comparison = compare_splits(table, groups, seed=seed)
names = {
    "kind": "split",
    "test_images": "test images",
    "share_with_train": "seen in training",
    "validation_images": "validation images",
    "validation_share_with_train": "validation seen in training",
    "chose_the_epoch": "test images that choose the epoch",
}
st.dataframe(comparison.rename(columns=names), width="stretch", hide_index=True)
download_table("Download this split", rows.drop(columns="path"), "split.csv")
