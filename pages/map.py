"""Which images look alike to the network?"""

import streamlit as st

from cxr_core.plots.dataset import map_figure
from ui.common.components import one_page, page_header
from ui.common.curation import offer_undo
from ui.common.dataset_analysis import grouping, image_map
from ui.common.dataset_picker import choose_dataset, demo_note
from ui.common.markdown import plain_name
from ui.common.thumbnails import show_large
from ui.data.gallery import image_gallery
from ui.data.plot_hover import hovered_row

page_header(
    "Map",
    "Points close together look alike to the network. Islands of one class are often one hospital, not one disease.",
)
dataset = choose_dataset()
demo_note(dataset)
offer_undo(dataset)
table = grouping(dataset).table
rows, xy = image_map(dataset, table)
if len(rows) < len(table):
    st.caption(f"{len(rows):,} of {len(table):,} images, sampled in proportion to class size.")
left, right = st.columns([4, 1])
event = left.plotly_chart(
    map_figure(xy, table.iloc[rows]),
    width="stretch",
    key="map",
    on_select="rerun",
    selection_mode=("lasso", "box", "points"),
    config={"displaylogo": False},
)


@st.fragment
def show_hovered() -> None:
    row = hovered_row("map")
    if row is None:
        st.caption("Hover over or tap a point to see its image here.")
    else:
        show_large(table.iloc[int(row)])


with right:
    show_hovered()
selected = [point["customdata"] for point in event.selection.points]
if not selected:
    st.info("Click a point to select its image, or draw around several points.", icon=":material/lasso_select:")
    st.stop()
st.subheader(f"{len(selected):,} selected")
page = one_page(table.iloc[selected], 24, "map_page")
image_gallery(dataset, page, [f"{plain_name(r.file, 40)}, {r.width} × {r.height}" for r in page.itertuples()], "map")
