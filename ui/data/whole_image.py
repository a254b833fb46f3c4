"""How is an image of a data set looked at as a whole, alone or against a copy of it?"""

from itertools import combinations

import pandas as pd
import streamlit as st

from cxr_core.classes import class_label
from cxr_core.imaging.display import display_rgb, shrink
from cxr_core.imaging.grey_range import grey_u8
from cxr_core.imaging.isolated_decoding import read_image
from cxr_core.imaging.lung_segmentation import draw_outline, look_at_chest
from cxr_core.imaging.reader import UnreadableImage
from cxr_core.splits.copy_comparison import difference_u8, lay_over
from cxr_core.system.text import printable_name
from ui.common.components import plain_error
from ui.common.markdown import plain_name, plain_text
from ui.common.navigation import keep_choice, tell_of_disk
from ui.data.blink import blink_images

# As large as fits into a window of 800 pixels below its title.
_SIDE_PIXELS = 640
_NAME_LENGTH = 32


@st.dialog("Image", width="large")
@tell_of_disk()
def show_whole(row: pd.Series) -> None:
    """Show the image of one row of a data set's table as large as fits on a screen, with what is known of the file."""
    try:
        decoded = read_image(row["path"])
    except (UnreadableImage, OSError) as error:
        st.error(f"{plain_name(row['file'])}: {plain_error(error)}")
        return
    image = shrink(display_rgb(decoded), _SIDE_PIXELS)
    st.markdown(f"**{plain_name(row['file'], 200)}**")
    if st.toggle("Lungs", key=keep_choice("whole_lungs", False), help="Outlines the lungs, as a network finds them."):
        lungs = look_at_chest(decoded).at(image.shape).lungs
        image = draw_outline(image, lungs)
        if not lungs.found:
            st.caption(f"No lungs found: {plain_text(lungs.reason)} The dashed box is where they would be expected.")
    st.image(image, alt=f"{class_label(row['class_name'])}: {row['file']}", width="content")
    facts = [class_label(row["class_name"]), f"{row['width']} × {row['height']} pixels"]
    facts += [row["format"], f"{row['bytes'] / 1000:,.0f} kB"]
    facts += [f"patient {row['patient']}"] if pd.notna(row["patient"]) else []
    st.caption(plain_name(", ".join(facts), 200))


@st.dialog("Compare two copies", width="large")
@tell_of_disk()
def compare_copies(rows: pd.DataFrame) -> None:
    """Show two images of a group of copies in turns, and their difference.

    Args:
        rows: two at least, of a data set's table.
    """
    pairs = list(combinations(range(len(rows)), 2))
    names = [
        f"{i + 1}. {printable_name(file.rpartition('/')[2])[-_NAME_LENGTH:]}"
        for i, file in enumerate(rows["file"].tolist())
    ]
    pair = pairs[0]
    if len(pairs) > 1:
        pair = st.selectbox(
            "Images", pairs, format_func=lambda two: " and ".join(names[i] for i in two), help="Which two to compare."
        )
    first, second = pair
    try:
        shown = [shrink(grey_u8(read_image(rows["path"].iloc[i])), _SIDE_PIXELS) for i in (first, second)]
    except (UnreadableImage, OSError) as error:
        st.error(plain_error(error))
        return
    image, other = (display_rgb(one)[..., 0] for one in shown)
    laid, is_aligned = lay_over(image, other)
    if not is_aligned:
        st.caption("Their details do not agree, so the second is only resized to the first.")
    view = st.segmented_control(
        "View",
        ["In turns", "Difference"],
        key=keep_choice("compare_view", "In turns"),
        required=True,
        help="Both lie over each other.",
    )
    if view == "Difference":
        difference = difference_u8(image, laid)
        st.image(difference, alt="Difference of both images: black where they are equal", width="content")
        st.caption(f"Black where both are equal; on average they differ by {difference.mean():.1f} of 255 grey values.")
    else:
        blink_images(image, laid, (names[first], names[second]), "blink_copies")
