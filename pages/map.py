"""Which images look alike to the network?"""

import streamlit as st

from cxr_core.audit.projection import nearest_points
from cxr_core.plots.dataset import map_figure
from ui.common.components import one_page, page_header
from ui.common.curation import offer_undo
from ui.common.dataset_analysis import grouping, image_map
from ui.common.dataset_picker import choose_dataset, credit_images
from ui.common.markdown import plain_label
from ui.common.metrics import class_counts_text, images_text
from ui.common.navigation import tell_of_disk
from ui.common.thumbnails import show_large
from ui.data.gallery import image_gallery, offer_all
from ui.data.plot_hover import hovered_row

NEIGHBOURS = 11
page_header(
    "Map",
    "Points close together look alike to the network. Islands of one class are often one hospital, not one disease.",
)
dataset = choose_dataset()
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
    alt=f"Map of {images_text(len(rows))}, a point each; the list below selects without it.",
)


@st.fragment
@tell_of_disk()
def show_hovered() -> None:
    row = hovered_row("map")
    if row is None:
        st.caption("Hover over or tap a point to see its image here.")
    else:
        show_large(table.iloc[int(row)])


with right:
    show_hovered()
centre = st.selectbox(
    "Or select an image and its neighbours",
    table["path"].iloc[rows].tolist(),
    index=None,
    format_func=dict(zip(table["path"], table["file"], strict=True)).__getitem__,
    placeholder="Type a file name",
    help=f"The image and the {NEIGHBOURS} points nearest to it, for those who use no mouse.",
)
selected = [point["customdata"] for point in event.selection.points]
if not selected and centre is not None:
    place = table["path"].iloc[rows].tolist().index(centre)
    selected = rows[nearest_points(xy, place, NEIGHBOURS + 1)].tolist()
if not selected:
    st.info("Click a point to select its image, or draw around several points.", icon=":material/lasso_select:")
    credit_images(dataset)
    st.stop()
chosen = table.iloc[selected]
st.header(f"{len(selected):,} selected: {class_counts_text(chosen['class_name'])}")
offer_all(dataset, chosen, "map")
page = one_page(chosen, 24, "map_page")
image_gallery(
    dataset, page, [f"{plain_label(r.class_name)}, {r.width:d} × {r.height:d}" for r in page.itertuples()], "map"
)
credit_images(dataset)
