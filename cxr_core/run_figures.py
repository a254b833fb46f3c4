"""Plotly figures of several runs at once."""

import plotly.graph_objects as go

from cxr_core.figures import finish_figure

QUANTITIES = {
    "val_accuracy": ("Validation accuracy", "Share right"),
    "val_loss": ("Validation loss", "Cross-entropy"),
    "accuracy": ("Training accuracy", "Share right"),
    "loss": ("Training loss", "Cross-entropy"),
    "learning_rate": ("Learning rate", "Adam's step size"),
}
# Okabe and Ito's palette; the dash tells apart what a colour-blind eye, or a ninth run, cannot.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


def overlay_figure(histories, quantity):
    """Lay the curves of several runs over each other.

    Args:
        histories: dict of name to DataFrame as `runs.Run.epochs` gives it; empty ones are left out.
        quantity: a key of `QUANTITIES`.

    Returns:
        plotly Figure.
    """
    title, y_title = QUANTITIES[quantity]
    figure = go.Figure()
    for i, (name, epochs) in enumerate(histories.items()):
        if not len(epochs):
            continue
        figure.add_scatter(
            x=epochs["epoch"],
            y=epochs[quantity],
            name=name,
            mode="lines+markers",
            line={"color": _COLOURS[i % len(_COLOURS)], "dash": _DASHES[i % len(_DASHES)]},
            hovertemplate="epoch %{x}: %{y:.4g}<extra>" + name + "</extra>",
        )
    figure.update_xaxes(rangemode="tozero")
    if quantity.endswith("accuracy"):
        figure.update_yaxes(range=[0, 1.02])
    return finish_figure(figure, title, "Epoch", y_title)
