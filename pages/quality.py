"""Which images should a person review before a classifier is trained on them?"""

import streamlit as st

from cxr_core.audit.quality_flags import FLAGS, GALLERY_ORDERS, apply_rules, gallery_of_flag
from cxr_core.plots.dataset import flag_counts_figure
from ui.common.components import download_table, one_page, page_header
from ui.common.curation import dataset_curation, offer_undo
from ui.common.dataset_analysis import flag_measures, grouping
from ui.common.dataset_picker import choose_dataset, credit_images
from ui.common.markdown import plain_text
from ui.common.navigation import keep_choice
from ui.data.bar_choice import choose_bar
from ui.data.gallery import image_gallery, offer_all

page_header("Quality", "Images to review before a classifier is trained on them.")
dataset = choose_dataset()
offer_undo(dataset)
table = grouping(dataset).table
measured, curation = flag_measures(dataset, table), dataset_curation(dataset)

flags = apply_rules(table, measured)
counts = flags["flag"].value_counts()
columns = st.columns(3)
columns[0].metric("Flagged images", f"{flags['row'].nunique():,}", border=True, help="Images with at least one flag.")
columns[1].metric("Excluded", f"{len(curation.excluded):,}", border=True, help="Not part of any later split.")
columns[2].metric("Images in total", f"{len(table):,}", border=True, help="Readable images.")
titles = {name: flag.title for name, flag in FLAGS.items() if counts.get(name, 0)}
if not titles:
    st.success("No image is flagged.", icon=":material/check:")
    st.stop()
st.caption("Click a bar to review its images below.")
choose_bar(
    flag_counts_figure(flags.assign(class_name=table["class_name"].to_numpy()[flags["row"]]), titles),
    "flag",
    alt="Flagged images by flag and class: " + ", ".join(f"{titles[n]} {counts[n]:,}" for n in titles),
)

st.header("Review")
columns = st.columns(3, vertical_alignment="bottom")
name = columns[0].selectbox(
    "Flag",
    list(titles),
    format_func=lambda n: f"{titles[n]} ({counts[n]:,})",
    key=keep_choice("flag", next(iter(titles)), titles),
    help="The problem to look for.",
)
flag = FLAGS[name]
threshold = columns[1].number_input(
    "Flag if at least" if flag.low is None else "Flag if at most",
    value=float(flag.threshold),
    key=f"threshold_{name}",
    help="Change the limit and see which images it flags. Existing runs are not affected.",
)
order = columns[2].selectbox(
    "Sort by", list(GALLERY_ORDERS), format_func=GALLERY_ORDERS.__getitem__, help="Which images come first."
)
st.caption(flag.help)
caught = gallery_of_flag(table, measured, name, threshold, order)
rows = table.iloc[caught["row"]]
offer_all(dataset, rows, name, reason=name, because=flag.title.lower())
values = dict(zip(caught["row"], caught["value"], strict=True))
page = one_page(rows, 24, f"page_{name}")
image_gallery(dataset, page, [plain_text(flag.describe(values[index])) for index in page.index], name)

download_table("All flags (CSV)", flags.drop(columns="row"), "flags.csv")
credit_images(dataset)
