"""How is a prediction drawn?"""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from cxr_core.classes import class_colours
from cxr_core.plots.style import drawn_label, finish_figure

_COLOUR_SCALES = {"jet": "Jet", "inferno": "Inferno"}


def probability_figure(classes: Sequence[str], probabilities: Sequence[float] | np.ndarray) -> go.Figure:
    """Draw the probabilities, float (C,), one bar per class."""
    colours = class_colours(list(classes))
    figure = go.Figure(
        go.Bar(
            x=[100 * float(p) for p in probabilities],
            y=[drawn_label(c) for c in classes],
            orientation="h",
            text=[f"{100 * p:.1f} %" for p in probabilities],
            textposition="auto",
            marker_color=[colours[c] for c in classes],
            hovertemplate="%{y}: %{x:.2f} %<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(range=[0, 100])
    finish_figure(figure, "The classifier's probabilities", "Probability in %", "Class")
    return figure.update_layout(height=70 + 50 * len(classes), showlegend=False)


def colour_bar_figure(colour_map: str) -> go.Figure:
    """Draw the colour bar of an overlay; the colour map is "jet" or "inferno"."""
    values = [i / 255 for i in range(256)]
    figure = go.Figure(
        go.Heatmap(x=values, z=[values], colorscale=_COLOUR_SCALES[colour_map], showscale=False, hoverinfo="skip")
    )
    figure.update_yaxes(visible=False)
    figure.update_xaxes(
        title_text="Evidence for the class (0 = none, 1 = strongest in this image)", tickvals=[0, 0.5, 1]
    )
    return figure.update_layout(height=72, margin={"l": 10, "r": 10, "t": 0, "b": 52})
