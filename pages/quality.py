"""Images that a person should look at before a classifier learns from them."""

import streamlit as st

from cxr_core.audit.quality_flags import FLAGS, GALLERY_ORDERS, apply_rules, gallery_of_flag
from cxr_core.plots.dataset import flag_counts_figure
from cxr_core.splits.curation import exclude, include
from ui.common.components import download_table, one_page, page_header, show_figure
from ui.common.curation import dataset_curation, decide, offer_undo
from ui.common.dataset_analysis import flag_measures, grouping
from ui.common.dataset_picker import choose_dataset, demo_note
from ui.common.markdown import plain_name
from ui.data.gallery import image_gallery

page_header("Quality", "Images that are worth a look before a classifier learns from them.")
dataset = choose_dataset()
demo_note(dataset)
offer_undo(dataset)
table = grouping(dataset).table
measured, curation = flag_measures(dataset, table), dataset_curation(dataset)

flags = apply_rules(table, measured)
counts = flags["flag"].value_counts()
columns = st.columns(3)
columns[0].metric("Flagged images", f"{flags['row'].nunique():,}", border=True, help="With one flag or more.")
columns[1].metric("Left out", f"{len(curation.excluded):,}", border=True, help="Take no part in any later split.")
columns[2].metric("Images in all", f"{len(table):,}", border=True, help="That can be read.")
titles = {name: flag.title for name, flag in FLAGS.items() if counts.get(name, 0)}
if not titles:
    st.success("No image is flagged.", icon=":material/check:")
    st.stop()
show_figure(flag_counts_figure(flags.assign(class_name=table["class_name"].to_numpy()[flags["row"]]), titles))

st.subheader("Look at them")
columns = st.columns(3, vertical_alignment="bottom")
name = columns[0].selectbox(
    "Flag", list(titles), format_func=lambda n: f"{titles[n]} ({counts[n]:,})", help="What to look for."
)
flag = FLAGS[name]
threshold = columns[1].number_input(
    "Flagged from a value of" if flag.low is None else "Flagged up to a value of",
    value=float(flag.threshold),
    key=f"threshold_{name}",
    help="Change the rule and see what it catches. Runs are not touched.",
)
order = columns[2].selectbox(
    "Sort by", list(GALLERY_ORDERS), format_func=GALLERY_ORDERS.get, help="Which images come first below."
)
st.caption(flag.help)
caught = gallery_of_flag(table, measured, name, threshold, order)
rows = table.iloc[caught["row"]]
with st.container(horizontal=True):
    if st.button(
        f"Leave out all {len(rows):,}", disabled=rows.empty, help="Out of every later split; no file is deleted."
    ):
        decide(dataset, exclude(curation, rows, name), f"{len(rows):,} images are left out: {flag.title.lower()}.")
    if st.button(f"Take in all {len(rows):,}", disabled=rows.empty, help="Back into every later split."):
        decide(dataset, include(curation, rows), f"{len(rows):,} images are taken in again.")
values = dict(zip(caught["row"], caught["value"], strict=True))
page = one_page(rows, 24, f"page_{name}")
image_gallery(
    dataset,
    page,
    [f"{plain_name(r.file.rpartition('/')[2], 40)}: {flag.describe(values[r.Index])}" for r in page.itertuples()],
    name,
)

download_table("Download all flags", flags.drop(columns="row"), "flags.csv")
