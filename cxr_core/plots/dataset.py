"""How is a data set drawn?"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cxr_core.classes import class_colours, order_classes
from cxr_core.plots.style import count_axis, drawn_label, drawn_text, finish_figure

if TYPE_CHECKING:
    # Imports scikit-learn: nothing that a plot needs.
    from cxr_core.audit.spurious_correlations import SpuriousCorrelations

_SYMBOLS = ("circle", "diamond", "square", "cross", "x", "triangle-up")
# Grey values at each end of a histogram in which a frame shows, and how far above the rest it is cut off.
_ENDS, _SPIKE = 8, 2
# Not the colours of classes: what these bars stand for is not a class.
_FACT_COLOUR = "#8C8C8C"
_ALL_FACTS_COLOUR = "#5C5C5C"
_CHANCE_COLOUR = "#CC79A7"


def map_figure(xy: np.ndarray, table_rows: pd.DataFrame) -> go.Figure:
    """Draw the map of a data set, one point per image; lasso or box select images.

    Args:
        xy: float (n, 2), as `projection.project_embeddings` returns it.
        table_rows: n rows in the same order, with `class_name`, `file`, `width` and `height`. Their index becomes each
            point's `customdata`, so that a selection names rows of the whole table.
    """
    figure = go.Figure()
    classes = order_classes(table_rows["class_name"])
    colours = class_colours(classes)
    for i, name in enumerate(classes):
        chosen = (table_rows["class_name"] == name).to_numpy()
        rows = table_rows[chosen]
        figure.add_scattergl(
            x=xy[chosen, 0],
            y=xy[chosen, 1],
            mode="markers",
            name=drawn_label(name),
            text=[_hover(*facts) for facts in zip(rows["file"], rows["width"], rows["height"], strict=True)],
            customdata=rows.index.tolist(),
            marker={"color": colours[name], "symbol": _SYMBOLS[i % len(_SYMBOLS)], "opacity": 0.7, "size": 6},
            hovertemplate="%{text}<extra>" + drawn_label(name) + "</extra>",
        )
    finish_figure(
        figure,
        "Map of the images",
        "Arbitrary units: only distance matters",
        "Arbitrary units",
    )
    bare = {"showticklabels": False, "zeroline": False}
    figure.update_xaxes(**bare)
    figure.update_yaxes(**bare, scaleanchor="x")
    return figure.update_layout(
        height=560,
        dragmode="lasso",
        # Across the top, its buttons would lie over the title of a narrow page.
        modebar_orientation="v",
        legend={"yref": "paper", "yanchor": "top", "y": -0.08},
        margin_b=70,
    )


def spurious_correlations_figure(correlations: "SpuriousCorrelations") -> go.Figure:
    """Draw how often each property of the files predicts the class, beside chance.

    Args:
        correlations: where they are undefined, the figure shows their first sentence.
    """
    figure = go.Figure()
    title = "How often file properties alone predict the class"
    finish_figure(figure, title, "Images predicted right in %", "Property")
    # Room for the number beside a bar of 100 %.
    figure.update_xaxes(range=[0, 108])
    if correlations.accuracy is None or correlations.chance is None:
        figure.update_yaxes(showticklabels=False)
        figure.add_annotation(text=correlations.sentences[0], showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper")
        return figure.update_layout(height=200)
    titles = ["All properties together", *(score.title for score in correlations.top)]
    shares = [100 * correlations.accuracy, *(100 * score.accuracy for score in correlations.top)]
    figure.add_bar(
        x=shares,
        y=titles,
        orientation="h",
        text=[f"{share:.0f} %" for share in shares],
        textposition="outside",
        marker_color=[_ALL_FACTS_COLOUR] + [_FACT_COLOUR] * len(correlations.top),
        hovertemplate=f"%{{y}}: %{{x:.1f}} % right, chance {100 * correlations.chance:.1f} %<extra></extra>",
    )
    figure.add_vline(
        x=100 * correlations.chance,
        line={"color": _CHANCE_COLOUR, "dash": "dash", "width": 2},
        annotation={"text": f"chance {100 * correlations.chance:.0f} %", "yref": "paper", "y": 1, "yanchor": "bottom"},
    )
    figure.update_yaxes(autorange="reversed")
    return figure.update_layout(height=110 + 36 * len(titles), showlegend=False)


def flag_counts_figure(flags: pd.DataFrame, titles: Mapping[str, str]) -> go.Figure:
    """Draw how many images have each flag, by class; a flag of no image shows an empty bar.

    Each bar's `customdata` is its flag.

    Args:
        flags: one row per image and flag, with `flag` and `class_name`.
        titles: {flag: name for a person}, in the order shown.
    """
    figure = go.Figure()
    classes = order_classes(flags["class_name"])
    colours = class_colours(classes)
    for name in classes:
        counts = flags.loc[flags["class_name"] == name, "flag"].value_counts()
        figure.add_bar(
            x=[int(counts.get(flag, 0)) for flag in titles],
            y=list(titles.values()),
            orientation="h",
            name=drawn_label(name),
            marker_color=colours[name],
            customdata=list(titles),
            hovertemplate="%{y}, " + drawn_label(name) + ": %{x} images<extra></extra>",
        )
    figure.update_yaxes(categoryorder="array", categoryarray=list(titles.values())[::-1])
    figure.update_xaxes(**count_axis(flags["flag"].value_counts().max()))
    finish_figure(figure, "Flagged images", "Images", "Flag")
    # Above the bars: below so few of them, the legend would run into the axis title.
    legend = {"traceorder": "normal", "x": 1, "xanchor": "right", "yref": "paper", "y": 1, "yanchor": "bottom"}
    return figure.update_layout(barmode="stack", legend=legend, height=140 + 28 * len(titles), margin_b=10)


def _hover(file: str, width: int, height: int) -> str:
    return f"{drawn_text(file)}<br>{width} × {height} pixels"


def class_count_figure(counts: Mapping[str, int]) -> go.Figure:
    """Draw the number of images per class.

    Args:
        counts: {class: number of images}.
    """
    colours = class_colours(list(counts))
    figure = go.Figure(
        go.Bar(
            x=[drawn_label(c) for c in counts],
            y=list(counts.values()),
            text=list(counts.values()),
            marker_color=[colours[c] for c in counts],
            hovertemplate="%{x}: %{y} images<extra></extra>",
        )
    )
    figure.update_yaxes(**count_axis(max(counts.values(), default=0)))
    return finish_figure(figure, "Images per class", "Class", "Images")


def size_scatter_figure(table: pd.DataFrame) -> go.Figure:
    """Draw height against width, one point per image; hovering names the file.

    Args:
        table: one row per image, with `class_name`, `width`, `height` and `file`.
    """
    figure = go.Figure()
    colours = class_colours(list(table["class_name"].unique()))
    for i, name in enumerate(colours):
        rows = table[table["class_name"] == name]
        figure.add_scattergl(
            x=rows["width"],
            y=rows["height"],
            mode="markers",
            name=drawn_label(name),
            text=rows["file"],
            marker={"color": colours[name], "symbol": _SYMBOLS[i % len(_SYMBOLS)], "opacity": 0.6, "size": 7},
            hovertemplate="%{text}<br>%{x} × %{y} pixels<extra></extra>",
        )
    return finish_figure(figure, "Image sizes", "Width in pixels", "Height in pixels")


def grey_histogram_figure(shares: pd.DataFrame, title: str = "Grey values per class") -> go.Figure:
    """Draw grey-value histograms.

    Where black or white, as of a frame, is so frequent that the rest would lie flat, the axis ends above the rest, and
    the subtitle says so.

    Args:
        shares: 256 rows, one column per class or step: proportion of pixels.
        title: of the figure.
    """
    figure = go.Figure()
    colours = class_colours(list(shares.columns))
    for name in shares.columns:
        figure.add_scatter(
            x=shares.index,
            y=100 * shares[name],
            name=drawn_label(name),
            line={"color": colours[name]},
            hovertemplate="grey %{x}: %{y:.2f} % of pixels<extra>" + drawn_label(name) + "</extra>",
        )
    percents = 100 * shares.to_numpy(float)
    highest, rest = percents.max(), percents[_ENDS:-_ENDS].max()
    if highest > _SPIKE * rest > 0:
        figure.update_yaxes(range=[0, 1.2 * rest])
        # Of its own: a long title is cut off on a phone.
        figure.update_layout(title_subtitle_text=f"Black or white cut off, up to {highest:.1f} %")
    else:
        figure.update_yaxes(rangemode="tozero")
    finish_figure(figure, title, "Grey value (0 black, 255 white)", "Proportion of pixels in %")
    return figure.update_layout(margin_t=70)
