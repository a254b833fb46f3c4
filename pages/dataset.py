"""What is in a data set: counts, sizes, average pictures, samples."""

import numpy as np
import pandas as pd
import streamlit as st

from cxr_core.appearance import grey_histograms, mean_images, sample_rows
from cxr_core.config import class_label
from cxr_core.dataset import size_statistics
from cxr_core.figures import class_count_figure, grey_histogram_figure, size_scatter_figure
from cxr_core.preprocess import Preprocessing
from ui.blocks import download_table, page_header, show_figure
from ui.data import choose_dataset, demo_note, prepared_images, show_pictures

page_header("Dataset", "What is in the images, and how the classes differ in ways that are no disease.")
dataset = choose_dataset()
demo_note(dataset)
table = dataset.table
statistics = size_statistics(table)

columns = st.columns(4)
columns[0].metric("Images", f"{len(table):,}", border=True, help="Pictures that can be read.")
columns[1].metric("Classes", len(dataset.classes), border=True, help="One folder each.")
columns[2].metric(
    "Known patients",
    f"{table['patient'].nunique():,}" if table["patient"].notna().any() else "none",
    border=True,
    help="Patients or studies that file names tell of. A grouped split keeps each on one side.",
)
columns[3].metric(
    "Unreadable files",
    len(dataset.unreadable),
    border=True,
    help="Listed at the end of this page; all others still work.",
)

left, right = st.columns(2)
with left:
    show_figure(class_count_figure(statistics["images"].to_dict()))
with right:
    show_figure(size_scatter_figure(table))

st.subheader("Picture sizes in pixels", help="Where one class has its own sizes, size alone gives it away.")
sizes = statistics.rename(index=class_label, columns=lambda c: c.replace("_", " ")).rename_axis("class")
st.dataframe(sizes, width="stretch")

st.subheader("Samples")
if "sample_seed" not in st.session_state:
    st.session_state["sample_seed"] = 0
if st.button("Show others", icon=":material/shuffle:", help="Draw six other pictures of each class."):
    st.session_state["sample_seed"] += 1
chosen = sample_rows(table["class_name"], 6, np.random.default_rng(st.session_state["sample_seed"]))
for name in dataset.classes:
    rows = table.iloc[chosen[name]]
    st.markdown(f"**{class_label(name)}**")
    captions = [f"{w} × {h}" for w, h in zip(rows["width"], rows["height"], strict=True)]
    show_pictures(rows["path"].tolist(), captions)

st.subheader("Average picture and grey values", help="After the article's preprocessing, 224 × 224 pixels.")
prepared = prepared_images(dataset, Preprocessing())
averages = mean_images(prepared.images_u8, prepared.table["class_name"])
left, right = st.columns(2)
with left:
    for column, name in zip(st.columns(len(dataset.classes)), dataset.classes, strict=True):
        column.image(averages[name], caption=f"Mean of {class_label(name)}", width="stretch")
with right:
    show_figure(grey_histogram_figure(grey_histograms(prepared.images_u8, prepared.table["class_name"])))

st.subheader("All files")
shown = table[["file", "class_name", "width", "height", "format", "bytes", "patient"]]
shown = shown.rename(columns={"class_name": "class"})
st.dataframe(shown, width="stretch", height=280, hide_index=True)
download_table("Download this table", shown, "images.csv")

unreadable = pd.concat(
    [dataset.unreadable, pd.DataFrame(prepared.errors.items(), columns=["file", "error"])], ignore_index=True
)
if len(unreadable):
    st.subheader("Unreadable files")
    st.dataframe(unreadable, width="stretch", hide_index=True)
    download_table("Download this list", unreadable, "unreadable.csv")
