"""Which images train, validate and test, and what does a split leak?"""

import streamlit as st

from cxr_core.audit.class_by_source import class_by_source
from cxr_core.classes import class_label
from cxr_core.data.patient_ids import patients_sentence
from cxr_core.data.sources import source_label, source_names
from cxr_core.splits.leakage import compare_splits, leakage_of
from cxr_core.splits.split import SPLIT_KINDS, make_split, split_counts, split_kinds, split_table
from ui.common.components import download_table, page_header, plain_error, show_short_table
from ui.common.curation import dataset_curation
from ui.common.dataset_analysis import grouping
from ui.common.dataset_picker import choose_dataset, credit_images
from ui.common.markdown import plain_text
from ui.common.navigation import keep_choice
from ui.common.thumbnails import show_images

page_header("Splits", "Training, validation and test images, and whether test images have leaked into training.")
dataset = choose_dataset()
found = grouping(dataset)
_, table, groups = found.taking_part(dataset_curation(dataset))

left, right = st.columns([3, 1])
sources = source_names(table)
kinds = [*split_kinds(table), *(["source"] if len(sources) > 1 else [])]
kind = left.segmented_control(
    "Split",
    kinds,
    key=keep_choice("split", "grouped", kinds),
    required=True,
    help=" ".join(f"{plain_text(k)}: {SPLIT_KINDS[k]}" for k in kinds),
)
seed = right.number_input("Seed", 0, key=keep_choice("seed", 0), help="The same seed gives the same split.")
test_source = ""
if kind == "source":
    test_source = st.selectbox(
        "Source to test on", sources, format_func=source_label, key=keep_choice("test_source", sources[0], sources),
        help="All of its images test; none trains or validates.",
    )  # fmt: skip
try:
    split = make_split(table, kind, seed=seed, groups=groups, test_source=test_source)
except ValueError as error:
    hint = " Include images again on the Quality or Duplicates page." if len(table) < len(found.table) else ""
    st.error(f"{plain_error(error)}{hint}")
    st.stop()
leaks = leakage_of(split.names(len(table)), table, groups)
(st.warning if leaks.count() or leaks.unknown_patients else st.success)(plain_text(leaks.sentence))
st.caption(plain_text(patients_sentence(table)))
if kind != "source" and (warning := class_by_source(table).warning):
    st.warning(plain_text(warning), icon=":material/local_hospital:")
rows = split_table(table, groups, split)
show_short_table(split_counts(table, split).rename(index=class_label).rename_axis("class"))

if leaks.count():
    st.header("Leaked into training", help="Test images, each with a training image of the same patient or radiograph.")
    for row in leaks.rows[leaks.rows["split"] == "test"].head(4).itertuples():
        show_images([row.path, table["path"].iloc[row.train_row]], ["test", f"training: {plain_text(row.cause)}"])

st.header("All kinds of split", help="On the same images, with the same seed.")
comparison = compare_splits(table, groups, seed=seed).set_index("kind")
names = {
    "test_images": "test images",
    "share_with_train": "leaked into training",
    "validation_images": "validation images",
    "validation_share_with_train": "validation leaked",
    "chose_the_epoch": "test, chose the epoch",
}
show_short_table(comparison[list(names)].rename(columns=names).T)
for kind_name, note in comparison.loc[comparison["note"] != "", "note"].items():
    st.caption(f"{plain_text(str(kind_name))}: {plain_text(note)}")
download_table("This split (CSV)", rows.drop(columns="path"), "split.csv")
credit_images(dataset)
