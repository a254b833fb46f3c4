"""Which labels of a data set do its images contradict, and what is right?"""

import streamlit as st

from ui.common.components import download_table, page_header, plain_error, show_table
from ui.common.curation import dataset_curation, offer_undo
from ui.common.dataset_analysis import features, forget_doubts, grouping, label_doubts
from ui.common.dataset_picker import choose_dataset, credit_images
from ui.data.label_review import built_in_note, open_cases, review_case, review_table

page_header("Labels", "Images whose label looks wrong, the most doubtful first.")
dataset = choose_dataset()
offer_undo(dataset)
group = grouping(dataset)
try:
    doubts = label_doubts(dataset, group)
except ValueError as error:
    st.error(plain_error(error))
    st.stop()
curation = dataset_curation(dataset)
cases = open_cases(doubts, group, curation)
doubted = int(cases["is_doubted"].sum())
looked_at = int(group.table["digest"].isin(curation.labels).sum())

columns = st.columns(3)
columns[0].metric(
    "Doubted labels",
    f"{doubted:,}",
    border=True,
    help="As confident learning counts them (Northcutt et al. 2021), less those that you have decided about.",
)
columns[1].metric("Labels looked at", f"{looked_at:,}", border=True, help="Confirmed or corrected, by content.")
columns[2].metric("Images in total", f"{len(doubts):,}", border=True, help="Readable images.")
st.caption(
    "A linear head on the features of the built-in classifier, cross-validated, has seen neither the patient nor a "
    "copy of the image that it is asked about. A doubt is no proof: look before you decide. " + built_in_note(group)
)
if cases.empty:
    st.success("You have decided about every image.", icon=":material/check:")
else:
    review_case(dataset, group, features(dataset, group.table), cases)
st.header("All doubts")
table = review_table(cases, group)
show_table(table.head(50), percents=("its label", "other class"), phone=("file", "label", "rather", "other class"))
with st.container(horizontal=True):
    download_table("All doubts (CSV)", table, "label_review.csv")
    if st.button("Ask again", help="With the labels that you have decided since."):
        forget_doubts()
        st.rerun()
credit_images(dataset)
