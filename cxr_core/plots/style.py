"""What do all figures have in common: colours, titles and layout?"""

import re
from html import escape

import numpy as np
import plotly.graph_objects as go

from cxr_core.classes import class_label

# Left to itself, Plotly divides an axis of so few into fractions.
_FEW = 5
_MARKUP = re.compile(r"<[^>]*>")
# For an axis with its title and two rows of a legend at the figure's lower end.
_LEGEND_ROOM = 100
_LEGEND_AT_END = {"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0, "x": 0}
# Any number of rows. Where a page is still being laid out, Plotly can draw it over the axis title.
_LEGEND_BELOW = {"orientation": "h", "yanchor": "top", "y": -0.25, "x": 0}
# Letters in two rows on a phone, and as how many the symbol before a name counts.
_TWO_ROWS, _SYMBOL = 90, 6
# Not the colours of classes: what they stand for is not a class.
FIRST_COLOUR, SECOND_COLOUR, CHANCE_COLOUR = "#56B4E9", "#E69F00", "#999999"


def drawn_text(text: str) -> str:
    """Return a name as Plotly draws it letter by letter; it takes any text for markup, and fills in what %{…} names."""
    return escape(text).replace("%{", "%&#123;")


def drawn_label(class_name: str) -> str:
    """Return the label of a class as `drawn_text` does."""
    return drawn_text(class_label(class_name))


def finish_figure(figure: go.Figure, title: str, x_title: str, y_title: str) -> go.Figure:
    """Give a figure its titles and the layout that all figures share; returns the same figure."""
    letters = sum(len(trace.name or "") + _SYMBOL for trace in figure.data)
    figure.update_layout(
        title_text=title,
        xaxis_title=x_title,
        yaxis_title=y_title,
        height=380,
        margin={"l": 10, "r": 10, "t": 50, "b": _LEGEND_ROOM if len(figure.data) > 1 else 10},
        legend=_LEGEND_AT_END if letters <= _TWO_ROWS else _LEGEND_BELOW,
    )
    return figure


def count_axis(largest: float) -> dict[str, object]:
    """Return the settings of an axis that begins at zero and counts whole things, up to about `largest`."""
    few: dict[str, object] = {"tick0": 0, "dtick": 1} if largest <= _FEW else {}
    return {"rangemode": "tozero", "tickformat": ",d"} | few


def figure_words(figure: go.Figure) -> str:
    """Describe a figure for those who cannot see it: its titles, its axes and its series, each with its range.

    Args:
        figure: with or without a title.

    Returns:
        One line of plain text, such as "Images per class. Class against Images. COVID-19: 3 points, 1 to 9."
    """
    layout = figure.layout
    parts = [
        layout.title.text or "",
        layout.title.subtitle.text or "",
        " against ".join(t for t in (layout.yaxis.title.text, layout.xaxis.title.text) if t),
    ]
    for trace in figure.data:
        values = trace.x if getattr(trace, "orientation", None) == "h" else trace.y
        numbers = [float(v) for v in ([] if values is None else values) if isinstance(v, (int, float, np.number))]
        if numbers:
            spread = f"{min(numbers):.4g} to {max(numbers):.4g}" if len(numbers) > 1 else f"{numbers[0]:.4g}"
            parts.append(f"{trace.name or 'Values'}: {spread}")
    return _MARKUP.sub("", ". ".join(part for part in parts if part))
