"""What all figures have in common: colours, titles and layout."""

_LEGEND_BELOW = {"orientation": "h", "yanchor": "top", "y": -0.25, "x": 0}
# No class's colours: these are about no class.
FIRST_COLOUR, SECOND_COLOUR, CHANCE_COLOUR = "#56B4E9", "#E69F00", "#999999"


def finish_figure(figure, title, x_title, y_title):
    """Give a figure the titles and the layout that all figures here share; returns it."""
    figure.update_layout(
        title=title,
        xaxis_title=x_title,
        yaxis_title=y_title,
        height=380,
        margin={"l": 10, "r": 10, "t": 50, "b": 10},
        legend=_LEGEND_BELOW,
    )
    return figure
