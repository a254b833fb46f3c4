"""How does a click on a bar of a figure make a choice, in place of the control below it?"""

from typing import TYPE_CHECKING

import streamlit as st

from ui.common.navigation import choose

if TYPE_CHECKING:
    import plotly.graph_objects as go


def choose_bar(figure: "go.Figure", name: str, *, alt: str) -> None:
    """Show a figure; a click on a bar chooses that bar's `customdata`.

    Args:
        figure: each of its bars carries one value of the choice as `customdata`.
        name: of the choice; see `navigation.keep_choice`. Its control, which the keyboard reaches, must come later.
        alt: the figure in words.
    """
    key = f"{name}_bars"

    def take() -> None:
        points = st.session_state[key].selection.points
        if points:
            choose(name, points[0]["customdata"])

    st.plotly_chart(
        figure,
        width="stretch",
        key=key,
        on_select=take,
        selection_mode="points",
        config={"displayModeBar": False},
        alt=alt,
    )
