"""How good is a classifier at each source: one proportion, drawn with its interval?"""

import textwrap

import pandas as pd
import plotly.graph_objects as go

from cxr_core.plots.style import FIRST_COLOUR, drawn_text, finish_figure

_ROW_PIXELS, _REST_PIXELS = 42, 120
# On a phone, longer names would leave no room for the plot.
_LETTERS_IN_A_LINE = 22


def sources_figure(shares: pd.DataFrame, name: str) -> go.Figure:
    """Draw one proportion at each source, with its 95 % interval.

    Args:
        shares: as `source_scores.source_shares` returns it; the first source stands at the top.
        name: of the proportion.
    """
    percent = 100 * shares[["share", "low", "high"]].astype(float)
    figure = go.Figure()
    figure.add_scatter(
        x=percent["share"],
        y=[_in_lines(f"{source} ({n:,})") for source, n in zip(shares["source"], shares["images"], strict=True)],
        name=drawn_text(name),
        mode="markers",
        marker={"color": FIRST_COLOUR, "size": 10},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": percent["high"] - percent["share"],
            "arrayminus": percent["share"] - percent["low"],
        },
        hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
    )
    finish_figure(figure, f"{drawn_text(name)}, at sources with so many images", "%", "")
    figure.update_xaxes(range=[-2, 102])
    figure.update_yaxes(autorange="reversed")
    return figure.update_layout(height=_REST_PIXELS + _ROW_PIXELS * len(shares))


def _in_lines(name: str) -> str:
    return "<br>".join(drawn_text(line) for line in textwrap.wrap(name, _LETTERS_IN_A_LINE))
