"""Which radiographs can one try on the Predict page, and what is true of them?"""

from collections.abc import Mapping

import streamlit as st

from cxr_core.data.teaching_set import TeachingImage
from ui.common.markdown import plain_label, plain_name, plain_text
from ui.common.navigation import choose
from ui.common.thumbnails import image_tile, show_tile

# Five in a row beside the sidebar, and two on a phone.
_TILE_PIXELS = 148


def offer_examples(offered: Mapping[str, TeachingImage]) -> None:
    """Show the examples, each with a button that opens it, and from whom they are; nothing where there are none."""
    if not offered:
        return
    with st.container(horizontal=True, gap="small"):
        for title, example in offered.items():
            with st.container(width=_TILE_PIXELS):
                tile = image_tile(str(example.path), example.path.stat().st_mtime_ns)
                show_tile(tile, "", alt=f"Example: {title}")
                st.button(
                    plain_text(title), key=f"open {title}", on_click=choose, args=("example", title), width="stretch",
                    help="Named after what the built-in classifier answers to it.",
                )  # fmt: skip
    for credit in sorted({example.credit for example in offered.values()}):
        st.caption(plain_name(credit, 200))


def show_truth(example: TeachingImage) -> None:
    """Say what an example truly shows."""
    st.markdown(f":material/fact_check: The truth is **{plain_label(example.truth)}**, as its collection says.")
