"""What is in a data set?"""

import numpy as np
import pandas as pd
import streamlit as st

from cxr_core.classes import class_label
from cxr_core.data.sampling import sample_rows
from cxr_core.data.sources import source_label
from cxr_core.plots.dataset import (
    class_count_figure,
    grey_histogram_figure,
    size_scatter_figure,
    spurious_correlations_figure,
)
from ui.common.components import download_table, page_header, show_figure, show_first_rows, show_short_table
from ui.common.dataset_analysis import (
    EXPLORING,
    average_images,
    changed_note,
    correlations,
    first_facts,
    grouping,
    may_analyse,
)
from ui.common.dataset_picker import choose_dataset, credit_images
from ui.common.markdown import plain_label, plain_text
from ui.common.navigation import tell_of_disk
from ui.data.gallery import image_tiles
from ui.data.label_tables import ask_for_columns, show_layouts

page_header("Dataset", "What is in the images, and how the classes differ in ways unrelated to disease.")
dataset = choose_dataset(ask_for_columns)
show_layouts(dataset)
table = dataset.table
facts = first_facts(dataset)

columns = st.columns(4)
columns[0].metric("Images", f"{len(table):,}", border=True, help="Readable images.")
columns[1].metric("Classes", len(dataset.classes), border=True, help="One folder each, or as the label table says.")
columns[2].metric(
    "Known patients",
    f"{facts.patients:,}" if facts.patients else "none",
    border=True,
    help=f"{plain_text(facts.patients_sentence)} A grouped split never separates a known patient's images.",
)
columns[3].metric(
    "Passed over",
    f"{len(dataset.unreadable):,}",
    border=True,
    help="Files, folders, and rows and values of a label table that were not read. Listed at the end of this page.",
)

# Filled at the end: all images must be read for it, and the rest of the page need not wait.
analysis = st.container()

left, right = st.columns(2)
with left:
    show_figure(class_count_figure(facts.statistics["images"].to_dict()))
with right:
    show_figure(size_scatter_figure(facts.marks))
    if len(facts.marks) < len(table):
        st.caption(f"{len(facts.marks):,} of {len(table):,} images, sampled in proportion to class size.")

by_source = facts.by_source
if len(by_source.counts) > 1:
    st.header("Sources", help="Hospitals or collections, as a table or the folders tell them.")
    if by_source.warning:
        st.warning(plain_text(by_source.warning), icon=":material/local_hospital:")
    show_short_table(by_source.counts.rename(index=source_label, columns=class_label))

st.header("Image sizes in pixels", help="If one class has sizes of its own, the size alone gives it away.")
sizes = facts.statistics.rename(index=class_label, columns=lambda c: c.replace("_", " ")).rename_axis("class")
show_short_table(sizes.round().astype(int).T)

st.header("Samples")


@st.fragment
@tell_of_disk()
def show_samples() -> None:
    if "sample_seed" not in st.session_state:
        st.session_state["sample_seed"] = 0
    if st.button("Show others", icon=":material/shuffle:", help="Draws four other images of each class."):
        st.session_state["sample_seed"] += 1
    chosen = sample_rows(table["class_name"], 4, np.random.default_rng(st.session_state["sample_seed"]))
    for name in dataset.classes:
        rows = table.iloc[chosen[name]]
        st.markdown(f"**{plain_label(name)}**")
        image_tiles(rows, [f"{w:d} × {h:d}" for w, h in zip(rows["width"], rows["height"], strict=True)], "sample")


show_samples()
averages_place = st.container()

st.header("All files")
shown = table[["file", "class_name", "width", "height", "format", "bytes", "patient"]]
shown = shown.rename(columns={"class_name": "class"})
labels = {name: class_label(name) for name in dataset.classes}
show_first_rows(shown.assign(**{"class": shown["class"].map(labels)}), "files", phone=("file", "class"))
download_table("All files (CSV)", shown, "images.csv")

unreadable = dataset.unreadable
with analysis:
    may_look = may_analyse(dataset)
if may_look:
    with analysis:
        st.header(
            "What gives the class away",
            help="How well file properties alone predict the class: the model behind this sees no lungs.",
        )
        found = grouping(dataset, EXPLORING)
        answer = correlations(dataset, found)
        if changed_note():
            st.info(changed_note(), icon=":material/update:")
        left, right = st.columns([2, 3])
        with left:
            st.markdown("\n".join(f"- {plain_text(sentence)}" for sentence in answer.sentences))
            st.caption(plain_text(" ".join(answer.notes)))
        # Where nothing could be measured, the sentence on the left says so.
        if answer.accuracy is not None:
            with right:
                show_figure(spurious_correlations_figure(answer))
    with averages_place:
        st.header("Average image and grey values", help="After the article's preprocessing, at 224 × 224 pixels.")
        averages, histograms = average_images(dataset, found)
        left, right = st.columns(2)
        with left:
            for column, name in zip(st.columns(len(dataset.classes)), dataset.classes, strict=True):
                caption = f"Mean of {plain_label(name)}"
                column.image(averages[name], caption=caption, alt=caption, width="stretch")
        with right:
            show_figure(grey_histogram_figure(histograms))
    undecodable = pd.DataFrame(found.prepared.errors.items(), columns=["file", "error"])
    unreadable = pd.concat([unreadable, undecodable], ignore_index=True)
if len(unreadable):
    st.header("Passed over", help="Files, folders, and rows and values of a label table that were not read.")
    show_first_rows(unreadable, "rows")
    download_table("Passed over (CSV)", unreadable, "passed_over.csv")
credit_images(dataset)
